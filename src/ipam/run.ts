// Runs of leases, of which reservations are made. A search goes from one obstacle to the next, so its cost depends on
// what is in the range and not on the requested size.
import { slaacIp, macOfSlaac } from "../model/address.ts";
import type { Interval } from "./intervals.ts";
import { type Excluded, type Plan, freeIndex } from "./range.ts";

/** What a search for a run asks of used values. */
interface Stretch {
  has(value: bigint): boolean;
  nextFree(from: bigint): bigint;
  nextUsed(from: bigint): bigint | undefined;
}
/** Leases `at` to `at + size - 1` of a range. */
export type Run = { readonly at: bigint; readonly size: bigint };
export type Span = Interval & { readonly space: 4 | 6 | "mac" };
type Taken = { readonly 4: Stretch; readonly 6: Stretch; readonly mac: Stretch };

/**
 * SLAAC fills the low 24 bits of an address from those of the MAC, so within this distance addresses are consecutive
 * too.
 */
const ROW = 1n << 24n;

/** The first run of this size that is entirely free; if there is none, the longest one. */
export function freeRun(
  plan: Plan,
  taken: Taken,
  excluded: Excluded,
  size: bigint,
): { readonly run: Run } | { readonly longest: Run } {
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
  for (const span of spansIn(plan, at, end)) {
    const used = taken[span.space].nextUsed(span.first);
    const kept = excluded[span.space].filter((value) => value >= span.first);
    for (const value of used === undefined ? kept : [used, ...kept])
      if (value <= span.last) found = least(found, span.indexOf(value));
  }
  return found;
}

/** Everything that leases `at` to `end - 1` have, in as few spans as possible. */
export function spansOfRun(plan: Plan, at: bigint, end: bigint): Span[] {
  return spansIn(plan, at, end).map(({ space, first, last }) => ({ space, first, last }));
}

type IndexedSpan = Span & { readonly indexOf: (value: bigint) => bigint };

function spansIn(plan: Plan, at: bigint, end: bigint): IndexedSpan[] {
  if (at >= end) return [];
  const straight = (space: Span["space"], base: bigint | undefined, until: bigint): IndexedSpan[] =>
    base === undefined || at >= until
      ? []
      : [{ space, first: base + at, last: base + until - 1n, indexOf: (value) => value - base }];
  const macsEnd = least(end, plan.macs);
  return [
    ...straight(4, plan.first4, end),
    ...straight(6, plan.first6, end),
    ...straight("mac", plan.mac, macsEnd),
    ...plan.slaac.flatMap((base) => slaacSpans(plan, base, at, macsEnd)),
  ];
}

function slaacSpans(plan: Plan, base: bigint, at: bigint, end: bigint): IndexedSpan[] {
  const { mac } = plan;
  if (mac === undefined) return [];
  const spans: IndexedSpan[] = [];
  for (let from = at; from < end; ) {
    const until = least(end, from + ROW - ((mac + from) % ROW));
    const first = slaacIp(base, mac + from).value;
    const last = slaacIp(base, mac + until - 1n).value;
    spans.push({ space: 6, first, last, indexOf: (value) => (macOfSlaac(value) ?? mac) - mac });
    from = until;
  }
  return spans;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
