// Addresses that hosts themselves have on the segment of a network: given by users, or allocated here, one per subnet
// and host. Each is held as long as the network has it, so no endpoint gets it, and it counts as held.
import { type Cidr, contains, formatCidr, formatIp, ipOf, parseCidr, parseIp } from "../../../model/address.ts";
import {
  ALL_HOSTS,
  AUTO,
  allHostAddresses,
  hostAddressesOf,
  hostMac,
  isOnHost,
  namesHost,
} from "../../../model/carrying.ts";
import { defined } from "../../../model/defined.ts";
import { isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { unknownFault } from "../../../model/kinds.ts";
import { type HostAddress, type Network, type NetworkSpec, holdName } from "../../../model/resource.ts";
import { isAllocatable, nextFreeFrom, usableBounds } from "../../../ipam/allocate.ts";
import { NOTHING_USED } from "../../../ipam/intervals.ts";
import type { Draft } from "../../state/draft.ts";
import { spaceValue } from "../../state/networkIndex.ts";
import { type View, hostsInOrder } from "../../state/view.ts";
import { holdsOf } from "../contents.ts";
import { cidrsOf } from "../context.ts";
import { endMemory } from "./freed.ts";
import { HOST_ADDRESS_REASON, isWithin } from "./hold.ts";
import { excludedOf } from "./lease.ts";
import { obstacleTo, refusalOf } from "./obstacle.ts";

const WHERE = "spec.hostAddresses";

type Wish = Pick<NetworkInput, "hostAddresses" | "ranges"> &
  Pick<NetworkSpec, "subnets" | "driver" | "tunnel"> & { readonly placement: NetworkSpec["placement"] | undefined };
type Fields = Pick<NetworkSpec, "hostAddresses" | "allocatedAddresses">;

/** Subnets of a network whose hosts have addresses: without a gateway unless one is given. */
export function withoutGateways(subnets: NetworkSpec["subnets"], isWanted: boolean): NetworkSpec["subnets"] {
  return isWanted ? subnets.map((subnet) => ({ gateway: "none", ...subnet })) : subnets;
}

/** In canonical text; a Fault for what cannot be. What the server allocated stays, whatever a put says of it. */
export function hostAddressFields(view: View, wish: Wish, old: Network | undefined): Fields {
  const { hostAddresses: wanted, subnets, ranges = [] } = wish;
  if (wanted === undefined) return {};
  if (wish.placement !== "host") throw misplaced();
  const gateway = [...subnets, ...ranges.flatMap((each) => [each, { gateway: each.gateway6 }])].find(
    (each) => each.gateway !== undefined && each.gateway !== "none",
  )?.gateway;
  // That of a physical network is a machine outside.
  if (gateway !== undefined && !isPhysical(wish)) throw besideGateway(gateway);
  const cidrs = subnets.map(({ cidr }) => parseCidr(cidr, "spec.subnets"));
  if (wanted === AUTO) {
    const allocated = (old?.spec.allocatedAddresses ?? []).filter(
      ({ address }) => cidrOf(cidrs, address) !== undefined,
    );
    return { hostAddresses: wanted, allocatedAddresses: allocated };
  }
  const list = wanted.map((one, i) => canonical(view, one, { cidrs, where: `${WHERE}[${i}]`, old }));
  const twice = list.find(({ address }, i) => list.findIndex((other) => other.address === address) !== i);
  if (twice !== undefined) throw taken(twice.address, "it is listed twice");
  checkMacs(view, list, old);
  return { hostAddresses: list };
}

/** A host's MAC has the last 32 bits of its first address, in which two IPv6 addresses may be alike. */
function checkMacs(view: View, hostAddresses: readonly HostAddress[], old: Network | undefined): void {
  const owners = new Map<string, string>();
  for (const host of new Set(hostAddresses.map((one) => one.host))) {
    const [address = ""] = hostAddressesOf({ hostAddresses }, host);
    const mac = hostMac(address);
    const [endpoint] = view.networks.get(old?.name ?? "")?.macs.get(mac) ?? [];
    const owner = owners.get(mac) ?? (endpoint === undefined ? undefined : `endpoint "${endpoint}"`);
    if (owner !== undefined) throw taken(address, `host "${host}" would have MAC ${mac} there, as ${owner} has`);
    owners.set(mac, `host "${host}"`);
  }
}

type Place = { readonly cidrs: readonly Cidr[]; readonly where: string; readonly old: Network | undefined };

function canonical(view: View, { host, address }: HostAddress, { cidrs, where, old }: Place): HostAddress {
  const isKnown = allHostAddresses(old?.spec ?? {}).some((one) => one.host === host);
  if (!view.host.has(host) && !isKnown) throw unknownFault("host", host, `${where}.host`);
  const [text = "", ...lengths] = address.split("/");
  const ip = parseIp(text, `${where}.address`);
  const cidr = cidrs.find((each) => contains(each, ip));
  if (
    cidr === undefined ||
    !isAllocatable(cidr, undefined, ip) ||
    (lengths.length > 0 && lengths.join("/") !== `${cidr.length}`)
  ) {
    throw new Fault("address-outside", {
      what: `${address} is not an address of the network with the length of its prefix`,
      where: `${where}.address`,
      fix: `choose one in ${cidrs.map(formatCidr).join(" or ")}`,
    });
  }
  return { host, address: `${formatIp(ip)}/${cidr.length}` };
}

function cidrOf(cidrs: readonly Cidr[], address: string): Cidr | undefined {
  const [text = "", length] = address.split("/");
  const ip = ipOf(text);
  return cidrs.find((cidr) => ip !== undefined && contains(cidr, ip) && String(cidr.length) === length);
}

/** Call when a network or its hosts have changed: allocates what hosts lack, and holds exactly what they have. */
export function alignHostAddresses(draft: Draft, network: Network): Network {
  const { view } = draft;
  const { name, spec } = network;
  let aligned = network;
  if (spec.hostAddresses === AUTO) {
    const { allocatedAddresses: had = [] } = spec;
    // One that is left out for now keeps its own.
    const allocated = had.filter(({ host }) => view.host.has(host) && namesByHosts(spec, host));
    align(draft, network, allocated);
    for (const host of hostsInOrder(view))
      if (isOnHost(spec, host)) allocated.push(...missingOf(draft, network, host.name, allocated));
    if (JSON.stringify(allocated) !== JSON.stringify(had))
      aligned = draft.put("network", name, { ...spec, allocatedAddresses: allocated });
  }
  align(draft, network, allHostAddresses(aligned.spec));
  return aligned;
}

function namesByHosts({ hosts = [], clusterHosts }: NetworkSpec, host: string): boolean {
  return namesHost({ hosts, ...defined({ clusterHosts }) }, host);
}

/** Holds these addresses, and no other for a host. */
function align(draft: Draft, network: Network, addresses: readonly HostAddress[]): void {
  const { view } = draft;
  const given = new Map(addresses.map(({ host, address }) => [address.slice(0, address.indexOf("/")), host]));
  const wanted = new Map([...machinesOn(view, network), ...given]);
  for (const hold of holdsOf(view, network.name))
    if (hold.spec.reason === HOST_ADDRESS_REASON && wanted.get(hold.spec.first) !== hold.spec.owner)
      draft.remove("hold", hold.name);
  for (const [text, host] of wanted) {
    const { space, value } = spaceValue(text);
    const obstacle = obstacleTo(draft, view.networks.get(network.name), text, "");
    if (obstacle?.state === "held" && obstacle.hold.spec.reason === HOST_ADDRESS_REASON) continue;
    if (obstacle !== undefined && obstacle.state !== "quarantined") {
      // What a host has by itself, somebody else may have been given before it was known.
      if (!given.has(text)) continue;
      throw refusalOf(view, network, obstacle, WHERE);
    }
    // Outside of the ranges no endpoint gets it anyway.
    if (!isWithin(network, { space, first: value, last: value })) continue;
    endMemory(draft, network, [text]);
    const spec = { network: network.name, first: text, last: text, reason: HOST_ADDRESS_REASON, owner: host };
    draft.put("hold", holdName(network.name, text), spec);
  }
}

/** Addresses that hosts have by themselves on the segment of a physical network, each with its host. */
function machinesOn(view: View, network: Network): readonly (readonly [string, string])[] {
  if (!isPhysical(network.spec)) return [];
  const cidrs = cidrsOf(network);
  const isIn = (text: string) => {
    const ip = ipOf(text);
    return ip !== undefined && cidrs.some((cidr) => contains(cidr, ip));
  };
  return hostsInOrder(view).flatMap(({ name, spec: { underlay, devices = [] } }) => {
    const others = devices.flatMap(({ addresses = [], onBridge = [] }) => [...addresses, ...onBridge]);
    return [underlay, ...others].filter(isIn).map((text) => [text, name] as const);
  });
}

/** The lowest free address of each subnet in which the host has none; fewer while a subnet is full. */
function missingOf(draft: Draft, network: Network, host: string, had: readonly HostAddress[]): HostAddress[] {
  const excluded = excludedOf(network);
  return network.spec.subnets.flatMap(({ cidr: text }): HostAddress[] => {
    const cidr = parseCidr(text, `network/${network.name}`);
    if (had.some((one) => one.host === host && cidrOf([cidr], one.address) !== undefined)) return [];
    const bounds = usableBounds(cidr);
    const blocked = draft.view.networks.get(network.name)?.blocked[cidr.family] ?? NOTHING_USED;
    const also = had.flatMap(({ address }) => ipOf(address.slice(0, address.indexOf("/")))?.value ?? []);
    const ip = nextFreeFrom(bounds, blocked, [...excluded[cidr.family], ...also], bounds.first);
    return ip === undefined ? [] : [{ host, address: `${formatIp(ip)}/${cidr.length}` }];
  });
}

/** Networks in which hosts have addresses that follow from what hosts there are. */
export function networksWithHosts(view: View): Network[] {
  return [...view.network.values()].filter(({ spec }) => spec.hostAddresses === AUTO || isPhysical(spec));
}

/** The hosts of a network that says nothing of them, and wants an address for each. */
export function hostsInSpec({ hosts, hostAddresses }: Pick<NetworkInput, "hosts" | "hostAddresses">) {
  return hosts ?? (hostAddresses === AUTO ? [ALL_HOSTS] : undefined);
}

function misplaced(): Fault {
  return new Fault("request-invalid", {
    what: "hosts have no address of their own in this network",
    where: WHERE,
    why: "it is in a namespace of the VRF, which the hosts' own programs do not use",
    fix: "leave it out, or set placement to host; with hostAccess on the VRF, a host reaches a network without one",
  });
}

function besideGateway(gateway: string): Fault {
  return new Fault("request-invalid", {
    what: `hosts cannot have addresses of their own beside the gateway ${gateway}`,
    where: WHERE,
    why: "the gateway is the same address and MAC on every host, and a host's own address needs a MAC of its own",
    fix: "set the gateway to none, or leave hostAddresses out: a host reaches its own endpoints by the gateway",
  });
}

function taken(address: string, why: string): Fault {
  return new Fault("address-taken", { what: `${address} is taken`, where: WHERE, why, fix: "choose another" });
}
