// What an endpoint had comes back to it whole or not at all, and what rests for others goes to somebody whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import { type Lab, openLab, refuses } from "./lab.ts";

async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("net", spec);
  return lab;
}
const attach = async (lab: Lab, owner: string) => (await lab.attach("net", "h1", owner)).spec.addresses.join();
const detach = (lab: Lab, owner: string) => lab.detach(`${owner}.eth0`);
const hold = (lab: Lab, first: string) =>
  lab.control.write({
    verb: "hold",
    request: { network: "net", first, last: first, reason: "a printer", owner: "ops" },
  });

const BOTH = { subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }] };
const ranges = (size: number) => [
  { name: "a", type: "ip4-6-static" as const, first: "10.0.0.10", first6: "fd00::10", size },
];

test("an address that has become the gateway's does not come back", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/29" }], sticky: true });
  assert.equal(await attach(lab, "a"), "10.0.0.2");
  await detach(lab, "a");
  await lab.put("net", { subnets: [{ cidr: "10.0.0.0/29", gateway: "10.0.0.2" }], sticky: true });
  assert.equal(await attach(lab, "a"), "10.0.0.1");
});

test("a lease of which one address is held does not come back in part", async () => {
  for (const held of ["10.0.0.10", "fd00::10"]) {
    const lab = await labWith({ ...BOTH, ranges: ranges(2), sticky: true });
    assert.equal(await attach(lab, "a"), "10.0.0.10,fd00::10");
    await detach(lab, "a");
    lab.time.now += 61_000;
    await hold(lab, held);
    assert.equal(await attach(lab, "a"), "10.0.0.11,fd00::11", `${held} is held`);
  }
});

test("what rests is not given to another while one address of it is held", async () => {
  for (const held of ["10.0.0.10", "fd00::10"]) {
    const lab = await labWith({ ...BOTH, ranges: ranges(1) });
    await attach(lab, "a");
    await detach(lab, "a");
    await hold(lab, held);
    await refuses(lab, "exhausted", /net/, () => attach(lab, "b"));
  }
});

test("a full network says how many of its addresses are held", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/29" }] });
  for (const owner of ["a", "b", "c"]) await attach(lab, owner);
  await hold(lab, "10.0.0.5");
  await hold(lab, "10.0.0.6");
  await refuses(lab, "exhausted", /all 5 of 10.0.0.0\/29 are in use or held \(2\)/, () => attach(lab, "d"));
});
