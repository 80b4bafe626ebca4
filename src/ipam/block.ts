// Divides a local network's subnet into blocks of one size, one per host, and a block into slices. Nothing is listed:
// the n-th block is arithmetic, and the lowest free one a lookup, whether there are two blocks or 2^64. The first and
// the last block are used too, as in DC/OS; unlike there, IPv6 carries across every byte.
import { BITS, type Cidr, lastOf } from "../model/address.ts";
import type { Used } from "./intervals.ts";

/** How many blocks of `/hostPrefix` a subnet has: 2^(hostPrefix - its own length). */
export function blockCount(subnet: Cidr, hostPrefix: number): bigint {
  return 1n << BigInt(hostPrefix - subnet.length);
}

/** The n-th block, counted from 0; undefined beyond the last. */
export function blockAt(subnet: Cidr, hostPrefix: number, n: bigint): Cidr | undefined {
  if (n < 0n || n >= blockCount(subnet, hostPrefix)) return undefined;
  return { family: subnet.family, base: subnet.base + n * blockSize(subnet, hostPrefix), length: hostPrefix };
}

/**
 * The lowest free block; undefined if there is none. `used` holds whole blocks of this size, from base to last
 * address.
 */
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
  const length = slicePrefix(block.length, count);
  return { family: block.family, base: block.base + BigInt(n) * blockSize(block, length), length };
}

function blockSize(subnet: Cidr, prefix: number): bigint {
  return 1n << BigInt(BITS[subnet.family] - prefix);
}
