// Who has to give up flows when a set is crowded: those who have most, and nobody who has less than another keeps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { levelOf } from "../../../src/kernel/flows.ts";

test("nobody gives up anything while all have room", () => {
  assert.equal(levelOf([], 10), Number.POSITIVE_INFINITY);
  assert.equal(levelOf([10], 10), Number.POSITIVE_INFINITY);
  assert.equal(levelOf([3, 3, 4], 10), Number.POSITIVE_INFINITY);
});

test("who has most gives up first, and all who give up keep as many", () => {
  assert.equal(levelOf([11], 10), 10);
  assert.equal(levelOf([2, 30], 10), 8);
  assert.equal(levelOf([30, 2, 30], 10), 4);
  assert.equal(levelOf([1, 1, 1, 100, 50], 13), 5);
  assert.equal(
    levelOf(
      Array.from({ length: 20 }, () => 5),
      10,
    ),
    0,
  );
});
