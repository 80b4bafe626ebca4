// What a host has reached, and the requests and answers of its agent. Status is separate from resources: an agent
// reports it, the server keeps the latest per host in memory, and a restarted server has it again after each agent's
// next report.
import Type from "typebox";
import { ClusterGroup, ClusterPaths, GroupReport, PathsReport } from "./paths.ts";
import { EndpointClaim } from "./input.ts";
import type { Direction } from "./qos.ts";
import type { EndpointSpec } from "./resource.ts";
import { type Value, ADDRESSES_MAX, AnyTexts, PATH_MAX, Text, Texts, oneOf, optional, strictObject } from "./schema.ts";

/** An agent sends it after a round that changed something, and at least every heartbeat. */
export const HostReport = strictObject({
  host: Type.String(),
  bootId: Type.String(),
  version: Type.String(),
  /** The snapshot's revision that the kernel now holds; below it, nothing is promised. */
  revision: Type.Integer({ minimum: 0 }),
  /** Operations that repaired what others changed, since the agent started. */
  driftRepaired: Type.Integer({ minimum: 0 }),
  /** What the kernel refused in the last round: object and reason, ready to print. */
  errors: Type.Array(Type.String()),
  /** Networks that are in the kernel without any error. */
  networks: Type.Array(Type.String()),
  /** What a user should know but is not an error: a workload's namespace is gone, a block is full. */
  conditions: Type.Array(Type.String()),
  /** The host's own addresses (with prefix length) and routes, without Weft's: what networks must not overlap. */
  hostPrefixes: Type.Array(Type.String()),
  /** Kernel objects held, for metrics and `weft host show`. */
  objects: Type.Integer({ minimum: 0 }),
  /** The revision whose policy the kernel holds: not held back by what else was refused. */
  policyRevision: optional(Type.Integer({ minimum: 0 })),
  /** Whether packets pass between this host and its peers. */
  paths: optional(PathsReport),
  groups: optional(Type.Array(GroupReport, { description: "Of its networks with multicast peers." })),
  policyFailed: optional(AnyTexts("Endpoints whose policy the kernel refused.")),
});
export type HostReport = Value<typeof HostReport>;

const HostStatus = strictObject({
  ...HostReport.properties,
  reportedAtMs: Type.Number({ description: "When the server got the report, ms since 1970." }),
  lagMs: optional(
    Type.Number({
      description: "From the newest commit that concerned the host to the report that it is in the kernel.",
    }),
  ),
});
export type HostStatus = Value<typeof HostStatus>;

const HostCondition = strictObject({
  host: Type.String(),
  underlay: Type.String(),
  state: oneOf(
    ["ready", "suspect", "lost", "reclaimed", "expected"],
    "ready: reports arrive; suspect: none for a while; lost: none for long, but it still has all it had; " +
      "reclaimed: what it had was taken; expected: named by a configuration, never joined.",
  ),
  sinceMs: optional(Type.Number({ description: "Since when it is so, ms since 1970." })),
  status: optional(HostStatus),
});
export type HostCondition = Value<typeof HostCondition>;

/** What a user should know although no request was refused: a host waits for a block, or overlaps a network. */
const Condition = strictObject({
  reason: Type.String(),
  object: Text("kind/name, or cluster"),
  host: optional(Type.String()),
  message: Type.String(),
  waitsFor: optional(
    Type.Array(strictObject({ host: Type.String(), why: Type.String() }), {
      description: "Of a conversion: the hosts that its phase waits for.",
    }),
  ),
});

/** `weft status`: one screen. */
export const ClusterStatus = strictObject({
  cluster: Type.String(),
  revision: Type.Integer({ minimum: 0, description: "Number of the commit; every later one is greater." }),
  paths: optional(ClusterPaths),
  groups: optional(Type.Array(ClusterGroup, { description: "Of networks with multicast peers; absent without any." })),
  hosts: Type.Array(HostCondition),
  conditions: Type.Array(Condition),
});
export type ClusterStatus = Value<typeof ClusterStatus>;

const { host: _host, joined: _joined, user: _user, ...wanted } = EndpointClaim.properties;
/** A request to attach, to the agent of the workload's host. */
export const AttachRequest = strictObject({
  ...wanted,
  netns: Text("Path of a network namespace.", PATH_MAX),
  ifname: optional(Text("Default: eth0.")),
  owner: optional(Text("Default: the last part of the path.")),
  addresses: optional(Texts("Without prefix length. Default: the lowest free ones.", ADDRESSES_MAX)),
});
export type AttachRequest = Value<typeof AttachRequest>;

/** What the workload got: everything needed to print it, or to pass it to a container runtime. */
export type Attachment = {
  readonly endpoint: string;
  readonly spec: EndpointSpec;
  /** 0 while the agent does not know the network: it has just started, or the network is gone. */
  readonly mtu: number;
  /** With prefix length, as configured on the interface. */
  readonly interfaceAddresses: readonly string[];
  readonly gateways: readonly string[];
  readonly routes: readonly string[];
  /** Name servers that the network or the lease's range names. */
  readonly dns: readonly string[];
};

/** Packets of one endpoint, seen from its workload, and what was dropped: reason to packets. */
export type EndpointCounters = {
  readonly endpoint: string;
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  readonly drops: Readonly<Record<string, number>>;
};

/** What passed the queue that limits an endpoint in one direction, since the queue was made. */
export type QueueCounters = {
  readonly endpoint: string;
  readonly direction: Direction;
  readonly bytes: number;
  readonly packets: number;
  /** Packets that found the queue full. */
  readonly drops: number;
  /** Bytes that wait now. */
  readonly backlog: number;
};
