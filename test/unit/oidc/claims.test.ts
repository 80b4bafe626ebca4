// From what a provider says of a person to a user here: no two persons get one name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { vouchedIn } from "../../../src/oidc/claims.ts";

const settings = { userClaim: "email", groupsClaim: "groups" };
const named = (email: unknown) => vouchedIn({ iss: "https://id.test", sub: "s1", email }, settings).user;

test("an address becomes a name, small letters count", () => {
  assert.equal(named("Anna.Smith@Example.com"), "anna.smith.at.example.com");
  assert.equal(named("anna"), "anna");
});

test("a name that two persons could have is refused", () => {
  for (const wrong of ["anna.at.example.com", "ANNA.AT.example.com", "a.at.b@example.com"])
    assert.throws(() => named(wrong), { reason: "forbidden", message: /has "\.at\.", which stands for @/ });
  // The sign of Kelvin: its small letter is an ordinary k.
  for (const wrong of ["\u212Aim@example.com", "ann\u00E4", "anna\u0000"])
    assert.throws(() => named(wrong), { reason: "forbidden", message: /other letters/ });
  for (const wrong of [undefined, "", 7, ["anna"]])
    assert.throws(() => named(wrong), { reason: "forbidden", message: /is missing/ });
});

test("a person has no more groups than a user that an administrator writes", () => {
  const names = Array.from({ length: 258 }, (_, at) => `g${at}`);
  const groups = new Map(names.map((name) => [name, name]));
  const settings = { userClaim: "name", groupsClaim: "groups", groups };
  const claims = { iss: "https://id.example", sub: "1", name: "anna" };
  assert.equal(vouchedIn({ ...claims, groups: names.slice(1) }, settings).groups?.length, 257);
  assert.throws(() => vouchedIn({ ...claims, groups: names }, settings), /258 groups here, and a user has at most 257/);
});
