// Clusters of hosts, and what networks make of them. A network with clusters has the hosts in them in its spec; all
// that changes hosts or clusters writes these anew. Nothing is taken from a host that leaves unless that is forced:
// then it is asked to detach its endpoints, and keeps its blocks until that is done.
import { isDeepStrictEqual } from "node:util";
import { isOutside, membersOf, outsideFault } from "../../../model/cluster.ts";
import { ALL_HOSTS, AUTO } from "../../../model/carrying.ts";
import { defined } from "../../../model/defined.ts";
import type { InputOf } from "../../../model/kinds.ts";
import { unknownFault } from "../../../model/kinds.ts";
import { checkName } from "../../../model/parse.ts";
import type { Endpoint, HostCluster, Network, NetworkSpec } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get, hostsInOrder, residentsOf } from "../../state/view.ts";
import type { Delete, Put } from "../../write.ts";
import { alignHostAddresses } from "../address/hostAddress.ts";
import { blocksOf, reservationsUnder } from "../contents.ts";
import { refuseWhile } from "../context.ts";
import { alignVrf } from "../network/allocate.ts";

export function putCluster(draft: Draft, { name, spec, force }: Put<InputOf<"hostcluster">>): HostCluster {
  const { view } = draft;
  checkName("hostcluster", name, "name");
  const had = get(view, "hostcluster", name)?.spec.hosts ?? [];
  const unknown = spec.hosts?.find((host) => !view.host.has(host) && !had.includes(host));
  if (unknown !== undefined) throw unknownFault("host", unknown, "spec.hosts");
  const cluster = draft.put("hostcluster", name, spec);
  alignClusters(draft, force);
  return cluster;
}

/** Also by force a network does not lose its last cluster, after which it could be on every host. */
export function deleteCluster(draft: Draft, { name }: Delete): void {
  const networks = [...(draft.view.referrers.get(`hostcluster/${name}`) ?? [])];
  refuseWhile(
    networks.map((key) => key.replace("/", " ")),
    {
      what: `cluster "${name}" is in use`,
      why: "it says which hosts carry these",
      fix: "give them other clusters first: weft network edit NETWORK --cluster OTHER, or --cluster none",
    },
  );
  draft.remove("hostcluster", name);
}

type Fields = Pick<NetworkSpec, "clusters" | "clusterHosts">;

/** What a put says of clusters, and what it comes to. */
export function clusterFields(view: View, wanted: readonly string[] | undefined): Fields {
  if (wanted === undefined || wanted.length === 0) return {};
  const unknown = wanted.find((name) => !view.hostcluster.has(name));
  if (unknown !== undefined) throw unknownFault("hostcluster", unknown, "spec.clusters");
  const clusters = [...new Set(wanted)].sort();
  return { clusters, clusterHosts: hostsIn(view, clusters) };
}

function hostsIn(view: View, clusters: readonly string[]): string[] {
  const specs = clusters.flatMap((name) => get(view, "hostcluster", name)?.spec ?? []);
  return [...new Set(specs.flatMap((spec) => membersOf(spec, view.host.values())))].sort();
}

/** Refuses a network that names a host which its clusters do not have. */
export function checkNamedInside(view: View, name: string, spec: NetworkSpec): void {
  const [outside] = namedOutside(view, spec);
  if (outside !== undefined) throw outsideFault({ name, spec }, outside.host, `spec.${outside.field}`);
}

function namedOutside(view: View, spec: NetworkSpec) {
  const { hosts = [], hostAddresses = [] } = spec;
  const given = hostAddresses === AUTO ? [] : hostAddresses;
  return [
    ...hosts.filter((host) => host !== ALL_HOSTS).map((host) => ({ host, field: "hosts" })),
    ...given.map(({ host }) => ({ host, field: "hostAddresses" })),
  ].filter(({ host }) => view.host.has(host) && isOutside(spec, host));
}

/** Call when clusters, hosts or their labels have changed: networks get the hosts that are in their clusters now. */
export function alignClusters(draft: Draft, force = false): void {
  const { view } = draft;
  for (const network of clusteredNetworks(view)) {
    const clusterHosts = hostsIn(view, network.spec.clusters ?? []);
    if (isDeepStrictEqual(clusterHosts, network.spec.clusterHosts)) continue;
    const spec = { ...network.spec, clusterHosts };
    const named = namedOutside(view, spec);
    if (!force) {
      const names = [...new Set(named.map(({ host }) => `network ${network.name}, which names host ${host}`))];
      refuseWhile(names, refusal(network.name));
    }
    const put = draft.put("network", network.name, named.length === 0 ? spec : unnamed(view, spec));
    vacateOutside(draft, put, force);
    alignVrf(draft, put.spec.vrf, hostsInOrder(view));
    alignHostAddresses(draft, put);
  }
}

function clusteredNetworks(view: View): Network[] {
  const keys = [...view.hostcluster.keys()].flatMap((name) => [...(view.referrers.get(`hostcluster/${name}`) ?? [])]);
  return [...new Set(keys)].sort().flatMap((key) => get(view, "network", key.slice("network/".length)) ?? []);
}

/** Without the hosts that it names and that are in none of its clusters. */
function unnamed(view: View, { hosts, hostAddresses, ...spec }: NetworkSpec): NetworkSpec {
  const isKept = (host: string) => host === ALL_HOSTS || !view.host.has(host) || !isOutside(spec, host);
  const given = hostAddresses === undefined || hostAddresses === AUTO ? undefined : hostAddresses;
  return {
    ...spec,
    ...defined({
      hosts: hosts?.filter(isKept),
      hostAddresses: given === undefined ? hostAddresses : given.filter(({ host }) => isKept(host)),
    }),
  };
}

/** Call with a network as it is now. Refused while endpoints are on hosts outside of its clusters, unless forced. */
export function vacateOutside(draft: Draft, network: Network, force: boolean): void {
  const { view } = draft;
  if (network.spec.clusterHosts === undefined) return;
  const segment = [network, ...reservationsUnder(view, network.name)];
  const staying = segment.flatMap(({ name }) => endpointsOutside(view, name, network)).filter(isAttached);
  const blockers = staying.map(({ name, spec }) => `endpoint ${name} on ${spec.host} (${spec.addresses.join(", ")})`);
  if (!force) refuseWhile(blockers, refusal(network.name));
  for (const { name, spec } of staying) draft.put("endpoint", name, { ...spec, detaching: true });
  dropBlocksOutside(draft, network);
}

function refusal(network: string) {
  return {
    what: `hosts cannot leave the clusters of network "${network}"`,
    why: "these are on them",
    fix: "detach them, or take the hosts' names out, first; or use --force: endpoints are detached",
  };
}

function isAttached({ spec }: Endpoint): boolean {
  return spec.detaching !== true;
}

/** Endpoints in a network on hosts that are in none of the clusters of its segment. */
function endpointsOutside(view: View, name: string, { spec }: Network): Endpoint[] {
  const hosts = [...(view.networks.get(name)?.members.keys() ?? [])].filter((host) => isOutside(spec, host));
  return hosts
    .flatMap((host) => [...residentsOf(view, host)])
    .flatMap((endpoint) => get(view, "endpoint", endpoint) ?? [])
    .filter((endpoint) => endpoint.spec.network === name);
}

/** Hosts that have left keep the blocks that endpoints of theirs are in; call when the last of them may be gone. */
export function dropBlocksOutside(draft: Draft, network: Network): void {
  const { view } = draft;
  if (network.spec.clusterHosts === undefined || network.spec.ipam !== "local") return;
  const used = new Set(endpointsOutside(view, network.name, network).map(({ spec }) => spec.host));
  for (const { name, spec } of blocksOf(view, network.name))
    if (isOutside(network.spec, spec.host) && !used.has(spec.host)) draft.remove("block", name);
}
