// Migrations: orders to move members from one network to another.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { Text, optional, strictObject } from "../schema.ts";

/** One order to move members from a network to another; its moves say how far each is. */
export const MigrationSpec = strictObject({
  from: Type.String(),
  to: Type.String(),
  workload: optional(Text("Only instances of this workload.")),
  endpoint: optional(Text("Only this endpoint.")),
  members: Type.Integer({ minimum: 1 }),
});

export const migration = {
  spec: MigrationSpec,
  list: "migrations",
  see: "network migration list",
  unknown: "migration-unknown",
  seenBy: "none",
  remove: "own",
} as const satisfies KindRecord;
