// The words: what a user may want and what the server hands out. One vocabulary from the API to the kernel compiler;
// agents watch the same resources that users write. Schemas are JSON Schema (TypeBox), so that the OpenAPI document,
// the parser of files and the types are one source.
//
// A resource is a value: `kind` and `name` are its identity for people, `uid` survives nothing (a network deleted and
// made again is another network), `revision` is the commit that last changed it. Status never lives in here.
import Type from "typebox";
import { type Value, oneOf, optional, strict, Text } from "./schema.ts";
import type { Ask } from "./check.ts";
import * as hosts from "./host.ts";
import { DriverName } from "./driver.ts";
import { CursorSpec, FreedSpec, HoldSpec } from "./addressRecords.ts";
import { MembershipSpec, MigrationSpec, MoveSpec } from "./members.ts";
import { Quota } from "./quota.ts";
import { AddressRange } from "./range.ts";
import * as routing from "./vrf.ts";
import { Qos } from "./qos.ts";
import { AllowedAddress, SecurityGroupSpec, Spoofing } from "./group.ts";

const Groups = (description: string) => optional(Type.Array(Type.String(), { maxItems: 32, description }));

export const Subnet = Type.Object(
  {
    cidr: Text("The network's addresses, like 10.1.0.0/16."),
    hostPrefix: optional(Type.Integer({ description: "ipam local: length of the block each host gets, like 24." })),
    gateway: optional(
      Text(
        "ipam global: the gateway's address on every host; `none` for an isolated segment. Default: the first address.",
      ),
    ),
  },
  strict,
);

export const Slice = Type.Object(
  {
    name: Text("What attaches ask for, like `mesos` or `docker`."),
    bridge: Text("Prefix of the bridge's name, like `m`: the bridge is `m-<network>`."),
  },
  strict,
);

/** Which pool a network's subnets come from, and under which id. */
const PoolLink = Type.Object(
  { name: Type.String(), id: Type.Integer({ minimum: 0, description: "Unique in the pool; it makes the subnets." }) },
  strict,
);

export const NetworkSpec = Type.Object(
  {
    driver: DriverName,
    ipam: oneOf(
      ["local", "global"],
      "local: each host has a block and assigns from it, hosts route to each other. " +
        "global: the server assigns, one segment over all hosts.",
    ),
    vrf: Text("Routing domain; by default the network's own name."),
    vni: optional(
      Type.Integer({
        minimum: 1,
        maximum: 16_777_215,
        description: "ipam global: the segment's VNI. Routed networks use their VRF's, reservations their parent's.",
      }),
    ),
    subnets: Type.Array(Subnet, {
      maxItems: 2,
      description: "At most one per family; none only if all ranges are `ether` or SLAAC, or for a reservation.",
    }),
    pool: optional(PoolLink),
    reservedFrom: optional(
      Text(
        "A reservation: the network that its ranges are pieces of. It is on the same segment, with the same VNI, " +
          "gateway and MTU; its addresses are its own.",
      ),
    ),
    tenant: optional(Text("Who a reservation is for: a name for people and quotas.")),
    quotas: optional(
      Type.Array(Quota, { description: "ipam global: what tenants may have of it. Who is not listed is not limited." }),
    ),
    ranges: optional(
      Type.Array(AddressRange, {
        description: "ipam global: only these addresses are given. Default: all of the subnets.",
      }),
    ),
    strategy: optional(
      oneOf(
        ["lowest", "next", "random"],
        "ipam global: which free address comes next. next: after the last one given. Default: lowest.",
      ),
    ),
    sticky: optional(
      Type.Boolean({
        description: "ipam global: an owner and interface that come back get the address they had, if it is free.",
      }),
    ),
    quarantine: optional(
      Type.Integer({
        minimum: 0,
        maximum: 31_536_000,
        description: "Seconds in which an address that was given back goes to nobody else. Default: 60.",
      }),
    ),
    dns: optional(Type.Array(Type.String(), { description: "Name servers that endpoints are told." })),
    mtu: optional(
      Type.Integer({
        minimum: 576,
        maximum: 65_450,
        description: "Default: the least underlay MTU of its hosts minus the tunnel's overhead.",
      }),
    ),
    slices: optional(
      Type.Array(Slice, {
        description: "ipam local: each host's block is divided evenly between these, in this order (a power of two).",
      }),
    ),
    masquerade: Type.Boolean({ description: "Whether its endpoints reach the outside under the host's address." }),
    qos: optional(Qos),
    enabled: Type.Boolean({ description: "A disabled network gets no new blocks and takes no new endpoints." }),
    cni: optional(
      Type.Union([Type.Boolean(), Type.Literal("portmap")], {
        description:
          "Whether hosts that are told where (`cni-dir`) keep a CNI configuration of it for container runtimes; " +
          "`portmap`: with the plugin of that name behind Weft, which publishes ports (its VRF needs `hostAccess`).",
      }),
    ),
    securityGroups: Groups("Groups of all its endpoints. None, here or at an endpoint: nothing is filtered."),
    spoofing: optional(Spoofing),
    description: optional(Type.String()),
  },
  strict,
);

/** How networks get an id, and subnets from it. A change concerns new networks only. */
export const PoolSpec = Type.Object(
  {
    driver: NetworkSpec.properties.driver,
    ipam: oneOf(["local", "global"], "Of new networks that do not say which."),
    ids: Type.Object(
      { first: Type.Integer({ minimum: 0 }), last: Type.Integer({ minimum: 0, maximum: 1_048_575 }) },
      { ...strict, description: "Both ends included; the lowest free one is taken." },
    ),
    globalSubnets: optional(
      Type.Array(Subnet, { maxItems: 2, description: "Of a global network; `<id>` in a cidr becomes the id." }),
    ),
    localSubnets: optional(
      Type.Array(Subnet, { maxItems: 2, description: "Of a local network, like 10.<id>.0.0/16 in blocks of /24." }),
    ),
    reserved: Type.Array(Type.String(), {
      description: "What no network of the pool may meet, like the cluster's own subnet: such ids are passed over.",
    }),
    overflow: optional(
      Type.Object(
        {
          cidr: Text("Networks beyond the last id get the next free part of it."),
          prefix: Type.Integer({ description: "Length of a part." }),
          hostPrefix: optional(Type.Integer({ description: "ipam local: length of each host's block." })),
        },
        strict,
      ),
    ),
    description: optional(Type.String()),
  },
  strict,
);

/**
 * One attachment of a workload. In a global network the server made it; in a local one the host's agent did and says
 * so.
 */
export const EndpointSpec = Type.Object(
  {
    network: Type.String(),
    host: Type.String(),
    owner: Text("What the endpoint belongs to: a name the caller gives, a container id."),
    ifname: Text("Interface in the workload's namespace."),
    netns: Text("Path of the workload's network namespace on its host."),
    mac: Type.String(),
    addresses: Type.Array(Type.String(), { description: "Without prefix length." }),
    range: optional(Text("The address range that the lease is from.")),
    slice: optional(Type.String()),
    workload: optional(
      Text("What the owner is an instance of: instances join and leave networks together (memberships)."),
    ),
    joined: optional(
      Type.Boolean({ description: "Made by a membership of its workload, not by hand; it goes with the membership." }),
    ),
    defaultRoute: optional(
      Type.Boolean({
        description:
          "Whether its interface is the workload's way out; else it leads to the VRF's subnets only. Default: the " +
          "workload's first interface of Weft's, by name.",
      }),
    ),
    qos: optional(Qos),
    tenant: optional(Text("Whose quota in the network it counts for.")),
    securityGroups: Groups("Groups of its own, beside its network's."),
    allowedAddresses: optional(Type.Array(AllowedAddress, { maxItems: 16 })),
    detaching: optional(Type.Boolean({ description: "Its host has been asked to detach it." })),
  },
  strict,
);

export const SPECS = {
  vrf: routing.VrfSpec,
  network: NetworkSpec,
  host: hosts.HostSpec,
  block: hosts.BlockSpec,
  vtep: hosts.VtepSpec,
  endpoint: EndpointSpec,
  pool: PoolSpec,
  membership: MembershipSpec,
  migration: MigrationSpec,
  move: MoveSpec,
  hold: HoldSpec,
  freed: FreedSpec,
  cursor: CursorSpec,
  securitygroup: SecurityGroupSpec,
} as const;

export type Kind = keyof typeof SPECS;
export type Subnet = Value<typeof Subnet>;
export type Slice = Value<typeof Slice>;
export type VrfSpec = Value<typeof routing.VrfSpec>;
export type NetworkSpec = Value<typeof NetworkSpec>;
export type HostSpec = Value<typeof hosts.HostSpec>;
export type VtepSpec = Value<typeof hosts.VtepSpec>;
export type EndpointSpec = Value<typeof EndpointSpec>;
type PoolSpec = Value<typeof PoolSpec>;

type Envelope<K extends Kind, S> = {
  readonly kind: K;
  readonly name: string;
  readonly uid: string;
  readonly revision: number;
  readonly spec: S;
};
export type Vrf = Envelope<"vrf", VrfSpec>;
export type Network = Envelope<"network", NetworkSpec>;
export type Host = Envelope<"host", HostSpec>;
export type Block = Envelope<"block", Value<typeof hosts.BlockSpec>>;
export type Vtep = Envelope<"vtep", VtepSpec>;
export type Endpoint = Envelope<"endpoint", EndpointSpec>;
export type Pool = Envelope<"pool", PoolSpec>;
export type Membership = Envelope<"membership", Value<typeof MembershipSpec>>;
export type Migration = Envelope<"migration", Value<typeof MigrationSpec>>;
export type Move = Envelope<"move", Value<typeof MoveSpec>>;
export type Hold = Envelope<"hold", Value<typeof HoldSpec>>;
export type Freed = Envelope<"freed", Value<typeof FreedSpec>>;
export type Cursor = Envelope<"cursor", Value<typeof CursorSpec>>;
export type SecurityGroup = Envelope<"securitygroup", Value<typeof SecurityGroupSpec>>;
export type Resource =
  | Vrf
  | Network
  | Host
  | Block
  | Vtep
  | Endpoint
  | Pool
  | Membership
  | Migration
  | Move
  | Hold
  | Freed
  | Cursor
  | SecurityGroup;
export type ResourceOf<K extends Kind> = Extract<Resource, { readonly kind: K }>;

/** Identity over all kinds: `network/blue`. */
export type Key = `${Kind}/${string}`;
export function keyOfResource(resource: { readonly kind: Kind; readonly name: string }): Key {
  return `${resource.kind}/${resource.name}`;
}

/** All (relevant) resources at one revision. Lists are in no particular order; nobody may depend on it. */
export type Snapshot = {
  readonly cluster: string;
  readonly revision: number;
  /** Of which history the revision is: two pasts of one cluster may have the same numbers (a restored backup). */
  readonly history?: string;
} & { readonly [K in Kind as (typeof LIST_OF)[K]]: readonly ResourceOf<K>[] };

/** Where a snapshot has the resources of a kind. */
const LIST_OF = {
  vrf: "vrfs",
  network: "networks",
  host: "hosts",
  block: "blocks",
  vtep: "vteps",
  endpoint: "endpoints",
  pool: "pools",
  membership: "memberships",
  migration: "migrations",
  move: "moves",
  hold: "holds",
  freed: "freed",
  cursor: "cursors",
  securitygroup: "securityGroups",
} as const satisfies { readonly [K in Kind]: string };
// SPECS has the kinds as its keys.
export const KINDS = Object.keys(SPECS) as readonly Kind[];

/** A snapshot with the list that `list` gives of each kind. */
export function snapshotWith(
  { cluster, revision }: { readonly cluster: string; readonly revision: number },
  list: <K extends Kind>(kind: K) => readonly ResourceOf<K>[],
): Snapshot {
  // Each list is under the name of the kind it holds; TypeScript cannot relate the two by itself.
  const lists = Object.fromEntries(KINDS.map((kind) => [LIST_OF[kind], list(kind)])) as unknown as Omit<
    Snapshot,
    "cluster" | "revision" | "history"
  >;
  return { cluster, revision, ...lists } as Snapshot;
}

export function listIn<K extends Kind>(snapshot: Snapshot, kind: K): readonly ResourceOf<K>[] {
  return snapshot[LIST_OF[kind]] as unknown as readonly ResourceOf<K>[];
}

/** Every resource of a snapshot. */
export function resourcesIn(snapshot: Snapshot): readonly Resource[] {
  return KINDS.flatMap((kind): readonly Resource[] => listIn(snapshot, kind));
}

/** One resource put, or removed, by the commit of a revision. */
export type Change = { readonly put: Resource } | { readonly remove: Key };
/**
 * Everything one commit did. A watch delivers these in revision order; `changes` may be empty (a bookmark). A host's
 * watch may also bring a question that the host answers by itself; then there are no changes.
 */
export type ChangeSet = {
  readonly revision: number;
  readonly changes: readonly Change[];
  readonly ask?: Ask;
  /** Only in the first set of a watch, which says nothing else: of which history all that follows is. */
  readonly history?: string;
};
/** How far somebody has followed a server: revisions of different histories are not to be compared. */
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

/** Names are made of names with a character that none can have. */
export function membershipName(network: string, workload: string): string {
  return `${network}~${workload}`;
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
  const lists = new Map<Kind, Resource[]>(KINDS.map((kind) => [kind, []]));
  for (const resource of resources) lists.get(resource.kind)?.push(resource);
  return snapshotWith(
    { cluster, revision },
    <K extends Kind>(kind: K) => (lists.get(kind) ?? []) as unknown as ResourceOf<K>[],
  );
}
