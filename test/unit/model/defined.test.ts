// What is not given is left out; everything else stays, in its order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defined } from "../../../src/model/defined.ts";

test("members that are undefined are left out, and no others", () => {
  const members = { none: undefined, text: "", number: 0, no: false, nothing: null, list: [] };
  assert.deepEqual(Object.entries(defined(members)), [
    ["text", ""],
    ["number", 0],
    ["no", false],
    ["nothing", null],
    ["list", []],
  ]);
  assert.ok(!("none" in defined(members)));
});
