// Between which hosts packets pass, and the groups of networks are delivered, from what each host says of its peers. A
// pair is proven unless one of the two says otherwise. A silent host says nothing, so its pairs are as the other host
// sees them.
import type { ClusterGroup, ClusterPaths, PairSeen, PathSeen, PathsReport, PathState } from "../../model/paths.ts";
import type { HostCondition } from "../../model/status.ts";

/** What a host says of its peers. */
type Tale = (host: HostCondition) => PathsReport | undefined;

/** By network; of all networks with a group that hosts have. */
export function clusterGroups(hosts: readonly HostCondition[]): readonly ClusterGroup[] {
  const networks = new Set(hosts.flatMap(({ status }) => status?.groups?.map(({ network }) => network) ?? []));
  return [...networks].sort().flatMap((network) => {
    const paths = clusterPaths(hosts, ({ status }) => status?.groups?.find((group) => group.network === network));
    return paths === undefined ? [] : [{ network, ...paths }];
  });
}

/** Undefined while no host has reported paths, or none has a peer. */
export function clusterPaths(
  hosts: readonly HostCondition[],
  tale: Tale = ({ status }) => status?.paths,
): ClusterPaths | undefined {
  const telling = hosts.filter((host) => (tale(host)?.peers ?? 0) > 0);
  if (telling.length === 0) return undefined;
  const unproven = [...pairsOf(hosts, tale).values()];
  // A host with more than PATHS_NAMED peers names only some; sums are exact where names are not. Both ends count each
  // pair, so half of the sum are pairs.
  const peers = sum(telling, (host) => tale(host)?.peers ?? 0);
  const proven = sum(telling, (host) => provenBy(host, tale(host), unproven));
  const pairs = Math.ceil(peers / 2);
  return { pairs, proven: Math.min(Math.floor(proven / 2), pairs - unproven.length), unproven };
}

/** A silent host's proven paths count as what its peers say now. */
function provenBy(
  { host, state }: HostCondition,
  said: PathsReport | undefined,
  unproven: readonly PairSeen[],
): number {
  const { peers = 0, proven = 0 } = said ?? {};
  if (state === "ready") return proven;
  return Math.max(0, peers - unproven.filter(({ hosts }) => hosts.includes(host)).length);
}

function pairsOf(hosts: readonly HostCondition[], tale: Tale): ReadonlyMap<string, PairSeen> {
  const pairs = new Map<string, PairSeen>();
  const known = new Map(hosts.map((host) => [host.host, host]));
  for (const one of hosts) {
    const { host, state } = one;
    if (state !== "ready") continue;
    for (const seen of tale(one)?.named ?? []) {
      const peer = known.get(seen.host);
      if (seen.state === "proven" || peer === undefined) continue;
      const [a = "", b = ""] = [host, seen.host].sort();
      pairs.set(`${a} ${b}`, merged(pairs.get(`${a} ${b}`), [a, b], host, withPeer(seen, peer)));
    }
  }
  return pairs;
}

/** An agent that reports no paths is of an earlier version: its kernel does not answer. */
function withPeer(seen: PathSeen, { host, state, status }: HostCondition): PathSeen {
  if (status !== undefined && status.paths === undefined)
    return { ...seen, state: "unknown", obstacle: `the agent of ${host} is too old to be asked` };
  if (state === "ready" || seen.state !== "failed") return seen;
  return { ...seen, obstacle: `${host} is ${state}` };
}

/** The worse of what the two say, since the earlier of both times. */
function merged(
  before: PairSeen | undefined,
  hosts: readonly [string, string],
  by: string,
  { state, sinceMs, obstacle }: PathSeen,
): PairSeen {
  const said = obstacle === undefined ? [] : [`${by}: ${obstacle}`];
  const own = state === "proven" ? "unknown" : state;
  if (before === undefined) return { hosts, state: own, sinceMs, obstacles: said };
  const isWorse = BADNESS.indexOf(own) < BADNESS.indexOf(before.state);
  return {
    hosts,
    state: isWorse ? own : before.state,
    sinceMs: Math.min(sinceMs, before.sinceMs),
    obstacles: [...before.obstacles, ...said],
  };
}

const BADNESS: readonly PathState[] = ["failed", "small", "unknown"];

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
