// Carving, with DC/OS's own numbers where it was right and with correct carries where it was not.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Cidr, formatCidr, lastOf, parseCidr } from "../../../src/model/address.ts";
import { blockCount, nextBlock, sliceAt, slicePrefix } from "../../../src/ipam/allocate.ts";
import { Intervals } from "../../../src/ipam/intervals.ts";
import { blockAt } from "./blocks.ts";

const cidr = (text: string): Cidr => parseCidr(text, "test");
const shown = (block: Cidr | undefined) => (block === undefined ? undefined : formatCidr(block));

test("DC/OS: how many blocks, and which", () => {
  assert.equal(blockCount(cidr("9.0.0.0/8"), 24), 65_536n);
  assert.equal(blockCount(cidr("9.0.0.0/8"), 26), 262_144n);
  assert.equal(blockCount(cidr("192.168.0.0/17"), 24), 128n);
  assert.equal(blockCount(cidr("192.168.1.0/24"), 24), 1n);
  assert.equal(shown(blockAt(cidr("9.0.0.0/8"), 24, 0n)), "9.0.0.0/24");
  assert.equal(shown(blockAt(cidr("9.0.0.0/8"), 24, 65_535n)), "9.255.255.0/24");
  assert.equal(blockAt(cidr("9.0.0.0/8"), 24, 65_536n), undefined);
  assert.equal(blockAt(cidr("9.0.0.0/8"), 24, -1n), undefined);
});

test("DC/OS: Mesos has the lower half, Docker the upper", () => {
  const halves = (text: string) => [0, 1].map((n) => shown(sliceAt(cidr(text), n, 2)));
  assert.deepEqual(halves("9.0.1.0/24"), ["9.0.1.0/25", "9.0.1.128/25"]);
  assert.deepEqual(halves("fd01:b:0:0:1::/80"), ["fd01:b:0:0:1::/81", "fd01:b::1:8000:0:0/81"]);
  assert.deepEqual(halves("44.128.2.0/24"), ["44.128.2.0/25", "44.128.2.128/25"]);
});

test("65,536 IPv6 blocks carry across every byte and stay inside", () => {
  const subnet = cidr("fd01:b::/64");
  assert.equal(blockCount(subnet, 80), 65_536n);
  assert.equal(shown(blockAt(subnet, 80, 255n)), "fd01:b:0:0:ff::/80");
  // DC/OS went from ff to 1ff here and left the overlay after 511 blocks.
  assert.equal(shown(blockAt(subnet, 80, 256n)), "fd01:b:0:0:100::/80");
  assert.equal(shown(blockAt(subnet, 80, 65_535n)), "fd01:b:0:0:ffff::/80");
  assert.equal(blockAt(subnet, 80, 65_536n), undefined);
  const used = new Intervals();
  for (let n = 0; n < 65_536; n++) {
    const block = nextBlock(subnet, 80, used);
    assert.ok(block !== undefined && block.base === subnet.base + (BigInt(n) << 48n));
    used.take(block.base, lastOf(block).value);
  }
  assert.equal(nextBlock(subnet, 80, used), undefined);
  assert.deepEqual([...used], [{ first: subnet.base, last: lastOf(subnet).value }]);
});

const carving = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    bits: fc.bigInt(0n, (1n << 128n) - 1n),
    length: fc.integer({ min: 1, max: 24 }),
    more: fc.integer({ min: 0, max: 6 }),
  })
  .map(({ family, bits, length, more }) => {
    const width = BigInt(family === 4 ? 32 : 128);
    const base = ((bits & ((1n << width) - 1n)) >> (width - BigInt(length))) << (width - BigInt(length));
    return { subnet: { family, base, length }, prefix: length + more };
  });

test("blocks tile their subnet: first to last, without gap or overlap", () => {
  fc.assert(
    fc.property(carving, ({ subnet, prefix }) => {
      let at = subnet.base;
      for (let n = 0n; n < blockCount(subnet, prefix); n++) {
        const block = blockAt(subnet, prefix, n);
        assert.ok(block !== undefined && block.base === at && block.length === prefix);
        at = lastOf(block).value + 1n;
      }
      assert.equal(at, lastOf(subnet).value + 1n);
    }),
  );
});

test("slices tile their block", () => {
  fc.assert(
    fc.property(carving, fc.constantFrom(1, 2, 4, 8), ({ subnet }, count) => {
      const parts = Array.from({ length: count }, (_, n) => sliceAt(subnet, n, count));
      assert.equal(parts[0]?.base, subnet.base);
      for (const [n, part] of parts.entries()) {
        assert.equal(part.length, slicePrefix(subnet.length, count));
        assert.equal(lastOf(part).value + 1n, parts[n + 1]?.base ?? lastOf(subnet).value + 1n);
      }
    }),
  );
});

test("the lowest free block comes next, whatever was given and taken back", () => {
  const steps = fc.array(fc.option(fc.nat(63), { nil: undefined }), { maxLength: 120 });
  fc.assert(
    fc.property(steps, (releases) => {
      const subnet = cidr("10.0.0.0/18");
      const used = new Intervals();
      const model = new Set<number>();
      for (const release of releases) {
        const n =
          release === undefined ? (Array.from({ length: 65 }, (_, i) => i).find((i) => !model.has(i)) ?? 64) : release;
        if (release === undefined) {
          const block = nextBlock(subnet, 24, used);
          assert.equal(shown(block), n > 63 ? undefined : `10.0.${n}.0/24`);
          if (block === undefined) continue;
          used.take(block.base, lastOf(block).value);
          model.add(n);
        } else {
          const block = cidr(`10.0.${n}.0/24`);
          assert.equal(used.release(block.base, lastOf(block).value), model.delete(n));
        }
      }
    }),
  );
});
