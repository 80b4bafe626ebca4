// The networks from a reservation up to the one that has the segment.
import type { Network } from "../../../model/resource.ts";
import { type View, get } from "../../state/view.ts";

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
  const own = [...(view.networks.get(name)?.reservations ?? [])]
    .map((each) => get(view, "network", each))
    .filter((each) => each !== undefined);
  return [...own, ...own.flatMap((each) => reservationsUnder(view, each.name))];
}
