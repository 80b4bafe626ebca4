// ACL rules: rights that do not follow from whose a resource is.
import Type from "typebox";
import { Fault } from "../fault.ts";
import { type KindRecord, type Reader, nameMissing } from "../kind.ts";
import { ACL_KINDS, RIGHTS } from "../rights.ts";
import { type Value, Flag, Text, oneOf, optional, strictObject } from "../schema.ts";
import { user } from "./user.ts";
import { usergroup } from "./usergroup.ts";

const AclRuleSpec = strictObject({
  subject: strictObject(
    {
      user: optional(Text("This user.")),
      usergroup: optional(Text("Members of this group.")),
      all: optional(Flag("true: every user.")),
    },
    "Who gets the rights: exactly one of these.",
  ),
  resource: strictObject(
    {
      kinds: Type.Array(oneOf(ACL_KINDS), { minItems: 1, maxItems: ACL_KINDS.length, uniqueItems: true }),
      name: optional(Text("The one of this name. When it goes, the rule is about it no longer.")),
      usergroup: optional(Text("Those whose group is this.")),
      hostcluster: optional(Text("Those of this cluster of hosts.")),
      all: optional(Flag("true: every one.")),
    },
    "To what: exactly one of name, usergroup, hostcluster and all.",
  ),
  rights: Type.Array(oneOf([...RIGHTS, "create"]), { minItems: 1, maxItems: RIGHTS.length + 1, uniqueItems: true }),
});
type AclRuleSpec = Value<typeof AclRuleSpec>;

export const aclrule = {
  spec: AclRuleSpec,
  list: "aclRules",
  called: "ACL rule",
  see: "acl list",
  seenBy: "none",
  put: {
    input: AclRuleSpec,
    // Behind all that it may name.
    order: 6,
    summary: "Gives rights to a user, a group or all.",
    canonical: checkSelectors,
    admit: checkNames,
  },
  remove: "plain",
} as const satisfies KindRecord;

function checkSelectors(spec: AclRuleSpec, where: string): AclRuleSpec {
  const { kinds: _, ...selected } = spec.resource;
  checkOne(spec.subject, `${where}.subject`);
  checkOne(selected, `${where}.resource`);
  if (spec.rights.includes("create") && selected.name !== undefined)
    throw new Fault("request-invalid", {
      what: `${where}.rights: create is not a right to one resource`,
      where: `${where}.rights`,
      fix: "give it for all, or for those of a group or cluster",
    });
  return spec;
}

function checkOne(selectors: object, where: string): void {
  const given = Object.entries(selectors).filter(([, value]) => value !== undefined);
  if (given.length === 1 && given[0]?.[1] !== false) return;
  throw new Fault("request-invalid", {
    what: `${where}: expected exactly one selector`,
    where,
    why: given.length === 0 ? "none is given" : `given: ${given.map(([name]) => name).join(", ")}`,
    fix: "name one of what the schema lists; all is written `all: true`",
  });
}

function checkNames({ subject, resource }: AclRuleSpec, reader: Reader): void {
  const check = (record: typeof user | typeof usergroup, name: string | undefined, where: string) => {
    if (name !== undefined && reader.get(record, name) === undefined) throw nameMissing(record, name, where);
  };
  check(user, subject.user, "spec.subject.user");
  check(usergroup, subject.usergroup, "spec.subject.usergroup");
  check(usergroup, resource.usergroup, "spec.resource.usergroup");
  const { kinds, name, hostcluster } = resource;
  if (hostcluster !== undefined && !reader.has("hostcluster", hostcluster))
    throw absent("cluster", hostcluster, "spec.resource.hostcluster");
  for (const kind of name === undefined ? [] : kinds)
    if (!reader.has(kind, name ?? "")) throw absent(kind, name ?? "", "spec.resource.name");
}

/** Whoever makes it later, the rule was not meant for. */
function absent(kind: string, name: string, where: string): Fault {
  return new Fault("not-found", {
    what: `there is no ${kind} "${name.slice(0, 80)}"`,
    where,
    why: "a rule is about what is there, and not about a later thing of the name",
    fix: "make it first, or name what is there",
  });
}
