// Schemas of who is in which network: memberships of workloads, and members on their way from one network to another.
// They are resources like all others; resource.ts says what those are.
import Type from "typebox";
import { oneOf, optional, strict, Text } from "./schema.ts";

/** Every instance of a workload has an interface in the network, and those that come later will. */
export const MembershipSpec = Type.Object({ network: Type.String(), workload: Type.String() }, strict);

/** One order to move members from a network to another; its moves say how far each is. */
export const MigrationSpec = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    workload: optional(Text("Only instances of this workload.")),
    endpoint: optional(Text("Only this endpoint.")),
    members: Type.Integer({ minimum: 1 }),
  },
  strict,
);

/** One endpoint on its way from a network to another. Its host does it: the new one first, then the old one goes. */
export const MoveSpec = Type.Object(
  {
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
  },
  strict,
);
