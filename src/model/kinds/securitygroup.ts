// Security groups: rules of who may talk to whom; group.ts says what they mean.
import { DEFAULT_GROUP, DEFAULT_GROUP_SPEC, SecurityGroupSpec } from "../group.ts";
import type { KindRecord } from "../kind.ts";

export const securitygroup = {
  spec: SecurityGroupSpec,
  list: "securityGroups",
  called: "security group",
  see: "sg list",
  unknown: "group-unknown",
  owned: true,
  seenBy: "all",
  builtIn: { name: DEFAULT_GROUP, spec: DEFAULT_GROUP_SPEC },
  put: {
    // As it is read, too: `commits` may be what the server has counted.
    input: SecurityGroupSpec,
    own: true,
    // Before the networks that have it.
    order: 3,
    summary: "Makes a security group or changes its rules, for all who have it at once.",
  },
  remove: "own",
} as const satisfies KindRecord;
