// Moves: members on their way from one network to another.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { Text, oneOf, optional, strictObject } from "../schema.ts";

/** One endpoint on its way from a network to another. Its host does it: the new one first, then the old one goes. */
const MoveSpec = strictObject({
  migration: Type.String(),
  endpoint: Text("The endpoint that goes."),
  host: Type.String(),
  owner: Type.String(),
  from: Type.String(),
  to: Type.String(),
  state: oneOf(
    ["pending", "joined", "left", "failed", "gone"],
    "joined: it has both. left: done. failed: its host goes on trying. gone: it ended before it was moved.",
  ),
  oldAddresses: Type.Array(Type.String()),
  newEndpoint: optional(Type.String()),
  newAddresses: optional(Type.Array(Type.String())),
  reason: optional(Text("Why it failed.")),
});

export const move = {
  spec: MoveSpec,
  list: "moves",
  see: "network migration show NAME",
  seenBy: { host: "host" },
} as const satisfies KindRecord;
