// Which hosts and prefixes a network concerns. The server's allocation, the agent's visibility and the compiler use
// these functions.
import { cidrOf, formatMac, ipOf, overlaps } from "./address.ts";
import { isOutside } from "./cluster.ts";
import { whyLeftOut } from "./leftOut.ts";
import type { Host, HostAddress, Network, NetworkSpec, Slice, Snapshot, Vrf } from "./resource.ts";

/** The slices of a network that a host has bridges for. A network without slices has one bridge for the whole block. */
export function slicesOn(vrf: Vrf, network: Network, host: Host): readonly Slice[] {
  // DC/OS masters are members of every overlay, with a block and a route, but have no bridges.
  if (vrf.spec.dcos?.masters.includes(host.spec.underlay) === true) return [];
  const all = network.spec.slices ?? [];
  return host.spec.slices === undefined ? all : all.filter((slice) => host.spec.slices?.includes(slice.name));
}

/** The name of the VRF in the hosts' own namespace unless another was put. */
export const HOST_VRF = "host";
/** In `hosts` of a network: all of them that can have it (leftOut.ts). */
export const ALL_HOSTS = "*";
/** In `hostAddresses` of a network: the server allocates them. */
export const AUTO = "auto";

type WithHosts = Pick<NetworkSpec, "hosts" | "hostAddresses" | "allocatedAddresses" | "clusterHosts">;

/**
 * Whether a network says that it is to be on a host also without endpoints: by `*`, whether or not the host can. Hosts
 * outside of its clusters are none of its hosts.
 */
export function namesHost(spec: WithHosts, host: string): boolean {
  const { hosts = [], hostAddresses } = spec;
  if (isOutside(spec, host)) return false;
  const isNamed = hosts.includes(ALL_HOSTS) || hosts.includes(host);
  // What the server allocated is of hosts that are named.
  return isNamed || (hostAddresses !== AUTO && hostAddressesOf(spec, host).length > 0);
}

/** Whether a network is on a host also without endpoints: of `*`, those are meant that can have it. */
export function isOnHost(spec: NetworkSpec, host: Host): boolean {
  if (!namesHost(spec, host.name)) return false;
  const { hosts = [], hostAddresses } = spec;
  const isGiven = hosts.includes(host.name) || (hostAddresses !== AUTO && hostAddressesOf(spec, host.name).length > 0);
  return isGiven || whyLeftOut(spec, host) === undefined;
}

/** The addresses that a host itself has on a network's segment, with length; IPv4 first. */
export function hostAddressesOf(spec: WithHosts, host: string): readonly string[] {
  return allHostAddresses(spec)
    .filter((one) => one.host === host)
    .map(({ address }) => address)
    .sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
}

/** The MAC of a host on a segment where it has this address first. */
export function hostMac(address: string): string {
  const value = ipOf(address.slice(0, address.indexOf("/")))?.value ?? 0n;
  return formatMac(0x0a5b_0000_0000n + (value & 0xffff_ffffn));
}

/**
 * Whether hosts learn behind its tunnel who else is on the segment: machines in its group, and other hosts, if these
 * keep the MACs that their bridges had.
 */
export function learnsFromTunnel({
  driver,
  group,
  takeOver,
}: Pick<NetworkSpec, "driver" | "group" | "takeOver">): boolean {
  return group !== undefined || (takeOver === true && driver === "vxlan");
}

/** Of all hosts: as given, or as the server allocated them. */
export function allHostAddresses({ hostAddresses, allocatedAddresses = [] }: WithHosts): readonly HostAddress[] {
  return hostAddresses === AUTO ? allocatedAddresses : (hostAddresses ?? []);
}

/**
 * VRFs that a host carries: those with a local network it has a block of, those in which it has an endpoint, and those
 * with a network that names it. A host in a VRF carries all of the VRF's networks, because it routes between them; of
 * the VRF in the host's own namespace, those that networksOn() says.
 */
export function vrfsOn(snapshot: Snapshot, host: string): ReadonlySet<string> {
  const vrfOf = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const vrfs = new Set<string>();
  const add = (network: string) => {
    const vrf = vrfOf.get(network);
    if (vrf !== undefined) vrfs.add(vrf);
  };
  for (const block of snapshot.blocks) if (block.spec.host === host) add(block.spec.network);
  for (const endpoint of snapshot.endpoints) if (endpoint.spec.host === host) add(endpoint.spec.network);
  const own = snapshot.hosts.find(({ name }) => name === host);
  for (const { name, spec } of snapshot.networks) if (own !== undefined && isOnHost(spec, own)) add(name);
  return vrfs;
}

/**
 * Everything a network has addresses in: its subnets, and the SLAAC prefixes of its ranges that lie in none. A
 * reservation's are its parent's.
 */
export function prefixesOf(spec: Pick<NetworkSpec, "subnets" | "ranges" | "reservedFrom">): readonly string[] {
  if (spec.reservedFrom !== undefined) return [];
  const prefixes = spec.subnets.map((subnet) => subnet.cidr);
  for (const range of spec.ranges ?? []) {
    for (const text of [range.prefix, range.ula]) {
      if (text !== undefined && !prefixes.some((other) => meet(other, text))) prefixes.push(text);
    }
  }
  return prefixes;
}

function meet(a: string, b: string): boolean {
  const [x, y] = [cidrOf(a), cidrOf(b)];
  return x !== undefined && y !== undefined && overlaps(x, y);
}
