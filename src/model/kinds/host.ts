// Hosts: machines with an agent.
import Type from "typebox";
import { FEATURE_NAMES } from "../features.ts";
import type { KindRecord } from "../kind.ts";
import { optionalLabels } from "../labels.ts";
import { NETWORK_MTU } from "../limits.ts";
import { DeviceFacts, PHYSICAL_MAX, PhysicalDevice, PhysicalSetting } from "../physical.ts";
import { DIRECTIONS } from "../qos.ts";
import { Flag, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";

export const host = {
  spec: strictObject({
    underlay: Text("The address other hosts send tunnel packets to."),
    underlayMtu: Type.Integer({ minimum: NETWORK_MTU.minimum, maximum: 65_535 }),
    underlayDevice: optional(Text("The device with that address.")),
    slices: optional(Texts("Which slices of networks this host has bridges for. Default: all.", 64)),
    shaping: optional(
      Type.Array(oneOf(DIRECTIONS), {
        maxItems: DIRECTIONS.length,
        description: "Directions in which its kernel can limit traffic. Default: none.",
      }),
    ),
    features: optional(
      Type.Array(oneOf(FEATURE_NAMES), {
        maxItems: FEATURE_NAMES.length,
        description: "What its kernel has of what drivers need. Absent: it has not said.",
      }),
    ),
    lacks: optional(
      Type.Array(oneOf(FEATURE_NAMES), {
        maxItems: FEATURE_NAMES.length,
        description:
          "What it has looked for and its kernel does not have. Absent: an earlier build, which did not say.",
      }),
    ),
    physical: optional(
      Type.Array(PhysicalDevice, {
        maxItems: PHYSICAL_MAX,
        description: "Which of its devices lead to physical networks, as its agent says.",
      }),
    ),
    physicalSet: optional(
      Type.Array(PhysicalSetting, {
        maxItems: PHYSICAL_MAX,
        description: "The same as the server was told: it counts instead of what the agent says of these networks.",
      }),
    ),
    devices: optional(
      Type.Array(DeviceFacts, {
        maxItems: PHYSICAL_MAX * 2,
        description: "Those of these devices that are there, and of those that tunnels cross by.",
      }),
    ),
    order: Type.Integer({ description: "Registration order: lists keep it." }),
    drained: optional(Flag("Whether it takes no new endpoints; those it has stay.")),
    labels: optionalLabels,
  }),
  unknown: "host-unknown",
  seenBy: "all",
  remove: "own",
} as const satisfies KindRecord;
