// The position of an error in a JSON text.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { errorPosition } from "../../../src/api/json.ts";

test("the place is that of the first character that cannot be there", () => {
  const places: readonly (readonly [text: string, place: string])[] = [
    ["", "line 1, column 1"],
    ["x", "line 1, column 1"],
    ["{", "line 1, column 2"],
    ['{"a"', "line 1, column 5"],
    ['{"a":', "line 1, column 6"],
    ['{"a":}', "line 1, column 6"],
    ['{"a":1', "line 1, column 7"],
    ['{"a":1 "b":2}', "line 1, column 8"],
    ['{"a":1,}', "line 1, column 8"],
    ['{"a":1,b:2}', "line 1, column 8"],
    ['{"a":1, "b" 2}', "line 1, column 13"],
    ["{1:2}", "line 1, column 2"],
    ["{,}", "line 1, column 2"],
    ["[", "line 1, column 2"],
    ["[1,", "line 1, column 4"],
    ["[1,]", "line 1, column 4"],
    ["[1 2]", "line 1, column 4"],
    ["[1}", "line 1, column 3"],
    ['{"a":1]', "line 1, column 7"],
    ["[,1]", "line 1, column 2"],
    ["1 2", "line 1, column 3"],
    ["[1] x", "line 1, column 5"],
    ["01", "line 1, column 2"],
    ["nul", "line 1, column 1"],
    ['"\\x"', "line 1, column 1"],
    ['["a\n"]', "line 1, column 2"],
    ['{\n  "a": 1,\n  "b": [true, {"c": nope}]\n}', "line 3, column 21"],
    ["[[[]]", "line 1, column 6"],
  ];
  for (const [text, place] of places) {
    assert.throws(() => JSON.parse(text), text);
    assert.equal(errorPosition(text), place, text);
  }
});

test("of a value with something after it, the place is where that begins", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      const lines = text.split("\n");
      assert.equal(errorPosition(`${text}?`), `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`);
    }),
  );
});
