// Which addresses of a network are taken, by entries that come and go.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ipOf } from "../../../../src/model/address.ts";
import { UsedAddresses } from "../../../../src/agent/journal/journal.ts";

const ADDRESSES = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::2", "fd00::3"] as const;
const valueOf = (text: string) => ipOf(text) ?? assert.fail(text);

test("an address is taken while anybody has it, and the next free one is the lowest that nobody has", () => {
  const step = fc.record({ address: fc.constantFrom(...ADDRESSES), comes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const taken = new UsedAddresses();
      const counts = new Map<string, number>();
      for (const { address, comes } of steps) {
        const had = counts.get(address) ?? 0;
        // Who leaves twice was there twice, or is not heard.
        counts.set(address, Math.max(0, had + (comes ? 1 : -1)));
        if (comes) taken.add(address);
        else taken.delete(address);
        for (const each of ADDRESSES) {
          const { family, value } = valueOf(each);
          assert.equal(taken.of(family).has(value), (counts.get(each) ?? 0) > 0, each);
        }
        const first = valueOf("10.0.0.2").value;
        const free = [0n, 1n, 2n, 3n].find((n) => !((counts.get(`10.0.0.${2n + n}`) ?? 0) > 0)) ?? assert.fail();
        assert.equal(taken.of(4).nextFree(first), first + free);
        assert.equal(
          taken.isEmpty,
          [...counts.values()].every((count) => count === 0),
        );
      }
    }),
  );
});

test("what is no address is counted, and takes none", () => {
  const taken = new UsedAddresses();
  taken.add("no address");
  assert.equal(taken.isEmpty, false);
  assert.equal(taken.of(4).has(0n), false);
  taken.delete("no address");
  assert.equal(taken.isEmpty, true);
});
