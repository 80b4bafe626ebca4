// Arithmetic of address ranges. A lease is an index into one range, and everything it has follows from the index: first
// + i, first6 + i, mac + i, and the SLAAC addresses made from its MAC. So a request by IP, by MAC or by both is valid
// if all of it has the same index. Pure. The range was admitted, so its texts are canonical and it does not wrap.
import { type Ip, cidrAround, ipOf, cidrOf, lastOf, macOfSlaac, macValue, slaacIp } from "../model/address.ts";
import { defined } from "../model/defined.ts";
import type { AddressRange } from "../model/range.ts";
import { type Interval, NOTHING_USED, type Used, type UsedRuns } from "./intervals.ts";

/** A range as numbers. */
export type Plan = {
  readonly name: string;
  readonly size: bigint;
  readonly first4?: bigint;
  readonly first6?: bigint;
  /** Absent: each MAC is made from the address. */
  readonly mac?: bigint;
  /** How many leases, from the first on, have a MAC of the range. */
  readonly macs: bigint;
  /** Bases of the /64s in which leases have SLAAC addresses. */
  readonly slaac: readonly bigint[];
};

type PerSpace<T> = { readonly 4: T; readonly 6: T; readonly mac: T };
/** Values that must not be given, by space. */
export type UsedValues<U extends Used = Used> = PerSpace<U>;
export const ALL_SPACES_FREE: UsedValues<UsedRuns> = { 4: NOTHING_USED, 6: NOTHING_USED, mac: NOTHING_USED };
/** Single addresses and MACs that are not given: the subnet's own, broadcast, gateways. */
export type Excluded = PerSpace<readonly bigint[]>;

/** A MAC's first octet does not change: it says unicast, and who administers the address. */
const MAC_ROOM = 1n << 40n;

export function planOf(range: AddressRange): Plan {
  const first4 = ipOf(range.first ?? "")?.value;
  const first6 = ipOf(range.first6 ?? "")?.value;
  const size = range.size === undefined ? toEndOfPrefix(first6 ?? 0n, range.prefixLength ?? 128) : BigInt(range.size);
  const mac =
    range.mac === undefined ? (first4 === undefined ? undefined : 0x0200_0000_0000n | first4) : macValue(range.mac);
  const slaac = [range.prefix, range.ula].map((text) => cidrOf(text ?? "")?.base).filter((base) => base !== undefined);
  const macs = mac === undefined ? 0n : least(size, macRoom(mac));
  return {
    name: range.name,
    size,
    ...(first4 === undefined ? {} : { first4 }),
    ...(first6 === undefined ? {} : { first6 }),
    ...(mac === undefined ? {} : { mac }),
    macs,
    slaac,
  };
}

/** How many MACs from this one on share its first octet. */
export function macRoom(mac: bigint): bigint {
  return MAC_ROOM - (mac & (MAC_ROOM - 1n));
}

/** How many addresses there are from this one to the end of its prefix. */
function toEndOfPrefix(first6: bigint, length: number): bigint {
  return lastOf(cidrAround({ family: 6, value: first6 }, length)).value - first6 + 1n;
}

/** Everything between the first and the last lease, by space. */
export function spansOf({ first4, first6, mac, size, macs }: Plan): Partial<PerSpace<Interval>> {
  const span = (first: bigint | undefined, count: bigint): Interval | undefined =>
    first === undefined ? undefined : { first, last: first + count - 1n };
  return defined({ 4: span(first4, size), 6: span(first6, size), mac: span(mac, macs) });
}

/** Addresses of lease `index`, IPv4 first; and its MAC, unless it is made from the address. */
export function leaseAt(plan: Plan, index: bigint): { readonly ips: readonly Ip[]; readonly mac?: bigint } {
  const mac = plan.mac !== undefined && index < plan.macs ? plan.mac + index : undefined;
  return {
    ips: [
      ...(plan.first4 === undefined ? [] : [{ family: 4, value: plan.first4 + index } as const]),
      ...(plan.first6 === undefined ? [] : [{ family: 6, value: plan.first6 + index } as const]),
      ...(mac === undefined ? [] : plan.slaac.map((base) => slaacIp(base, mac))),
    ],
    ...(mac === undefined ? {} : { mac }),
  };
}

/** Which lease has this address; undefined if none of the range does. */
export function indexOfIp(plan: Plan, { family, value }: Ip): bigint | undefined {
  const first = family === 4 ? plan.first4 : plan.first6;
  if (first !== undefined && value >= first && value < first + plan.size) return value - first;
  if (family === 4 || !plan.slaac.includes((value >> 64n) << 64n)) return undefined;
  const mac = macOfSlaac(value);
  return mac === undefined ? undefined : indexOfMac(plan, mac);
}

/** Which lease has this MAC; undefined if none of the range does. */
export function indexOfMac(plan: Plan, mac: bigint): bigint | undefined {
  return plan.mac !== undefined && mac >= plan.mac && mac < plan.mac + plan.macs ? mac - plan.mac : undefined;
}

/** Which lease has this value of a space; undefined if none of the range does. */
export function indexOfValue(plan: Plan, space: 4 | 6 | "mac", value: bigint): bigint | undefined {
  return space === "mac" ? indexOfMac(plan, value) : indexOfIp(plan, { family: space, value });
}

/** The same of an address or MAC in canonical text. */
export function indexOfText(plan: Plan, text: string): bigint | undefined {
  const ip = ipOf(text);
  return ip === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, ip);
}

/** The first lease from `from` on that is entirely free, then one before it; undefined if there is none. */
export function freeIndex(plan: Plan, taken: UsedValues, excluded: Excluded, from = 0n): bigint | undefined {
  for (const [start, end] of [
    [from, plan.size],
    [0n, from],
  ] as const) {
    for (let index = start; index < end; ) {
      const next = step(plan, taken, excluded, index);
      if (next === index) return index;
      index = next;
    }
  }
  return undefined;
}

/** The same index if it is free, else a greater one with nothing free before it. */
function step(plan: Plan, taken: UsedValues, excluded: Excluded, index: bigint): bigint {
  const { first4, first6, mac } = plan;
  let next = index;
  if (first4 !== undefined) next = taken[4].nextFree(first4 + next) - first4;
  if (first6 !== undefined) next = taken[6].nextFree(first6 + next) - first6;
  if (mac !== undefined && next < plan.macs) next = taken.mac.nextFree(mac + next) - mac;
  if (next !== index || next >= plan.size) return next;
  return isExcluded(plan, excluded, next) || isSlaacTaken(plan, taken, excluded, next) ? next + 1n : next;
}

export function isExcluded(plan: Plan, excluded: Excluded, index: bigint): boolean {
  return (
    (plan.first4 !== undefined && excluded[4].includes(plan.first4 + index)) ||
    (plan.first6 !== undefined && excluded[6].includes(plan.first6 + index)) ||
    (plan.mac !== undefined && index < plan.macs && excluded.mac.includes(plan.mac + index))
  );
}

/** Whether a static address is in use that SLAAC would make. */
function isSlaacTaken(plan: Plan, taken: UsedValues, excluded: Excluded, index: bigint): boolean {
  if (plan.slaac.length === 0) return false;
  return leaseAt(plan, index).ips.some(
    ({ family, value }) => taken[family].has(value) || excluded[family].includes(value),
  );
}

// Runs of leases, of which reservations are made. A search goes from one obstacle to the next, so its cost depends on
// what is in the range and not on the requested size.

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

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
