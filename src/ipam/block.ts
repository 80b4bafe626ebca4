// Divides a local network's subnet into blocks of one size, one per host, and a block into slices. Nothing is listed:
// the n-th block is arithmetic, and the lowest free one a lookup, whether there are two blocks or 2^64. The first and
// the last block are used too, as in DC/OS; unlike there, IPv6 carries across every byte.
import { type Cidr, addressCount, lastOf } from "../model/address.ts";
import type { Used } from "./intervals.ts";

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
