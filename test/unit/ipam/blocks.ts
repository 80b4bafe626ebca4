// For tests: a subnet's blocks by number.
import { type Cidr, addressCount } from "../../../src/model/address.ts";
import { blockCount } from "../../../src/ipam/allocate.ts";

/** The n-th block, counted from 0; undefined beyond the last. */
export function blockAt(subnet: Cidr, hostPrefix: number, n: bigint): Cidr | undefined {
  if (n < 0n || n >= blockCount(subnet, hostPrefix)) return undefined;
  const first = { ...subnet, length: hostPrefix };
  return { ...first, base: subnet.base + n * addressCount(first) };
}
