// The address that peers send to: kept as long as the host has it, found anew only where nobody gave it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { Underlay } from "../../../../src/agent/server/join.ts";

function hostWith(addresses: Record<string, number>, find?: () => Promise<string | undefined>) {
  const has = new Map(Object.entries(addresses));
  const kernel = { underlayMtu: (address: string) => has.get(address) };
  const underlay = new Underlay({ kernel, address: "192.0.2.1", ...(find === undefined ? {} : { find }) });
  return { has, underlay };
}
const isGone = (fix: RegExp) => (error: unknown) =>
  error instanceof Fault && error.reason === "address-invalid" && fix.test(error.message);

test("an address that the host has stays, with the MTU of its link, whatever else packets leave with", async () => {
  const { has, underlay } = hostWith({ "192.0.2.1": 1500, "192.0.2.9": 9000 }, async () => "192.0.2.9");
  assert.deepEqual(await underlay.now(), { underlay: "192.0.2.1", underlayMtu: 1500 });
  has.set("192.0.2.1", 1400);
  assert.deepEqual(await underlay.now(), { underlay: "192.0.2.1", underlayMtu: 1400 });
});

test("one that is gone is found anew, and stays then", async () => {
  let found: string | undefined = "192.0.2.9";
  const { has, underlay } = hostWith({ "192.0.2.9": 9000 }, async () => found);
  assert.deepEqual(await underlay.now(), { underlay: "192.0.2.9", underlayMtu: 9000 });
  has.set("192.0.2.1", 1500);
  assert.equal((await underlay.now()).underlay, "192.0.2.9");
  has.clear();
  await assert.rejects(underlay.now(), isGone(/see to an address with a route/));
  found = undefined;
  await assert.rejects(underlay.now(), isGone(/does not have the address 192.0.2.9/));
});

test("one that was given is a person's word: nothing else is taken for it", async () => {
  const { has, underlay } = hostWith({ "192.0.2.9": 9000 });
  await assert.rejects(underlay.now(), isGone(/add the address to the host/));
  has.set("192.0.2.1", 1500);
  assert.equal((await underlay.now()).underlay, "192.0.2.1");
});
