// The networks from a reservation up to the one that has the segment.
import type { Network } from "../../../model/resource.ts";
import { type View, get } from "../../state/view.ts";

/** The network, its parent, and so on; the last is not a reservation. */
export function lineOf(view: View, network: Network): Network[] {
  const line: Network[] = [];
  for (let at: Network | undefined = network; at !== undefined; at = get(view, "network", at.spec.reservedFrom ?? ""))
    line.push(at);
  return line;
}

/** The network that has the segment; itself for one that is not a reservation. */
export function rootOf(view: View, network: Network): Network {
  return lineOf(view, network).at(-1) ?? network;
}

/** Everything reserved from a network, directly or not; what is nearer to it comes first. */
export function reservationsUnder(view: View, name: string): Network[] {
  const own = [...(view.networks.get(name)?.reservations ?? [])]
    .map((each) => get(view, "network", each))
    .filter((each) => each !== undefined);
  return [...own, ...own.flatMap((each) => reservationsUnder(view, each.name))];
}
