// How far the endpoints of a network are with its latest change, by what their hosts have reported.
import type { NetworkProgress, ProgressState } from "../../model/progress.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import type { HostStatus } from "../../model/status.ts";
import type { View } from "../state/view.ts";
import type { Reports } from "./reports.ts";

type HostProgress = NetworkProgress["hosts"][number];
type Heard = Pick<Reports, "latest" | "liveness">;

/** Of these endpoints; undefined if there is no such network. */
export function networkProgress(
  view: View,
  reports: Heard,
  name: string,
  isMeant: (endpoint: Endpoint) => boolean = () => true,
): NetworkProgress | undefined {
  const network = view.network.get(name);
  if (network === undefined) return undefined;
  const revision = Math.max(network.revision, view.vrf.get(network.spec.vrf)?.revision ?? 0);
  const byHost = new Map<string, string[]>();
  for (const each of view.networks.get(name)?.endpoints.values() ?? []) {
    if (!isMeant(each)) continue;
    const { name: endpoint, spec } = each;
    const names = byHost.get(spec.host);
    if (names === undefined) byHost.set(spec.host, [endpoint]);
    else names.push(endpoint);
  }
  const hosts = [...byHost]
    .map(([host, endpoints]) => hostProgress(network, revision, { host, endpoints }, reports))
    .toSorted((a, b) => (a.host < b.host ? -1 : 1));
  const sum = (count: (host: HostProgress) => number) => hosts.reduce((total, host) => total + count(host), 0);
  const inState = (state: ProgressState) => sum((host) => (host.state === state ? host.endpoints : 0));
  const refused = sum(({ state, failed = [] }) => (state === "failed" ? 0 : failed.length));
  return {
    network: name,
    revision,
    upToDate: inState("up-to-date") - refused,
    updating: inState("updating"),
    outdated: inState("outdated"),
    failed: inState("failed") + refused,
    hosts,
  };
}

function hostProgress(
  { name }: Network,
  revision: number,
  { host, endpoints }: { readonly host: string; readonly endpoints: readonly string[] },
  reports: Heard,
): HostProgress {
  const status = reports.latest(host);
  const isHeard = reports.liveness(host).state === "ready";
  const refused = endpoints.filter((endpoint) => status?.policyFailed?.includes(endpoint) === true);
  const state = stateOf(name, revision, status, isHeard);
  return {
    host,
    state,
    endpoints: endpoints.length,
    ...(status === undefined ? {} : { revision: status.revision }),
    ...(refused.length === 0 || state !== "up-to-date" ? {} : { failed: refused }),
    ...(state !== "failed" || status === undefined ? {} : { errors: status.errors }),
  };
}

/** A host that was refused something else has the network nevertheless, and its policy revision says since when. */
function stateOf(name: string, revision: number, status: HostStatus | undefined, isHeard: boolean): ProgressState {
  const isThere = status?.networks.includes(name) === true;
  const reached = Math.max(status?.revision ?? 0, isThere ? (status.policyRevision ?? 0) : 0);
  if (reached >= revision) return "up-to-date";
  if (!isHeard) return "outdated";
  return status !== undefined && !isThere && status.errors.length > 0 ? "failed" : "updating";
}
