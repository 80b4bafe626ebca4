// Resources: what users write, the server keeps and agents watch, of one type from the API to the compiler. Schemas are
// JSON Schema (TypeBox), one source for the OpenAPI document, the parser of files and the types.
//
// A resource is a value: `kind` and `name` are its identity for people, `uid` survives nothing (a network deleted and
// made again is another network), `revision` is the commit that last changed it. Status never lives in here.
import type { Ask } from "./check.ts";
import type { Access, Lock } from "./rights.ts";
import { ALL_KINDS, LISTS, type Kind, type ListOf, type SpecOf } from "./kinds.ts";

export type { Kind } from "./kinds.ts";

type Resources = {
  readonly [K in Kind]: {
    readonly kind: K;
    readonly name: string;
    readonly uid: string;
    readonly revision: number;
    readonly spec: SpecOf<K>;
    /** Of kinds that are owned; agents do not get it. Absent: the administrators'. */
    readonly access?: Access;
    /** As `access`. */
    readonly lock?: Lock;
    /** The user who has locked it; absent: an administrator. */
    readonly lockedBy?: string;
  };
};
export type ResourceOf<K extends Kind> = Resources[K];
export type Resource = ResourceOf<Kind>;
export type Vrf = ResourceOf<"vrf">;
export type Network = ResourceOf<"network">;
export type Host = ResourceOf<"host">;
export type Block = ResourceOf<"block">;
export type Vtep = ResourceOf<"vtep">;
export type Endpoint = ResourceOf<"endpoint">;
export type Pool = ResourceOf<"pool">;
export type Membership = ResourceOf<"membership">;
export type Migration = ResourceOf<"migration">;
export type Move = ResourceOf<"move">;
export type Hold = ResourceOf<"hold">;
export type Freed = ResourceOf<"freed">;
export type Conversion = ResourceOf<"conversion">;
export type SecurityGroup = ResourceOf<"securitygroup">;
export type AclRule = ResourceOf<"aclrule">;
export type HostCluster = ResourceOf<"hostcluster">;
export type PhysicalNetwork = ResourceOf<"physicalnetwork">;
export type Template = ResourceOf<"template">;
export type VrfSpec = Vrf["spec"];
export type NetworkSpec = Network["spec"];
export type HostSpec = Host["spec"];
export type VtepSpec = Vtep["spec"];
export type EndpointSpec = Endpoint["spec"];
export type Subnet = NetworkSpec["subnets"][number];
export type HostAddress = NonNullable<NetworkSpec["allocatedAddresses"]>[number];
export type Slice = NonNullable<NetworkSpec["slices"]>[number];
export type Quota = NonNullable<NetworkSpec["quotas"]>[number];

/** Identity over all kinds: `network/blue`. */
export type Key = `${Kind}/${string}`;
export function keyOfResource(resource: { readonly kind: Kind; readonly name: string }): Key {
  return `${resource.kind}/${resource.name}`;
}

/** All (visible) resources at one revision. Lists have no particular order, and no code may depend on one. */
export type Snapshot = {
  readonly cluster: string;
  readonly revision: number;
  /** The history of the revision: two histories of one cluster may have the same revisions (a restored backup). */
  readonly history?: string;
} & { readonly [K in Kind as ListOf<K>]: readonly ResourceOf<K>[] };

/** A snapshot with the list that `list` gives of each kind. */
export function snapshotWith(
  { cluster, revision }: { readonly cluster: string; readonly revision: number },
  list: <K extends Kind>(kind: K) => readonly ResourceOf<K>[],
): Snapshot {
  // Each list is under the name of the kind it holds; TypeScript cannot relate the two by itself.
  const lists: object = Object.fromEntries(ALL_KINDS.map((kind) => [LISTS[kind], list(kind)]));
  return { cluster, revision, ...lists } as Snapshot;
}

export function listIn<K extends Kind>(snapshot: Snapshot, kind: K): readonly ResourceOf<K>[] {
  // Of a version that did not know the kind, it has no such list.
  const list: readonly Resource[] | undefined = snapshot[LISTS[kind as Kind]];
  return (list ?? []) as readonly ResourceOf<K>[];
}

/** Every resource of a snapshot. */
export function resourcesIn(snapshot: Snapshot): readonly Resource[] {
  return ALL_KINDS.flatMap((kind): readonly Resource[] => listIn(snapshot, kind));
}

/** One resource put, or removed, by the commit of a revision. */
export type Change = { readonly put: Resource } | { readonly remove: Key };
/**
 * Everything that one commit did. A watch delivers change sets in the order of revisions; `changes` may be empty (a
 * bookmark). A host's watch may also carry a question that the agent answers; then there are no changes.
 */
export type ChangeSet = {
  readonly revision: number;
  readonly changes: readonly Change[];
  readonly ask?: Ask;
  /** Only in the first set of a watch, alone: the history of everything that follows. */
  readonly history?: string;
};
/** How far a host has followed a server: revisions of different histories cannot be compared. */
export type Position = { readonly history: string; readonly revision: number };

/** Name of a block: one per network, host and family. */
export function blockName(network: string, host: string, family: 4 | 6): string {
  return `${network}.${host}.${family}`;
}
export function vtepName(vrf: string, host: string): string {
  return `${vrf}.${host}`;
}
/** Name of an endpoint: an owner has at most one interface of a name. */
export function endpointName(owner: string, ifname: string): string {
  return `${owner}.${ifname}`;
}

/** A name made of others, joined by a character that no name has. */
export function membershipName({ network, workload, user }: Membership["spec"]): string {
  return `${network}~${workload}${user === undefined ? "" : `~${user}`}`;
}
export function moveName(migration: string, endpoint: string): string {
  return `${migration}~${endpoint}`;
}

/** A span of addresses is named after its first: spans of a network are disjoint. */
export function holdName(network: string, first: string): string {
  return `${network}:${first}`;
}
export function cursorName(network: string, range: string): string {
  return `${network}:${range}`;
}

/** An empty snapshot: where a mirror and a store begin. */
export function emptySnapshot(cluster: string): Snapshot {
  return snapshotWith({ cluster, revision: 0 }, () => []);
}

/** A snapshot from any collection of resources. */
export function snapshotOf(cluster: string, revision: number, resources: Iterable<Resource>): Snapshot {
  const lists: ReadonlyMap<Kind, unknown> = Map.groupBy(resources, ({ kind }) => kind);
  return snapshotWith({ cluster, revision }, (kind) => (lists.get(kind) ?? []) as ResourceOf<typeof kind>[]);
}
