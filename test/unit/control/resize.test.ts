// What a change of a network does to leases, holds, quarantines and cursors that stand in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { AddressRange } from "../../../src/model/range.ts";
import { type Lab, openLab, refuses } from "./lab.ts";

const subnets = [
  { cidr: "10.0.0.0/24", gateway: "none" },
  { cidr: "fd00::/64", gateway: "none" },
];
const four: AddressRange = { name: "a", type: "ip4", first: "10.0.0.16", size: 8 };
const frames: AddressRange = { name: "e", type: "ether", mac: "02:00:00:00:00:10", size: 8 };
const fixed: AddressRange = { name: "s", type: "ip6-static", first6: "fd00::10", size: 8, mac: "02:00:00:00:01:00" };
const ALL: NetworkInput = { subnets, ranges: [four, frames, fixed] };

async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("net", spec);
  return lab;
}
const put = (lab: Lab, spec: NetworkInput, force = false) =>
  lab.control.write({ verb: "put", kind: "network", name: "net", spec, force });
const hold = (lab: Lab, first: string, last = first) =>
  lab.control.write({ verb: "hold", request: { network: "net", first, last, reason: "r", owner: "ops" } });
/** Those who would lose their place: refused with their names, or nobody. */
async function losers(lab: Lab, spec: NetworkInput): Promise<readonly string[]> {
  try {
    await lab.control.write({ verb: "put", kind: "network", name: "net", spec }, { dryRun: true });
    return [];
  } catch {
    const { detail } = await refuses(lab, "in-use", /would lose their place/, () => put(lab, spec));
    return (detail.blockers ?? []).map((text) => text.split(" ").slice(0, 2).join(" "));
  }
}
const changed = (range: AddressRange, more: object): NetworkInput => ({
  ...ALL,
  ranges: (ALL.ranges ?? []).map((one) => (one.name === range.name ? ({ ...one, ...more } as AddressRange) : one)),
});

test("a lease keeps its place, its addresses and its MAC, whatever its range is of", async () => {
  const lab = await labWith(ALL);
  for (const [owner, range, wish] of [
    ["w4", "a", { addresses: ["10.0.0.19"] }],
    ["we", "e", { mac: "02:00:00:00:00:13" }],
    ["ws", "s", { addresses: ["fd00::13"] }],
  ] as const)
    await lab.attach("net", "h1", owner, { range, ...wish });
  const cases: readonly (readonly [NetworkInput, readonly string[]])[] = [
    [changed(four, { size: 4 }), []],
    [changed(four, { size: 3 }), ["endpoint w4.eth0"]],
    [changed(four, { first: "10.0.0.19", size: 1 }), []],
    [changed(four, { first: "10.0.0.20" }), ["endpoint w4.eth0"]],
    [changed(four, { mac: "02:00:0a:00:00:10" }), []],
    [changed(four, { mac: "02:00:0a:00:00:11" }), ["endpoint w4.eth0"]],
    [changed(four, { gateway: "10.0.0.19" }), ["endpoint w4.eth0"]],
    [changed(four, { gateway: "10.0.0.18" }), []],
    [changed(four, { name: "b" }), ["endpoint w4.eth0"]],
    [changed(four, { type: "ip4-6", prefix: "fd01::/64" }), ["endpoint w4.eth0"]],
    [changed(frames, { size: 4 }), []],
    [changed(frames, { size: 3 }), ["endpoint we.eth0"]],
    [changed(frames, { mac: "02:00:00:00:00:13", size: 1 }), []],
    [changed(frames, { mac: "02:00:00:00:00:14" }), ["endpoint we.eth0"]],
    [changed(fixed, { size: 4 }), []],
    [changed(fixed, { size: 3 }), ["endpoint ws.eth0"]],
    [changed(fixed, { mac: "02:00:00:00:01:01" }), ["endpoint ws.eth0"]],
    [changed(fixed, { gateway6: "fd00::13" }), ["endpoint ws.eth0"]],
    [{ ...ALL, dns: ["10.0.0.53"], strategy: "random" }, []],
    [{ subnets, ranges: [frames] }, ["endpoint w4.eth0", "endpoint ws.eth0"]],
    [{ subnets }, ["endpoint w4.eth0", "endpoint we.eth0", "endpoint ws.eth0"]],
  ];
  for (const [spec, expected] of cases)
    assert.deepEqual(await losers(lab, spec), expected, JSON.stringify(spec.ranges));
  // By force its host is asked, once; what it has stays until then, and does not stand in the way again.
  await put(lab, changed(four, { size: 3 }), true);
  const detaching = async () =>
    (await lab.snapshot()).endpoints.flatMap(({ name, spec }) => (spec.detaching === true ? [name] : []));
  assert.deepEqual(await detaching(), ["w4.eth0"]);
  assert.deepEqual(await losers(lab, changed(four, { size: 2 })), []);
});

test("an address from before there were ranges stands on its subnet, unless it becomes a gateway", async () => {
  const lab = await labWith({ subnets });
  await lab.attach("net", "h1", "old", { addresses: ["10.0.0.9", "fd00::9"] });
  assert.deepEqual(await losers(lab, ALL), []);
  const gated = (more: object) => ({ ...ALL, ranges: [{ ...four, ...more } as AddressRange] });
  assert.deepEqual(await losers(lab, gated({ gateway: "10.0.0.9" })), ["endpoint old.eth0"]);
  const six = { ...fixed, gateway6: "fd00::9" };
  assert.deepEqual(await losers(lab, { ...ALL, ranges: [six] }), ["endpoint old.eth0"]);
});

test("holds stay inside one range, or one subnet; by force what is outside is given back", async () => {
  const lab = await labWith(ALL);
  await hold(lab, "10.0.0.18", "10.0.0.19");
  await hold(lab, "02:00:00:00:00:12", "02:00:00:00:00:13");
  await hold(lab, "fd00::12", "fd00::13");
  const held = async () => (await lab.snapshot()).holds.map(({ spec }) => spec.first).toSorted();
  for (const [range, key, at] of [
    [four, "10.0.0.18", 4],
    [frames, "02:00:00:00:00:12", 4],
    [fixed, "fd00::12", 4],
  ] as const) {
    assert.deepEqual(await losers(lab, changed(range, { size: at })), []);
    const lost = await losers(lab, changed(range, { size: at - 1 }));
    assert.deepEqual(lost, [`hold ${key}`]);
  }
  assert.deepEqual(await losers(lab, { subnets, ranges: [four, fixed] }), ["hold 02:00:00:00:00:12"]);
  await put(lab, changed(four, { size: 3 }), true);
  assert.deepEqual(await held(), ["02:00:00:00:00:12", "fd00::12"]);
  await put(lab, { subnets }, true);
  assert.deepEqual(await held(), ["fd00::12"]);
  // Where each host has blocks of its own, nothing is held, nothing rests.
  await lab.attach("net", "h1", "x");
  await lab.detach("x.eth0");
  await put(lab, { subnets: [{ cidr: "10.0.0.0/24", hostPrefix: 28 }] }, true);
  const { holds, freed, cursors } = await lab.snapshot();
  assert.deepEqual([holds, freed, cursors], [[], [], []]);
});

test("what rests stays where its range gives it still, and is forgotten where not", async () => {
  const lab = await labWith(ALL);
  for (const [owner, range] of [
    ["w4", "a"],
    ["we", "e"],
    ["ws", "s"],
  ] as const) {
    await lab.attach("net", "h1", owner, { range });
    await lab.detach(`${owner}.eth0`);
  }
  const resting = async (spec: NetworkInput) => {
    await put(lab, spec);
    return (await lab.snapshot()).freed.map((one) => one.spec.endpoint.slice(0, 2)).toSorted();
  };
  assert.deepEqual(await resting({ ...ALL, description: "as it was" }), ["w4", "we", "ws"]);
  assert.deepEqual(await resting(changed(four, { size: 1 })), ["w4", "we", "ws"]);
  assert.deepEqual(await resting(changed(frames, { mac: "02:00:00:00:00:11" })), ["w4", "ws"]);
  assert.deepEqual(await resting(changed(four, { gateway: "10.0.0.16" })), ["ws"]);
  assert.deepEqual(await resting({ ...ALL, ranges: [four, frames] }), []);
});

test("a memory without a quarantine ends with sticky; a quarantine does not", async () => {
  const lab = await labWith({ subnets, sticky: true, quarantine: 5 });
  for (const owner of ["a", "b"]) {
    await lab.attach("net", "h1", owner, {
      addresses: owner === "a" ? ["10.0.0.1", "fd00::1"] : ["10.0.0.2", "fd00::2"],
    });
    await lab.detach(`${owner}.eth0`);
    lab.time.now += 6000;
    if (owner === "a") await lab.control.write({ verb: "expire" });
  }
  const remembered = async () =>
    (await lab.snapshot()).freed.map(({ spec }) => [spec.endpoint, spec.untilMs !== undefined]);
  assert.deepEqual(await remembered(), [
    ["a.eth0", false],
    ["b.eth0", true],
  ]);
  await put(lab, { subnets, sticky: true, quarantine: 9 });
  assert.equal((await remembered()).length, 2);
  await put(lab, { subnets, quarantine: 5 });
  assert.deepEqual(await remembered(), [["b.eth0", true]]);
});

test("where next-fit stands is kept while the network gives so, range by range", async () => {
  const next: NetworkInput = { ...ALL, strategy: "next" };
  const lab = await labWith(next);
  for (const range of ["a", "e"]) await lab.attach("net", "h1", range, { range });
  const cursors = async (spec: NetworkInput) => {
    await put(lab, spec, true);
    return (await lab.snapshot()).cursors.map((one) => one.spec.range).toSorted();
  };
  assert.deepEqual(await cursors({ ...next, description: "as it was" }), ["a", "e"]);
  assert.deepEqual(await cursors({ ...next, ranges: [four, fixed] }), ["a"]);
  await lab.attach("net", "h1", "s", { range: "s" });
  assert.deepEqual(await cursors({ ...next, ranges: [{ ...four, size: 9 }, fixed] }), ["a", "s"]);
  assert.deepEqual(await cursors({ subnets, strategy: "next" }), []);
  await lab.attach("net", "h1", "plain");
  assert.deepEqual(await cursors({ subnets: [...subnets].reverse(), strategy: "next" }), [""]);
  assert.deepEqual(await cursors(next), []);
  await lab.attach("net", "h1", "f", { range: "a" });
  assert.deepEqual(await cursors(ALL), []);
});
