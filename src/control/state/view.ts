// All resources at one revision, with the indexes for admission and visibility. It changes in place, each change at a
// cost that does not depend on the amount, and every change can be undone. Every index is a function of the resources:
// a view that is rebuilt from a list of them is equal (a test compares). It decides nothing.
import { type Family, type Ip, ipOf } from "../../model/address.ts";
import { isOver } from "../../model/membership.ts";
import { ALL_KINDS, recordOf, referencesIn } from "../../model/kinds.ts";
import { keyOfResource } from "../../model/resource.ts";
import type { Change, Host, Key, Kind, Move, Resource, ResourceOf, Vtep } from "../../model/resource.ts";
import { peersIn } from "../../model/group.ts";
import { Intervals } from "../../ipam/intervals.ts";
import { Sorted } from "../../ipam/sorted.ts";
import {
  type NetworkIndexes,
  addBlock,
  addEndpoint,
  addFreed,
  addHold,
  addReservation,
  byTime,
  count,
  dropBlock,
  dropEndpoint,
  dropFreed,
  dropHold,
  dropReservation,
} from "./networkIndex.ts";

type PerFamily<T> = { readonly [F in Family]: T };
type VrfIndex = {
  readonly networks: Set<string>;
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
  readonly vrfs: Map<string, VrfIndex>;
  /** Host names by underlay address. */
  readonly underlays: Map<string, string>;
  /** Who has a VNI: a VRF or a switched network. */
  readonly vniOwners: Map<number, Key>;
  readonly vnis: Intervals;
  readonly vrfIndexes: Intervals;
  /** Lists made from the maps, until the next change of their kind. */
  readonly lists: Map<Kind, readonly Resource[]>;
  /** Names in order, of kinds that were listed in pages. */
  readonly names: Map<Kind, Sorted<string>>;
} & Maps;
type Maps = { readonly [K in Kind]: Map<string, ResourceOf<K>> };

export function emptyView(cluster: string): View {
  return {
    ...(Object.fromEntries(ALL_KINDS.map((kind) => [kind, new Map()])) as unknown as Maps),
    cluster,
    revision: 0,
    moving: new Map(),
    peered: new Map(),
    referrers: new Map(),
    networks: new Map(),
    vrfs: new Map(),
    residents: new Map(),
    underlays: new Map(),
    vniOwners: new Map(),
    vnis: new Intervals(),
    vrfIndexes: new Intervals(),
    expiring: new Sorted(byTime),
    quarantines: new Sorted(byTime),
    lists: new Map(),
    names: new Map(),
  };
}

export function viewOf(cluster: string, revision: number, resources: Iterable<Resource>): View {
  const view = emptyView(cluster);
  for (const resource of resources) add(view, resource);
  view.revision = revision;
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
    names = new Sorted<string>((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    for (const name of [...mapOf(view, kind).keys()].sort()) names.add(name);
    view.names.set(kind, names);
  }
  return names;
}

export function hostsInOrder(view: View): Host[] {
  return [...view.host.values()].sort((a, b) => a.spec.order - b.spec.order);
}

/**
 * Whether a host carries a VRF: it has a block or an endpoint in one of its networks. The same as membership.ts
 * `vrfsOn`.
 */
export function carries(view: View, vrf: string, host: string): boolean {
  for (const network of view.vrfs.get(vrf)?.networks ?? [])
    if (view.networks.get(network)?.members.has(host)) return true;
  return false;
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
    if (old !== undefined) drop(view, old);
  }
  for (const change of changes) if ("put" in change) add(view, change.put);
  return before;
}

/** Puts everything back as `before` says; returns what undoes that. */
export function undoChanges(view: View, before: Before): Before {
  return applyChanges(
    view,
    [...before].map(([key, old]) => (old === undefined ? { remove: key } : { put: old })),
  );
}

function partsOf(key: Key): { readonly kind: Kind; readonly name: string } {
  const slash = key.indexOf("/");
  // A Key is made of a kind and a name by its type.
  return { kind: key.slice(0, slash) as Kind, name: key.slice(slash + 1) };
}

function mapOf<K extends Kind>(view: View, kind: K): Map<string, ResourceOf<K>> {
  // Each map is under the kind it holds; TypeScript cannot relate the two by itself.
  return view[kind] as unknown as Map<string, ResourceOf<K>>;
}

function add(view: View, resource: Resource): void {
  const { kind, name } = resource;
  view.lists.delete(kind);
  view.names.get(kind)?.add(name);
  mapOf(view, kind).set(name, resource);
  for (const index of indexesOf(kind)) index.add(view, resource);
}

function drop(view: View, resource: Resource): void {
  const { kind, name } = resource;
  view.lists.delete(kind);
  view.names.get(kind)?.delete(name);
  mapOf(view, kind).delete(name);
  for (const index of indexesOf(kind)) index.drop(view, resource);
}

type Index<R> = { readonly add: (view: View, resource: R) => void; readonly drop: (view: View, resource: R) => void };

/** What is known besides the resources themselves, of kinds with indexes of their own. */
const INDEXES: { readonly [K in Kind]?: Index<ResourceOf<K>> } = {
  vrf: {
    add(view, vrf) {
      ownVni(view, vrf.spec.vni, keyOfResource(vrf));
      view.vrfIndexes.take(BigInt(vrf.spec.index));
    },
    drop(view, vrf) {
      disownVni(view, vrf.spec.vni, keyOfResource(vrf));
      view.vrfIndexes.release(BigInt(vrf.spec.index));
    },
  },
  network: {
    add(view, network) {
      if (network.spec.vni !== undefined) ownVni(view, network.spec.vni, keyOfResource(network));
      vrfIndex(view, network.spec.vrf).networks.add(network.name);
      addReservation(view, network);
    },
    drop(view, network) {
      if (network.spec.vni !== undefined) disownVni(view, network.spec.vni, keyOfResource(network));
      vrfIndex(view, network.spec.vrf).networks.delete(network.name);
      dropReservation(view, network);
      forgetIfEmptyVrf(view, network.spec.vrf);
    },
  },
  host: {
    add: (view, { name, spec }) => void view.underlays.set(spec.underlay, name),
    drop(view, { name, spec }) {
      if (view.underlays.get(spec.underlay) === name) view.underlays.delete(spec.underlay);
    },
  },
  block: { add: addBlock, drop: dropBlock },
  vtep: { add: addVtep, drop: dropVtep },
  endpoint: { add: addEndpoint, drop: dropEndpoint },
  move: {
    add(view, move) {
      if (!isOver(move)) view.moving.set(move.spec.endpoint, move);
    },
    drop(view, move) {
      if (!isOver(move)) view.moving.delete(move.spec.endpoint);
    },
  },
  hold: { add: addHold, drop: dropHold },
  freed: { add: addFreed, drop: dropFreed },
  securitygroup: {
    add(view, { spec }) {
      for (const group of peersIn(spec)) count(view.peered, group, 1);
    },
    drop(view, { spec }) {
      for (const group of peersIn(spec)) count(view.peered, group, -1);
    },
  },
};

const REFERENCES: Index<Resource> = {
  add(view, resource) {
    for (const to of referencesIn(resource.kind, resource.spec)) {
      const known = view.referrers.get(keyOfResource(to));
      if (known === undefined) view.referrers.set(keyOfResource(to), new Set([keyOfResource(resource)]));
      else known.add(keyOfResource(resource));
    }
  },
  drop(view, resource) {
    for (const to of referencesIn(resource.kind, resource.spec)) {
      const known = view.referrers.get(keyOfResource(to));
      known?.delete(keyOfResource(resource));
      if (known?.size === 0) view.referrers.delete(keyOfResource(to));
    }
  },
};

/** Of every kind, looked up once: a view of a million resources asks for each. */
const INDEXES_OF = new Map(
  ALL_KINDS.map((kind) => [
    kind,
    [INDEXES[kind], recordOf(kind).refersTo && REFERENCES].filter((index) => index !== undefined),
  ]),
) as ReadonlyMap<Kind, readonly Index<Resource>[]>;

function indexesOf(kind: Kind): readonly Index<Resource>[] {
  return INDEXES_OF.get(kind) ?? [];
}

function ownVni(view: View, vni: number, owner: Key): void {
  view.vniOwners.set(vni, owner);
  view.vnis.take(BigInt(vni));
}

function disownVni(view: View, vni: number, owner: Key): void {
  if (view.vniOwners.get(vni) !== owner) return;
  view.vniOwners.delete(vni);
  view.vnis.release(BigInt(vni));
}

function addVtep(view: View, vtep: Vtep): void {
  const index = vrfIndex(view, vtep.spec.vrf);
  for (const ip of vtepIps(vtep)) index.assigned[ip.family].take(ip.value);
  index.vteps.set(vtep.spec.host, vtep);
}

function dropVtep(view: View, vtep: Vtep): void {
  const index = vrfIndex(view, vtep.spec.vrf);
  for (const ip of vtepIps(vtep)) index.assigned[ip.family].release(ip.value);
  index.vteps.delete(vtep.spec.host);
  forgetIfEmptyVrf(view, vtep.spec.vrf);
}

function vtepIps(vtep: Vtep): Ip[] {
  return [vtep.spec.ip, vtep.spec.ip6].map((text) => ipOf(text ?? "")).filter((ip) => ip !== undefined);
}

function vrfIndex(view: View, name: string): VrfIndex {
  let index = view.vrfs.get(name);
  if (index === undefined) {
    index = { networks: new Set(), vteps: new Map(), assigned: { 4: new Intervals(), 6: new Intervals() } };
    view.vrfs.set(name, index);
  }
  return index;
}

function forgetIfEmptyVrf(view: View, name: string): void {
  const index = view.vrfs.get(name);
  if (index !== undefined && index.networks.size === 0 && index.vteps.size === 0) view.vrfs.delete(name);
}
