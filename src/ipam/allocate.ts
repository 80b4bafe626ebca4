// Chooses addresses, blocks and VTEPs, and divides blocks into slices. The server and the agents, which allocate in
// local networks, use the same functions, so neither gives an address that the other would refuse. Pure: the caller
// holds the used values and makes the choice durable.
import { type Cidr, type Family, type Ip, addressCount, contains, lastOf } from "../model/address.ts";
import type { Used } from "./intervals.ts";

/** Addresses that endpoints may have, both ends included; empty when `first` is above `last`. */
export type Bounds = { readonly family: Family; readonly first: bigint; readonly last: bigint };

export type Choice =
  | { readonly ok: true; readonly ip: Ip }
  /** reserved: the subnet's own, broadcast or gateway address. exhausted: nothing is free. */
  | { readonly ok: false; readonly why: "outside" | "reserved" | "taken" | "exhausted" };

/**
 * Addresses of a subnet, block or slice that a workload may have, gateway included. IPv4: without network and broadcast
 * address. IPv6: without the all-zero one, which is every router's (subnet-router anycast, RFC 4291 2.6.1).
 */
export function usableBounds(cidr: Cidr): Bounds {
  const last = lastOf(cidr).value;
  return { family: cidr.family, first: cidr.base + 1n, last: cidr.family === 4 ? last - 1n : last };
}

/** Whether the address is one of those, and not the gateway. */
export function isAllocatable(cidr: Cidr, gateway: Ip | undefined, { family, value }: Ip): boolean {
  const { first, last } = usableBounds(cidr);
  return family === cidr.family && value >= first && value <= last && value !== gateway?.value;
}

/** The gateway's address if none was chosen: the first usable one. */
export function defaultGateway(cidr: Cidr): Ip {
  return { family: cidr.family, value: cidr.base + 1n };
}

/** How many endpoints fit: usable addresses less the gateway. */
export function capacity(cidr: Cidr, gateway: Ip | undefined): bigint {
  const { first, last } = usableBounds(cidr);
  const all = last < first ? 0n : last - first + 1n;
  return gateway !== undefined && isAllocatable(cidr, undefined, gateway) ? all - 1n : all;
}

/** The lowest address within the bounds that is neither used nor excluded; undefined if there is none. */
export function nextFree(bounds: Bounds, used: Used, exclude: readonly bigint[] = []): Ip | undefined {
  let value = used.nextFree(bounds.first);
  while (exclude.includes(value)) value = used.nextFree(value + 1n);
  return value <= bounds.last ? { family: bounds.family, value } : undefined;
}

/** The same, but from `from` on, and then the addresses before it. */
export function nextFreeFrom(bounds: Bounds, used: Used, exclude: readonly bigint[], from: bigint): Ip | undefined {
  if (from <= bounds.first || from > bounds.last) return nextFree(bounds, used, exclude);
  return nextFree({ ...bounds, first: from }, used, exclude) ?? nextFree({ ...bounds, last: from - 1n }, used, exclude);
}

/** The requested address if an endpoint may have it, else the reason why not; without a request the lowest free one. */
export function choose(cidr: Cidr, gateway: Ip | undefined, used: Used, requested?: Ip): Choice {
  if (requested === undefined) {
    const ip = nextFree(usableBounds(cidr), used, gateway === undefined ? [] : [gateway.value]);
    return ip === undefined ? { ok: false, why: "exhausted" } : { ok: true, ip };
  }
  if (!contains(cidr, requested)) return { ok: false, why: "outside" };
  if (!isAllocatable(cidr, gateway, requested)) return { ok: false, why: "reserved" };
  return used.has(requested.value) ? { ok: false, why: "taken" } : { ok: true, ip: requested };
}

/** The lowest free tunnel endpoint address: strictly between a subnet's first and last, in both families. */
export function nextVtep(subnet: Cidr, used: Used): Ip | undefined {
  return nextFree({ family: subnet.family, first: subnet.base + 1n, last: lastOf(subnet).value - 1n }, used);
}

// Blocks, one per host, all of one size, and their slices: arithmetic, whether there are two blocks or 2^64. The first
// and the last are used too, as in DC/OS; unlike there, IPv6 carries across every byte.

/** How many blocks of `/hostPrefix` a subnet has: 2^(hostPrefix - its own length). */
export function blockCount(subnet: Cidr, hostPrefix: number): bigint {
  return 1n << BigInt(hostPrefix - subnet.length);
}

/** The lowest free block; undefined if there is none. `used` holds whole blocks of this size. */
export function nextBlock(subnet: Cidr, hostPrefix: number, used: Used): Cidr | undefined {
  const base = used.nextFree(subnet.base);
  return base > lastOf(subnet).value ? undefined : { family: subnet.family, base, length: hostPrefix };
}

/** Length of each of `count` equal parts of a block; `count` is a power of two (checked when a network is admitted). */
export function slicePrefix(hostPrefix: number, count: number): number {
  return hostPrefix + Math.log2(count);
}

/** The n-th of `count` equal parts of a block, lowest first: of two, DC/OS gives 0 to Mesos and 1 to Docker. */
export function sliceAt(block: Cidr, n: number, count: number): Cidr {
  const first = { ...block, length: slicePrefix(block.length, count) };
  return { ...first, base: block.base + BigInt(n) * addressCount(first) };
}
