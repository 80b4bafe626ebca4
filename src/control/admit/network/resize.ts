// What a change of a network's ranges does to existing leases and holds. None may lose its place unless the change is
// forced. Then the lease's host is asked to detach the endpoint, which keeps everything until that is done.
import { isDeepStrictEqual } from "node:util";
import { ipOf, macValue } from "../../../model/address.ts";
import type { Endpoint, Hold, Network } from "../../../model/resource.ts";
import { cursorName } from "../../../model/resource.ts";
import { indexOfText, isExcluded, leaseAt } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { quarantinedOf, spaceValue, spanOf } from "../../state/networkIndex.ts";
import { endpointsOf, freedOf, holdsOf } from "../contents.ts";
import { refuseWhile } from "../context.ts";
import { isWithin } from "../address/hold.ts";
import { excludedOf, plansOf } from "../address/lease.ts";
import { spanText } from "../address/obstacle.ts";

/** Call with the network as it is now; throws `in-use` with a list of what would be lost, unless `force`. */
export function alignLeases(draft: Draft, old: Network, network: Network, force: boolean): void {
  if (old.spec.ipam !== "global") return;
  const { view } = draft;
  const { name, spec } = network;
  if (spec.sticky !== true)
    for (const freed of freedOf(view, name)) if (freed.spec.untilMs === undefined) draft.remove("freed", freed.name);
  if (isSamePlace(old, network)) return;
  const room = spec.ipam === "global" ? roomIn(network) : NO_ROOM;
  const losers = endpointsOf(view, name).filter(
    (endpoint) => endpoint.spec.detaching !== true && !room.hasLease(endpoint),
  );
  const holds = holdsOf(view, name).filter((hold) => !room.hasHold(hold));
  if (!force) refuseLoss(network, losers, holds);
  for (const loser of losers) draft.put("endpoint", loser.name, { ...loser.spec, detaching: true });
  for (const hold of holds) draft.remove("hold", hold.name);
  for (const freed of freedOf(view, name))
    if (!quarantinedOf(freed).every((text) => room.hasText(text, freed.spec.range))) draft.remove("freed", freed.name);
  for (const range of ["", ...(old.spec.ranges ?? []).map((each) => each.name)]) {
    const isThere = spec.ranges?.some((each) => each.name === range) ?? range === "";
    if (!isThere || spec.strategy !== "next") draft.remove("cursor", cursorName(name, range));
  }
}

/** Most changes of a network concern something else, and walking over every lease of a large network takes time. */
function isSamePlace(old: Network, network: Network): boolean {
  return (["ipam", "subnets", "ranges", "strategy"] as const).every((field) =>
    isDeepStrictEqual(old.spec[field], network.spec[field]),
  );
}

/** What a network still gives: a lease as it is, all of a hold, an address or MAC of a range ("" for its subnets). */
type Room = {
  readonly hasLease: (endpoint: Endpoint) => boolean;
  readonly hasHold: (hold: Hold) => boolean;
  readonly hasText: (text: string, range: string | undefined) => boolean;
};
/** Of a network that has become local: it had no endpoints. */
const NO_ROOM: Room = { hasLease: () => false, hasHold: () => false, hasText: () => false };

function roomIn(network: Network): Room {
  const plans = new Map(plansOf(network).map((plan) => [plan.name, plan]));
  const excluded = excludedOf(network);
  const { ranges: _, ...spec } = network.spec;
  const withoutRanges = { ...network, spec };
  const hasText = (text: string, range: string | undefined) => {
    const ip = ipOf(text);
    if (ip !== undefined && excluded[ip.family].includes(ip.value)) return false;
    const plan = plans.get(range ?? "");
    if (plan !== undefined) return indexOfText(plan, text) !== undefined;
    const { space, value } = spaceValue(text);
    return range === undefined && isWithin(withoutRanges, { space, first: value, last: value });
  };
  return {
    // An endpoint that is older than the network's ranges is in its subnet.
    hasLease({ spec: { range, addresses, mac } }) {
      if (range === undefined) return addresses.every((text) => hasText(text, undefined));
      const plan = plans.get(range);
      const at = plan === undefined ? undefined : indexOfText(plan, addresses[0] ?? mac);
      if (plan === undefined || at === undefined || isExcluded(plan, excluded, at)) return false;
      const lease = leaseAt(plan, at);
      return lease.ips.length === addresses.length && (lease.mac === undefined || lease.mac === macValue(mac));
    },
    hasHold: (hold) => isWithin(network, spanOf(hold)),
    hasText,
  };
}

function refuseLoss(network: Network, losers: readonly Endpoint[], holds: readonly Hold[]): void {
  const blockers = [
    ...losers.map(({ name, spec }) => `endpoint ${name} on ${spec.host} (${[...spec.addresses, spec.mac].join(", ")})`),
    ...holds.map((hold) => `hold ${spanText(hold)} of ${hold.spec.owner}`),
  ];
  refuseWhile(blockers, {
    what: `this change of the ranges of network "${network.name}" is refused`,
    why: "leases and holds would lose their place",
    fix:
      network.spec.reservedFrom === undefined
        ? "detach and release them first, or use --force: endpoints are detached, holds are released"
        : "detach and release them first: another endpoint may get a returned address at once",
  });
}
