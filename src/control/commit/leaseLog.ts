// What a commit means for the lease log: which addresses an endpoint begins to use by it, and which it no longer uses.
import { type Change, type Endpoint, keyOfResource } from "../../model/resource.ts";
import type { LeaseEvent } from "../../store/leases.ts";
import { type View, get, getKey } from "../state/view.ts";

/** Ends come first, so that an address may go from one endpoint to another. Call with the view before the changes. */
export function leaseEventsOf(view: View, changes: readonly Change[], atMs: number): LeaseEvent[] {
  const ends: LeaseEvent[] = [];
  const beginnings: LeaseEvent[] = [];
  for (const change of changes) {
    const key = "put" in change ? keyOfResource(change.put) : change.remove;
    if (!key.startsWith("endpoint/")) continue;
    const before = getKey(view, key);
    const old = before?.kind === "endpoint" ? before : undefined;
    const now = "put" in change && change.put.kind === "endpoint" ? change.put : undefined;
    const isSame = old?.uid === now?.uid;
    for (const address of leasedAddresses(old)) {
      if (!isSame || !leasedAddresses(now).includes(address))
        ends.push({ network: old?.spec.network ?? "", address, atMs });
    }
    if (now === undefined) continue;
    const { network, owner, ifname, host, mac } = now.spec;
    const uids = { networkUid: get(view, "network", network)?.uid ?? "", endpointUid: now.uid };
    for (const address of leasedAddresses(now)) {
      if (isSame && leasedAddresses(old).includes(address)) continue;
      beginnings.push({ network, address, atMs, begins: { endpoint: now.name, owner, ifname, host, mac, ...uids } });
    }
  }
  return [...ends, ...beginnings];
}

/** A lease without addresses is recorded by its MAC. */
function leasedAddresses(endpoint: Endpoint | undefined): readonly string[] {
  if (endpoint === undefined) return [];
  return endpoint.spec.addresses.length === 0 ? [endpoint.spec.mac] : endpoint.spec.addresses;
}
