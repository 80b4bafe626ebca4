// Schemas of hosts and of what the server allots to each: blocks and tunnel endpoints. They are resources like all
// others; resource.ts says what those are.
import Type from "typebox";
import { DIRECTIONS } from "./qos.ts";
import { oneOf, optional, strict, Text } from "./schema.ts";

export const HostSpec = Type.Object(
  {
    underlay: Text("The address other hosts send tunnel packets to."),
    underlayMtu: Type.Integer({ minimum: 576, maximum: 65_535 }),
    slices: optional(
      Type.Array(Type.String(), { description: "Which slices of networks this host has bridges for. Default: all." }),
    ),
    shaping: optional(
      Type.Array(oneOf(DIRECTIONS), {
        description: "Directions in which its kernel can limit traffic. Default: none.",
      }),
    ),
    order: Type.Integer({ description: "Registration order: lists keep it." }),
    drained: optional(Type.Boolean({ description: "Whether it takes no new endpoints; those it has stay." })),
  },
  strict,
);

/** The piece of a local network's address space that one host owns. One per network, host and family. */
export const BlockSpec = Type.Object({ network: Type.String(), host: Type.String(), cidr: Type.String() }, strict);

/** A host's tunnel endpoint in one VRF. */
export const VtepSpec = Type.Object(
  {
    vrf: Type.String(),
    host: Type.String(),
    ip: optional(Type.String()),
    ip6: optional(Type.String()),
    mac: Type.String(),
  },
  strict,
);
