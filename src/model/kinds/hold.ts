// Holds: addresses that are kept back.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { Text, optional, strictObject } from "../schema.ts";

/** Addresses that no endpoint gets until they are released. */
const HoldSpec = strictObject({
  network: Type.String(),
  first: Text("An IPv4 or IPv6 address, or a MAC."),
  last: Text("Of the same kind; the same for a single address."),
  reason: Type.String(),
  owner: Text("Who holds it: a name for people."),
  expiresAtMs: optional(Type.Number({ description: "When it ends by itself, ms since 1970." })),
});

export const hold = {
  spec: HoldSpec,
  list: "holds",
  see: "lease list --state held",
  unknown: "hold-unknown",
  seenBy: "none",
} as const satisfies KindRecord;
