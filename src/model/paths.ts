// Whether packets pass between two hosts: the results of an agent's probes to its peers.
import Type from "typebox";
import { DriverName } from "./driver.ts";
import { VNI_LAST } from "./limits.ts";
import { type Value, AnyTexts, oneOf, optional, strictObject } from "./schema.ts";

/** The VNI of the probes: no network and no VRF has it. */
export const PATHS_VNI = VNI_LAST;
/** Size of a packet that passes any underlay. */
export const SMALL_BYTES = 200;

export const PathSeen = strictObject({
  host: Type.String({ maxLength: 253, description: "The peer." }),
  state: oneOf(
    ["proven", "small", "failed", "unknown"],
    "proven: packets of full size pass both ways. small: only small ones. failed: none. " +
      "unknown: not tried for long enough.",
  ),
  sinceMs: Type.Number({ description: "By the clock of the host that says it; ms since 1970." }),
  obstacle: optional(
    Type.String({ maxLength: 1000, description: "What stands in the way, as far as the host can see." }),
  ),
});
export type PathSeen = Value<typeof PathSeen>;
export type PathState = PathSeen["state"];

/** How many peers a host names: broken paths first, then those proven last. */
export const PATHS_NAMED = 100;

/** Of a driver and port: whether packets of full size pass to all hosts with which a tunnel is possible. */
const ChannelSeen = strictObject({
  driver: DriverName,
  port: Type.Integer({ minimum: 0, description: "0: the driver has none." }),
  unproven: Type.Array(Type.String(), {
    maxItems: PATHS_NAMED,
    description: "Hosts to which they do not, or not yet.",
  }),
});

const counted = {
  peers: Type.Integer({ minimum: 0 }),
  proven: Type.Integer({ minimum: 0 }),
  named: Type.Array(PathSeen, { maxItems: PATHS_NAMED }),
};

/** A host's report of the paths to its peers: the hosts that share a VRF with it. */
export const PathsReport = strictObject({
  ...counted,
  channels: optional(Type.Array(ChannelSeen, { description: "Absent while the host cannot try any." })),
});
export type PathsReport = Value<typeof PathsReport>;

/** Of one network with multicast peers: whether what the host sends to its group arrives at the other members. */
export const GroupReport = strictObject({ network: Type.String(), ...counted });
export type GroupReport = Value<typeof GroupReport>;

/** A pair of hosts whose path is not proven, with what either says. */
const PairSeen = strictObject({
  hosts: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }),
  state: oneOf(["small", "failed", "unknown"]),
  sinceMs: Type.Number({ description: "ms since 1970." }),
  obstacles: AnyTexts("What either host sees."),
});
export type PairSeen = Value<typeof PairSeen>;

/** All pairs of hosts that share a VRF. `unproven` names those that hosts name: at most PATHS_NAMED each. */
export const ClusterPaths = strictObject(
  {
    pairs: Type.Integer({ minimum: 0, description: "Pairs of hosts that share a VRF." }),
    proven: Type.Integer({ minimum: 0, description: "Those between which packets of full size pass, both ways." }),
    unproven: Type.Array(PairSeen),
  },
  "Absent until a host has told; see operations.md.",
);
export type ClusterPaths = Value<typeof ClusterPaths>;

/** Of one network with multicast peers: between which of its hosts the group is delivered, both ways. */
export const ClusterGroup = strictObject({ network: Type.String(), ...ClusterPaths.properties });
export type ClusterGroup = Value<typeof ClusterGroup>;
