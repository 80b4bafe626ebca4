// How a kind is called in a sentence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { oneText } from "../../../src/model/kinds.ts";

test("a kind in a sentence has the article that is spoken", () => {
  const said = (["aclrule", "endpoint", "network", "usergroup"] as const).map(oneText);
  assert.deepEqual(said, ["an ACL rule", "an endpoint", "a network", "a user group"]);
});
