// Sorted values against a plain sorted array.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Sorted, merged } from "../../../src/ipam/sorted.ts";

test("adding and deleting anything: order, first and neighbours as in a plain array", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(2000)), { maxLength: 3000, size: "max" });
  fc.assert(
    fc.property(steps, fc.nat(2000), (operations, asked) => {
      const sorted = new Sorted<number>((a, b) => a - b);
      const model = new Set<number>();
      for (const [isAdded, value] of operations) {
        if (isAdded) {
          sorted.add(value);
          model.add(value);
        } else {
          sorted.delete(value);
          model.delete(value);
        }
      }
      const expected = [...model].toSorted((a, b) => a - b);
      assert.deepEqual([...sorted], expected);
      assert.deepEqual([sorted.size, sorted.first], [expected.length, expected[0]]);
      assert.deepEqual(
        [...sorted.after(asked)],
        expected.filter((value) => value > asked),
      );
      assert.equal(
        sorted.atOrBelow(asked),
        expected.findLast((value) => value <= asked),
      );
    }),
    { numRuns: 50 },
  );
});

test("more than one chunk, filled and emptied from either end", () => {
  const sorted = new Sorted<number>((a, b) => a - b);
  const all = Array.from({ length: 5000 }, (_, n) => (n * 7919) % 5000);
  for (const n of all) sorted.add(n);
  assert.equal(sorted.size, 5000);
  assert.deepEqual(
    [...sorted],
    all.toSorted((a, b) => a - b),
  );
  for (let n = 0; n < 5000; n++) {
    assert.equal(sorted.first, n);
    sorted.delete(n);
  }
  assert.deepEqual([sorted.size, sorted.first, sorted.atOrBelow(9999)], [0, undefined, undefined]);
});

test("what compares as the same takes the place of what was there", () => {
  type Entry = { readonly key: number; readonly text: string };
  const sorted = new Sorted<Entry>((a, b) => a.key - b.key);
  for (const key of [2, 1, 3]) sorted.add({ key, text: "old" });
  sorted.add({ key: 2, text: "new" });
  assert.deepEqual(
    [...sorted].map(({ key, text }) => `${key} ${text}`),
    ["1 old", "2 new", "3 old"],
  );
  assert.equal(sorted.size, 3);
  sorted.delete({ key: 2, text: "whatever" });
  sorted.delete({ key: 4, text: "not there" });
  assert.deepEqual([sorted.size, sorted.atOrBelow({ key: 2, text: "" })?.key], [2, 1]);
});

test("streams that are merged: each text once, in order", () => {
  const stream = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f")).map((texts) => texts.sort());
  fc.assert(
    fc.property(fc.array(stream, { maxLength: 6 }), (streams) =>
      assert.deepEqual([...merged(streams)], [...new Set(streams.flat())].sort()),
    ),
  );
});
