// The contents of one network, indexed: blocks, endpoints, holds, released leases and reserved pieces, and the
// addresses of all of them. view.ts updates it with each change, at a cost that does not depend on the amount.
// Addresses of endpoints, holds, quarantine and reservations are disjoint (admission ensures that), so `blocked` is
// their sum. One function per kind takes a resource in (`enters`) and out again, so that neither forgets what the other
// does.
import { type Family, cidrOf, ipOf, lastOf, macValue } from "../../model/address.ts";
import {
  type Block,
  type Endpoint,
  type Freed,
  type Hold,
  type Key,
  type Network,
  keyOfResource,
} from "../../model/resource.ts";
import { type Interval, Intervals } from "../../ipam/intervals.ts";
import { type Span, planOf, spansOfRun } from "../../ipam/range.ts";
import { Shards } from "../../ipam/shards.ts";
import { Sorted } from "../../ipam/sorted.ts";

type PerFamily<T> = { readonly [F in Family]: T };
/** The spaces in which addresses are counted: IPv4, IPv6, MACs. */
type PerSpace<T> = PerFamily<T> & { readonly mac: T };
/** What expires at a given time. */
export type Due = { readonly atMs: number; readonly key: Key };
type HeldSpan = Interval & { readonly name: string };

/** The contents of one network. */
export type NetworkIndex = {
  readonly endpoints: Map<string, Endpoint>;
  /** Blocks by host, at most one per family. */
  readonly blocks: Map<string, PerFamilyBlocks>;
  /** Addresses inside any block. */
  readonly carved: PerFamily<Intervals>;
  /** Addresses of endpoints. */
  readonly assigned: PerFamily<Intervals>;
  /** All addresses that cannot be given now: of endpoints, quarantined, held, reserved. */
  readonly blocked: PerSpace<Intervals>;
  /** Name of the endpoint that has an address. */
  readonly holders: Shards<string>;
  /**
   * Names of endpoints that have a MAC: usually one, but endpoints on different hosts of a local network may share a
   * MAC.
   */
  readonly macs: Shards<readonly string[]>;
  /** Name of the latest freed lease with an address, or with a MAC of a range. */
  readonly freed: Map<string, string>;
  /** Names of an endpoint's freed leases. */
  readonly former: Map<string, readonly string[]>;
  /** Quarantined leases by range ("" for subnets), the oldest first. */
  readonly quarantined: Map<string, Sorted<Due>>;
  /** Held spans, in order. */
  readonly held: PerSpace<Sorted<HeldSpan>>;
  /** Spans that reservations have, in order; each by the reservation's name. */
  readonly reserved: PerSpace<Sorted<HeldSpan>>;
  /** Networks reserved from this one. */
  readonly reservations: Set<string>;
  /** How many leases a tenant has of it: reserved, and endpoints. */
  readonly tenants: Map<string, number>;
  /** How many blocks and endpoints a host has here; hosts with none are absent. */
  readonly members: Map<string, number>;
};
type PerFamilyBlocks = { readonly [F in Family]?: Block };

/** How many leases can be given; quarantined ones only if nothing else is free. Beyond 2^53 rounded. */
export type Leases = { readonly free: number; readonly quarantined: number };

/** What of a view is indexed by the contents of networks. */
export type NetworkIndexes = {
  readonly networks: Map<string, NetworkIndex>;
  /** Endpoint names by host. */
  readonly residents: Map<string, Set<string>>;
  /** Ends of holds by the wall clock, and of quarantines by the other one (model/quarantine.ts), the next first. */
  readonly expiring: Sorted<Due>;
  readonly quarantines: Sorted<Due>;
  /** Free leases by network and host (select/room.ts), until the next change of the network. */
  readonly leases: Map<string, Map<string, Leases>>;
};

export function indexBlock(view: NetworkIndexes, block: Block, enters: boolean): void {
  const { network, host } = block.spec;
  const cidr = cidrOf(block.spec.cidr);
  if (cidr === undefined) return;
  view.leases.delete(network);
  const index = networkIndex(view, network);
  mark(index.carved[cidr.family], cidr.base, lastOf(cidr).value, enters);
  const blocks: { [F in Family]?: Block } = { ...index.blocks.get(host) };
  if (enters) blocks[cidr.family] = block;
  else delete blocks[cidr.family];
  if (Object.keys(blocks).length === 0) index.blocks.delete(host);
  else index.blocks.set(host, blocks);
  count(index.members, host, enters ? 1 : -1);
  if (!enters) forgetIfEmptyNetwork(view, network);
}

export function indexEndpoint(view: NetworkIndexes, endpoint: Endpoint, enters: boolean): void {
  const { name } = endpoint;
  const { network, host, mac, addresses, tenant } = endpoint.spec;
  view.leases.delete(network);
  const index = networkIndex(view, network);
  own(index.endpoints, name, endpoint, enters);
  if (note(index.macs, mac, name, enters)) mark(index.blocked.mac, macValue(mac), macValue(mac), enters);
  for (const text of addresses) {
    const ip = own(index.holders, text, name, enters) ? ipOf(text) : undefined;
    if (ip === undefined) continue;
    mark(index.assigned[ip.family], ip.value, ip.value, enters);
    mark(index.blocked[ip.family], ip.value, ip.value, enters);
  }
  count(index.members, host, enters ? 1 : -1);
  if (tenant !== undefined) count(index.tenants, tenant, enters ? 1 : -1);
  group(view.residents, host, name, enters);
  if (!enters) forgetIfEmptyNetwork(view, network);
}

export function indexHold(view: NetworkIndexes, hold: Hold, enters: boolean): void {
  const { network, expiresAtMs } = hold.spec;
  view.leases.delete(network);
  const index = networkIndex(view, network);
  const { space, first, last } = spanOf(hold);
  mark(index.blocked[space], first, last, enters);
  include(index.held[space], { first, last, name: hold.name }, enters);
  if (expiresAtMs !== undefined) include(view.expiring, { atMs: expiresAtMs, key: keyOfResource(hold) }, enters);
  if (!enters) forgetIfEmptyNetwork(view, network);
}

export function indexFreed(view: NetworkIndexes, freed: Freed, enters: boolean): void {
  const { network, endpoint, range = "", sinceMs, untilMs } = freed.spec;
  view.leases.delete(network);
  const index = networkIndex(view, network);
  for (const text of quarantinedOf(freed)) own(index.freed, text, freed.name, enters);
  note(index.former, endpoint, freed.name, enters);
  if (untilMs !== undefined) {
    for (const { space, value } of quarantinedOf(freed).map(spaceValue))
      mark(index.blocked[space], value, value, enters);
    let queue = index.quarantined.get(range);
    if (queue === undefined) index.quarantined.set(range, (queue = new Sorted(byTime)));
    include(queue, { atMs: sinceMs, key: keyOfResource(freed) }, enters);
    if (queue.size === 0) index.quarantined.delete(range);
    include(view.quarantines, { atMs: untilMs, key: keyOfResource(freed) }, enters);
  }
  if (!enters) forgetIfEmptyNetwork(view, network);
}

/** What a reservation has of its parent is in the parent's index. */
export function indexReservation(view: NetworkIndexes, { name, spec }: Network, enters: boolean): void {
  if (spec.reservedFrom === undefined) return;
  view.leases.delete(spec.reservedFrom);
  const index = networkIndex(view, spec.reservedFrom);
  include(index.reservations, name, enters);
  for (const { space, first, last } of piecesOf(spec)) {
    mark(index.blocked[space], first, last, enters);
    include(index.reserved[space], { first, last, name }, enters);
  }
  if (spec.tenant !== undefined) count(index.tenants, spec.tenant, enters ? leasesOf(spec) : -leasesOf(spec));
  if (!enters) forgetIfEmptyNetwork(view, spec.reservedFrom);
}

/** All that the pieces of a reservation have, in every space. */
export function piecesOf({ ranges = [] }: Network["spec"]): Span[] {
  return ranges.map(planOf).flatMap((plan) => spansOfRun(plan, 0n, plan.size));
}

/** How many leases a reservation has. */
function leasesOf({ ranges = [] }: Network["spec"]): number {
  return ranges.reduce((sum, range) => sum + (range.size ?? 0), 0);
}

/**
 * What a freed lease keeps from other endpoints. A MAC is part of a lease only in a range; elsewhere it follows the
 * address.
 */
export function quarantinedOf({ spec: { addresses, mac, range } }: Freed): readonly string[] {
  return range === undefined ? addresses : [...addresses, mac];
}

export type Space = Family | "mac";
/** Where an address or MAC is counted; both are canonical since they were admitted. */
export function spaceValue(text: string): { readonly space: Space; readonly value: bigint } {
  const ip = ipOf(text);
  return ip === undefined ? { space: "mac", value: macValue(text) } : { space: ip.family, value: ip.value };
}

export function spanOf({ spec }: Hold): { readonly space: Space } & Interval {
  const { space, value } = spaceValue(spec.first);
  return { space, first: value, last: spaceValue(spec.last).value };
}

export function byTime(a: Due, b: Due): number {
  return a.atMs - b.atMs || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

function bySpan(a: HeldSpan, b: HeldSpan): number {
  return a.first < b.first ? -1 : a.first > b.first ? 1 : 0;
}

type Owners<K, V> = { get(key: K): V | undefined; set(key: K, owner: V): unknown; delete(key: K): unknown };

const NO_NAMES: readonly string[] = [];

/** Adds a name to those of a key, in order, or removes it; returns whether it is the first, or was the last. */
function note(names: Owners<string, readonly string[]>, key: string, name: string, enters: boolean): boolean {
  const known = names.get(key) ?? NO_NAMES;
  const left = enters ? [...known, name].sort() : known.filter((other) => other !== name);
  if (left.length > 0) names.set(key, left);
  else names.delete(key);
  return enters ? known.length === 0 : left.length === 0 && known.length > 0;
}

/** A key is the owner's who entered last, until that one leaves. Returns whether this owner has or had it. */
export function own<K, V>(owners: Owners<K, V>, key: K, owner: V, enters: boolean): boolean {
  if (enters) owners.set(key, owner);
  else if (owners.get(key) !== owner) return false;
  else owners.delete(key);
  return true;
}

/** Adds a value to a set or list, or removes it. */
export function include<T>(
  values: { add(value: T): unknown; delete(value: T): unknown },
  value: T,
  enters: boolean,
): void {
  if (enters) values.add(value);
  else values.delete(value);
}

/** Adds a member to the set of a key, or removes it; a set without members goes. */
export function group<K, V>(sets: Map<K, Set<V>>, key: K, member: V, enters: boolean): void {
  const known = sets.get(key);
  const set = known ?? new Set();
  include(set, member, enters);
  if (set.size === 0) sets.delete(key);
  else if (known === undefined) sets.set(key, set);
}

/** Marks `first` to `last` used, or free again. */
export function mark(used: Intervals, first: bigint, last: bigint, enters: boolean): void {
  if (enters) used.take(first, last);
  else used.release(first, last);
}

export function count(counts: Map<string, number>, key: string, by: number): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}

/** Created with the first content of a network, whether or not the network itself exists yet. */
function networkIndex(view: NetworkIndexes, name: string): NetworkIndex {
  let index = view.networks.get(name);
  if (index === undefined) {
    index = {
      endpoints: new Map(),
      blocks: new Map(),
      carved: { 4: new Intervals(), 6: new Intervals() },
      assigned: { 4: new Intervals(), 6: new Intervals() },
      blocked: { 4: new Intervals(), 6: new Intervals(), mac: new Intervals() },
      holders: new Shards(),
      macs: new Shards(),
      freed: new Map(),
      former: new Map(),
      quarantined: new Map(),
      held: { 4: new Sorted(bySpan), 6: new Sorted(bySpan), mac: new Sorted(bySpan) },
      reserved: { 4: new Sorted(bySpan), 6: new Sorted(bySpan), mac: new Sorted(bySpan) },
      reservations: new Set(),
      tenants: new Map(),
      members: new Map(),
    };
    view.networks.set(name, index);
  }
  return index;
}

function forgetIfEmptyNetwork(view: NetworkIndexes, name: string): void {
  const index = view.networks.get(name);
  if (index === undefined || index.members.size + index.former.size + index.reservations.size > 0) return;
  if (index.held[4].size + index.held[6].size + index.held.mac.size === 0) view.networks.delete(name);
}
