// Runs of leases, of which reservations are made. A search goes from one obstacle to the next, so its cost depends on
// what is in the range and not on the requested size.
import { slaacIp } from "../model/address.ts";
import type { Interval, UsedRuns } from "./intervals.ts";
import { type Excluded, type Plan, type UsedValues, freeIndex, indexOfValue, least } from "./range.ts";

/** Leases `at` to `at + size - 1` of a range. */
export type Run = { readonly at: bigint; readonly size: bigint };
export type Span = Interval & { readonly space: 4 | 6 | "mac" };
type FreeRun = { readonly run: Run } | { readonly longest: Run };
type Taken = UsedValues<UsedRuns>;

/** SLAAC fills the low 24 bits of an address from those of the MAC, so addresses this near are consecutive too. */
const ROW = 1n << 24n;

/** The first run of this size that is entirely free; if there is none, the longest one. */
export function freeRun(plan: Plan, taken: Taken, excluded: Excluded, size: bigint): FreeRun {
  let longest: Run = { at: 0n, size: 0n };
  for (let from = 0n; from < plan.size; ) {
    const at = freeIndex(plan, taken, excluded, from);
    // Nothing is free from here on if the search has gone round.
    if (at === undefined || at < from) break;
    const end = obstacleIn(plan, taken, excluded, { at, size: least(size, plan.size - at) });
    if (end - at === size) return { run: { at, size } };
    if (end - at > longest.size) longest = { at, size: end - at };
    from = end;
  }
  return { longest };
}

/** The first lease of a run of which something is used or excluded; the one behind the run if there is none. */
export function obstacleIn(plan: Plan, taken: Taken, excluded: Excluded, { at, size }: Run): bigint {
  const end = at + size;
  let found = end;
  for (const { space, first, last } of spansOfRun(plan, at, end)) {
    const used = taken[space].nextUsed(first);
    const kept = excluded[space].filter((value) => value >= first);
    for (const value of used === undefined ? kept : [used, ...kept])
      if (value <= last) found = least(found, indexOfValue(plan, space, value) ?? end);
  }
  return found;
}

/** Everything that leases `at` to `end - 1` have, in as few spans as possible. */
export function spansOfRun(plan: Plan, at: bigint, end: bigint): Span[] {
  const straight = (space: Span["space"], base: bigint | undefined, until: bigint): Span[] =>
    base === undefined || at >= until ? [] : [{ space, first: base + at, last: base + until - 1n }];
  const macsEnd = least(end, plan.macs);
  return [
    ...straight(4, plan.first4, end),
    ...straight(6, plan.first6, end),
    ...straight("mac", plan.mac, macsEnd),
    ...plan.slaac.flatMap((base) => slaacSpans(plan, base, at, macsEnd)),
  ];
}

function slaacSpans({ mac }: Plan, base: bigint, at: bigint, end: bigint): Span[] {
  if (mac === undefined) return [];
  const spans: Span[] = [];
  for (let from = at; from < end; ) {
    const until = least(end, from + ROW - ((mac + from) % ROW));
    spans.push({ space: 6, first: slaacIp(base, mac + from).value, last: slaacIp(base, mac + until - 1n).value });
    from = until;
  }
  return spans;
}
