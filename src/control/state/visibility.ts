// What one host sees, by the records of kinds (`seenBy`). All hosts see VRFs, networks, hosts, VTEPs, blocks,
// memberships and security groups, which grow with hosts and rules, not with endpoints. A host sees its own endpoints
// and moves, and the shared endpoints of the VRFs that it carries: those of switched networks, where each is an FDB
// entry, and members of a security group that a rule has as its peer. Its first endpoint in a VRF therefore makes the
// others visible, its last one hides them again, and a rule shows or hides a group's members, although none of them
// changed.
//
// Pure: a view at one revision, and what was before the commit that led to it.
import { allHostAddresses, namesHost } from "../../model/carrying.ts";
import { groupsOf, peersIn } from "../../model/group.ts";
import { ALL_KINDS, recordOf } from "../../model/kinds.ts";
import {
  type Change,
  type Endpoint,
  type Key,
  type Kind,
  type Network,
  type Resource,
  type ResourceOf,
  type Snapshot,
  keyOfResource,
  snapshotWith,
} from "../../model/resource.ts";
import { type Before, type View, carries, getKey, listOf, residentsOf } from "./view.ts";

/** Everything an administrator sees. */
export function fullSnapshot(view: View): Snapshot {
  return snapshotWith(view, (kind) => listOf(view, kind));
}

/**
 * As hosts see it: whose it is does not concern them, but that of an endpoint, because its workload is in what this
 * user joins. The same value for most, which no user owns.
 */
export function bare<R extends Resource>(resource: R): R {
  if (resource.access === undefined && resource.lock === undefined) return resource;
  const { access, lock: _, lockedBy: __, ...rest } = resource;
  if (resource.kind !== "endpoint" || access?.owner === undefined) return rest as R;
  return { ...rest, spec: { ...resource.spec, user: access.owner } } as R;
}

function bareList<R extends Resource>(list: readonly R[]): readonly R[] {
  return list.some(({ access, lock }) => access !== undefined || lock !== undefined) ? list.map(bare) : list;
}

function putBare(resource: Resource): Change {
  return { put: bare(resource) };
}

/** What one host sees. */
export function snapshotFor(view: View, host: string): Snapshot {
  return snapshotWith(view, <K extends Kind>(kind: K): readonly ResourceOf<K>[] => {
    const { seenBy } = recordOf(kind);
    if (seenBy === "none") return [];
    if (seenBy === "all") return bareList(listOf(view, kind));
    // The list of all endpoints is the long one: it is made for those who see them all.
    if (kind === "endpoint")
      return bareList([...endpointsFor(view, host)]) as readonly Resource[] as readonly ResourceOf<K>[];
    return bareList(listOf(view, kind).filter((resource) => isVisible(view, host, resource)));
  });
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

/** Whether a host sees a resource; with `past`, whether it did before that delta. */
export function isVisible(view: View, host: string, resource: Resource, past?: Sight): boolean {
  const { kind } = resource;
  const { seenBy } = recordOf(kind);
  if (typeof seenBy === "string") return seenBy === "all";
  if ("host" in seenBy) {
    if (fieldOf(resource, seenBy.host) === host) return true;
    if (kind !== "endpoint") return false;
  }
  const name = fieldOf(resource, "host" in seenBy ? "network" : seenBy.carriersOf);
  const network = past === undefined ? view.network.get(name) : networkIn(view, past.delta.before, name);
  if (network === undefined) return false;
  if (kind === "endpoint" && !isShared(network, resource, past?.delta.peeredBefore ?? view.peered)) return false;
  return past?.carried?.has(network.spec.vrf) ?? carries(view, network.spec.vrf, host);
}

/** The name in a field that the kind's record speaks of. */
function fieldOf({ spec }: Resource, field: string): string {
  return String((spec as { readonly [field: string]: unknown })[field]);
}

/** What a commit did, sorted once for all hosts. */
export type CommitDelta = {
  readonly before: Before;
  /** Changes that all hosts see. */
  readonly common: readonly Change[];
  /** These, and every one of the particular. */
  readonly whole: readonly Change[];
  /** Changes of what some hosts see. */
  readonly particular: readonly {
    readonly key: Key;
    readonly before: Resource | undefined;
    readonly after: Resource | undefined;
  }[];
  /** Hosts that may carry other VRFs than before; "all" when a network has another VRF or names other hosts. */
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
    const seenBy = kind === undefined ? "none" : recordOf(kind).seenBy;
    if (seenBy === "none") continue;
    for (const resource of [old, now]) {
      if (resource?.kind === "endpoint" || resource?.kind === "block") movers.add(resource.spec.host);
    }
    if (old?.kind === "network" && now?.kind === "network" && old.spec.vrf !== now.spec.vrf) everybodyMoves = true;
    if (hostsOf(old) !== hostsOf(now)) everybodyMoves = true;
    if (seenBy !== "all") particular.push({ key, before: old, after: now });
    else if (now !== undefined) common.push(putBare(now));
    else if (old !== undefined) common.push({ remove: key });
  }
  const whole = [
    ...common,
    ...particular.map(({ key, after }) => (after === undefined ? { remove: key } : putBare(after))),
  ];
  const peeredBefore = peersBefore(view, before);
  const turned = turnedBy(view, before, peeredBefore);
  return { before, common, whole, particular, movers: everybodyMoves ? "all" : movers, turned, peeredBefore };
}

/** Hosts that a network names, as a text to compare. */
function hostsOf(resource: Resource | undefined): string {
  if (resource?.kind !== "network") return "";
  const { hosts = [], clusterHosts = [] } = resource.spec;
  return [...hosts, "in", ...clusterHosts, "at", ...allHostAddresses(resource.spec).map(({ host }) => host)].join();
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
  const networks = isAny ? [...view.network.keys()] : [...before.keys()].flatMap(networkKey);
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

/** How a host looks at a delta; `carried`: the VRFs it carried before, if those may be others now. */
type Sight = {
  readonly view: View;
  readonly delta: CommitDelta;
  readonly host: string;
  readonly carried: ReadonlySet<string> | undefined;
};

/** What takes this host's mirror along the delta: `common` or `whole` itself if it is the same. */
export function changesFor(view: View, delta: CommitDelta, host: string): readonly Change[] {
  const moves = delta.movers === "all" || delta.movers.has(host);
  if (delta.particular.length === 0 && delta.turned.length === 0 && !moves) return delta.common;
  const sight: Sight = { view, delta, host, carried: moves ? carriedBefore(view, delta, host) : undefined };
  const changes = [...delta.common];
  let differs = false;
  for (const { key, before, after } of delta.particular) {
    if (after !== undefined && isVisible(view, host, after)) changes.push(putBare(after));
    else if (before !== undefined && isVisible(view, host, before, sight)) {
      changes.push({ remove: key });
      differs ||= after !== undefined;
    } else differs = true;
  }
  const turns = turnsFor(sight);
  changes.push(...turns, ...carriedAnew(sight));
  if (changes.length === delta.common.length) return delta.common;
  return differs || turns.length > 0 || changes.length > delta.whole.length ? changes : delta.whole;
}

/** What did not change, but is of VRFs that the host carries now and did not before, or no longer does. */
function carriedAnew(sight: Sight): Change[] {
  const { view, delta, host, carried } = sight;
  if (carried === undefined) return [];
  const changes: Change[] = [];
  const turned = new Set(delta.turned.map(({ endpoint }) => endpoint));
  for (const [vrf, index] of view.vrfs) {
    const carriesNow = carries(view, vrf, host);
    if (carriesNow === carried.has(vrf)) continue;
    for (const endpoint of sharedIn(view, index.networks)) {
      const key: Key = `endpoint/${endpoint.name}`;
      if (delta.before.has(key) || endpoint.spec.host === host || turned.has(endpoint)) continue;
      changes.push(carriesNow ? putBare(endpoint) : { remove: key });
    }
  }
  for (const resource of CARRIED_KINDS.flatMap((kind): readonly Resource[] => listOf(view, kind))) {
    const key = keyOfResource(resource);
    const isNow = isVisible(view, host, resource);
    if (delta.before.has(key) || isNow === isVisible(view, host, resource, sight)) continue;
    changes.push(isNow ? putBare(resource) : { remove: key });
  }
  return changes;
}

/** Kinds that hosts see if they carry the VRF of their network. */
const CARRIED_KINDS = ALL_KINDS.filter((kind) => {
  const { seenBy } = recordOf(kind);
  return typeof seenBy === "object" && "carriersOf" in seenBy;
});

/** Endpoints that a rule, or their network's groups, brought into sight or out of it. */
function turnsFor(sight: Sight): Change[] {
  const { view, delta, host } = sight;
  return delta.turned.flatMap(({ endpoint, isShared: isNow }): Change[] => {
    if (endpoint.spec.host === host) return [];
    if (isNow) return isVisible(view, host, endpoint) ? [putBare(endpoint)] : [];
    return isVisible(view, host, endpoint, sight) ? [{ remove: `endpoint/${endpoint.name}` }] : [];
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

function networkIn(view: View, before: Before, name: string): Network | undefined {
  const key: Key = `network/${name}`;
  const network = before.has(key) ? before.get(key) : view.network.get(name);
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
  const named = new Set([...view.network.keys(), ...delta.before.keys().flatMap((key) => networkKey(key))]);
  for (const name of named) {
    const spec = networkIn(view, delta.before, name)?.spec;
    if (spec !== undefined && namesHost(spec, host)) carried.add(spec.vrf);
  }
  for (const [name, count] of members) {
    const vrf = count > 0 ? networkIn(view, delta.before, name)?.spec.vrf : undefined;
    if (vrf !== undefined) carried.add(vrf);
  }
  return carried;
}

function networkKey(key: Key): readonly string[] {
  return key.startsWith("network/") ? [key.slice("network/".length)] : [];
}
