// Freed leases: what was given back a moment ago.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { Text, optional, strictObject } from "../schema.ts";

/** A lease that was given back: kept from others for a while, and remembered for its owner. */
const FreedSpec = strictObject({
  network: Type.String(),
  endpoint: Text("Name of the endpoint that had it."),
  addresses: Type.Array(Type.String()),
  mac: Type.String(),
  range: optional(Type.String()),
  sinceMs: Type.Number({ description: "When it was given back, ms since 1970." }),
  untilMs: optional(
    Type.Number({ description: "Quarantined until then; absent: only remembered (`sticky`), and free for others." }),
  ),
});

export const freed = {
  spec: FreedSpec,
  list: "freed",
  called: "freed lease",
  see: "lease list --state quarantined",
  seenBy: "none",
} as const satisfies KindRecord;
