// What one host needs to see. Everybody sees VRFs, networks, hosts, tunnel endpoints and blocks: that is what routes
// are made of, and it grows with hosts, not with workloads. Endpoints a host sees only if they are its own, or shared
// in a VRF that it carries: those of switched networks, where each is an FDB entry, and members of a security group
// that some rule has as its peer. So a first endpoint in a VRF brings all the others into sight, the last one's end
// takes them out of it, and a rule shows or hides a group's members, without any of them having changed. Memberships
// everybody sees, so that a first instance of a workload finds its networks while the server is away, too; moves only
// the host that makes them; pools, migrations, holds and what was given back none: they are the server's and people's.
//
// Pure: a view at one revision, and what was before the commit that led to it.
import { groupsOf, peersIn } from "../../model/group.ts";
import {
  type Change,
  type Endpoint,
  type Key,
  type Kind,
  type Move,
  type Network,
  type Resource,
  type Snapshot,
  snapshotWith,
} from "../../model/resource.ts";
import { type Before, type View, carries, getKey, listOf, residentsOf } from "./view.ts";

/** Everything an administrator sees. */
export function fullSnapshot(view: View): Snapshot {
  return snapshotWith(view, (kind) => listOf(view, kind));
}

/** What one host sees. */
export function snapshotFor(view: View, host: string): Snapshot {
  return {
    // The list of all endpoints is the long one: it is made for those who see them all.
    ...snapshotWith(view, (kind) => (kind === "endpoint" ? [] : listOf(view, kind))),
    endpoints: [...endpointsFor(view, host)],
    moves: listOf(view, "move").filter((move) => move.spec.host === host),
    pools: [],
    migrations: [],
    holds: [],
    freed: [],
    cursors: [],
  };
}

/** What only the server decides by: where networks and addresses come from. No kernel needs it. */
function isForNobody(kind: Kind): boolean {
  return kind === "pool" || kind === "migration" || kind === "hold" || kind === "freed" || kind === "cursor";
}

function* endpointsFor(view: View, host: string): Generator<Endpoint> {
  for (const name of residentsOf(view, host)) {
    const endpoint = view.endpoint.get(name);
    if (endpoint !== undefined) yield endpoint;
  }
  for (const [vrf, index] of view.vrfs) {
    if (carries(view, vrf, host))
      for (const endpoint of sharedIn(view, index.networks)) if (endpoint.spec.host !== host) yield endpoint;
  }
}

function* sharedIn(view: View, networks: Iterable<string>): Generator<Endpoint> {
  for (const name of networks) {
    const network = view.network.get(name);
    const endpoints = view.networks.get(name)?.endpoints.values() ?? [];
    if (network?.spec.ipam === "global") yield* endpoints;
    else if (view.peered.size > 0) for (const each of endpoints) if (isShared(network, each, view.peered)) yield each;
  }
}

/** Whether other hosts of its VRF need to know it. */
function isShared(network: Network | undefined, { spec }: Endpoint, peered: ReadonlyMap<string, number>): boolean {
  if (network === undefined) return false;
  return network.spec.ipam === "global" || groupsOf(network.spec, spec).some((group) => peered.has(group));
}

export function isVisible(view: View, host: string, resource: Resource): boolean {
  if (isForNobody(resource.kind)) return false;
  if (resource.kind === "move") return resource.spec.host === host;
  if (resource.kind !== "endpoint" || resource.spec.host === host) return true;
  const network = view.network.get(resource.spec.network);
  return network !== undefined && isShared(network, resource, view.peered) && carries(view, network.spec.vrf, host);
}

/** What a commit did, sorted once for all hosts. */
export type CommitDelta = {
  readonly before: Before;
  /** Changes of what everybody sees. */
  readonly common: readonly Change[];
  /** These, and every one of the particular. */
  readonly whole: readonly Change[];
  /** Endpoints and moves: who sees them depends on where they are. */
  readonly particular: readonly {
    readonly key: Key;
    readonly before: Endpoint | Move | undefined;
    readonly after: Endpoint | Move | undefined;
  }[];
  /** Hosts that may carry other VRFs than before; "all" when a network has moved to another VRF. */
  readonly movers: ReadonlySet<string> | "all";
  /** Endpoints that did not change but are shared now and were not, or the other way round. */
  readonly turned: readonly { readonly endpoint: Endpoint; readonly isShared: boolean }[];
  readonly peeredBefore: ReadonlyMap<string, number>;
};

/** `before` is what each changed key was. The view is at the revision of the commit. */
export function commitDelta(view: View, before: Before): CommitDelta {
  const common: Change[] = [];
  const particular: CommitDelta["particular"][number][] = [];
  const movers = new Set<string>();
  let everybodyMoves = false;
  for (const [key, old] of before) {
    const now = getKey(view, key);
    const kind = (now ?? old)?.kind;
    if (kind === undefined || isForNobody(kind)) continue;
    for (const resource of [old, now]) {
      if (resource?.kind === "endpoint" || resource?.kind === "block") movers.add(resource.spec.host);
    }
    if (old?.kind === "network" && now?.kind === "network" && old.spec.vrf !== now.spec.vrf) everybodyMoves = true;
    if (kind === "endpoint" || kind === "move") {
      particular.push({ key, before: particularOf(old), after: particularOf(now) });
    } else if (now !== undefined) common.push({ put: now });
    else if (old !== undefined) common.push({ remove: key });
  }
  const whole = [
    ...common,
    ...particular.map(({ key, after }) => (after === undefined ? { remove: key } : { put: after })),
  ];
  const peeredBefore = peersBefore(view, before);
  const turned = turnedBy(view, before, peeredBefore);
  return { before, common, whole, particular, movers: everybodyMoves ? "all" : movers, turned, peeredBefore };
}

/** Groups that rules named as peers where the delta began. */
function peersBefore(view: View, before: Before): ReadonlyMap<string, number> {
  let counts: Map<string, number> | undefined;
  for (const [key, old] of before) {
    if (!key.startsWith("securitygroup/")) continue;
    counts ??= new Map(view.peered);
    const now = getKey(view, key);
    for (const [resource, by] of [
      [now, -1],
      [old, 1],
    ] as const) {
      if (resource?.kind !== "securitygroup") continue;
      for (const group of peersIn(resource.spec)) counts.set(group, (counts.get(group) ?? 0) + by);
    }
  }
  for (const [group, count] of counts ?? []) if (count === 0) counts?.delete(group);
  return counts ?? view.peered;
}

function turnedBy(view: View, before: Before, peeredBefore: ReadonlyMap<string, number>): CommitDelta["turned"] {
  const isAnyGroup = [...peeredBefore.keys()].some((group) => !view.peered.has(group));
  const isAny = isAnyGroup || [...view.peered.keys()].some((group) => !peeredBefore.has(group));
  const networks = isAny
    ? [...view.network.keys()]
    : [...before.keys()].flatMap((key) => (key.startsWith("network/") ? [key.slice("network/".length)] : []));
  return networks.flatMap((name) => {
    const network = view.network.get(name);
    const old = networkIn(view, before, name);
    return [...(view.networks.get(name)?.endpoints.values() ?? [])].flatMap((endpoint) => {
      if (before.has(`endpoint/${endpoint.name}`)) return [];
      const isNow = isShared(network, endpoint, view.peered);
      return isNow === isShared(old, endpoint, peeredBefore) ? [] : [{ endpoint, isShared: isNow }];
    });
  });
}

function particularOf(resource: Resource | undefined): Endpoint | Move | undefined {
  return resource?.kind === "endpoint" || resource?.kind === "move" ? resource : undefined;
}

/** What takes this host's mirror along the delta: `common` or `whole` itself if it is the same. */
export function changesFor(view: View, delta: CommitDelta, host: string): readonly Change[] {
  const moves = delta.movers === "all" || delta.movers.has(host);
  if (delta.particular.length === 0 && delta.turned.length === 0 && !moves) return delta.common;
  const carried = moves ? carriedBefore(view, delta, host) : undefined;
  const changes = [...delta.common];
  let differs = false;
  for (const { key, before, after } of delta.particular) {
    if (after !== undefined && isVisible(view, host, after)) changes.push({ put: after });
    else if (before !== undefined && wasVisible(view, delta, carried, host, before)) {
      changes.push({ remove: key });
      differs ||= after !== undefined;
    } else differs = true;
  }
  const turns = turnsFor(view, delta, carried, host);
  changes.push(...turns);
  if (carried !== undefined) bringInSight(view, delta, carried, host, changes);
  if (changes.length === delta.common.length) return delta.common;
  return differs || turns.length > 0 || changes.length > delta.whole.length ? changes : delta.whole;
}

/** Endpoints that did not change, but are of VRFs that the host carries now and did not before, or no longer does. */
function bringInSight(
  view: View,
  delta: CommitDelta,
  carried: ReadonlySet<string>,
  host: string,
  changes: Change[],
): void {
  const turned = new Set(delta.turned.map(({ endpoint }) => endpoint));
  for (const [vrf, index] of view.vrfs) {
    const carriesNow = carries(view, vrf, host);
    if (carriesNow === carried.has(vrf)) continue;
    for (const endpoint of sharedIn(view, index.networks)) {
      const key: Key = `endpoint/${endpoint.name}`;
      if (delta.before.has(key) || endpoint.spec.host === host || turned.has(endpoint)) continue;
      changes.push(carriesNow ? { put: endpoint } : { remove: key });
    }
  }
}

/** Endpoints that a rule, or their network's groups, brought into sight or out of it. */
function turnsFor(view: View, delta: CommitDelta, carried: ReadonlySet<string> | undefined, host: string): Change[] {
  return delta.turned.flatMap(({ endpoint, isShared: isNow }): Change[] => {
    if (endpoint.spec.host === host) return [];
    if (isNow) return isVisible(view, host, endpoint) ? [{ put: endpoint }] : [];
    return wasVisible(view, delta, carried, host, endpoint) ? [{ remove: `endpoint/${endpoint.name}` }] : [];
  });
}

/**
 * Whether a commit, of which `before` is what it replaced, was about something that this host sees: convergence is
 * measured by it.
 */
export function concerns(view: View, before: Before, host: string): boolean {
  for (const [key, old] of before) {
    const resource = getKey(view, key) ?? old;
    if (resource === undefined || isVisible(view, host, resource)) return true;
  }
  return false;
}

function wasVisible(
  view: View,
  delta: CommitDelta,
  carried: ReadonlySet<string> | undefined,
  host: string,
  resource: Endpoint | Move,
): boolean {
  if (resource.spec.host === host) return true;
  if (resource.kind === "move") return false;
  const network = networkBefore(view, delta, resource.spec.network);
  if (network === undefined || !isShared(network, resource, delta.peeredBefore)) return false;
  return carried === undefined ? carries(view, network.spec.vrf, host) : carried.has(network.spec.vrf);
}

function networkBefore(view: View, delta: CommitDelta, name: string): Network | undefined {
  return networkIn(view, delta.before, name);
}

function networkIn(view: View, before: Before, name: string): Network | undefined {
  const key: Key = `network/${name}`;
  if (!before.has(key)) return view.network.get(name);
  const network = before.get(key);
  return network?.kind === "network" ? network : undefined;
}

/** VRFs that the host carried where the delta began: what it has there now, with the changes taken back. */
function carriedBefore(view: View, delta: CommitDelta, host: string): ReadonlySet<string> {
  const members = new Map<string, number>();
  for (const [network, index] of view.networks) {
    const count = index.members.get(host);
    if (count !== undefined) members.set(network, count);
  }
  const count = (resource: Resource | undefined, by: number) => {
    if ((resource?.kind !== "endpoint" && resource?.kind !== "block") || resource.spec.host !== host) return;
    members.set(resource.spec.network, (members.get(resource.spec.network) ?? 0) + by);
  };
  for (const [key, old] of delta.before) {
    count(getKey(view, key), -1);
    count(old, 1);
  }
  const carried = new Set<string>();
  for (const [name, count] of members) {
    const vrf = count > 0 ? networkBefore(view, delta, name)?.spec.vrf : undefined;
    if (vrf !== undefined) carried.add(vrf);
  }
  return carried;
}
