// Migrations: orders to move members from one network to another.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { optional, strict, Text } from "../schema.ts";

/** One order to move members from a network to another; its moves say how far each is. */
const MigrationSpec = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    workload: optional(Text("Only instances of this workload.")),
    endpoint: optional(Text("Only this endpoint.")),
    members: Type.Integer({ minimum: 1 }),
  },
  strict,
);

export const migration = {
  spec: MigrationSpec,
  list: "migrations",
  see: "network migration list",
  unknown: "migration-unknown",
  seenBy: "none",
  remove: "own",
} as const satisfies KindRecord;
