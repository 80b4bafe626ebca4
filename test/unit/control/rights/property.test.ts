// Rights in random worlds, against a model that is as plain as the words of docs/tenancy.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RIGHTS } from "../../../../src/model/rights.ts";
import type { Resource } from "../../../../src/model/resource.ts";
import { viewOf } from "../../../../src/control/state/view.ts";
import { hasRight, principalOf } from "../../../../src/control/rights/rights.ts";

const USERS = ["ann", "ben", "cat"] as const;
const GROUPS = ["red", "green"] as const;
const some = <T>(list: readonly T[]) => fc.constantFrom(...list);
const mode = fc
  .array(fc.boolean(), { minLength: 9, maxLength: 9 })
  .map((bits) => bits.map((bit, i) => (bit ? "uma".charAt(i % 3) : "-")).join(""));
const one = (kind: string, name: string, spec: object, more: object = {}) =>
  ({ kind, name, uid: name, revision: 1, spec, ...more }) as unknown as Resource;
const rules = fc.array(
  fc.record({
    subject: fc.oneof(
      some(USERS).map((user) => ({ user })),
      some(GROUPS).map((usergroup) => ({ usergroup })),
      fc.constant({ all: true }),
    ),
    resource: fc.oneof(
      fc.constant({ kinds: ["network"], all: true }),
      fc.constant({ kinds: ["vrf"], all: true }),
      fc.constant({ kinds: ["network"], name: "blue" }),
      some(GROUPS).map((usergroup) => ({ kinds: ["network"], usergroup })),
    ),
    rights: fc.subarray([...RIGHTS, "create"], { minLength: 1 }),
  }),
  { maxLength: 3 },
);

test("a right is there exactly if the owner's, the group's or others' bit, or an ACL rule gives it", () => {
  const access = fc.option(fc.record({ owner: some(USERS), group: some(GROUPS), mode }));
  fc.assert(
    fc.property(fc.array(some(GROUPS), { minLength: 3, maxLength: 3 }), access, rules, (groups, owned, given) => {
      const network = one("network", "blue", {}, owned === null ? {} : { access: owned });
      const users = USERS.map((name, i) => one("user", name, { group: groups[i], enabled: true }));
      const view = viewOf("c", 1, [...users, ...given.map((spec, i) => one("aclrule", `r${i}`, spec))]);
      for (const [i, user] of USERS.entries())
        for (const [bit, right] of RIGHTS.entries()) {
          const has = (at: number) => owned !== null && owned.mode[at + bit] !== "-";
          const byMode = (owned?.owner === user && has(0)) || (owned?.group === groups[i] && has(3)) || has(6);
          const byRule = given.some(
            ({ subject, resource, rights }) =>
              rights.includes(right) &&
              resource.kinds[0] === "network" &&
              ("all" in subject || ("user" in subject ? subject.user === user : subject.usergroup === groups[i])) &&
              (!("usergroup" in resource) || resource.usergroup === owned?.group),
          );
          assert.equal(hasRight(principalOf(view, { user }), right, network), byMode || byRule, `${user} ${right}`);
        }
    }),
    { numRuns: 500 },
  );
});
