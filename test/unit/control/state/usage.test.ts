// How full networks are: what there is, has been given, is held, rests, is reserved, and what is kept back.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../../src/model/input.ts";
import { type Lab, openLab } from "../lab.ts";

type Row = readonly [family: number, used: number, held: number, quarantined: number, total: number, blocks: string];
async function rows(lab: Lab, network: string): Promise<Row[]> {
  const uses = (await lab.control.addressUse()).filter((use) => use.network === network);
  return uses.map((use): Row => {
    const { family, used, held, quarantined, total, blocksUsed, blocksTotal } = use;
    return [family, used, held, quarantined, total, `${blocksUsed} of ${blocksTotal}`];
  });
}
async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("net", spec);
  return lab;
}
const hold = (lab: Lab, first: string, last = first) =>
  lab.control.write({ verb: "hold", request: { network: "net", first, last, reason: "r", owner: "o" } });
const reserve = (lab: Lab, size: number, range?: string) =>
  lab.control.write({
    verb: "reserve",
    network: "net",
    request: { name: "part", size, ...(range === undefined ? {} : { range }) },
  });

test("a segment of both families", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.7.0.0/28" }, { cidr: "fd07::/120", gateway: "none" }] });
  for (const owner of ["a", "b", "c"]) await lab.attach("net", "h1", owner);
  await lab.detach("a.eth0");
  await hold(lab, "10.7.0.8", "10.7.0.10");
  await hold(lab, "fd07::80");
  assert.deepEqual(await rows(lab, "net"), [
    [4, 2, 3, 1, 13, "0 of 0"],
    [6, 2, 1, 1, 255, "0 of 0"],
  ]);
  await reserve(lab, 2);
  assert.deepEqual(await rows(lab, "net"), [
    [4, 2, 3, 1, 11, "0 of 0"],
    [6, 2, 1, 1, 253, "0 of 0"],
  ]);
  assert.deepEqual(await rows(lab, "part"), [
    [4, 0, 0, 0, 2, "0 of 0"],
    [6, 0, 0, 0, 2, "0 of 0"],
  ]);
  await lab.put("own", { vrf: "o", subnets: [{ cidr: "10.7.0.0/28", gateway: "none" }] });
  assert.deepEqual(await rows(lab, "own"), [[4, 0, 0, 0, 14, "0 of 0"]]);
});

test("ranges: each lease counts in its families; kept back are gateways, ends, and the bridge's MAC", async () => {
  const lab = await labWith({
    subnets: [
      { cidr: "10.7.0.0/28", gateway: "10.7.0.4" },
      { cidr: "fd07::/120", gateway: "fd07::8" },
    ],
    ranges: [
      { name: "four", type: "ip4", first: "10.7.0.0", size: 6, gateway: "10.7.0.5", mac: "02:00:00:00:02:00" },
      { name: "both", type: "ip4-6-static", first: "10.7.0.8", first6: "fd07::8", size: 4, gateway6: "fd07::9" },
      { name: "slaac", type: "ip6", prefix: "fd08::/64", ula: "fd09::/64", mac: "02:00:00:00:00:01", size: 5 },
      // The bridge's MAC is one of these.
      { name: "static", type: "ip6-static", first6: "fd07::40", size: 3, mac: "02:00:0a:07:00:04" },
      { name: "frames", type: "ether", mac: "02:00:00:00:01:00", size: 7 },
    ],
  });
  // 0, 4 and 5 of the first; fd07::8 and ::9 of the second, and what goes with them; one of the fourth.
  const total4 = 6 - 3 + (4 - 2);
  const total6 = 4 - 2 + 2 * 5 + (3 - 1);
  assert.deepEqual(await rows(lab, "net"), [
    [4, 0, 0, 0, total4, "0 of 0"],
    [6, 0, 0, 0, total6, "0 of 0"],
  ]);
  for (const range of ["four", "both", "slaac", "frames"]) await lab.attach("net", "h1", range, { range });
  await hold(lab, "10.7.0.2", "10.7.0.3");
  await lab.detach("slaac.eth0");
  assert.deepEqual(await rows(lab, "net"), [
    [4, 2, 2, 0, total4, "0 of 0"],
    [6, 1, 0, 2, total6, "0 of 0"],
  ]);
  await reserve(lab, 2, "slaac");
  assert.deepEqual((await rows(lab, "net"))[1], [6, 1, 0, 2, total6 - 4, "0 of 0"]);
  await lab.put("only", { vrf: "o", subnets: [], ranges: [{ name: "e", type: "ether", size: 4 }] });
  assert.deepEqual(await rows(lab, "only"), []);
});

test("blocks and slices of a routed network", async () => {
  const slices = ["a", "b"].map((name) => ({ name, bridge: name }));
  const lab = await labWith({
    subnets: [
      { cidr: "9.0.0.0/22", hostPrefix: 24 },
      { cidr: "fd09::/120", hostPrefix: 122 },
    ],
    slices,
  });
  await lab.attach("net", "h1", "web", { addresses: ["9.0.0.2"] });
  await lab.attach("net", "h2", "db", { addresses: ["9.0.1.130"], slice: "b" });
  assert.deepEqual(await rows(lab, "net"), [
    [4, 2, 0, 0, 4 * 2 * 125, "2 of 4"],
    [6, 0, 0, 0, 4 * 2 * 30, "2 of 4"],
  ]);
  await lab.put("whole", { vrf: "o", subnets: [{ cidr: "9.0.0.0/22", hostPrefix: 23 }] });
  assert.deepEqual(await rows(lab, "whole"), [[4, 0, 0, 0, 2 * 509, "2 of 2"]]);
});
