// Conversions: changes of how the frames of a network cross between hosts, or of its MTU, while endpoints are attached.
// All member hosts go through the same phases, one after the other (decisions/0043).
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { NETWORK_MTU } from "../limits.ts";
import { type Value, Flag, Text, oneOf, optional, strictObject } from "../schema.ts";
import { NetworkSpec } from "./network.ts";
import { VrfSpec } from "./vrf.ts";

/** Fields of a network that a conversion changes; what is absent is absent in the network. */
export const NETWORK_FIELDS = ["driver", "vni", "mtu", "peers", "group", "ttl", "device"] as const;
/** The same of a VRF. */
export const VRF_FIELDS = ["vni", "tunnelPort", "vtepName", "alternate"] as const;

const { driver, peers, group, ttl, device } = NetworkSpec.properties;
const { vni, tunnelPort, vtepName, alternate } = VrfSpec.properties;

/** How frames cross: fields of a network, or of a VRF. */
const Carriage = strictObject({
  driver: optional(driver),
  vni: optional(vni),
  mtu: optional(Type.Integer(NETWORK_MTU)),
  peers,
  group,
  ttl,
  device,
  tunnelPort: optional(tunnelPort),
  vtepName,
  alternate,
});
export type Carriage = Value<typeof Carriage>;

export const PHASES = ["narrow", "receive", "send"] as const;
export type Phase = (typeof PHASES)[number];

export const conversion = {
  spec: strictObject({
    vrf: Text("Whose networks it is about. A VRF has at most one conversion, of its name."),
    network: optional(Text("The network whose settings change; absent: the VRF's own.")),
    from: Carriage,
    to: Carriage,
    back: optional(Flag("It was cancelled when hosts may have sent the new way: from and to have changed places.")),
    phase: oneOf(
      PHASES,
      "narrow: workloads send no packet that is larger than both MTUs allow. receive: hosts take packets both ways, " +
        "and send the former way; devices have the new MTU. send: hosts send the new way, and still take both.",
    ),
  }),
  see: "network conversion list",
  seenBy: "all",
  refersTo: { vrf: "vrf", network: "network" },
  remove: "own",
} as const satisfies KindRecord<"vrf" | "network", "vrf" | "network">;
