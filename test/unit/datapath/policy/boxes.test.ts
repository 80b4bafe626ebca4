// What the kernel takes as an interval set: the same points, nothing twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Box, type Interval, disjoint, union } from "../../../../src/datapath/policy/boxes.ts";

const interval = fc
  .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 5 }))
  .map(([first, size]): Interval => ({ first: BigInt(first), last: BigInt(first + size) }));
const box = fc.record({ x: interval, y: interval });
const has = ({ first, last }: Interval, n: number) => first <= BigInt(n) && BigInt(n) <= last;
const GRID = Array.from({ length: 18 }, (_, n) => n);

test("union: the same numbers, in order, apart", () => {
  fc.assert(
    fc.property(fc.array(interval), (list) => {
      const whole = union(list);
      for (const n of GRID) {
        assert.equal(whole.filter((one) => has(one, n)).length, list.some((one) => has(one, n)) ? 1 : 0);
      }
      for (const [i, one] of whole.entries()) assert((whole[i + 1]?.first ?? 99n) > one.last + 1n);
    }),
  );
});

test("disjoint: the same points, each once, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(box, { maxLength: 8 }), (list) => {
      const count = (boxes: readonly Box[], x: number, y: number) =>
        boxes.filter((one) => has(one.x, x) && has(one.y, y)).length;
      const apart = disjoint(list);
      for (const x of GRID) for (const y of GRID) assert.equal(count(apart, x, y), count(list, x, y) > 0 ? 1 : 0);
      assert.deepEqual(disjoint(list.toReversed()), apart);
    }),
  );
});

test("neighbours with the same ports are one box; what lies apart, or has others, is not", () => {
  const of = (...corners: readonly (readonly [x1: number, x2: number, y1: number, y2: number])[]) =>
    disjoint(
      corners.map(([x1, x2, y1, y2]) => ({
        x: { first: BigInt(x1), last: BigInt(x2) },
        y: { first: BigInt(y1), last: BigInt(y2) },
      })),
    ).map(({ x, y }) => [x.first, x.last, y.first, y.last].map(Number));
  assert.deepEqual(of([0, 1, 5, 5], [2, 3, 5, 5]), [[0, 3, 5, 5]]);
  assert.deepEqual(of([0, 1, 5, 5], [3, 4, 5, 5]), [
    [0, 1, 5, 5],
    [3, 4, 5, 5],
  ]);
  assert.deepEqual(of([0, 1, 5, 5], [2, 3, 5, 6]), [
    [0, 1, 5, 5],
    [2, 3, 5, 6],
  ]);
  assert.deepEqual(of([0, 3, 5, 6], [2, 5, 6, 8], [9, 9, 0, 0]), [
    [0, 1, 5, 6],
    [2, 3, 5, 8],
    [4, 5, 6, 8],
    [9, 9, 0, 0],
  ]);
  assert.deepEqual(of([0, 1, 1, 1], [0, 1, 3, 3], [2, 2, 1, 3]), [
    [0, 1, 1, 1],
    [0, 1, 3, 3],
    [2, 2, 1, 3],
  ]);
});
