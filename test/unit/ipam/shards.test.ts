// A sharded map against a plain one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Shards } from "../../../src/ipam/shards.ts";

test("sets, finds and deletes as a map does", () => {
  const key = fc.oneof(
    fc.constantFrom("", "a", "b", "ab"),
    fc.ipV4(),
    fc.nat(300).map((n) => `10.0.0.${n}`),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), key, fc.nat(5)), { maxLength: 400, size: "max" }), (steps) => {
      const shards = new Shards<number>();
      const model = new Map<string, number>();
      for (const [isSet, each, value] of steps) {
        if (isSet) {
          shards.set(each, value);
          model.set(each, value);
        } else {
          shards.delete(each);
          model.delete(each);
        }
        assert.deepEqual([shards.has(each), shards.get(each)], [model.has(each), model.get(each)]);
      }
      for (const [, each] of steps) assert.equal(shards.get(each), model.get(each));
      assert.deepEqual(new Map(shards), model);
    }),
    { numRuns: 100 },
  );
});

test("many: each is found", () => {
  const shards = new Shards<number>();
  const keyOf = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  for (let n = 0; n < 100_000; n++) shards.set(keyOf(n), n);
  for (let n = 0; n < 100_000; n += 7) assert.equal(shards.get(keyOf(n)), n);
  assert.equal([...shards].length, 100_000);
});
