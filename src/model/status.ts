// What a host reached. Status is a record of its own, never inside a resource: an agent reports it, the server keeps
// the latest per host in memory, and a restarted server has it again after each agent's next report.
import type { Direction, QosInput } from "./qos.ts";
import type { AllowedAddress } from "./group.ts";
import type { ClusterPaths, PathsReport } from "./paths.ts";
import type { EndpointSpec } from "./resource.ts";

/** What an agent says after a round that changed something, and at least every heartbeat. */
export type HostReport = {
  readonly host: string;
  readonly bootId: string;
  readonly version: string;
  /** The snapshot's revision that the kernel now holds; below it, nothing is promised. */
  readonly revision: number;
  /** Operations that repaired what somebody else changed, since the agent started. */
  readonly driftRepaired: number;
  /** What the kernel refused in the last round: object and reason, ready to print. */
  readonly errors: readonly string[];
  /** Networks that are in the kernel without any error. */
  readonly networks: readonly string[];
  /** Conditions a user should know that are nobody's error: a workload's namespace is gone, a block is full. */
  readonly conditions: readonly string[];
  /** The host's own addresses (with prefix length) and routes, without Weft's: what networks must not overlap. */
  readonly hostPrefixes: readonly string[];
  /** Kernel objects held, for metrics and `weft host show`. */
  readonly objects: number;
  /** The revision whose policy the kernel holds: not held back by what else was refused. */
  readonly policyRevision?: number;
  /** Endpoints of this host whose policy the kernel refused in the last round. */
  readonly policyFailed?: readonly string[];
  /** Whether packets pass between this host and its peers. */
  readonly paths?: PathsReport;
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

export type HostStatus = HostReport & {
  /** When the server got the report, ms since the epoch. */
  readonly reportedAtMs: number;
  /** From the commit of the reported revision to the report that it is in the kernel; undefined when not measured. */
  readonly lagMs?: number;
};

/** `weft status`: one screen. */
export type ClusterStatus = {
  readonly cluster: string;
  readonly revision: number;
  readonly hosts: readonly HostCondition[];
  /** Pairs of hosts, and between which of them packets pass. */
  readonly paths?: ClusterPaths;
  /** What a user should know that no answer said: a host waits for a block, or stands in a network's way. */
  readonly conditions?: readonly ClusterCondition[];
};
type ClusterCondition = {
  readonly reason?: string;
  readonly object: string;
  readonly host?: string;
  readonly message: string;
};
export type HostCondition = {
  readonly host: string;
  readonly underlay: string;
  /**
   * ready: reports arrive; suspect: none for a while; lost: none for long, and it still has all it had; reclaimed: what
   * it had was taken; expected: never joined.
   */
  readonly state: "ready" | "suspect" | "lost" | "reclaimed" | "expected";
  /** Since when it is so, ms since the epoch. */
  readonly sinceMs?: number;
  readonly status?: HostStatus;
};

/** What a workload's door asks of the agent. */
export type AttachRequest = {
  readonly network: string;
  /** Path of a network namespace. */
  readonly netns: string;
  /** Default eth0. */
  readonly ifname?: string;
  /** Default: the last part of the netns path. */
  readonly owner?: string;
  readonly addresses?: readonly string[];
  readonly mac?: string;
  /** Global networks: only from this address range. */
  readonly range?: string;
  readonly slice?: string;
  /** What the owner is an instance of. */
  readonly workload?: string;
  /** See EndpointSpec. */
  readonly defaultRoute?: boolean;
  readonly qos?: QosInput;
  /** Whose quota in the network it counts for. */
  readonly tenant?: string;
  readonly securityGroups?: readonly string[];
  readonly allowedAddresses?: readonly AllowedAddress[];
};
/** What went through the queue that limits an endpoint in one direction, since the queue was made. */
export type QueueCounters = {
  readonly endpoint: string;
  readonly direction: Direction;
  readonly bytes: number;
  readonly packets: number;
  /** Packets that found the queue full. */
  readonly drops: number;
  /** Bytes that wait now. */
  readonly backlog: number;
  readonly securityGroups?: readonly string[];
  readonly allowedAddresses?: readonly AllowedAddress[];
};

/** What the workload got: everything needed to print it, or to hand it to a container runtime. */
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
