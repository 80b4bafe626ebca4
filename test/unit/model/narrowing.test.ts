// A narrowing only takes away, and what a narrowed token makes is narrowed at least as much.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Narrowing, isWithin, lets, letsNetwork, narrowingText } from "../../../src/model/narrowing.ts";

const RIGHTS = ["use", "manage", "admin", "create"] as const;
const NETWORKS = ["blue", "green", undefined] as const;
const anyNarrowing: fc.Arbitrary<Narrowing | undefined> = fc.option(
  fc.record(
    { rights: fc.subarray([...RIGHTS]), networks: fc.subarray(["blue", "green", "red"]) },
    { requiredKeys: [] },
  ),
  { nil: undefined },
);

test("one that is within another lets nothing through that the other does not", () => {
  fc.assert(
    fc.property(anyNarrowing, anyNarrowing, (inner, outer) => {
      if (!isWithin(inner, outer)) return;
      for (const right of RIGHTS) assert.ok(!lets(inner, right) || lets(outer, right));
      for (const name of NETWORKS) assert.ok(!letsNetwork(inner, name) || letsNetwork(outer, name));
    }),
  );
});

test("each is within itself and within none, and one without narrowing is within no narrowed one", () => {
  fc.assert(
    fc.property(anyNarrowing, (one) => {
      assert.ok(isWithin(one, one));
      assert.ok(isWithin(one, undefined));
      assert.equal(isWithin(undefined, one), one?.rights === undefined && one?.networks === undefined);
    }),
  );
});

test("a narrowing to networks lets nothing through that concerns none", () => {
  assert.equal(letsNetwork({ networks: ["blue"] }, undefined), false);
  assert.equal(letsNetwork({ rights: ["use"] }, undefined), true);
  assert.equal(lets({ rights: [] }, "use"), false);
});

test("it is told in words", () => {
  assert.equal(narrowingText(undefined), "everything");
  assert.equal(narrowingText({ rights: ["use", "create"], networks: ["blue"] }), "use, create of blue");
  assert.equal(narrowingText({ networks: [] }), "everything of no network");
  assert.equal(narrowingText({ rights: [] }), "nothing");
});
