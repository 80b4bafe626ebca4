// Keys in any case, as Go's JSON reader takes them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { folded, foldedIn, foldedResult } from "../../../../src/doors/cni/fold.ts";

const KNOWN = ["name", "cniVersion", "ipMasq"];

test("known keys are found in any case, of two the exact one; others stay as they are", () => {
  const upper = (text: string, bits: number) =>
    text
      .split("")
      .map((letter, i) => ((bits >> i) & 1 ? letter.toUpperCase() : letter))
      .join("");
  const key = fc.tuple(fc.constantFrom(...KNOWN, "other", "Foreign"), fc.nat(1023)).map(([k, n]) => upper(k, n));
  fc.assert(
    fc.property(fc.dictionary(key, fc.nat(9), { maxKeys: 8 }), (json) => {
      const found = folded(json, KNOWN);
      for (const known of KNOWN) {
        const meant = Object.keys(json).filter((one) => one.toLowerCase() === known.toLowerCase());
        const expected = Object.hasOwn(json, known) ? known : meant.at(-1);
        assert.equal(found[known], expected === undefined ? undefined : json[expected]);
      }
      const isKnown = (one: string) => KNOWN.some((known) => known.toLowerCase() === one.toLowerCase());
      for (const one of Object.keys(json).filter((name) => !isKnown(name))) assert.equal(found[one], json[one]);
      const names = Object.keys(json).map((one) => (isKnown(one) ? one.toLowerCase() : one));
      assert.equal(Object.keys(found).length, new Set(names).size);
    }),
  );
});

test("what is no object is handed on", () => {
  for (const value of [undefined, null, 7, "NAME", ["NAME"]]) assert.deepEqual(foldedIn(value, KNOWN), value);
  assert.deepEqual(foldedIn({ NAME: 1 }, KNOWN), { name: 1 });
});

test("a result is folded down to what its lists hold, and no further", () => {
  const result = {
    cniVersion: "1.1.0",
    interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", mtu: 1450, sandbox: "/run/netns/a" }],
    ips: [{ version: "4", interface: 0, address: "10.0.0.2/24", gateway: "10.0.0.1" }],
    routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1", mtu: 1400, advmss: 1360, priority: 1, table: 2, scope: 3 }],
    dns: { Nameservers: ["10.0.0.53"] },
  };
  assert.deepEqual(foldedResult(result), result);
  const raised = (value: object) =>
    Object.fromEntries(Object.entries(value).map(([key, one]): [string, unknown] => [key.toUpperCase(), one]));
  const lists = Object.entries(result).map(([key, value]): [string, unknown] => {
    return [key.toUpperCase(), Array.isArray(value) ? value.map(raised) : value];
  });
  assert.deepEqual(foldedResult(Object.fromEntries(lists)), result);
  assert.deepEqual(foldedResult({ ips: "none", routes: [7] }), { ips: "none", routes: [7] });
});
