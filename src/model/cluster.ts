// Which hosts are in a cluster, and which a network may be on because of its clusters. The server writes the answer
// into the network (`clusterHosts`), so that agents need neither clusters nor labels.
import { Fault } from "./fault.ts";
import type { HostClusterSpec } from "./kinds/hostcluster.ts";
import { labelsOf } from "./labels.ts";
import type { Host, NetworkSpec } from "./resource.ts";
import { parseSelector, selects } from "./selector.ts";

/** Those of the hosts that are in a cluster: named by it, or with the labels that it selects. */
export function membersOf({ hosts = [], selector }: HostClusterSpec, all: Iterable<Host>): string[] {
  const named = new Set(hosts);
  const wanted = selector === undefined ? undefined : parseSelector(selector, "selector");
  return [...all]
    .filter((host) => named.has(host.name) || (wanted !== undefined && selects(wanted, labelsOf(host))))
    .map(({ name }) => name);
}

/** Whether a network has clusters, and the host is in none of them. */
export function isOutside({ clusterHosts }: Pick<NetworkSpec, "clusterHosts">, host: string): boolean {
  return clusterHosts !== undefined && !clusterHosts.includes(host);
}

type Clustered = { readonly name: string; readonly spec: Pick<NetworkSpec, "clusters" | "clusterHosts"> };

/** The server and the agent both refuse a new endpoint outside of its network's clusters, in one form. */
export function checkInside(network: Clustered, host: string): void {
  if (isOutside(network.spec, host)) throw outsideFault(network, host, "host");
}

export function outsideFault({ name, spec: { clusters = [] } }: Clustered, host: string, where: string): Fault {
  const names = clusters.map((cluster) => `"${cluster}"`).join(", ");
  return new Fault("host-outside", {
    what: `host "${host}" cannot carry network "${name}"`,
    where,
    why: `the network is for hosts of ${clusters.length === 1 ? "cluster" : "clusters"} ${names}`,
    fix: `choose one of them, or put the host into one: weft cluster edit ${clusters[0] ?? "NAME"} --host ${host}`,
  });
}
