// All resources at one revision, with the indexes for admission and visibility. It changes in place, each change at a
// cost that does not depend on the amount, and every change can be undone. Every index is a function of the resources:
// a view that is rebuilt from a list of them is equal (a test compares). It decides nothing.
import { type Family, ipOf, parseCidr } from "../../model/address.ts";
import { namesHost, prefixesOf } from "../../model/carrying.ts";
import { isOver } from "../../model/kinds/membership.ts";
import { ALL_KINDS, recordOf, referencesIn } from "../../model/kinds.ts";
import type { OwnedQuota } from "../../model/quota.ts";
import { keyOfResource } from "../../model/resource.ts";
import type { Change, Host, Key, Kind, Move, Resource, ResourceOf, Vtep } from "../../model/resource.ts";
import { type Audiences, indexAudiences, sortedNames } from "./audience.ts";
import { type Owned, indexOwned } from "./owned.ts";
import type { Principal } from "./principal.ts";
import { peersIn } from "../../model/group.ts";
import { Intervals } from "../../ipam/intervals.ts";
import { PrefixTree } from "../../ipam/prefixTree.ts";
import { Sorted } from "../../ipam/sorted.ts";
import {
  type NetworkIndexes,
  byTime,
  count,
  group,
  include,
  indexBlock,
  indexEndpoint,
  indexFreed,
  indexHold,
  indexReservation,
  mark,
  own,
} from "./networkIndex.ts";

type PerFamily<T> = { readonly [F in Family]: T };
type VrfIndex = {
  readonly networks: Set<string>;
  /** Of its networks. */
  readonly prefixes: PerFamily<PrefixTree>;
  readonly vteps: Map<string, Vtep>;
  readonly assigned: PerFamily<Intervals>;
};

export type View = NetworkIndexes & {
  readonly cluster: string;
  revision: number;
  /** Moves that are not over, by the endpoint that goes. */
  readonly moving: Map<string, Move>;
  /** How many rules name a group as their peer: hosts need to know its members. */
  readonly peered: Map<string, number>;
  /** Keys of resources that refer to another, by its key: of kinds whose record says so. */
  readonly referrers: Map<Key, Set<Key>>;
  /** Names of ACL rules that name a resource, by its key. */
  readonly ruled: Map<Key, Set<string>>;
  readonly vrfs: Map<string, VrfIndex>;
  /** Subnets of the networks that name a pool, by the pool. */
  readonly pooled: Map<string, PerFamily<PrefixTree>>;
  /** Host names by underlay address. */
  readonly underlays: Map<string, string>;
  /** Who has a VNI: a VRF or a switched network. */
  readonly vniOwners: Map<number, Key>;
  /** Which network has a VLAN, by its vlanKey(). */
  readonly vlanOwners: Map<string, Key>;
  readonly vnis: Intervals;
  readonly vrfIndexes: Intervals;
  readonly owned: Owned;
  /** Of users and groups that have one, by their keys. */
  readonly quotas: Map<string, OwnedQuota>;
  /** Users as the rights see them; made when one asks, until what they are made of changes. */
  readonly principals: Map<string, Principal>;
  /** Lists made from the maps, until the next change of their kind. */
  readonly lists: Map<Kind, readonly Resource[]>;
  /** Names in order, of kinds that were listed in pages. */
  readonly names: Map<Kind, Sorted<string>>;
  /** Whom resources concern, of kinds that a user has listed. */
  readonly audiences: Map<Kind, Audiences>;
} & Maps;
type Maps = { readonly [K in Kind]: Map<string, ResourceOf<K>> };

/** The view of these resources. */
export function viewOf(cluster: string, revision: number, resources: Iterable<Resource>): View {
  const view: View = {
    ...(Object.fromEntries(ALL_KINDS.map((kind) => [kind, new Map()])) as unknown as Maps),
    cluster,
    revision,
    moving: new Map(),
    peered: new Map(),
    owned: new Map(),
    quotas: new Map(),
    referrers: new Map(),
    ruled: new Map(),
    networks: new Map(),
    vrfs: new Map(),
    pooled: new Map(),
    residents: new Map(),
    underlays: new Map(),
    vniOwners: new Map(),
    vlanOwners: new Map(),
    vnis: new Intervals(),
    vrfIndexes: new Intervals(),
    expiring: new Sorted(byTime),
    quarantines: new Sorted(byTime),
    principals: new Map(),
    leases: new Map(),
    lists: new Map(),
    names: new Map(),
    audiences: new Map(),
  };
  for (const resource of resources) index(view, resource, true);
  return view;
}

export function get<K extends Kind>(view: View, kind: K, name: string): ResourceOf<K> | undefined {
  return mapOf(view, kind).get(name);
}

export function getKey(view: View, key: Key): Resource | undefined {
  const { kind, name } = partsOf(key);
  return get(view, kind, name);
}

/** Everything of a kind, in no order; the same list until one of them changes. */
export function listOf<K extends Kind>(view: View, kind: K): readonly ResourceOf<K>[] {
  const known = view.lists.get(kind);
  // The cache is filled below, under the same kind.
  if (known !== undefined) return known as readonly ResourceOf<K>[];
  const list = [...mapOf(view, kind).values()];
  view.lists.set(kind, list);
  return list;
}

/**
 * Names of a kind in order. Made when a page is first asked for and kept from then on: measured with a million
 * endpoints, sorting them for each page after a change took more than two seconds.
 */
export function namesOf(view: View, kind: Kind): Sorted<string> {
  let names = view.names.get(kind);
  if (names === undefined) {
    names = sortedNames();
    for (const name of [...mapOf(view, kind).keys()].sort()) names.add(name);
    view.names.set(kind, names);
  }
  return names;
}

/** Whom the resources of a kind concern. Made when a user first asks, and kept from then on, as the names are. */
export function audiencesIn(view: View, kind: Kind): Audiences {
  let audiences = view.audiences.get(kind);
  if (audiences === undefined) {
    audiences = new Map();
    for (const resource of mapOf(view, kind).values()) indexAudiences(audiences, resource, true);
    view.audiences.set(kind, audiences);
  }
  return audiences;
}

export function hostsInOrder(view: View): Host[] {
  return [...view.host.values()].sort((a, b) => a.spec.order - b.spec.order);
}

/**
 * Whether a host carries a VRF: it has a block or an endpoint in one of its networks, or one names it. As carrying.ts
 * `vrfsOn`, and with hosts that `*` leaves out: what these are told does not depend on what they can do.
 */
export function carries(view: View, vrf: string, host: string): boolean {
  for (const network of view.vrfs.get(vrf)?.networks ?? []) {
    if (view.networks.get(network)?.members.has(host)) return true;
    const spec = view.network.get(network)?.spec;
    if (spec !== undefined && isNaming(spec) && namesHost(spec, host)) return true;
  }
  return false;
}

/** Of most networks neither is given, and this is asked for each of them. */
function isNaming({ hosts, hostAddresses }: ResourceOf<"network">["spec"]): boolean {
  return hosts !== undefined || hostAddresses !== undefined;
}

const NO_NAMES: ReadonlySet<string> = new Set();
export function residentsOf(view: View, host: string): ReadonlySet<string> {
  return view.residents.get(host) ?? NO_NAMES;
}

/** What each changed key was before; absent resources are undefined. Applying its inverse undoes the changes. */
export type Before = ReadonlyMap<Key, Resource | undefined>;

/**
 * Makes the changes of one commit, whose keys are distinct, in any order; returns what they replaced. The revision is
 * the caller's to set. Everything old leaves the indexes before anything new enters, so values may move between
 * resources.
 */
export function applyChanges(view: View, changes: readonly Change[]): Before {
  const before = new Map<Key, Resource | undefined>();
  for (const change of changes) {
    const key = "put" in change ? keyOfResource(change.put) : change.remove;
    const old = getKey(view, key);
    before.set(key, old);
    if (old !== undefined) index(view, old, false);
  }
  for (const change of changes) if ("put" in change) index(view, change.put, true);
  return before;
}

/** Puts everything back as `before` says; returns what undoes that. */
export function undoChanges(view: View, before: Before): Before {
  return applyChanges(
    view,
    [...before].map(([key, old]) => (old === undefined ? { remove: key } : { put: old })),
  );
}

export function partsOf(key: Key): { readonly kind: Kind; readonly name: string } {
  const slash = key.indexOf("/");
  // A Key is made of a kind and a name by its type.
  return { kind: key.slice(0, slash) as Kind, name: key.slice(slash + 1) };
}

function mapOf<K extends Kind>(view: View, kind: K): Map<string, ResourceOf<K>> {
  // Each map is under the kind it holds; TypeScript cannot relate the two by itself.
  return view[kind] as unknown as Map<string, ResourceOf<K>>;
}

/** Takes a resource into the view, or out of it. */
function index(view: View, resource: Resource, enters: boolean): void {
  const { kind, name } = resource;
  view.lists.delete(kind);
  const names = view.names.get(kind);
  if (names !== undefined) include(names, name, enters);
  const audiences = view.audiences.get(kind);
  if (audiences !== undefined) indexAudiences(audiences, resource, enters);
  own(mapOf(view, kind), name, resource, enters);
  for (const indexOf of INDEXES_OF.get(kind) ?? []) indexOf(view, resource, enters);
}

type Index<R> = (view: View, resource: R, enters: boolean) => void;

/** What is known besides the resources themselves, of kinds with indexes of their own. */
const INDEXES: { readonly [K in Kind]?: Index<ResourceOf<K>> } = {
  vrf(view, vrf, enters) {
    if (enters || !isHeld(view, vrf.spec.vni, vrf.name)) indexVni(view, vrf.spec.vni, keyOfResource(vrf), enters);
    mark(view.vrfIndexes, BigInt(vrf.spec.index), BigInt(vrf.spec.index), enters);
  },
  network(view, network, enters) {
    const { vni, vrf, parent, vlan, outerVlan, isolated } = network.spec;
    view.leases.delete(network.name);
    if (vni !== undefined && (enters || !isHeld(view, vni, vrf, network.name)))
      indexVni(view, vni, keyOfResource(network), enters);
    // Of islands there may be several.
    if (parent !== undefined && isolated !== true)
      own(view.vlanOwners, vlanKey(parent, outerVlan, vlan ?? UNTAGGED), keyOfResource(network), enters);
    include(vrfIndex(view, vrf).networks, network.name, enters);
    indexPrefixes(vrfIndex(view, vrf).prefixes, prefixesOf(network.spec), enters);
    indexPooled(view, network.spec, enters);
    indexReservation(view, network, enters);
    if (!enters) forgetIfEmptyVrf(view, vrf);
  },
  host(view, { name, spec }, enters) {
    forgetPrincipals(view);
    own(view.underlays, spec.underlay, name, enters);
  },
  block: indexBlock,
  vtep(view, vtep, enters) {
    const { vrf, host, ip, ip6 } = vtep.spec;
    const index = vrfIndex(view, vrf);
    for (const { family, value } of [ip, ip6].map((text) => ipOf(text ?? "")).filter((one) => one !== undefined))
      mark(index.assigned[family], value, value, enters);
    own(index.vteps, host, vtep, enters);
    if (!enters) forgetIfEmptyVrf(view, vrf);
  },
  endpoint: indexEndpoint,
  move(view, move, enters) {
    if (!isOver(move)) own(view.moving, move.spec.endpoint, move, enters);
  },
  /** What its hosts still have, no other network or VRF gets. */
  conversion(view, { spec: { vrf, network, from, to } }, enters) {
    const owner: Key = network === undefined ? `vrf/${vrf}` : `network/${network}`;
    const { vni } = (network === undefined ? view.vrf.get(vrf) : view.network.get(network))?.spec ?? {};
    if (from.vni === undefined || from.vni === to.vni || (!enters && vni === from.vni)) return;
    indexVni(view, from.vni, owner, enters);
  },
  user(view, user, enters) {
    forgetPrincipals(view);
    indexQuota(view, user, enters);
  },
  usergroup: indexQuota,
  aclrule(view, { name, spec: { resource } }, enters) {
    forgetPrincipals(view);
    const { kinds, hostcluster } = resource;
    if (hostcluster !== undefined) group(view.ruled, `hostcluster/${hostcluster}`, name, enters);
    for (const kind of resource.name === undefined ? [] : kinds)
      group(view.ruled, `${kind}/${resource.name}`, name, enters);
  },
  hostcluster: forgetPrincipals,
  hold: indexHold,
  freed: indexFreed,
  securitygroup(view, { spec }, enters) {
    for (const peer of peersIn(spec)) count(view.peered, peer, enters ? 1 : -1);
  },
};

function indexQuota(view: View, { kind, name, spec }: ResourceOf<"user" | "usergroup">, enters: boolean): void {
  if (spec.quota !== undefined) own(view.quotas, `${kind}/${name}`, spec.quota, enters);
}

function forgetPrincipals(view: View): void {
  view.principals.clear();
}

function indexReferences(view: View, resource: Resource, enters: boolean): void {
  for (const to of referencesIn(resource.kind, resource.spec))
    group(view.referrers, keyOfResource(to), keyOfResource(resource), enters);
}

/** Of every kind, looked up once: a view of a million resources asks for each. */
const INDEXES_OF = new Map(
  ALL_KINDS.map((kind) => [
    kind,
    [
      INDEXES[kind],
      recordOf(kind).refersTo && indexReferences,
      recordOf(kind).owned === true ? indexOwned : undefined,
    ].filter((index) => index !== undefined),
  ]),
) as ReadonlyMap<Kind, readonly Index<Resource>[]>;

/** In place of a VLAN: frames without a tag. */
export const UNTAGGED = 0;

/** A VLAN of a physical network, or inside of an outer one: names have no slash. */
export function vlanKey(parent: string, outer: number | undefined, vlan: number): string {
  return `${parent}/${outer ?? ""}/${vlan}`;
}

/** Whether a conversion has the VNI for its network, or VRF. Of the two, whichever leaves last frees it. */
function isHeld(view: View, vni: number, vrf: string, network?: string): boolean {
  const spec = view.conversion.get(vrf)?.spec;
  return spec !== undefined && spec.network === network && spec.from.vni === vni && spec.to.vni !== vni;
}

function indexVni(view: View, vni: number, owner: Key, enters: boolean): void {
  if (own(view.vniOwners, vni, owner, enters)) mark(view.vnis, BigInt(vni), BigInt(vni), enters);
}

function indexPrefixes(trees: PerFamily<PrefixTree>, cidrs: readonly string[], enters: boolean): void {
  for (const text of cidrs) {
    const cidr = parseCidr(text, "network");
    include(trees[cidr.family], cidr, enters);
  }
}

function indexPooled(view: View, { pool, subnets }: ResourceOf<"network">["spec"], enters: boolean): void {
  if (pool === undefined) return;
  const trees = view.pooled.get(pool.name) ?? newTrees();
  const cidrs = subnets.map(({ cidr }) => cidr);
  indexPrefixes(trees, cidrs, enters);
  if (trees[4].root === undefined && trees[6].root === undefined) view.pooled.delete(pool.name);
  else view.pooled.set(pool.name, trees);
}

function newTrees(): PerFamily<PrefixTree> {
  return { 4: new PrefixTree(), 6: new PrefixTree() };
}

function vrfIndex(view: View, name: string): VrfIndex {
  let index = view.vrfs.get(name);
  if (index === undefined) {
    index = {
      networks: new Set(),
      prefixes: newTrees(),
      vteps: new Map(),
      assigned: { 4: new Intervals(), 6: new Intervals() },
    };
    view.vrfs.set(name, index);
  }
  return index;
}

function forgetIfEmptyVrf(view: View, name: string): void {
  const index = view.vrfs.get(name);
  if (index !== undefined && index.networks.size === 0 && index.vteps.size === 0) view.vrfs.delete(name);
}
