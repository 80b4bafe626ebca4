// Hosts: machines with an agent.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { NETWORK_MTU } from "../limits.ts";
import { DIRECTIONS } from "../qos.ts";
import { Flag, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";

export const host = {
  spec: strictObject({
    underlay: Text("The address other hosts send tunnel packets to."),
    underlayMtu: Type.Integer({ minimum: NETWORK_MTU.minimum, maximum: 65_535 }),
    underlayDevice: optional(Text("The device with that address.")),
    devices: optional(
      Type.Array(
        strictObject({
          name: Text("As `underlayDevice` of a network names it."),
          mtu: Type.Integer({ minimum: 0, maximum: 65_536 }),
          addresses: Texts("Its own; those that others can send to."),
        }),
        { description: "Further devices that tunnels of networks cross by: those of them that it has." },
      ),
    ),
    slices: optional(Texts("Which slices of networks this host has bridges for. Default: all.")),
    shaping: optional(
      Type.Array(oneOf(DIRECTIONS), {
        description: "Directions in which its kernel can limit traffic. Default: none.",
      }),
    ),
    order: Type.Integer({ description: "Registration order: lists keep it." }),
    drained: optional(Flag("Whether it takes no new endpoints; those it has stay.")),
  }),
  unknown: "host-unknown",
  seenBy: "all",
  remove: "own",
} as const satisfies KindRecord;
