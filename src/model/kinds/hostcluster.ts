// Clusters of hosts: named sets, which networks refer to. On a command line they are called clusters.
import { defined } from "../defined.ts";
import type { KindRecord } from "../kind.ts";
import { SELECTOR_MAX, parseSelector } from "../selector.ts";
import { type Value, Description, HOSTS_MAX, Text, Texts, optional, strictObject } from "../schema.ts";

const HostClusterSpec = strictObject({
  hosts: optional(Texts("Hosts that are in it by their names.", HOSTS_MAX)),
  selector: optional(
    Text("Hosts with these labels are in it, too, now and later: rack in (r7,r8),!old.", SELECTOR_MAX),
  ),
  description: optional(Description),
});
export type HostClusterSpec = Value<typeof HostClusterSpec>;

export const hostcluster = {
  spec: HostClusterSpec,
  list: "hostClusters",
  called: "cluster",
  see: "cluster list",
  unknown: "cluster-unknown",
  // Networks say to hosts which hosts they are in the end.
  seenBy: "none",
  put: {
    input: HostClusterSpec,
    own: true,
    // Before the networks that name it.
    order: 0,
    canonical: canonicalCluster,
    summary: "Makes or changes a cluster of hosts; its networks follow.",
    force: "true: also if endpoints are on hosts that leave it; these are asked to detach them.",
  },
  remove: "own",
} as const satisfies KindRecord;

function canonicalCluster(spec: HostClusterSpec, where: string): HostClusterSpec {
  const { selector } = spec;
  if (selector !== undefined) parseSelector(selector, `${where}.selector`);
  return { ...spec, ...defined({ hosts: spec.hosts && [...new Set(spec.hosts)].sort() }) };
}
