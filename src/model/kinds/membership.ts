// Memberships: which workloads are in which networks.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { strictObject } from "../schema.ts";

/** Every instance of a workload has an interface in the network, and those that come later will. */
export const MembershipSpec = strictObject({ network: Type.String(), workload: Type.String() });

export const membership = {
  spec: MembershipSpec,
  list: "memberships",
  see: "network members NETWORK",
  unknown: "membership-unknown",
  // All hosts, so that a workload's first instance on a host finds its networks while the server is away, too.
  seenBy: "all",
  remove: "plain",
} as const satisfies KindRecord;
