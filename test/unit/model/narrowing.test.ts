// A narrowing only takes away, and what a narrowed token makes is narrowed at least as much.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Narrowing, isWithin, lets, narrowingText } from "../../../src/model/narrowing.ts";

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
      for (const right of RIGHTS)
        for (const name of NETWORKS) assert.ok(!lets(inner, right, name) || lets(outer, right, name));
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

test("a narrowing to networks lets what is in none be used, and no more", () => {
  const blue = { networks: ["blue"] };
  assert.ok(lets(blue, "admin", "blue") && lets(blue, "use", undefined));
  for (const right of ["manage", "admin", "create"] as const) assert.equal(lets(blue, right, undefined), false);
  assert.equal(lets(blue, "use", "green"), false);
  assert.equal(lets({ rights: ["use"] }, "manage", "blue"), false);
  assert.ok(lets({ rights: ["manage"] }, "manage", undefined));
  assert.equal(lets({ rights: [] }, "use", "blue"), false);
  assert.ok(lets(undefined, "admin", undefined));
});

test("it is told in words", () => {
  assert.equal(narrowingText(undefined), "everything");
  assert.equal(narrowingText({ rights: ["use", "create"], networks: ["blue"] }), "use, create of blue");
  assert.equal(narrowingText({ networks: [] }), "everything of no network");
  assert.equal(narrowingText({ rights: [] }), "nothing");
});
