// Releases a lease. Its addresses are quarantined for the network's time, and remembered for their owner if the network
// is sticky. A new lease of any of them ends both.
import { ipOf, macValue } from "../../../model/address.ts";
import { quarantineMs } from "../../../model/range.ts";
import type { Endpoint, Freed, Network } from "../../../model/resource.ts";
import { indexOfIp, indexOfMac, planOf } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { quarantinedOf } from "../../state/networkIndex.ts";
import { get } from "../../state/view.ts";
import type { Context } from "../context.ts";
import { isQuarantined } from "./obstacle.ts";

/** Removes the endpoint; in a global network, its addresses are quarantined in the same commit. */
export function endLease(draft: Draft, endpoint: Endpoint, context: Context): void {
  const network = get(draft.view, "network", endpoint.spec.network);
  draft.remove("endpoint", endpoint.name);
  if (network?.spec.ipam !== "global") return;
  const { addresses, mac, range } = endpoint.spec;
  const sinceMs = Math.round(context.quarantineTime().nowMs);
  const keptMs = quarantineMs(network.spec);
  if (keptMs === 0 && network.spec.sticky !== true) return;
  // A lease that a forced change left outside its range is not quarantined, because no endpoint could get it.
  if (range !== undefined && network.spec.ranges?.some((one) => one.name === range) !== true) return;
  // Named after the lease's own uid: the same endpoint may come and go several times within a quarantine.
  draft.put("freed", `${network.name}:${endpoint.uid}`, {
    network: network.name,
    endpoint: endpoint.name,
    addresses,
    mac,
    ...(range === undefined ? {} : { range }),
    sinceMs,
    ...(keptMs === 0 ? {} : { untilMs: sinceMs + keptMs }),
  });
}

/**
 * Quarantined addresses that a reservation no longer has stay quarantined in its parent, because they are on the same
 * segment. Call with the reservation as it is now, or undefined if it is deleted.
 */
export function giveUp(draft: Draft, old: Network, now: Network | undefined, parent: Network, context: Context): void {
  const index = draft.view.networks.get(old.name);
  const plans = (now?.spec.ranges ?? []).map(planOf);
  const isStill = (text: string) =>
    plans.some((plan) => {
      const ip = ipOf(text);
      return (ip === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, ip)) !== undefined;
    });
  for (const name of new Set(index?.freed.values() ?? [])) {
    const freed = get(draft.view, "freed", name);
    if (freed === undefined || quarantinedOf(freed).every(isStill)) continue;
    draft.remove("freed", name);
    if (!isQuarantined(freed, context.quarantineTime())) continue;
    const { range: piece, ...rest } = freed.spec;
    const range = old.spec.ranges?.find((each) => each.name === piece)?.from;
    draft.put("freed", `${parent.name}:${name.slice(name.indexOf(":") + 1)}`, {
      ...rest,
      network: parent.name,
      ...(range === undefined ? {} : { range }),
    });
  }
}

/**
 * Ends the quarantine of these addresses and MACs, because an endpoint gets them now; other addresses of the same lease
 * stay quarantined.
 */
export function endMemory(draft: Draft, network: Network, texts: readonly string[], context: Context): void {
  for (const text of texts) {
    const index = draft.view.networks.get(network.name);
    const freed = get(draft.view, "freed", index?.freed.get(text) ?? "");
    if (freed === undefined) continue;
    const addresses = freed.spec.addresses.filter((address) => !texts.includes(address));
    if (freed.spec.range !== undefined || addresses.length === 0 || !isQuarantined(freed, context.quarantineTime()))
      draft.remove("freed", freed.name);
    else draft.put("freed", freed.name, { ...freed.spec, addresses });
  }
}

/**
 * The lease that an endpoint had last, if it gets it again: while it is quarantined, or because the network is sticky.
 */
export function formerLease(draft: Draft, network: Network, endpoint: string, context: Context): Freed | undefined {
  const names = draft.view.networks.get(network.name)?.former.get(endpoint) ?? [];
  const leases = names.map((name) => draft.view.freed.get(name)).filter((freed) => freed !== undefined);
  return leases
    .filter((freed) => network.spec.sticky === true || isQuarantined(freed, context.quarantineTime()))
    .toSorted((a, b) => b.spec.sinceMs - a.spec.sinceMs || b.revision - a.revision)[0];
}

/** Ends quarantines and memories of addresses that the network no longer has. */
export function endForeignMemories(draft: Draft, network: Network, isInside: (text: string, freed: Freed) => boolean) {
  const index = draft.view.networks.get(network.name);
  for (const name of new Set(index?.freed.values() ?? [])) {
    const freed = get(draft.view, "freed", name);
    if (freed !== undefined && !quarantinedOf(freed).every((text) => isInside(text, freed)))
      draft.remove("freed", name);
  }
}
