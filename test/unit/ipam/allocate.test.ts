// Addresses of endpoints and tunnels against a naive list of everything a range holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Cidr,
  type Ip,
  contains,
  firstOf,
  formatIp,
  lastOf,
  parseCidr,
  parseIp,
} from "../../../src/model/address.ts";
import {
  capacity,
  choose,
  defaultGateway,
  nextFree,
  nextFreeFrom,
  nextVtep,
  usableBounds,
} from "../../../src/ipam/allocate.ts";
import { Intervals, intervalsOf } from "../../../src/ipam/intervals.ts";

const cidr = (text: string): Cidr => parseCidr(text, "test");
const ip = (text: string): Ip => parseIp(text, "test");
const ranges = ["10.0.0.0/29", "10.0.0.128/28", "9.0.1.128/25", "fd00::/124", "fd00:1::ff00/120", "10.255.255.252/30"];

/** Everything an endpoint may have, by the rules in words. */
function naive(range: Cidr, gateway: Ip | undefined): bigint[] {
  const all: bigint[] = [];
  for (let value = firstOf(range).value; value <= lastOf(range).value; value++) {
    const isNetwork = value === range.base;
    const isBroadcast = range.family === 4 && value === lastOf(range).value;
    if (!isNetwork && !isBroadcast && value !== gateway?.value) all.push(value);
  }
  return all;
}

const situation = fc
  .record({
    text: fc.constantFrom(...ranges),
    used: fc.array(fc.nat(300)),
    gateway: fc.option(fc.nat(300)),
    wish: fc.nat(400),
  })
  .map(({ text, used, gateway, wish }) => {
    const range = cidr(text);
    const size = Number(lastOf(range).value - range.base) + 1;
    const at = (n: number): Ip => ({ family: range.family, value: range.base + BigInt(n % size) });
    return {
      range,
      used: new Set(used.map((n) => at(n).value)),
      gateway: gateway === null ? undefined : at(gateway),
      wish: { family: range.family, value: range.base + BigInt(wish) - 50n },
    };
  });

test("the lowest free address, as a naive search finds it", () => {
  fc.assert(
    fc.property(situation, ({ range, used, gateway }) => {
      const expected = naive(range, gateway).find((value) => !used.has(value));
      const choice = choose(range, gateway, intervalsOf(used));
      assert.deepEqual(
        choice,
        expected === undefined
          ? { ok: false, why: "exhausted" }
          : { ok: true, ip: { family: range.family, value: expected } },
      );
      assert.equal(capacity(range, gateway), BigInt(naive(range, gateway).length));
    }),
  );
});

test("a requested address is given, or the reason why not", () => {
  fc.assert(
    fc.property(situation, ({ range, used, gateway, wish }) => {
      const choice = choose(range, gateway, intervalsOf(used), wish);
      const why = !contains(range, wish)
        ? "outside"
        : !naive(range, gateway).includes(wish.value)
          ? "reserved"
          : used.has(wish.value)
            ? "taken"
            : undefined;
      assert.deepEqual(choice, why === undefined ? { ok: true, ip: wish } : { ok: false, why });
    }),
  );
});

test("DC/OS: 125 addresses in a half of a /24, 29 in a half of a /26", () => {
  for (const [half, count] of [
    ["9.0.0.0/25", 125n],
    ["9.0.0.128/25", 125n],
    ["9.0.0.32/27", 29n],
  ] as const) {
    assert.equal(capacity(cidr(half), defaultGateway(cidr(half))), count);
  }
  assert.equal(formatIp(defaultGateway(cidr("9.0.1.128/25"))), "9.0.1.129");
});

test("IPv6 gives its last address but not the routers' anycast one", () => {
  assert.equal(capacity(cidr("fd00::/126"), undefined), 3n);
  const { first, last } = usableBounds(cidr("fd00::/64"));
  assert.deepEqual(
    [formatIp({ family: 6, value: first }), formatIp({ family: 6, value: last })],
    ["fd00::1", "fd00::ffff:ffff:ffff:ffff"],
  );
});

test("DC/OS: tunnel addresses lie strictly inside, lowest first, 4094 in a /20", () => {
  const subnet = cidr("44.128.0.0/20");
  const used = new Intervals();
  const given: string[] = [];
  for (let next = nextVtep(subnet, used); next !== undefined; next = nextVtep(subnet, used)) {
    used.take(next.value);
    given.push(formatIp(next));
  }
  assert.deepEqual([given.length, given[0], given.at(-1)], [4094, "44.128.0.1", "44.128.15.254"]);
  used.release(ip("44.128.0.1").value);
  assert.deepEqual(nextVtep(subnet, used), ip("44.128.0.1"));
  assert.deepEqual(nextVtep(cidr("fd01:a::/64"), new Intervals()), ip("fd01:a::1"));
});

test("excluded values are stepped over, wherever they lie", () => {
  const range = { family: 4, first: 10n, last: 15n } as const;
  assert.deepEqual(nextFree(range, intervalsOf([10n, 12n]), [11n, 13n]), { family: 4, value: 14n });
  assert.equal(nextFree(range, intervalsOf([10n, 12n]), [11n, 13n, 14n, 15n]), undefined);
});

test("from a given place on, and then from the beginning: as a naive search does", () => {
  const size = 12;
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.array(fc.nat(20), { maxLength: 3 }), fc.nat(20), (taken, kept, from) => {
      const range = { family: 4, first: 4n, last: BigInt(3 + size) } as const;
      const used = new Set(taken.map(BigInt));
      const exclude = kept.map(BigInt);
      const all = Array.from({ length: size }, (_, n) => range.first + BigInt(n));
      const isFree = (value: bigint) => !used.has(value) && !exclude.includes(value);
      const expected = all.find((value) => value >= from && isFree(value)) ?? all.find(isFree);
      const found = nextFreeFrom(range, intervalsOf(used), exclude, BigInt(from));
      assert.deepEqual(found, expected === undefined ? undefined : { family: 4, value: expected });
    }),
  );
});

test("an address of the other family is outside, whatever its number", () => {
  const [range, other] = [cidr("10.0.0.0/29"), cidr("::/96")];
  const used = new Intervals();
  for (const [subnet, family] of [
    [range, 6],
    [other, 4],
  ] as const)
    assert.deepEqual(choose(subnet, undefined, used, { family, value: subnet.base + 2n }), {
      ok: false,
      why: "outside",
    });
});

test("subnets of one or two addresses hold what they can", () => {
  for (const [text, count] of [
    ["10.0.0.0/32", 0n],
    ["10.0.0.0/31", 0n],
    ["10.0.0.0/30", 2n],
    ["fd00::/128", 0n],
    ["fd00::/127", 1n],
  ] as const) {
    assert.equal(capacity(cidr(text), undefined), count, text);
    const gateway = defaultGateway(cidr(text));
    const isInside = count > 0n;
    assert.equal(capacity(cidr(text), gateway), isInside ? count - 1n : 0n, text);
  }
  // A gateway outside of what workloads may have takes nothing away.
  for (const text of ["10.0.0.0", "10.0.0.7", "10.0.1.1"])
    assert.equal(capacity(cidr("10.0.0.0/29"), ip(text)), 6n, text);
});

test("the ends of a range and its gateway are reserved, each by itself", () => {
  for (const text of ranges) {
    const range = cidr(text);
    const gateway = defaultGateway(range);
    for (const { value } of [firstOf(range), lastOf(range), gateway]) {
      const isKept = !naive(range, gateway).includes(value);
      const wish = { family: range.family, value };
      const expected = isKept ? { ok: false, why: "reserved" } : { ok: true, ip: wish };
      assert.deepEqual(choose(range, gateway, new Intervals(), wish), expected, `${text} ${formatIp(wish)}`);
    }
  }
});
