// What a change of a network's ranges does to existing leases and holds. None may lose its place unless the change is
// forced. Then the lease's host is asked to detach the endpoint, which keeps everything until that is done.
import { isDeepStrictEqual } from "node:util";
import { ipOf, macValue } from "../../../model/address.ts";
import type { Endpoint, Hold, Network } from "../../../model/resource.ts";
import { cursorName } from "../../../model/resource.ts";
import { type Plan, indexOfIp, indexOfMac, isExcluded, leaseAt } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { spanOf } from "../../state/networkIndex.ts";
import { get } from "../../state/view.ts";
import { inUse } from "../context.ts";
import { endForeignMemories } from "../address/freed.ts";
import { endForeignHolds, holdsOf, isWithin } from "../address/hold.ts";
import { excludedOf, plansOf } from "../address/lease.ts";
import { spanText } from "../address/obstacle.ts";

/** Call with the network as it is now; throws `in-use` with a list of what would be lost, unless `force`. */
export function settleLeases(draft: Draft, old: Network, network: Network, force: boolean): void {
  if (old.spec.ipam !== "global") return;
  if (network.spec.sticky !== true) endSticky(draft, network);
  if (isSamePlace(old, network)) return;
  const standing = network.spec.ipam === "global" ? standingIn(network) : nothingStands;
  const losers = [...(draft.view.networks.get(network.name)?.endpoints.values() ?? [])].filter(
    (endpoint) => endpoint.spec.detaching !== true && !standing.lease(endpoint),
  );
  const holds = holdsOf(draft, network.name).filter((hold) => !standing.hold(hold));
  if (losers.length + holds.length > 0 && !force) throw refusal(network, losers, holds);
  for (const { name, spec } of losers) draft.put("endpoint", name, { ...spec, detaching: true });
  endForeignHolds(draft, network, standing.hold);
  endForeignMemories(draft, network, (text, freed) => standing.text(text, freed.spec.range));
  for (const range of ["", ...(old.spec.ranges ?? []).map(({ name }) => name)]) {
    const isThere = network.spec.ranges?.some(({ name }) => name === range) ?? range === "";
    if (!isThere || network.spec.strategy !== "next") draft.remove("cursor", cursorName(network.name, range));
  }
}

/** Most changes of a network concern something else, and walking over every lease of a large network takes time. */
function isSamePlace(old: Network, network: Network): boolean {
  return (["ipam", "subnets", "ranges", "strategy"] as const).every((field) =>
    isDeepStrictEqual(old.spec[field], network.spec[field]),
  );
}

type Standing = {
  readonly lease: (endpoint: Endpoint) => boolean;
  readonly hold: (hold: Hold) => boolean;
  readonly text: (text: string, range: string | undefined) => boolean;
};
const nothingStands: Standing = { lease: () => true, hold: () => false, text: () => false };

/** What the network, as it is, has room for. */
function standingIn(network: Network): Standing {
  const plans = new Map(plansOf(network).map((plan) => [plan.name, plan]));
  const excluded = excludedOf(network);
  const isIn = (text: string, range: string | undefined) => {
    const ip = ipOf(text);
    if (ip !== undefined && excluded[ip.family].includes(ip.value)) return false;
    const plan = plans.get(range ?? "");
    if (plan !== undefined) return indexOf(plan, text) !== undefined;
    return range === undefined && ip !== undefined && isInSubnet(network, text);
  };
  return {
    // An endpoint that is older than the network's ranges is in its subnet.
    lease({ spec }) {
      if (spec.range === undefined) return spec.addresses.every((text) => isIn(text, undefined));
      const plan = plans.get(spec.range);
      const at = plan === undefined ? undefined : indexOf(plan, spec.addresses[0] ?? spec.mac);
      if (plan === undefined || at === undefined || isExcluded(plan, excluded, at)) return false;
      const { ips, mac } = leaseAt(plan, at);
      return ips.length === spec.addresses.length && (mac === undefined || mac === macValue(spec.mac));
    },
    hold: (hold) => {
      const { space, first, last } = spanOf(hold);
      return isWithin(network, space, first, last);
    },
    text: isIn,
  };
}

function indexOf(plan: Plan, text: string): bigint | undefined {
  const ip = ipOf(text);
  return ip === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, ip);
}

function isInSubnet(network: Network, text: string): boolean {
  const ip = ipOf(text);
  const { ranges: _, ...spec } = network.spec;
  return ip !== undefined && isWithin({ ...network, spec }, ip.family, ip.value, ip.value);
}

function endSticky(draft: Draft, network: Network): void {
  for (const name of new Set(draft.view.networks.get(network.name)?.freed.values() ?? [])) {
    const freed = get(draft.view, "freed", name);
    if (freed !== undefined && freed.spec.untilMs === undefined) draft.remove("freed", name);
  }
}

function refusal(network: Network, losers: readonly Endpoint[], holds: readonly Hold[]) {
  const blockers = [
    ...losers.map(({ name, spec }) => `endpoint ${name} on ${spec.host} (${[...spec.addresses, spec.mac].join(", ")})`),
    ...holds.map((hold) => `hold ${spanText(hold)} of ${hold.spec.owner}`),
  ];
  return inUse(
    `this change of the ranges of network "${network.name}" is refused`,
    "leases and holds would lose their place",
    network.spec.reservedFrom === undefined
      ? "detach and release them first, or use --force: endpoints are detached, holds are released"
      : "detach and release them first: another endpoint may get a returned address at once",
    blockers,
  );
}
