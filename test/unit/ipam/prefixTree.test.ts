// Trees of used prefixes against a list that is searched through.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrefixTree, freePrefix } from "../../../src/ipam/prefixTree.ts";
import { type Cidr, cidrAround, formatCidr, overlaps, parseCidr } from "../../../src/model/address.ts";

const SPACE = parseCidr("10.0.0.0/24", "test");
const anyPrefix = fc
  .tuple(fc.integer({ min: 22, max: 32 }), fc.integer({ min: 0, max: 1023 }))
  .map(([length, host]): Cidr => cidrAround({ family: 4, value: SPACE.base + BigInt(host) }, length));

function naive(used: readonly Cidr[], within: Cidr, length: number): string | undefined {
  if (length < within.length) return undefined;
  const size = 1n << BigInt(32 - length);
  for (let base = within.base; base < within.base + (1n << BigInt(32 - within.length)); base += size) {
    const one = { family: 4, base, length } as const;
    if (!used.some((each) => overlaps(each, one))) return formatCidr(one);
  }
  return undefined;
}

test("the lowest prefix that is free in all trees, whatever was added and deleted before", () => {
  const prefixes = fc.array(anyPrefix, { maxLength: 40 });
  fc.assert(
    fc.property(prefixes, prefixes, prefixes, fc.integer({ min: 20, max: 32 }), (one, other, gone, length) => {
      const trees = [new PrefixTree(), new PrefixTree()] as const;
      for (const cidr of [...one, ...gone]) trees[0].add(cidr);
      for (const cidr of other) trees[1].add(cidr);
      for (const cidr of gone) trees[0].delete(cidr);
      const found = freePrefix(trees, SPACE, length);
      assert.equal(found && formatCidr(found), naive([...one, ...other], SPACE, length));
      for (const cidr of other)
        assert.equal(
          trees[0].meets(cidr),
          one.some((each) => overlaps(each, cidr)),
        );
    }),
  );
});

test("a tree from which everything was deleted is as it was at first, also of IPv6", () => {
  const tree = new PrefixTree();
  const cidrs = ["fd00::/8", "fd00:1::/64", "fd00:1::/64", "::/0"].map((text) => parseCidr(text, "test"));
  for (const cidr of cidrs) tree.add(cidr);
  assert.equal(freePrefix([tree], parseCidr("fd00:2::/32", "test"), 64), undefined);
  for (const cidr of cidrs) tree.delete(cidr);
  assert.equal(tree.root, undefined);
  assert.equal(formatCidr(freePrefix([tree], parseCidr("fd00:2::/32", "test"), 64) ?? SPACE), "fd00:2::/64");
});
