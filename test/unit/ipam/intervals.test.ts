// The interval index against a plain set of values.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Intervals, intervalsOf } from "../../../src/ipam/intervals.ts";

const SPACE = 60n;
type Step = { readonly verb: "take" | "release"; readonly first: bigint; readonly length: bigint };
const step = fc.record({
  verb: fc.constantFrom("take" as const, "release" as const),
  first: fc.bigInt(0n, SPACE),
  length: fc.bigInt(1n, 5n),
});

function rangeOf({ first, length }: Step): bigint[] {
  return Array.from({ length: Number(length) }, (_, i) => first + BigInt(i));
}

test("takes, releases, finds and counts as a set of values does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const index = new Intervals();
      const model = new Set<bigint>();
      for (const each of steps) {
        const values = rangeOf(each);
        const last = each.first + each.length - 1n;
        if (each.verb === "take") {
          const isFree = !values.some((value) => model.has(value));
          assert.equal(index.take(each.first, last), isFree);
          if (isFree) for (const value of values) model.add(value);
        } else {
          const isUsed = values.every((value) => model.has(value));
          assert.equal(index.release(each.first, last), isUsed);
          if (isUsed) for (const value of values) model.delete(value);
        }
        assert.equal(index.count, BigInt(model.size));
      }
      for (let value = 0n; value <= SPACE + 6n; value++) {
        assert.equal(index.has(value), model.has(value));
        let free = value;
        while (model.has(free)) free++;
        assert.equal(index.nextFree(value), free);
      }
      const listed = [...index].flatMap(({ first, last }) =>
        rangeOf({ verb: "take", first, length: last - first + 1n }),
      );
      assert.deepEqual(
        listed,
        [...model].sort((a, b) => Number(a - b)),
      );
    }),
    { numRuns: 300 },
  );
});

test("100,000 scattered values: correct at any place, and no slower to change than a few", () => {
  const index = new Intervals();
  // 7919 is prime to 100,000, so this visits every even value once, all over the place.
  for (let i = 0; i < 100_000; i++) assert.ok(index.take(BigInt(2 * ((i * 7919) % 100_000))));
  assert.equal(index.count, 100_000n);
  assert.equal(index.nextFree(0n), 1n);
  assert.equal(index.nextFree(150_000n), 150_001n);
  const startMs = performance.now();
  for (let i = 0; i < 10_000; i++) {
    const value = BigInt(2 * ((i * 7919) % 100_000) + 1);
    assert.ok(index.take(value));
    assert.ok(index.release(value));
  }
  // 2 µs each here; a sorted array without chunks needs 30.
  assert.ok(performance.now() - startMs < 1_000);
  for (let i = 0; i < 100_000; i++) assert.ok(index.release(BigInt(2 * i)));
  assert.deepEqual([...index], []);
});

test("a space filled lowest first is one interval, and 128-bit values are exact", () => {
  const base = 0xfd01_000b_0000_0000_0000_0000_0000_0000n;
  const index = new Intervals();
  for (let i = 0; i < 1000; i++) assert.ok(index.take(index.nextFree(base)));
  assert.deepEqual([...index], [{ first: base, last: base + 999n }]);
  assert.deepEqual([...intervalsOf([3n, 1n, 2n, 3n])], [{ first: 1n, last: 3n }]);
});
