// Releases a lease. Its addresses are quarantined for the network's time, and remembered for their owner if the network
// is sticky. A new lease of any of them ends both.
import { defined } from "../../../model/defined.ts";
import { quarantineMs } from "../../../model/range.ts";
import type { Endpoint, Freed, Network } from "../../../model/resource.ts";
import { indexOfText, planOf } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { quarantinedOf } from "../../state/networkIndex.ts";
import { get } from "../../state/view.ts";
import { isQuarantined } from "./obstacle.ts";
import { freedOf } from "../contents.ts";

/** Removes the endpoint; in a global network, its addresses are quarantined in the same commit. */
export function endLease(draft: Draft, endpoint: Endpoint): void {
  const network = get(draft.view, "network", endpoint.spec.network);
  draft.remove("endpoint", endpoint.name);
  if (network?.spec.ipam !== "global") return;
  const { addresses, mac, range } = endpoint.spec;
  const keptMs = quarantineMs(network.spec);
  if (keptMs === 0 && network.spec.sticky !== true) return;
  // A lease that a forced change left outside its range is not quarantined, because no endpoint could get it.
  if (range !== undefined && network.spec.ranges?.some((one) => one.name === range) !== true) return;
  const sinceMs = Math.round(draft.context.quarantineTime().nowMs);
  const untilMs = keptMs === 0 ? undefined : sinceMs + keptMs;
  // Named after the lease's own uid: the same endpoint may come and go several times within a quarantine.
  draft.put("freed", `${network.name}:${endpoint.uid}`, {
    network: network.name,
    endpoint: endpoint.name,
    addresses,
    mac,
    ...defined({ range, sinceMs, untilMs }),
  });
}

/**
 * Quarantined addresses that a reservation no longer has stay quarantined in its parent, because they are on the same
 * segment. Call with the reservation as it is now, or undefined if it is deleted.
 */
export function giveUp(draft: Draft, old: Network, now: Network | undefined, parent: Network): void {
  const plans = (now?.spec.ranges ?? []).map(planOf);
  const isStill = (text: string) => plans.some((plan) => indexOfText(plan, text) !== undefined);
  for (const freed of freedOf(draft.view, old.name)) {
    if (quarantinedOf(freed).every(isStill)) continue;
    draft.remove("freed", freed.name);
    if (!isQuarantined(freed, draft.context.quarantineTime())) continue;
    const { range: piece, ...rest } = freed.spec;
    const range = old.spec.ranges?.find((each) => each.name === piece)?.from;
    const name = `${parent.name}:${freed.name.slice(freed.name.indexOf(":") + 1)}`;
    draft.put("freed", name, { ...rest, network: parent.name, ...defined({ range }) });
  }
}

/** Ends the quarantine of what an endpoint gets now; other addresses of the same lease stay quarantined. */
export function endMemory(draft: Draft, network: Network, texts: readonly string[]): void {
  for (const text of texts) {
    const index = draft.view.networks.get(network.name);
    const freed = get(draft.view, "freed", index?.freed.get(text) ?? "");
    if (freed === undefined) continue;
    const addresses = freed.spec.addresses.filter((address) => !texts.includes(address));
    if (
      freed.spec.range !== undefined ||
      addresses.length === 0 ||
      !isQuarantined(freed, draft.context.quarantineTime())
    )
      draft.remove("freed", freed.name);
    else draft.put("freed", freed.name, { ...freed.spec, addresses });
  }
}

/** The lease that an endpoint had last, if it gets it again: it is quarantined, or the network is sticky. */
export function formerLease({ view, context }: Draft, network: Network, endpoint: string): Freed | undefined {
  const names = view.networks.get(network.name)?.former.get(endpoint) ?? [];
  return names
    .map((name) => view.freed.get(name))
    .filter((freed) => freed !== undefined)
    .filter((freed) => network.spec.sticky === true || isQuarantined(freed, context.quarantineTime()))
    .toSorted((a, b) => b.spec.sinceMs - a.spec.sinceMs || b.revision - a.revision)[0];
}
