// Which hosts and prefixes a network concerns. The server's allocation, the agent's visibility and the compiler use
// these functions.
import { cidrOf, overlaps } from "./address.ts";
import type { Host, Network, NetworkSpec, Slice, Snapshot, Vrf } from "./resource.ts";

/** The slices of a network that a host has bridges for. A network without slices has one bridge for the whole block. */
export function slicesOn(vrf: Vrf, network: Network, host: Host): readonly Slice[] {
  // DC/OS masters are members of every overlay, with a block and a route, but have no bridges.
  if (vrf.spec.dcos?.masters.includes(host.spec.underlay) === true) return [];
  const all = network.spec.slices ?? [];
  return host.spec.slices === undefined ? all : all.filter((slice) => host.spec.slices?.includes(slice.name));
}

/** The name of the VRF in the hosts' own namespace unless another was put. */
export const HOST_VRF = "host";
/** In `hosts` of a network: all of them. */
export const ALL_HOSTS = "*";

/** Whether a network is to be on a host also without endpoints. */
export function namesHost({ hosts = [] }: Pick<NetworkSpec, "hosts">, host: string): boolean {
  return hosts.includes(ALL_HOSTS) || hosts.includes(host);
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
  for (const { name, spec } of snapshot.networks) if (namesHost(spec, host)) add(name);
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
