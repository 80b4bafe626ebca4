// Runs of leases against a naive search that looks at every lease.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AddressRange } from "../../../src/model/range.ts";
import { Intervals } from "../../../src/ipam/intervals.ts";
import {
  type Excluded,
  type Plan,
  freeRun,
  isExcluded,
  leaseAt,
  obstacleIn,
  planOf,
  spansOfRun,
} from "../../../src/ipam/range.ts";

const RANGES: readonly AddressRange[] = [
  { name: "a", type: "ip4", first: "10.0.0.250", size: 40 },
  { name: "a", type: "ip4-6-static", first: "10.0.0.1", first6: "fd00::fffa", size: 40 },
  { name: "a", type: "ether", mac: "02:00:00:ff:ff:f0", size: 40 },
  // Its MACs go over the end of 24 bits, where SLAAC addresses make a jump.
  { name: "a", type: "ip6", prefix: "fd01::/64", ula: "fd02::/64", mac: "02:00:00:ff:ff:ec", size: 40 },
  { name: "a", type: "ip6-static", first6: "fd00::1", size: 40 },
  // Its MACs end before its addresses.
  { name: "a", type: "ip4", first: "10.0.0.1", mac: "02:ff:ff:ff:ff:f0", size: 40 },
  { name: "a", type: "ip4-6", first: "10.0.0.1", prefix: "fd01::/64", mac: "02:ff:ff:ff:ff:f0", size: 40 },
];

type Taken = { readonly 4: Intervals; readonly 6: Intervals; readonly mac: Intervals };

/** Of some leases an address or the MAC is taken, of some one is excluded. */
function blockSome(plan: Plan, wanted: readonly (readonly [at: number, what: number, isExcluded: boolean])[]) {
  const taken: Taken = { 4: new Intervals(), 6: new Intervals(), mac: new Intervals() };
  const excluded = { 4: [] as bigint[], 6: [] as bigint[], mac: [] as bigint[] };
  const gone = new Set<bigint>();
  for (const [at, what, isKept] of wanted) {
    const { ips, mac } = leaseAt(plan, BigInt(at));
    const all = [
      ...ips.map(({ family, value }) => ({ space: family, value })),
      ...(mac === undefined ? [] : [{ space: "mac", value: mac } as const]),
    ];
    const one = all[what % all.length];
    if (one === undefined) continue;
    if (isKept) excluded[one.space].push(one.value);
    else taken[one.space].take(one.value);
    gone.add(BigInt(at));
  }
  return { taken, excluded, gone };
}

const blocked = fc.array(fc.tuple(fc.nat(39), fc.nat(9), fc.boolean()), { maxLength: 12 });

test("the first run that is long enough, and without one the longest, as by looking at every lease", () => {
  fc.assert(
    fc.property(fc.constantFrom(...RANGES), blocked, fc.integer({ min: 1, max: 42 }), (range, wanted, size) => {
      const plan = planOf(range);
      const { taken, excluded, gone } = blockSome(plan, wanted);
      const runs: { at: bigint; size: bigint }[] = [];
      for (let at = 0n; at < plan.size; at++) {
        const last = runs.at(-1);
        if (gone.has(at)) continue;
        if (last !== undefined && last.at + last.size === at) last.size++;
        else runs.push({ at, size: 1n });
      }
      const fits = runs.find((run) => run.size >= BigInt(size));
      const found = freeRun(plan, taken, excluded, BigInt(size));
      if (fits !== undefined) return assert.deepEqual(found, { run: { at: fits.at, size: BigInt(size) } });
      const longest = runs.reduce((a, b) => (b.size > a.size ? b : a), { at: 0n, size: 0n });
      return assert.deepEqual(found, { longest });
    }),
  );
});

test("the first obstacle of a stretch, and its spans, as by looking at every lease", () => {
  fc.assert(
    fc.property(fc.constantFrom(...RANGES), blocked, fc.nat(39), fc.nat(40), (range, wanted, at, size) => {
      const plan = planOf(range);
      const { taken, excluded, gone } = blockSome(plan, wanted);
      const [from, end] = [BigInt(at), BigInt(Math.min(40, at + size))];
      let naive = from;
      while (naive < end && !gone.has(naive) && !isExcluded(plan, excluded, naive)) naive++;
      assert.equal(obstacleIn(plan, taken, excluded, { at: from, size: end - from }), end < from ? end : naive);
      const values = (space: 4 | 6 | "mac") =>
        spansOfRun(plan, from, end)
          .flatMap((span) => (span.space === space ? spread(span.first, span.last) : []))
          .toSorted(upwards);
      const leases = spread(from, end - 1n).map((index) => leaseAt(plan, index));
      const ofFamily = (family: 4 | 6) =>
        leases.flatMap(({ ips }) => ips.flatMap((ip) => (ip.family === family ? [ip.value] : []))).toSorted(upwards);
      assert.deepEqual(values(4), ofFamily(4));
      assert.deepEqual(values(6), ofFamily(6));
      assert.deepEqual(values("mac"), leases.flatMap(({ mac }) => mac ?? []).toSorted(upwards));
    }),
  );
});

test("a search goes from gap to gap: sixty-four thousand in a row of 2^64 is a few look-ups", () => {
  const plan = planOf({ name: "a", type: "ip6-static", first6: "fd00::", prefixLength: 64 });
  const taken: Taken = { 4: new Intervals(), 6: new Intervals(), mac: new Intervals() };
  const first = plan.first6 ?? 0n;
  for (let i = 0n; i < 1000n; i++) taken[6].take(first + i * 50_000n);
  const none: Excluded = { 4: [], 6: [], mac: [] };
  assert.deepEqual(freeRun(plan, taken, none, 65_536n), { run: { at: 999n * 50_000n + 1n, size: 65_536n } });
});

function upwards(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function spread(first: bigint, last: bigint): bigint[] {
  const values: bigint[] = [];
  for (let value = first; value <= last; value++) values.push(value);
  return values;
}
