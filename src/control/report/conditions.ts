// What a user should know although no request was refused: hosts that wait for a block or a VTEP because none is left,
// hosts whose addresses overlap a network that is older, and lost hosts. Computed from the view on request: a condition
// ends with its cause.
import { type Cidr, familyOf, formatCidr, overlaps, parseCidr } from "../../model/address.ts";
import { isOutside } from "../../model/cluster.ts";
import { AUTO, hostAddressesOf, isOnHost } from "../../model/carrying.ts";
import { bridgeOfOthers } from "../../model/bridges.ts";
import { formatDuration } from "../../model/duration.ts";
import { DEFAULT_DRIVER, DRIVERS, isPhysical } from "../../model/driver.ts";
import { mtuOn } from "../../model/mtu.ts";
import { groupMac, tunnelEnd } from "../../model/multicast.ts";
import { deviceFor, factsOf } from "../../model/physical.ts";
import type { Host, Network, Vrf } from "../../model/resource.ts";
import type { ClusterGroup } from "../../model/paths.ts";
import type { HostCondition } from "../../model/status.ts";
import { reservationsUnder } from "../admit/contents.ts";
import { cidrsOf } from "../admit/context.ts";
import { lackedBy, lackingRemedy, lackingText } from "../../model/lacking.ts";
import { noHostText } from "../../model/noHost.ts";
import { DIRECTIONS } from "../../model/qos.ts";
import { deviceRemedy, whyUnfitOn } from "../admit/network/carries.ts";
import { lackingOn } from "../admit/network/features.ts";
import { unableHosts } from "../admit/workload/qos.ts";
import { hostSegments, isDefaultRoute } from "../admit/network/overlap.ts";
import { type View, get, residentsOf } from "../state/view.ts";

export const CONDITION_REASONS = [
  "exhausted",
  "overlap",
  "mtu-invalid",
  "device-unfit",
  "qos-unsupported",
  "feature-missing",
  "many-peers",
  "device-missing",
  "cluster-empty",
  "group-shared",
  "group-undelivered",
  "host-lost",
  "mass-loss",
  "clock-stepped",
  "host-cloned",
  "another-history",
  "converting",
  "ca-rotating",
] as const;
export type Condition = {
  readonly reason: (typeof CONDITION_REASONS)[number];
  /** `network/blue`, `vrf/blue`, `host/h1`, or `cluster` if it concerns all. */
  readonly object: string;
  /** Absent if it does not concern a single host. */
  readonly host?: string;
  readonly message: string;
  /** Of a conversion: hosts that its phase waits for, and why. */
  readonly waitsFor?: readonly { readonly host: string; readonly why: string }[];
};

type Prefixes = ReadonlyMap<string, readonly Cidr[]>;

export function conditionsOf(view: View, prefixes: Prefixes): Condition[] {
  const byGroup = Map.groupBy(view.network.values(), ({ spec: { group } }) => group && groupMac(group));
  return [
    ...[...view.network.values()].flatMap((network) => [
      ...outOfGroup(view, network),
      ...sharedGroup(network, byGroup),
      ...exhaustionOf(view, network),
      ...withoutAddress(view, network),
      ...clashesOf(view, network, prefixes),
      ...unlimitedOn(view, network),
      ...unableOn(view, network),
      ...onNoHost(view, network),
      ...manyPeers(view, network),
      ...unlinkedOn(view, network),
    ]),
    ...[...view.vrf.values()].flatMap((vrf) => [...missingVteps(view, vrf), ...vtepClashesOf(view, vrf, prefixes)]),
  ];
}

/** Lost hosts with what they still have, and why none is reclaimed when too many are silent. */
export function lossesOf(
  view: View,
  hosts: readonly HostCondition[],
  massLoss: readonly string[],
  nowMs: number,
): Condition[] {
  const lost = hosts.flatMap((host): Condition[] => {
    if (host.state !== "lost") return [];
    const blocks = [...view.networks.values()].flatMap((index) => Object.keys(index.blocks.get(host.host) ?? {}));
    const held = `${blocks.length} blocks and ${residentsOf(view, host.host).size} endpoints`;
    const since = formatDuration(nowMs - (host.sinceMs ?? nowMs));
    return [
      {
        reason: "host-lost",
        object: `host/${host.host}`,
        host: host.host,
        message:
          `host "${host.host}" has been lost for ${since} and keeps its ${held}; if it is gone for good: ` +
          `weft host reclaim ${host.host} --dry-run`,
      },
    ];
  });
  if (massLoss.length === 0) return lost;
  const names = massLoss.slice(0, 10).join(", ");
  const more = massLoss.length > 10 ? ` and ${massLoss.length - 10} more` : "";
  const message =
    `${massLoss.length} of ${view.host.size} hosts are silent at once (${names}${more}): none is reclaimed by itself` +
    "; see whether the server's own network is down";
  return [...lost, { reason: "mass-loss", object: "cluster", message }];
}

/** A reason, and what it says of a host that it concerns. */
type Rule = readonly [reason: Condition["reason"], messageOf: (host: Host) => string | undefined];

function perHost(view: View, object: string, ...rules: readonly Rule[]): Condition[] {
  return [...view.host.values()].flatMap((host) =>
    rules.flatMap(([reason, messageOf]): Condition[] => {
      const message = messageOf(host);
      return message === undefined ? [] : [{ reason, object, host: host.name, message }];
    }),
  );
}

/** Hosts without a block of each family. */
function exhaustionOf(view: View, { name, spec }: Network): Condition[] {
  if (spec.ipam !== "local" || !spec.enabled) return [];
  const blocks = view.networks.get(name)?.blocks;
  const vteps = view.vrfs.get(spec.vrf)?.vteps;
  const subnets = spec.subnets.map(({ cidr, hostPrefix }) => `${cidr} in blocks of /${hostPrefix}`).join(" and ");
  const messageOf = ({ name: host }: Host) => {
    const had = blocks?.get(host);
    const isServed = spec.subnets.every(({ cidr }) => had?.[cidr.includes(":") ? 6 : 4] !== undefined);
    if (isServed || vteps?.has(host) !== true || isOutside(spec, host)) return undefined;
    return (
      `network "${name}" has no block left for host "${host}": ${subnets}; ` +
      "delete hosts that are gone, or migrate to a larger network"
    );
  };
  return perHost(view, `network/${name}`, ["exhausted", messageOf]);
}

/** Hosts without an address of their own in a subnet from which the server allocates one to each. */
function withoutAddress(view: View, { name, spec }: Network): Condition[] {
  if (spec.hostAddresses !== AUTO) return [];
  const messageOf = (host: Host) => {
    if (!isOnHost(spec, host)) return undefined;
    const had = hostAddressesOf(spec, host.name);
    const lacking = spec.subnets.filter(({ cidr }) => !had.some((one) => one.includes(":") === cidr.includes(":")));
    const where = lacking.map(({ cidr }) => cidr).join(" and ");
    return lacking.length === 0
      ? undefined
      : `network "${name}" has no address left for host "${host.name}" in ${where}; ` +
          "delete hosts that are gone, or name hosts (--hosts)";
  };
  return perHost(view, `network/${name}`, ["exhausted", messageOf]);
}

function missingVteps(view: View, { name, spec: { vtepSubnets } }: Vrf): Condition[] {
  const index = view.vrfs.get(name);
  const networks = [...(index?.networks ?? [])].map((network) => view.network.get(network));
  if (!networks.some((network) => network?.spec.ipam === "local" && network.spec.enabled)) return [];
  const messageOf = ({ name: host }: Host) => {
    const vtep = index?.vteps.get(host)?.spec;
    if (vtepSubnets.every((subnet) => (subnet.includes(":") ? vtep?.ip6 : vtep?.ip) !== undefined)) return undefined;
    return (
      `VRF "${name}" has no tunnel address left for host "${host}" in ${vtepSubnets.join(", ")}; ` +
      "delete hosts that are gone"
    );
  };
  return perHost(view, `vrf/${name}`, ["exhausted", messageOf]);
}

/** An overlap that would have been refused may appear later: a VPN starts, a host with a smaller MTU joins. */
function clashesOf(view: View, network: Network, prefixes: Prefixes): Condition[] {
  const { name, spec } = network;
  // Until the host has taken over what it has of the network, and has said so, it is the host's own.
  const taken = (host: string) => (spec.takeOver === true ? hostSegments(spec, host) : NONE);
  const overlapOf = overlapWith(`network "${name}" overlaps`, cidrsOf(network), prefixes, taken);
  const isTunnel = !isPhysical(spec);
  const mtuClash = (host: Host) => {
    const most = mtuOn(spec, host.spec, view.physicalnetwork);
    if (spec.mtu === undefined || most === undefined || spec.mtu <= most) return undefined;
    const bridge = bridgeOfOthers(spec);
    const outside = bridge === undefined ? `physical network "${spec.parent}" and the device` : `bridge ${bridge}`;
    const way = isTunnel ? "tunnels" : outside;
    return (
      `network "${name}" has MTU ${spec.mtu}, but ${way} of host "${host.name}" carry ${most}; ` +
      `weft network edit ${name} --mtu ${most}`
    );
  };
  const rules: Rule[] = [["mtu-invalid", mtuClash]];
  // On a physical network, hosts may well have addresses of its range.
  return perHost(view, `network/${name}`, ...(isTunnel ? ([["overlap", overlapOf]] as const) : []), ...rules);
}

/** By what groups are on Ethernet. */
type Groups = ReadonlyMap<string | undefined, readonly Network[]>;

/** Hosts of a network with a group that cannot be in it. */
function outOfGroup(view: View, { name, spec }: Network): Condition[] {
  const { group, underlayDevice, parent } = spec;
  // What a host lacks of a physical network is told with that.
  if (group === undefined || parent !== undefined) return [];
  const networks = [...(view.vrfs.get(spec.vrf)?.networks ?? [])];
  const members = new Set(networks.flatMap((each) => [...(view.networks.get(each)?.members.keys() ?? [])]));
  const device = underlayDevice === undefined ? "on its underlay" : `on a device ${underlayDevice}`;
  const messageOf = (host: Host) => {
    if (!(members.has(host.name) || isOnHost(spec, host)) || tunnelEnd(spec, host.spec) !== undefined) return undefined;
    const what = `network "${name}" does not reach host "${host.name}", which has no IPv${familyOf(group)} address`;
    return `${what} ${device}; it goes on by itself when there is one`;
  };
  return perHost(view, `network/${name}`, ["device-missing", messageOf]);
}

/** Networks whose group the underlay does not deliver between some hosts, by what these have tried. */
export function undelivered(view: View, groups: readonly ClusterGroup[]): Condition[] {
  return groups.flatMap(({ network, unproven }): Condition[] => {
    const group = get(view, "network", network)?.spec.group;
    const pairs = unproven.filter(({ state }) => state !== "unknown").map(({ hosts }) => hosts.join(" – "));
    if (group === undefined || pairs.length === 0) return [];
    const more = pairs.length > MET_MAX ? ` and ${pairs.length - MET_MAX} more pairs` : "";
    const message =
      `the underlay does not deliver the group ${group} of network "${network}" between ` +
      `${pairs.slice(0, MET_MAX).join(", ")}${more}: let switches, routers and firewalls there pass it, or do ` +
      `without (weft network edit ${network} --peers unicast)`;
    return [{ reason: "group-undelivered", object: `network/${network}`, message }];
  });
}

/** Other networks whose packets the hosts of a network with a group get as well. */
function sharedGroup({ name, spec: { group } }: Network, byGroup: Groups): Condition[] {
  const others = group === undefined ? [] : (byGroup.get(groupMac(group)) ?? []).filter((other) => other.name !== name);
  if (others.length === 0) return [];
  const names = others.slice(0, MET_MAX).map((other) => `"${other.name}" (${other.spec.group})`);
  const more = others.length > MET_MAX ? ` and ${others.length - MET_MAX} more` : "";
  const message =
    `the group ${group} of network "${name}" is on Ethernet the same as that of ${names.join(", ")}${more}: hosts of ` +
    "each also get what is sent to the others, and drop it";
  return [{ reason: "group-shared", object: `network/${name}`, message }];
}

/**
 * VTEP addresses are routed by the host's VRF namespaces, but a host that has the prefix itself may mean another
 * machine.
 */
function vtepClashesOf(view: View, { name, spec }: Vrf, prefixes: Prefixes): Condition[] {
  if (view.vrfs.get(name)?.vteps.size === 0) return [];
  const subnets = spec.vtepSubnets.map((text) => parseCidr(text, `vrf/${name}`));
  return perHost(view, `vrf/${name}`, [
    "overlap",
    overlapWith(`VTEP subnets of VRF "${name}" overlap`, subnets, prefixes),
  ]);
}

const MET_MAX = 5;
const NONE: ReadonlySet<string> = new Set();
/** Says which prefixes of a host's own overlap one of the ranges, in either direction, except what is said. */
function overlapWith(
  what: string,
  ranges: readonly Cidr[],
  prefixes: Prefixes,
  except: (host: string) => ReadonlySet<string> = () => NONE,
): Rule[1] {
  return ({ name }) => {
    const own = except(name);
    const met = (prefixes.get(name) ?? []).filter(
      (prefix) =>
        !isDefaultRoute(prefix) &&
        ranges.some((range) => overlaps(prefix, range)) &&
        !(own.size > 0 && own.has(formatCidr(prefix))),
    );
    const shown = met.slice(0, MET_MAX).map(formatCidr).join(", ");
    return met.length === 0 ? undefined : `${what} ${shown}, which host "${name}" has itself`;
  };
}

/** More hosts than a driver is for that has a device for each: of a segment, those of all that is reserved from it. */
function manyPeers(view: View, network: Network): Condition[] {
  const { title, peersMost } = DRIVERS[network.spec.driver];
  if (peersMost === undefined || network.spec.reservedFrom !== undefined) return [];
  const parts = [network, ...reservationsUnder(view, network.name)];
  const hosts = new Set(parts.flatMap(({ name }) => [...(view.networks.get(name)?.members.keys() ?? [])])).size;
  if (hosts <= peersMost) return [];
  const message =
    `network "${network.name}" has ${hosts} hosts, and with ${title} each has a device of 80 KiB to every other, ` +
    `which takes some milliseconds to make: above ${peersMost} hosts use driver "${DEFAULT_DRIVER}"`;
  return [{ reason: "many-peers", object: `network/${network.name}`, message }];
}

/** Hosts that carry the network and joined, or rebooted, without what its limits need: nothing attaches there. */
function unlimitedOn(view: View, network: Network): Condition[] {
  return DIRECTIONS.flatMap((direction) =>
    unableHosts(view, network, direction).map((host) => ({
      reason: "qos-unsupported" as const,
      object: `network/${network.name}`,
      host,
      message: `network "${network.name}" limits ${direction} traffic, which host "${host}" cannot`,
    })),
  );
}

/**
 * Hosts that carry the network without a way to the rest of its segment. It is made by itself when the way is there.
 */
function unlinkedOn(view: View, { name, spec }: Network): Condition[] {
  const { parent } = spec;
  const bridge = bridgeOfOthers(spec);
  if ((parent ?? bridge) === undefined) return [];
  const members = view.networks.get(name)?.members;
  const isHere = (host: Host) => members?.has(host.name) === true || isOnHost(spec, host);
  const deviceText = (host: Host) => `network "${name}" has no way out of host "${host.name}"`;
  const unfit = (host: Host) => {
    const why = isHere(host) ? whyUnfitOn(host, spec) : undefined;
    return why === undefined ? undefined : `${deviceText(host)}: ${why}; ${deviceRemedy(host, spec)}`;
  };
  const missing = (host: Host) => {
    if (!isHere(host)) return undefined;
    const device = bridge ?? deviceFor(host.spec, parent ?? "");
    if (device === undefined)
      return `${deviceText(host)}: no device of it leads to physical network "${parent}"; ${deviceRemedy(host, spec)}`;
    const facts = factsOf(host.spec, device);
    const kind = bridge === undefined ? "device" : "bridge";
    if (facts === undefined) return `${deviceText(host)}: there is no ${kind} ${device}; ${deviceRemedy(host, spec)}`;
    return facts.down === true
      ? `${deviceText(host)}: ${kind} ${device} is down (ip link set ${device} up)`
      : undefined;
  };
  return perHost(view, `network/${name}`, ["device-unfit", unfit], ["device-missing", missing]);
}

/** Hosts that carry the network and joined, or rebooted into another kernel, without what its driver needs. */
function unableOn(view: View, network: Network): Condition[] {
  return [...lackingOn(view, network)].map(([host, features]) => ({
    reason: "feature-missing" as const,
    object: `network/${network.name}`,
    host,
    message:
      `host "${host}" cannot carry network "${network.name}": it lacks ${lackingText(features)}; ` +
      `${lackingRemedy(features)}`,
  }));
}

/** A network of all hosts that each of them leaves out: nothing else tells of it. */
function onNoHost(view: View, { name, spec }: Network): Condition[] {
  if ((view.networks.get(name)?.members.size ?? 0) > 0) return [];
  const hosts = [...view.host.values()];
  const text = noHostText(spec, hosts);
  if (text === undefined) return [];
  const isLacking = hosts.every((host) => lackedBy(host, spec.driver).length > 0);
  const message = `network "${name}" is nowhere: ${text}; it comes by itself when a host can`;
  const reason = isLacking ? "feature-missing" : "device-missing";
  const isEmpty = spec.clusterHosts?.length === 0;
  return [{ reason: isEmpty ? "cluster-empty" : reason, object: `network/${name}`, message }];
}
