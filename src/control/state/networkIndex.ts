// The contents of one network, indexed: blocks, endpoints, holds, released leases and reserved pieces, and the
// addresses of all of them. view.ts updates it with each change, at a cost that does not depend on the amount.
// Addresses of endpoints, holds, quarantine and reservations are disjoint (admission ensures that), so `blocked` is
// their sum.
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
import { planOf } from "../../ipam/range.ts";
import { type Span, spansOfRun } from "../../ipam/run.ts";
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

/** What of a view is indexed by the contents of networks. */
export type NetworkIndexes = {
  readonly networks: Map<string, NetworkIndex>;
  /** Endpoint names by host. */
  readonly residents: Map<string, Set<string>>;
  /** Ends of holds by the wall clock, and of quarantines by the other one (model/quarantine.ts), the next first. */
  readonly expiring: Sorted<Due>;
  readonly quarantines: Sorted<Due>;
};

export function addBlock(view: NetworkIndexes, block: Block): void {
  const index = networkIndex(view, block.spec.network);
  const cidr = cidrOf(block.spec.cidr);
  if (cidr === undefined) return;
  index.carved[cidr.family].take(cidr.base, lastOf(cidr).value);
  index.blocks.set(block.spec.host, { ...index.blocks.get(block.spec.host), [cidr.family]: block });
  count(index.members, block.spec.host, 1);
}

export function dropBlock(view: NetworkIndexes, block: Block): void {
  const index = networkIndex(view, block.spec.network);
  const cidr = cidrOf(block.spec.cidr);
  if (cidr === undefined) return;
  index.carved[cidr.family].release(cidr.base, lastOf(cidr).value);
  const other = index.blocks.get(block.spec.host)?.[cidr.family === 4 ? 6 : 4];
  if (other === undefined) index.blocks.delete(block.spec.host);
  else index.blocks.set(block.spec.host, { [cidr.family === 4 ? 6 : 4]: other });
  count(index.members, block.spec.host, -1);
  forgetIfEmptyNetwork(view, block.spec.network);
}

export function addEndpoint(view: NetworkIndexes, endpoint: Endpoint): void {
  const { network, host, mac, addresses, tenant } = endpoint.spec;
  const index = networkIndex(view, network);
  index.endpoints.set(endpoint.name, endpoint);
  if (note(index.macs, mac, endpoint.name)) index.blocked.mac.take(macValue(mac));
  for (const text of addresses) {
    index.holders.set(text, endpoint.name);
    const ip = ipOf(text);
    if (ip === undefined) continue;
    index.assigned[ip.family].take(ip.value);
    index.blocked[ip.family].take(ip.value);
  }
  count(index.members, host, 1);
  if (tenant !== undefined) count(index.tenants, tenant, 1);
  let residents = view.residents.get(host);
  if (residents === undefined) view.residents.set(host, (residents = new Set()));
  residents.add(endpoint.name);
}

export function dropEndpoint(view: NetworkIndexes, endpoint: Endpoint): void {
  const { network, host, mac, addresses, tenant } = endpoint.spec;
  const index = networkIndex(view, network);
  index.endpoints.delete(endpoint.name);
  if (unnote(index.macs, mac, endpoint.name)) index.blocked.mac.release(macValue(mac));
  for (const text of addresses) {
    if (index.holders.get(text) !== endpoint.name) continue;
    index.holders.delete(text);
    const ip = ipOf(text);
    if (ip === undefined) continue;
    index.assigned[ip.family].release(ip.value);
    index.blocked[ip.family].release(ip.value);
  }
  count(index.members, host, -1);
  if (tenant !== undefined) count(index.tenants, tenant, -1);
  forgetIfEmptyNetwork(view, network);
  const residents = view.residents.get(host);
  residents?.delete(endpoint.name);
  if (residents?.size === 0) view.residents.delete(host);
}

export function addHold(view: NetworkIndexes, hold: Hold): void {
  const { network, expiresAtMs } = hold.spec;
  const index = networkIndex(view, network);
  const { space, first, last } = spanOf(hold);
  index.blocked[space].take(first, last);
  index.held[space].add({ first, last, name: hold.name });
  if (expiresAtMs !== undefined) view.expiring.add({ atMs: expiresAtMs, key: keyOfResource(hold) });
}

export function dropHold(view: NetworkIndexes, hold: Hold): void {
  const { network, expiresAtMs } = hold.spec;
  const index = networkIndex(view, network);
  const { space, first, last } = spanOf(hold);
  index.blocked[space].release(first, last);
  index.held[space].delete({ first, last, name: hold.name });
  if (expiresAtMs !== undefined) view.expiring.delete({ atMs: expiresAtMs, key: keyOfResource(hold) });
  forgetIfEmptyNetwork(view, network);
}

export function addFreed(view: NetworkIndexes, freed: Freed): void {
  const { network, endpoint, range = "", sinceMs, untilMs } = freed.spec;
  const index = networkIndex(view, network);
  for (const text of quarantinedOf(freed)) index.freed.set(text, freed.name);
  note(index.former, endpoint, freed.name);
  if (untilMs === undefined) return;
  for (const { space, value } of quarantinedOf(freed).map(spaceValue)) index.blocked[space].take(value);
  let queue = index.quarantined.get(range);
  if (queue === undefined) index.quarantined.set(range, (queue = new Sorted(byTime)));
  queue.add({ atMs: sinceMs, key: keyOfResource(freed) });
  view.quarantines.add({ atMs: untilMs, key: keyOfResource(freed) });
}

export function dropFreed(view: NetworkIndexes, freed: Freed): void {
  const { network, endpoint, range = "", sinceMs, untilMs } = freed.spec;
  const index = networkIndex(view, network);
  for (const text of quarantinedOf(freed)) if (index.freed.get(text) === freed.name) index.freed.delete(text);
  unnote(index.former, endpoint, freed.name);
  if (untilMs !== undefined) {
    for (const { space, value } of quarantinedOf(freed).map(spaceValue)) index.blocked[space].release(value);
    const queue = index.quarantined.get(range);
    queue?.delete({ atMs: sinceMs, key: keyOfResource(freed) });
    if (queue?.size === 0) index.quarantined.delete(range);
    view.quarantines.delete({ atMs: untilMs, key: keyOfResource(freed) });
  }
  forgetIfEmptyNetwork(view, network);
}

/** Removes a reservation's pieces from the index of its parent. */
export function addReservation(view: NetworkIndexes, { name, spec }: Network): void {
  if (spec.reservedFrom === undefined) return;
  const index = networkIndex(view, spec.reservedFrom);
  index.reservations.add(name);
  for (const { space, first, last } of piecesOf(spec)) {
    index.blocked[space].take(first, last);
    index.reserved[space].add({ first, last, name });
  }
  if (spec.tenant !== undefined) count(index.tenants, spec.tenant, leasesOf(spec));
}

export function dropReservation(view: NetworkIndexes, { name, spec }: Network): void {
  if (spec.reservedFrom === undefined) return;
  const index = networkIndex(view, spec.reservedFrom);
  index.reservations.delete(name);
  for (const { space, first, last } of piecesOf(spec)) {
    index.blocked[space].release(first, last);
    index.reserved[space].delete({ first, last, name });
  }
  if (spec.tenant !== undefined) count(index.tenants, spec.tenant, -leasesOf(spec));
  forgetIfEmptyNetwork(view, spec.reservedFrom);
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

type Names = Pick<Map<string, readonly string[]>, "get"> & {
  set(key: string, names: readonly string[]): unknown;
  delete(key: string): unknown;
};

/** Adds a name to those of a key, in order; returns whether it is the first. */
function note(names: Names, key: string, name: string): boolean {
  const known = names.get(key);
  names.set(key, known === undefined ? [name] : [...known, name].sort());
  return known === undefined;
}

/** Removes the name; returns whether it was the last. */
function unnote(names: Names, key: string, name: string): boolean {
  const known = names.get(key) ?? [];
  const left = known.filter((other) => other !== name);
  if (left.length > 0) names.set(key, left);
  else names.delete(key);
  return left.length === 0 && known.length > 0;
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
