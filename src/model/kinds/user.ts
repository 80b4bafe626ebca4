// Users: people and programs that are told apart. How they prove who they are is a secret of the server, not part of
// the resource.
import { type KindRecord, type Reader, nameMissing } from "../kind.ts";
import { OwnedQuota } from "../quota.ts";
import { type Value, Description, Flag, Text, Texts, optional, strictObject } from "../schema.ts";
import { usergroup } from "./usergroup.ts";

const UserSpec = strictObject({
  group: Text("Its primary group: that of what it makes."),
  groups: optional(Texts("Further groups.", 256)),
  enabled: Flag("Whether it may do anything; default: true."),
  quota: optional(OwnedQuota),
  description: optional(Description),
});
const UserInput = strictObject({ ...UserSpec.properties, enabled: optional(UserSpec.properties.enabled) });

export const user = {
  spec: UserSpec,
  called: "user",
  seenBy: "none",
  put: {
    input: UserInput,
    order: 1,
    summary: "Makes or changes a user; its passwords and tokens are not part of it.",
    complete: (input: Value<typeof UserInput>) => ({ enabled: true, ...input }),
    admit: checkGroups,
  },
  remove: "own",
} as const satisfies KindRecord;

function checkGroups({ group, groups = [] }: Value<typeof UserSpec>, reader: Reader): void {
  if (reader.get(usergroup, group) === undefined) throw nameMissing(usergroup, group, "spec.group");
  for (const [i, each] of groups.entries())
    if (reader.get(usergroup, each) === undefined) throw nameMissing(usergroup, each, `spec.groups[${i}]`);
}
