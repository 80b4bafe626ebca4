// Turns link plans of hosts into Weft's resources: a network for each segment, in the hosts' own namespace, with the
// addresses that hosts have there; the physical networks that it needs; and the tunnel port of that namespace. Pure.
// Several hosts' files, at once or one after the other, make one network.
import { isDeepStrictEqual } from "node:util";
import { FORWARD_DELAY } from "../datapath/kinds/links.ts";
import { familyOf } from "../model/address.ts";
import { ALL_HOSTS, HOST_VRF, allHostAddresses } from "../model/carrying.ts";
import { defined } from "../model/defined.ts";
import { deviceName } from "../model/device.ts";
import type { ApplyItem, NetworkInput } from "../model/input.ts";
import { DRIVERS } from "../model/driver.ts";
import { TUNNEL_PORT } from "../model/limits.ts";
import type { HostAddress, Network, Snapshot } from "../model/resource.ts";
import type { LinkPlan } from "./plan.ts";
import { type Reading, note, positionText, problem } from "./reading.ts";
import { networkText } from "./routes.ts";
import { type Segment, segmentsOf } from "./segments.ts";

/** What files say of a host; without a name, of any host. */
export type HostFiles = { readonly host?: string | undefined; readonly plan: LinkPlan };
/** Which device of a host leads to a physical network. */
type DeviceOfHost = { readonly host: string; readonly name: string; readonly device: string };
export type Imported = { readonly resources: readonly ApplyItem[]; readonly devices: readonly DeviceOfHost[] };

/** One network as several hosts' files say it. */
type Draft = { readonly name: string; readonly said: Said[] };
type Said = { readonly host?: string | undefined; readonly segment: Segment };

export function resourcesOf(files: readonly HostFiles[], before: Snapshot, reading: Reading): Imported {
  const drafts = new Map<string, Draft>();
  for (const { host, plan } of files)
    for (const segment of segmentsOf(plan, reading)) {
      const name = networkName(segment.name);
      const draft = drafts.get(name) ?? { name, said: [] };
      drafts.set(name, draft);
      draft.said.push({ host, segment });
    }
  const devices: DeviceOfHost[] = [];
  const networks = [...drafts.values()].flatMap((draft) => networkOf(draft, before, reading, devices) ?? []);
  const parents = [...new Set(networks.flatMap(({ spec }) => spec.parent ?? []))];
  const there = new Set(before.physicalNetworks?.map(({ name }) => name));
  const physical = parents
    .filter((name) => !there.has(name))
    .map((name) => ({ kind: "physicalnetwork", name, spec: {} }));
  const port = portOf([...drafts.values()], before, reading);
  // Kinds are those of apply.
  return { resources: [...port, ...physical, ...networks] as unknown as readonly ApplyItem[], devices };
}

const RESERVED_NAMES = new Set(["host", "bridge", "default", "none"]);

/** `mgmt` of `br-mgmt`, `encap-mgmt` or `vxlan-mgmt`. */
function networkName(device: string): string {
  const name = device.replace(/^(br|encap|vxlan|vlan)[-_]/, "").replaceAll(/[^a-zA-Z0-9._-]/g, "-");
  return RESERVED_NAMES.has(name) || !/^[a-zA-Z0-9]/.test(name) ? `net-${name}` : name;
}

/** Fields of networks that files can say. Those of drivers to come are text here. */
type Spec = Omit<NetworkInput, "driver"> & { readonly driver: string } & {
  readonly [field in "vlan" | "outerVlan"]?: number;
} & { readonly parent?: string };
type NetworkItem = { readonly kind: "network"; readonly name: string; readonly spec: Spec };

function networkOf(draft: Draft, before: Snapshot, reading: Reading, devices: DeviceOfHost[]): NetworkItem | undefined {
  const { name, said } = draft;
  const [first, ...others] = said;
  if (first === undefined) return undefined;
  const { driver } = first.segment.way;
  if (!Object.hasOwn(DRIVERS, driver))
    return note(reading, first.segment.at, first.segment.name, `Weft has no driver "${driver}" for it: not imported`);
  const old = before.networks.find((network) => network.name === name)?.spec as OldSpec | undefined;
  const parent = old?.parent ?? deviceIn(first.segment);
  const wanted = commonOf(first.segment, draft, parent, reading);
  for (const other of others) {
    const field = difference(wanted, commonOf(other.segment, draft, parent, reading));
    if (field !== undefined) return contradiction(other.segment, field, positionText(first.segment.at), reading);
  }
  const kept = old === undefined ? NOBODY : otherHosts(old, new Set(said.flatMap(({ host }) => host ?? [])));
  const isShared = kept.addresses.length > 0 || kept.hosts.length > 0;
  const field = old === undefined || !isShared ? undefined : difference(wanted, old);
  if (field !== undefined) return contradiction(first.segment, field, `network ${name} of the server`, reading);
  for (const one of said) sayHost(one, before, reading);
  for (const { host, segment } of said) {
    const device = deviceIn(segment);
    if (host !== undefined && parent !== undefined && device !== undefined)
      devices.push({ host, name: parent, device });
  }
  const sizes = said.flatMap(({ segment }) => segment.mtu ?? []);
  const size = sizes.length === 0 ? {} : { mtu: Math.min(...sizes) };
  const ranges = wanted.subnets?.length === 0 ? { ranges: old?.ranges ?? [ETHER] } : {};
  const spec = { ...old, ...wanted, ...size, ...ranges, ...hostsOf(said, wanted, kept, reading) };
  return { kind: "network", name, spec };
}

/** A network of the server; \`parent\` is of drivers that this file need not know. */
type OldSpec = Network["spec"] & { readonly parent?: string };

function contradiction(segment: Segment, field: string, other: string, reading: Reading): undefined {
  return problem(reading, segment.at, segment.name, `its ${field} is not the one of ${other}; a network has one`);
}

/** The first field in which two sayings of one network differ. */
function difference(a: Partial<Spec>, b: Partial<Spec>): string | undefined {
  const value = (spec: Partial<Spec>, field: keyof Spec) =>
    field === "peers"
      ? (spec.peers ?? "unicast")
      : field === "subnets"
        ? spec.subnets?.map(({ cidr }) => cidr)
        : spec[field];
  return COMPARED.find((field) => !isDeepStrictEqual(value(a, field), value(b, field)));
}

const COMPARED = [
  ...(["driver", "vni", "peers", "group", "ttl", "underlayDevice", "parent", "vlan", "outerVlan"] as const),
  ...(["subnets", "bridge", "stp", "forwardDelay"] as const),
] satisfies readonly (keyof Spec)[];

/** What is the same on all hosts of a network. */
function commonOf(segment: Segment, { name }: Draft, parent: string | undefined, reading: Reading): Spec {
  const { isBridge, stp } = segment;
  const forwardDelay = delayOf(segment, reading);
  return {
    ipam: "global",
    placement: "host",
    masquerade: false,
    ...wayOf(segment),
    ...(isBridge && segment.name !== deviceName("wb", name) ? { bridge: segment.name } : {}),
    ...(parent === undefined ? {} : { parent }),
    ...(stp ? { stp } : {}),
    ...(forwardDelay === FORWARD_DELAY ? {} : { forwardDelay }),
    subnets: subnetsOf(segment, reading).map((cidr) => ({ cidr, gateway: "none" })),
  };
}

/** What the protocol allows. Where it is off, ports forward at once, whatever the delay. */
function delayOf({ at, name, stp, forwardDelay }: Segment, reading: Reading): number {
  if (Number.isInteger(forwardDelay) && forwardDelay >= 2 && forwardDelay <= 30) return forwardDelay;
  const text = `${name}: forward delay ${forwardDelay}`;
  if (stp) problem(reading, at, text, "with the spanning tree protocol it is 2 to 30 seconds");
  else note(reading, at, text, "without the spanning tree protocol ports forward at once: not imported");
  return FORWARD_DELAY;
}

/** Of a segment without addresses: endpoints get a MAC. */
const ETHER = { name: "any", type: "ether", size: 65_536 } as const;

function wayOf({ way }: Segment): Pick<Spec, "driver"> & Partial<Spec> {
  if (way.driver === "vxlan") {
    const { vni, group, ttl, dev: underlayDevice } = way;
    return { driver: "vxlan", vni, ...(group && { peers: "multicast", group, ...defined({ ttl, underlayDevice }) }) };
  }
  if (way.driver === "gre") return { driver: "gre", vni: way.vni };
  if (way.driver === "bridge") return { driver: "bridge" };
  return { driver: "vlan", vlan: way.vlan, ...defined({ outerVlan: way.outerVlan }) };
}

/** The host's device that leads to a physical network. That is called as the device of the first host is. */
function deviceIn({ way }: Segment): string | undefined {
  return way.driver === "vlan" || way.driver === "bridge" ? way.device : undefined;
}

/** Networks of its addresses: one per family. */
function subnetsOf({ at, name, addresses }: Segment, reading: Reading): readonly string[] {
  const subnets: string[] = [];
  for (const address of addresses) {
    const subnet = networkText(address) ?? address;
    if (!isOnSegment(address))
      note(reading, at, `${name}: ${address}`, "an address of one host or link is not imported");
    else if (subnets.every((one) => familyOf(one) !== familyOf(subnet))) subnets.push(subnet);
    else if (!subnets.includes(subnet))
      note(reading, at, `${name}: ${address}`, "a network has one subnet per family: not imported");
  }
  return subnets.toSorted((a, b) => familyOf(a) - familyOf(b));
}

function isOnSegment(address: string): boolean {
  return !/^fe80:|\/(32|128)$/.test(address);
}

/** Hosts of a network that these files do not speak of. */
type Others = { readonly hosts: readonly string[]; readonly addresses: readonly HostAddress[] };
const NOBODY: Others = { hosts: [], addresses: [] };

function otherHosts(old: OldSpec, spoken: ReadonlySet<string>): Others {
  return {
    hosts: (old.hosts ?? []).filter((host) => !spoken.has(host)),
    addresses: allHostAddresses(old).filter(({ host }) => !spoken.has(host)),
  };
}

function hostsOf(said: readonly Said[], { subnets = [] }: Spec, kept: Others, reading: Reading): Partial<Spec> {
  const hostAddresses = [...kept.addresses];
  const hosts = new Set(kept.hosts);
  for (const { host, segment } of said) {
    const addresses = segment.addresses.filter((address) => subnets.some(({ cidr }) => cidr === networkText(address)));
    if (host === undefined && addresses.length > 0)
      note(reading, segment.at, `${segment.name}: ${addresses.join(" ")}`, "whose it is is not known: give --host");
    if (host === undefined) hosts.add(ALL_HOSTS);
    else if (addresses.length === 0) hosts.add(host);
    else hostAddresses.push(...addresses.map((address) => ({ host, address })));
  }
  return {
    ...(hosts.size === 0 ? {} : { hosts: [...hosts].sort() }),
    ...(hostAddresses.length === 0 ? {} : { hostAddresses: hostAddresses.toSorted(byHost) }),
  };
}

function byHost(a: HostAddress, b: HostAddress): number {
  return a.host < b.host ? -1 : a.host > b.host ? 1 : 0;
}

/** What the files say of tunnels that Weft decides by its own knowledge of hosts. */
function sayHost({ host, segment: { at, name, way } }: Said, before: Snapshot, reading: Reading): void {
  if (way.driver !== "vxlan" && way.driver !== "gre") return;
  const underlays = new Map(before.hosts.map((one) => [one.spec.underlay, one.name]));
  for (const remote of way.remotes)
    if (!underlays.has(remote))
      note(
        reading,
        at,
        `${name}: ${remote}`,
        "no host of the cluster has this underlay address: tunnels lead to hosts",
      );
  const { local } = way;
  const isOther = local !== undefined && host !== undefined && underlays.get(local) !== host;
  if (isOther) note(reading, at, `${name}: local ${local}`, `it is not the underlay address of host ${host}`);
  if (way.driver === "vxlan" && way.group === `239.0.0.${way.vni}`)
    note(reading, at, `${name}: group ${way.group}`, `its last octet is the VNI; Weft would choose the same`);
}

/** One UDP port for all of the hosts' own namespace: the VRF's. */
function portOf(drafts: readonly Draft[], before: Snapshot, reading: Reading): readonly object[] {
  const tunnels = drafts.flatMap(({ said }) => said.map(({ segment }) => segment));
  const vrf = before.vrfs.find(({ spec }) => spec.placement === "host");
  const imported = new Set(drafts.map(({ name }) => name));
  const other = before.networks.find(
    ({ name, spec }) => spec.vrf === vrf?.name && spec.driver === "vxlan" && !imported.has(name),
  );
  let port = other === undefined ? undefined : vrf?.spec.tunnelPort;
  let first = other === undefined ? "" : `network ${other.name}`;
  for (const { at, name, way } of tunnels) {
    if (way.driver !== "vxlan") continue;
    if (port !== undefined && way.port !== port)
      problem(reading, at, `${name}: port ${way.port}`, `the port of ${first} is ${port}; they share one namespace`);
    else if (port === undefined) [port, first] = [way.port, positionText(at)];
  }
  if (port === undefined || port === (vrf?.spec.tunnelPort ?? TUNNEL_PORT)) return [];
  return [{ kind: "vrf", name: vrf?.name ?? HOST_VRF, spec: { ...vrf?.spec, placement: "host", tunnelPort: port } }];
}
