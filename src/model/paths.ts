// Whether packets pass between two hosts: what an agent finds out about the way to each of its peers, and tells.
import Type from "typebox";

/** The VNI of what agents send to try the way: no network and no VRF has it. */
export const PATHS_VNI = 16_777_215;

const strict = { additionalProperties: false };

const PATH_STATES = ["proven", "small", "failed", "unknown"] as const;
export type PathState = (typeof PATH_STATES)[number];

export const PathSeen = Type.Object(
  {
    host: Type.String({ maxLength: 253, description: "The peer." }),
    state: Type.Union(
      PATH_STATES.map((state) => Type.Literal(state)),
      {
        description:
          "proven: packets of full size pass both ways. small: only small ones. failed: none. " +
          "unknown: not tried for long enough.",
      },
    ),
    sinceMs: Type.Number({ description: "By the clock of the host that says it; ms since 1970." }),
    obstacle: Type.Optional(
      Type.String({ maxLength: 1000, description: "What stands in the way, as far as the host can see." }),
    ),
  },
  strict,
);
export type PathSeen = {
  readonly host: string;
  readonly state: PathState;
  readonly sinceMs: number;
  readonly obstacle?: string;
};

/** So many a host names: what is wrong first, then what was proven last. */
export const PATHS_NAMED = 100;

/** What a host says of the ways to its peers: the hosts that share a VRF with it. */
export const PathsReport = Type.Object(
  {
    peers: Type.Integer({ minimum: 0 }),
    proven: Type.Integer({ minimum: 0 }),
    named: Type.Array(PathSeen, { maxItems: PATHS_NAMED }),
  },
  strict,
);
export type PathsReport = {
  readonly peers: number;
  readonly proven: number;
  readonly named: readonly PathSeen[];
};

/** A pair of hosts between which packets are not known to pass, with what either says. */
export type PairSeen = {
  readonly hosts: readonly [string, string];
  readonly state: Exclude<PathState, "proven">;
  readonly sinceMs: number;
  readonly obstacles: readonly string[];
};
/** All pairs of hosts that share a VRF. `unproven` names those that hosts name: at most PATHS_NAMED each. */
export type ClusterPaths = {
  readonly pairs: number;
  readonly proven: number;
  readonly unproven: readonly PairSeen[];
};
