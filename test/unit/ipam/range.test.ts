// Ranges against the vectors of the classic managers, and against a naive list of leases over random operations.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatIp, formatMac, ipOf, macOfSlaac, macValue, slaacIp } from "../../../src/model/address.ts";
import type { AddressRange } from "../../../src/model/range.ts";
import { Intervals } from "../../../src/ipam/intervals.ts";
import {
  type Excluded,
  freeIndex,
  indexOfIp,
  indexOfMac,
  isExcluded,
  leaseAt,
  macRoom,
  planOf,
  spansOf,
} from "../../../src/ipam/range.ts";

const shown = (range: AddressRange, index: bigint) => {
  const { ips, mac } = leaseAt(planOf(range), index);
  return [...(mac === undefined ? [] : [formatMac(mac)]), ...ips.map(formatIp)];
};
const ends = (range: AddressRange) => [shown(range, 0n), shown(range, planOf(range).size - 1n)].flat();
const ip = (text: string) => ipOf(text) ?? assert.fail(text);

test("an IPv4 range: MACs are made from the addresses (I1)", () => {
  assert.deepEqual(ends({ name: "a", type: "ip4", first: "10.0.0.10", size: 20 }), [
    "02:00:0a:00:00:0a",
    "10.0.0.10",
    "02:00:0a:00:00:1d",
    "10.0.0.29",
  ]);
});

test("SLAAC: EUI-64 from the MAC in every prefix (I2)", () => {
  const range = {
    name: "a",
    type: "ip4-6",
    first: "10.1.0.1",
    prefix: "2001:db8:1::/64",
    ula: "fd00:1::/64",
    size: 3,
  } as const;
  assert.deepEqual(ends(range), [
    "02:00:0a:01:00:01",
    "10.1.0.1",
    "2001:db8:1::aff:fe01:1",
    "fd00:1::aff:fe01:1",
    "02:00:0a:01:00:03",
    "10.1.0.3",
    "2001:db8:1::aff:fe01:3",
    "fd00:1::aff:fe01:3",
  ]);
  const plan = planOf(range);
  assert.equal(indexOfIp(plan, ip("fd00:1::aff:fe01:2")), 1n);
  assert.equal(indexOfIp(plan, ip("fd00:1::aff:fe01:4")), undefined);
  assert.equal(indexOfIp(plan, ip("fd00:1::2")), undefined);
  assert.equal(indexOfIp(plan, ip("fd00:2::aff:fe01:2")), undefined);
});

test("static IPv6 without a size goes to the end of its prefix (I3, I4, and the sizes of 6.4)", () => {
  const sized = (first6: string, prefixLength: number) => {
    const plan = planOf({ name: "a", type: "ip6-static", first6, prefixLength });
    return [plan.size, formatIp({ family: 6, value: spansOf(plan)[6]?.last ?? 0n })];
  };
  assert.deepEqual(sized("2001:db8::5", 120), [251n, "2001:db8::ff"]);
  // OpenNebula saturates one address earlier (...fffe); the last address of an IPv6 prefix is an ordinary one.
  assert.deepEqual(sized("2001:db8::1", 64), [2n ** 64n - 1n, "2001:db8::ffff:ffff:ffff:ffff"]);
  assert.equal(sized("200e:7:1:5::", 72)[0], 2n ** 56n);
  assert.equal(sized("200e:7:1:5::5", 92)[0], 2n ** 36n - 5n);
  assert.equal(sized("200e:7:1:5::1a", 96)[0], 2n ** 32n - 0x1an);
  assert.equal(sized("200e:7:1:5::1", 120)[0], 255n);
  const large = planOf({ name: "a", type: "ip6-static", first6: "200e:7:1:5::1", size: 14_294_967_296 });
  assert.equal(formatIp({ family: 6, value: spansOf(large)[6]?.last ?? 0n }), "200e:7:1:5:0:3:540b:e400");
});

test("an ether range counts MACs with their carries (I5)", () => {
  assert.deepEqual(ends({ name: "a", type: "ether", mac: "00:01:02:03:04:fe", size: 4 }), [
    "00:01:02:03:04:fe",
    "00:01:02:03:05:01",
  ]);
});

test("a lease has a MAC as long as the first octet of the range's stays what it is", () => {
  const range = { name: "a", type: "ip4", first: "10.0.0.4", mac: "02:ff:ff:ff:ff:fe", size: 5 } as const;
  const plan = planOf(range);
  const leases = [0n, 1n, 2n, 4n].map((index) => shown(range, index).join(" "));
  assert.deepEqual(leases, ["02:ff:ff:ff:ff:fe 10.0.0.4", "02:ff:ff:ff:ff:ff 10.0.0.5", "10.0.0.6", "10.0.0.8"]);
  const mac = macValue("02:ff:ff:ff:ff:fe");
  assert.deepEqual(
    [-1n, 0n, 1n, 2n].map((n) => indexOfMac(plan, mac + n)),
    [undefined, 0n, 1n, undefined],
  );
  assert.deepEqual([macRoom(mac), macRoom(macValue("02:00:00:00:00:00"))], [2n, 1n << 40n]);
  assert.deepEqual(spansOf(plan).mac, { first: mac, last: mac + 1n });
  const few = { name: "a", type: "ether", mac: "02:00:00:00:00:01", size: 3 } as const;
  assert.equal(planOf(few).macs, 3n);
});

test("EUI-64 there and back, and MACs as numbers", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 48n - 1n), fc.bigInt(0n, 2n ** 64n - 1n), (mac, prefix) => {
      assert.equal(macOfSlaac(slaacIp(prefix << 64n, mac).value), mac);
      assert.equal(macValue(formatMac(mac)), mac);
    }),
  );
});

const ranges = [
  { name: "a", type: "ip4", first: "10.0.0.0", size: 9 },
  { name: "a", type: "ip4-6-static", first: "10.0.0.1", first6: "fd00::5", size: 7 },
  { name: "a", type: "ip4-6", first: "10.0.0.3", prefix: "fd00::/64", size: 6 },
  { name: "a", type: "ip6", mac: "02:00:00:00:00:fe", prefix: "fd00::/64", ula: "fd01::/64", size: 5 },
  { name: "a", type: "ip6-static", first6: "fd00::", size: 8, prefixLength: 124 },
  { name: "a", type: "ether", mac: "02:00:00:00:00:03", size: 6 },
  // Its MACs end before its addresses: a first octet stays as it is.
  { name: "a", type: "ip4", first: "10.0.0.4", mac: "02:ff:ff:ff:ff:fc", size: 7 },
] as const satisfies readonly AddressRange[];
const excluded: Excluded = {
  4: [ip("10.0.0.0").value, ip("10.0.0.6").value],
  // Also what SLAAC makes of the third lease of one of them.
  6: [ip("fd00::").value, ip("fd00::aff:fe00:5").value],
  mac: [macValue("02:00:00:00:00:04")],
};

type Operation = { readonly verb: "take" | "give" | "block" | "unblock"; readonly n: number };
const operation: fc.Arbitrary<Operation> = fc.record({
  verb: fc.constantFrom("take", "take", "give", "block", "unblock"),
  n: fc.nat(12),
});

/** Leases as a list of texts each, with nothing clever. */
function naiveFree(range: AddressRange, taken: ReadonlySet<string>, from: number): bigint | undefined {
  const size = Number(planOf(range).size);
  const never = [
    ...excluded[4].map((value) => formatIp({ family: 4, value })),
    "fd00::",
    "fd00::aff:fe00:5",
    "02:00:00:00:00:04",
  ];
  for (let n = 0; n < size; n++) {
    const index = (from + n) % size;
    if (shown(range, BigInt(index)).every((text) => !taken.has(text) && !never.includes(text))) return BigInt(index);
  }
  return undefined;
}

test("10,000 sequences of takes, gives and blocks: the next free lease is the naive one", () => {
  const steps = fc.array(operation, { minLength: 1, maxLength: 20 });
  let given = 0;
  fc.assert(
    fc.property(fc.constantFrom(...ranges), steps, fc.nat(8), (range, operations, from) => {
      const plan = planOf(range);
      const taken = { 4: new Intervals(), 6: new Intervals(), mac: new Intervals() };
      const model = new Set<string>();
      const mark = (texts: readonly string[], isTaken: boolean) => {
        for (const text of texts) {
          const address = ipOf(text);
          const index = taken[address?.family ?? "mac"];
          const value = address?.value ?? macValue(text);
          assert.equal(
            isTaken ? index.take(value) : index.release(value),
            isTaken ? !model.has(text) : model.delete(text),
          );
          if (isTaken) model.add(text);
        }
      };
      const leases: bigint[] = [];
      const blocks: string[] = [];
      for (const { verb, n } of operations) {
        const start = BigInt(from) % plan.size;
        if (verb === "take") {
          const at = freeIndex(plan, taken, excluded, start);
          assert.equal(at, naiveFree(range, model, Number(start)));
          if (at === undefined) continue;
          given++;
          assert.equal(isExcluded(plan, excluded, at), false);
          for (const text of shown(range, at)) {
            const address = ipOf(text);
            assert.equal(address === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, address), at);
          }
          mark(shown(range, at), true);
          leases.push(at);
        } else if (verb === "give") {
          const [at] = leases.splice(n % Math.max(1, leases.length), 1);
          if (at !== undefined) mark(shown(range, at), false);
        } else if (verb === "block") {
          // A hold takes one address or MAC of a lease, not the whole of it.
          const texts = shown(range, BigInt(n) % plan.size);
          const text = texts[n % texts.length] ?? "";
          if (model.has(text)) continue;
          mark([text], true);
          blocks.push(text);
        } else {
          const text = blocks.pop();
          if (text !== undefined) mark([text], false);
        }
      }
    }),
    { numRuns: 10_000 },
  );
  assert.ok(given > 20_000, `only ${given} leases were given`);
});

test("a lease behind the last MAC of its range does not ask for the MAC that would come next", () => {
  const plan = planOf({ name: "a", type: "ip4", first: "10.0.0.4", mac: "02:ff:ff:ff:ff:fe", size: 5 });
  const next = macValue("03:00:00:00:00:00");
  const [none, mac] = [new Intervals(), new Intervals()];
  mac.take(next);
  const kept: Excluded = { 4: [], 6: [], mac: [next] };
  const nothing: Excluded = { 4: [], 6: [], mac: [] };
  for (const index of [2n, 3n]) {
    assert.equal(isExcluded(plan, kept, index), false);
    assert.equal(freeIndex(plan, { 4: none, 6: none, mac: none }, kept, index), index);
    assert.equal(freeIndex(plan, { 4: none, 6: none, mac }, nothing, index), index);
  }
  assert.equal(isExcluded(plan, { ...nothing, mac: [next - 1n] }, 1n), true);
});

test("the spans of a range are everything from its first lease to its last, by space", () => {
  const both = planOf({ name: "a", type: "ip4-6-static", first: "10.0.0.4", first6: "fd00::5", size: 3 });
  assert.deepEqual(spansOf(both), {
    4: { first: 0x0a00_0004n, last: 0x0a00_0006n },
    6: { first: (0xfd00n << 112n) + 5n, last: (0xfd00n << 112n) + 7n },
    mac: { first: 0x0200_0a00_0004n, last: 0x0200_0a00_0006n },
  });
  const frames = planOf({ name: "a", type: "ether", mac: "02:00:00:00:00:03", size: 6 });
  assert.deepEqual(spansOf(frames), { mac: { first: 0x0200_0000_0003n, last: 0x0200_0000_0008n } });
});
