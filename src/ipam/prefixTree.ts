// Which prefixes of one family's address space are used, as a binary tree: so a free prefix is found without a look at
// each used one. A prefix may be used several times, and lie in another; what is not in the tree is free.
import { BITS, type Cidr } from "../model/address.ts";

type Node = {
  /** How many use this very prefix. */
  uses: number;
  low: Node | undefined;
  high: Node | undefined;
  /** Length of the largest free prefix in it. */
  room: number;
};

/** Longer than any prefix: nothing is free. */
const FULL = 255;

export class PrefixTree {
  root: Node | undefined;

  add(cidr: Cidr): void {
    this.root = changed(this.root, cidr, 0, 1);
  }

  /** One use less of a prefix that was added. */
  delete(cidr: Cidr): void {
    this.root = changed(this.root, cidr, 0, -1);
  }

  /** Whether something used overlaps the prefix. */
  meets(cidr: Cidr): boolean {
    let node = this.root;
    for (let depth = 0; node !== undefined && depth < cidr.length; depth++) {
      if (node.uses > 0) return true;
      node = childOf(node, cidr, depth);
    }
    return node !== undefined;
  }
}

/** The lowest prefix of this length in `within` that is free in all trees. */
export function freePrefix(trees: readonly PrefixTree[], within: Cidr, length: number): Cidr | undefined {
  let nodes = trees.map((tree) => tree.root);
  for (let depth = 0; depth < within.length; depth++) {
    if (nodes.some((node) => node !== undefined && node.uses > 0)) return undefined;
    nodes = nodes.map((node) => node && childOf(node, within, depth));
  }
  const base = length < within.length ? undefined : search(nodes, within, length);
  return base === undefined ? undefined : { family: within.family, base, length };
}

/** What is free in one tree may be used in another, so more than one way may have to be tried. */
function search(nodes: readonly (Node | undefined)[], at: Cidr, length: number): bigint | undefined {
  const used = nodes.filter((node) => node !== undefined);
  if (used.length === 0) return at.base;
  if (used.some(({ room }) => room > length)) return undefined;
  const half = { ...at, length: at.length + 1 };
  const low = search(
    used.map((node) => node.low),
    half,
    length,
  );
  if (low !== undefined) return low;
  const high = { ...half, base: at.base | bitOf(at, at.length) };
  return search(
    used.map((node) => node.high),
    high,
    length,
  );
}

function bitOf({ family }: Pick<Cidr, "family">, depth: number): bigint {
  return 1n << BigInt(BITS[family] - 1 - depth);
}

function isHigh(cidr: Cidr, depth: number): boolean {
  return (cidr.base & bitOf(cidr, depth)) !== 0n;
}

function childOf(node: Node, cidr: Cidr, depth: number): Node | undefined {
  return isHigh(cidr, depth) ? node.high : node.low;
}

/** The node with one use more or less of the prefix below it; undefined if nothing in it is used any more. */
function changed(node: Node | undefined, cidr: Cidr, depth: number, by: 1 | -1): Node | undefined {
  const one = node ?? { uses: 0, low: undefined, high: undefined, room: depth };
  if (depth === cidr.length) one.uses += by;
  else if (isHigh(cidr, depth)) one.high = changed(one.high, cidr, depth + 1, by);
  else one.low = changed(one.low, cidr, depth + 1, by);
  if (one.uses === 0 && one.low === undefined && one.high === undefined) return undefined;
  one.room = one.uses > 0 ? FULL : Math.min(one.low?.room ?? depth + 1, one.high?.room ?? depth + 1);
  return one;
}
