// Groups of users.
import type { KindRecord } from "../kind.ts";
import { OwnedQuota } from "../quota.ts";
import { Description, optional, strictObject } from "../schema.ts";

const UserGroupSpec = strictObject({ quota: optional(OwnedQuota), description: optional(Description) });

export const usergroup = {
  spec: UserGroupSpec,
  list: "userGroups",
  called: "user group",
  seenBy: "none",
  put: {
    input: UserGroupSpec,
    // Before the users in it.
    order: 0,
    summary: "Makes or changes a group of users.",
  },
  remove: "own",
} as const satisfies KindRecord;
