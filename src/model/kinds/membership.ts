// Memberships: which workloads are in which networks. Migrations: orders to move members from one network to another,
// and their moves, one for each member.
import Type from "typebox";
import { SAID_MAX } from "../cleanText.ts";
import type { KindRecord } from "../kind.ts";
import { type Value, ADDRESSES_MAX, Name, Text, oneOf, optional, strictObject } from "../schema.ts";

/** Every instance of a workload has an interface in the network, and those that come later will. */
export const membership = {
  spec: strictObject({
    network: Name,
    workload: Name,
    user: optional(
      Text("Whose workload: instances whose endpoints this user owns. Absent: instances that no user owns."),
    ),
  }),
  see: "network members NETWORK",
  unknown: "membership-unknown",
  // All hosts, so that a workload's first instance on a host finds its networks while the server is away, too.
  seenBy: "all",
  remove: "plain",
} as const satisfies KindRecord;

/** One order to move members from a network to another; its moves say how far each is. */
export const migration = {
  spec: strictObject({
    from: Name,
    to: Name,
    workload: optional(Text("Only instances of this workload.")),
    endpoint: optional(Text("Only this endpoint.")),
    members: Type.Integer({ minimum: 1 }),
  }),
  see: "network migration list",
  unknown: "migration-unknown",
  seenBy: "none",
  remove: "own",
} as const satisfies KindRecord;

/** Of one endpoint. */
const Addresses = Type.Array(Name, { maxItems: ADDRESSES_MAX });

/** One endpoint on its way from a network to another. Its host does it: the new one first, then the old one goes. */
export const move = {
  spec: strictObject({
    migration: Name,
    endpoint: Text("The endpoint that goes."),
    host: Name,
    owner: Name,
    from: Name,
    to: Name,
    state: oneOf(
      ["pending", "joined", "left", "failed", "gone"],
      "joined: it has both. left: done. failed: its host goes on trying. gone: it ended before it was moved.",
    ),
    oldAddresses: Addresses,
    newEndpoint: optional(Name),
    newAddresses: optional(Addresses),
    reason: optional(Text("Why it failed.", SAID_MAX)),
  }),
  see: "network migration show NAME",
  seenBy: { host: "host" },
} as const satisfies KindRecord;

/** Nothing is left to do for it. */
export function isOver({ spec }: { readonly spec: Pick<Value<typeof move.spec>, "state"> }): boolean {
  return spec.state === "left" || spec.state === "gone";
}
