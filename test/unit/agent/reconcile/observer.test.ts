// What a look leaves out it must have right: what it takes for unchanged, nobody reads until the period is over.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import { type KernelState, keyOf, stateOf } from "../../../../src/datapath/state/state.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { Endpoint } from "../../../../src/model/resource.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { Observer, completed } from "../../../../src/agent/reconcile/observer.ts";

const PERIOD_MS = 15_000;
const NETNS: KernelObject = { kind: "netns", ns: "vrf:blue" };
const BRIDGE: KernelObject = {
  kind: "bridge",
  ns: "vrf:blue",
  name: "wb",
  mtu: 1450,
  mac: "02:00:0a:07:00:01",
  alias: "weft:network:blue",
};

function pathOf(name: string): `/${string}` {
  return `/run/netns/${name}`;
}

function port(name: string, change: Partial<Veth> = {}): Veth {
  const mac = "02:00:0a:07:00:02";
  return {
    kind: "veth",
    ns: "vrf:blue",
    name: portName(`${name}.eth0`),
    mtu: 1450,
    mac: "fe:00:00:00:00:01",
    alias: `weft:endpoint:${name}.eth0`,
    master: "wb",
    peer: { ns: pathOf(name), name: "eth0", mtu: 1450, mac },
    ...change,
  };
}

function address(name: string): KernelObject {
  return { kind: "address", ns: pathOf(name), dev: "eth0", cidr: "10.7.0.2/24" };
}

function half(veth: Veth): Veth {
  return { ...veth, peer: { ns: "/", name: "index 7", mtu: 0, mac: "" } };
}

const HELD = stateOf([BRIDGE, port("a"), address("a"), port("b"), address("b")]);
const NOBODY: ReadonlySet<Ns> = new Set();
const NOTHING: ReadonlySet<string> = new Set();

test("a look that knows no far end, and nothing else changed, is what was held", () => {
  const look = stateOf([BRIDGE, half(port("a")), half(port("b"))]);
  assert.deepEqual(completed(look, HELD, NOBODY, NOTHING), new Map(HELD));
});

test("what a look has read itself is as it was read", () => {
  const look = stateOf([BRIDGE, port("a"), half(port("b"))]);
  const without = new Map(HELD);
  without.delete(keyOf(address("a")));
  assert.deepEqual(completed(look, HELD, new Set([pathOf("a")]), NOTHING), without);
});

test("a near end that changed, or is gone, leaves nothing to be taken for known", () => {
  for (const change of [{ mtu: 0 }, { mtu: 1400 }, { mac: "fe:00:00:00:00:09" }, { alias: "" }, { master: "other" }]) {
    const look = stateOf([BRIDGE, half(port("a", change)), half(port("b"))]);
    assert.equal(completed(look, HELD, NOBODY, NOTHING), undefined, JSON.stringify(change));
  }
  assert.equal(completed(stateOf([BRIDGE, half(port("b"))]), HELD, NOBODY, NOTHING), undefined);
  // A path that was read leads to the namespace of a pair that is held under another.
  const other = port("a", { peer: { ...port("a").peer, ns: "/proc/7/ns/net" } });
  assert.equal(completed(stateOf([BRIDGE, other, half(port("b"))]), HELD, NOBODY, NOTHING), undefined);
});

test("a pair that was changed meanwhile is left as it was seen", () => {
  const touched = new Set([`vrf:blue ${port("a").name}`]);
  const seen = completed(stateOf([BRIDGE, half(port("b"))]), HELD, NOBODY, touched);
  assert.deepEqual(seen, stateOf([BRIDGE, port("b"), address("b")]));
});

function entry(name: string, netnsId = name): Entry {
  const spec = {
    network: "blue",
    host: "h1",
    owner: name,
    ifname: "eth0",
    netns: pathOf(name),
    addresses: [],
    mac: "",
  };
  const endpoint: Endpoint = { kind: "endpoint", name: `${name}.eth0`, uid: name, revision: 1, spec };
  return { endpoint, netnsId, bootId: "boot", state: "attached" };
}

/** A host with two workloads, and what it was asked to read. */
async function host() {
  const kernel = new FakeKernel();
  for (const name of ["a", "b"]) kernel.addWorkload(pathOf(name));
  const objects = [NETNS, BRIDGE, port("a"), address("a"), port("b"), address("b")];
  for (const { refusal } of await kernel.apply(objects.map((object) => ({ op: "add", object }))))
    assert.equal(refusal, undefined);
  const asked: Ns[][] = [];
  const observe = (workloads: readonly Ns[]) => {
    asked.push([...workloads].sort());
    return kernel.observe(workloads);
  };
  const entries = new Map([entry("a"), entry("b")].map((one) => [one.endpoint.name, one]));
  const clock = new VirtualClock();
  let pokes = 0;
  const looks = new Observer({
    kernel: Object.assign(Object.create(kernel), { observe }) as FakeKernel,
    journal: { entries },
    clock,
    fullEveryMs: PERIOD_MS,
    poke: () => pokes++,
  });
  const whole = await kernel.observe([pathOf("a"), pathOf("b")]);
  const take = async (held: KernelState) => {
    asked.length = 0;
    assert.deepEqual(await looks.observe(held, () => NOTHING), whole);
    return asked;
  };
  return { entries, looks, whole, take, clock, pokes: () => pokes };
}

test("all is read at first, when somebody asks and once a period; else only who is not known", async () => {
  const { entries, looks, whole, take, clock } = await host();
  const both = [pathOf("a"), pathOf("b")];
  assert.equal(looks.isDue, true);
  assert.deepEqual(await take(new Map()), [both]);
  assert.equal(looks.isDue, false);
  assert.deepEqual(await take(whole), [[]]);
  looks.requestFull();
  assert.deepEqual(await take(whole), [both]);
  await clock.advance(PERIOD_MS);
  assert.deepEqual(await take(whole), [both]);
  // What the journal says anew is not held yet.
  const held = new Map(whole);
  held.delete(keyOf(port("b")));
  held.delete(keyOf(address("b")));
  assert.deepEqual(await take(held), [[pathOf("b")]]);
  // One namespace by two paths: both are read, because nobody knows which one the kernel's answer goes by.
  entries.set("b.eth0", entry("b", "a"));
  assert.deepEqual(await take(held), [both]);
});

test("where one near end differs everything is read", async () => {
  const { whole, take } = await host();
  await take(new Map());
  const held = new Map(whole).set(keyOf(port("a")), port("a", { mtu: 1400 }));
  assert.deepEqual(await take(held), [[], [pathOf("a"), pathOf("b")]]);
});

test("what somebody else did is looked at within 50 ms, the echo of what the agent did once for a second", async () => {
  const { looks, clock, whole, take, pokes } = await host();
  const { signal } = new AbortController();
  await take(new Map());
  void looks.event(signal);
  await clock.advance(49);
  assert.deepEqual([looks.isDue, pokes()], [false, 0]);
  await clock.advance(1);
  assert.deepEqual([looks.isDue, pokes()], [true, 1]);
  await take(whole);
  for (let n = 0; n < 5; n++) {
    looks.changed();
    void looks.event(signal);
    await clock.advance(100);
    assert.deepEqual([looks.isDue, pokes()], [false, 1]);
  }
  // While an echo is awaited, others are heard.
  void looks.event(signal);
  await clock.advance(50);
  assert.deepEqual([looks.isDue, pokes()], [true, 2]);
  await take(whole);
  await clock.advance(499);
  assert.deepEqual([looks.isDue, pokes()], [false, 2]);
  await clock.advance(1);
  assert.deepEqual([looks.isDue, pokes()], [true, 3]);
});
