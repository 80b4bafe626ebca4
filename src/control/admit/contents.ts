// What a VRF and a network have, and what is around a reservation. Each list is new: a caller may remove it all.
import type { Block, Endpoint, Freed, Hold, Kind, Membership, Network, ResourceOf } from "../../model/resource.ts";
import { type View, get } from "../state/view.ts";

function named<K extends Kind>(view: View, kind: K, names: Iterable<string> = []): ResourceOf<K>[] {
  return [...names].map((name) => get(view, kind, name)).filter((resource) => resource !== undefined);
}

export function networksOf(view: View, vrf: string): Network[] {
  return named(view, "network", view.vrfs.get(vrf)?.networks);
}

export function endpointsOf(view: View, network: string): Endpoint[] {
  return [...(view.networks.get(network)?.endpoints.values() ?? [])];
}

export function endpointNames(view: View, network: string): string[] {
  return [...(view.networks.get(network)?.endpoints.keys() ?? [])];
}

export function blocksOf(view: View, network: string): Block[] {
  return [...(view.networks.get(network)?.blocks.values() ?? [])].flatMap((blocks) => Object.values(blocks));
}

export function holdsOf(view: View, network: string): Hold[] {
  const spans = Object.values(view.networks.get(network)?.held ?? {}).flatMap((each) => [...each]);
  const names = spans.map(({ name }) => name);
  return named(view, "hold", names);
}

/** Quarantines of a network, and memories of its former leases. */
export function freedOf(view: View, network: string): Freed[] {
  return named(view, "freed", new Set(view.networks.get(network)?.freed.values()));
}

export function membershipsOf(view: View, network: string): Membership[] {
  return [...view.membership.values()].filter((membership) => membership.spec.network === network);
}

/** The network, its parent, and so on; the last is not a reservation. */
export function reservationChain(view: View, network: Network): Network[] {
  const chain: Network[] = [];
  for (let at: Network | undefined = network; at !== undefined; at = get(view, "network", at.spec.reservedFrom ?? ""))
    chain.push(at);
  return chain;
}

/** The network that has the segment; itself for one that is not a reservation. */
export function segmentOwnerOf(view: View, network: Network): Network {
  return reservationChain(view, network).at(-1) ?? network;
}

/** Everything reserved from a network, directly or not; what is nearer to it comes first. */
export function reservationsUnder(view: View, name: string): Network[] {
  const own = named(view, "network", view.networks.get(name)?.reservations);
  return [...own, ...own.flatMap((each) => reservationsUnder(view, each.name))];
}
