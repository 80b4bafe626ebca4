// What a user is told besides resources: about networks that it manages, and endpoints that it sees.
import type { Endpoint, Network } from "../../model/resource.ts";
import { type View, get, listOf } from "../state/view.ts";
import type { LeaseQuery } from "../../store/leases.ts";
import type { Viewer } from "../write.ts";
import { rightMissing } from "./refusal.ts";
import { hasRight, isAble, principalOf } from "./rights.ts";
import { isSeenBy, sightOf } from "./sight.ts";

/** Of whom everything is shown. */
type Whole = Exclude<Viewer, { readonly role: "user" }>;

function isWhole(viewer: Viewer): viewer is Whole {
  return viewer.role !== "user";
}

/** Undefined for a network that is not there for the viewer; a Fault `forbidden` for one that it does not manage. */
export function managedNetwork(view: View, name: string, viewer: Viewer): Network | undefined {
  const network = get(view, "network", name);
  if (network === undefined || isWhole(viewer)) return network;
  const principal = principalOf(view, viewer);
  if (hasRight(principal, "manage", network)) return network;
  if (!isSeenBy(sightOf(view, principal), network) && !isAble(principal, network)) return undefined;
  throw rightMissing(principal.user, "manage", network);
}

/** Which endpoints the viewer sees. */
export function shownEndpoints(view: View, viewer: Viewer): (endpoint: Endpoint) => boolean {
  if (isWhole(viewer)) return () => true;
  const sight = sightOf(view, principalOf(view, viewer));
  return (endpoint) => isSeenBy(sight, endpoint);
}

/**
 * What is asked about leases, as this viewer may: a user of networks that it manages, and of endpoints that it sees and
 * that have the address now. A network of the same name that was there before is another's.
 */
export function ownLeases(view: View, query: LeaseQuery, viewer: Viewer): LeaseQuery {
  if (isWhole(viewer)) return query;
  const { address } = query;
  const principal = principalOf(view, viewer);
  const isShown = shownEndpoints(view, viewer);
  const uids: string[] = [];
  for (const network of listOf(view, "network")) {
    if (hasRight(principal, "manage", network)) uids.push(network.uid);
    const index = view.networks.get(network.name);
    const holder = index?.endpoints.get(index.holders.get(address) ?? index.macs.get(address)?.[0] ?? "");
    if (holder !== undefined && isShown(holder)) uids.push(holder.uid);
  }
  return { ...query, uids };
}
