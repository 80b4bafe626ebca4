// Devices that are taken over from the host and given back: what is on disk when, what rounds see meanwhile, and what
// happens if the server is not reached. The kernel here is two devices and what the host has on each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mustStay, type TakeOver, withTakeOvers } from "../../../../src/agent/reconcile/takeOver.ts";
import { TakeOvers, undoUnconfirmed } from "../../../../src/agent/reconcile/takeOvers.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import { enslavedDevices } from "../../../../src/datapath/network/physical.ts";
import { keyOf, stateOf } from "../../../../src/datapath/state/state.ts";
import type { HostUse } from "../../../../src/kernel/takeOver/types.ts";
import { deviceFor } from "../../../../src/model/physical.ts";
import { emptySnapshot, type Snapshot } from "../../../../src/model/resource.ts";

const NOTHING: HostUse = {
  device: "",
  index: 2,
  mac: "02:00:00:00:00:01",
  rpFilter: 0,
  addresses: [],
  routes: [],
  connected: [],
  neighbours: [],
  keepsProtocols: true,
};
const ADDRESS = {
  cidr: "192.0.2.2/24",
  peer: "192.0.2.2",
  broadcast: "",
  label: "eth0",
  flags: 128,
  scope: 0,
  metric: 0,
};
const FULL: HostUse = {
  ...NOTHING,
  device: "eth0",
  addresses: [{ ...ADDRESS, protocol: 0, preferredS: 4_294_967_295, validS: 4_294_967_295 }],
};
const bridge = { kind: "bridge", ns: "host", name: "wb-office", mtu: 1500, mac: "", alias: "" } as KernelObject;
const port = { kind: "port", ns: "host", dev: "eth0", master: "wb-office", macs: "flooded" } as const;

function snapshotWith(physical: object, networks: readonly object[] = [OFFICE]): Snapshot {
  return {
    ...emptySnapshot("c"),
    vrfs: [{ name: "host", spec: { placement: "host" } }],
    networks,
    hosts: [{ name: "h1", spec: { physicalSet: [physical], devices: [{ name: "eth0", mtu: 1500 }] } }],
  } as unknown as Snapshot;
}
const OFFICE = { name: "office", spec: { driver: "bridge", vrf: "host", parent: "lan", hosts: ["h1"], subnets: [] } };
const LEFT = { name: "lan", device: "eth0", takeOver: true };
const RECORD: TakeOver = { parent: "lan", bridge: "wb-office", use: FULL, bootId: "now", isConfirmed: true };

/** A host whose server answers as `isReached` says; `seen` is what was done, with what was on the disk then. */
function open({
  isReached = true,
  isFull = false,
  rests = 1,
  saved = [] as readonly TakeOver[],
  why = [] as readonly string[],
} = {}) {
  const on = { eth0: saved.length === 0 ? FULL : NOTHING, "wb-office": saved.length === 0 ? NOTHING : FULL };
  const disk = { all: saved };
  const seen: string[] = [];
  const tell = (what: string) => seen.push(`${what} ${disk.all.map(({ isConfirmed }) => isConfirmed).join()}`.trim());
  const world = { now: 0, isReached, pokes: 0, rests };
  const stop = new AbortController();
  const kernel = {
    facts: () => ({ prefixes: [], bootId: "now" }),
    hostUse: (device: string) => on[device as keyof typeof on],
    async takeOver() {
      tell("over");
      [on.eth0, on["wb-office"]] = [NOTHING, FULL];
      return undefined;
    },
    async giveBack() {
      tell("back");
      [on.eth0, on["wb-office"]] = [FULL, NOTHING];
      return undefined;
    },
  };
  const clock = {
    monotonicMs: () => world.now,
    nowMs: () => world.now,
    async sleep(ms: number, signal?: AbortSignal) {
      // The loop's own rest is the end of the test.
      if (ms === 10_000) return --world.rests > 0 ? undefined : stop.abort();
      await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted !== true) world.now += ms;
    },
  };
  const save = (all: readonly TakeOver[]) => {
    if (isFull) throw new Error("no space left on device");
    disk.all = all;
  };
  const services = { prepare: () => why, reload: async () => [] };
  const options = { host: "h1", kernel, clock, log: () => undefined };
  const takeOvers = new TakeOvers(
    { ...options, takeOvers: { saved, save, services, timeoutMs: 2_000 } },
    {
      reached: async () => world.isReached || disk.all.every(({ isConfirmed }) => isConfirmed),
      isSynced: () => true,
      poke: () => world.pokes++,
    },
  );
  return { takeOvers, disk, seen, world, options, run: () => takeOvers.run(stop.signal) };
}

test("a round leaves the port to the take-over, which is on disk before and confirmed afterwards", async () => {
  const { takeOvers, disk, seen, run, world } = open();
  const desired = stateOf([bridge, port]);
  const adjusted = takeOvers.adjust(desired, new Map(), snapshotWith(LEFT), true);
  assert.deepEqual([...adjusted.keys()], [keyOf(bridge)]);
  takeOvers.poke();
  await run();
  assert.deepEqual([seen, disk.all], [["over false"], [RECORD]]);
  assert.equal(world.pokes, 1);
  assert.equal(takeOvers.adjust(desired, desired, snapshotWith(LEFT), true), desired, "from now on it is a port");
});

test("without permission, or with what cannot move, the port is left out and nothing is done", async () => {
  const { takeOvers, seen, run } = open();
  const { takeOver: _, ...without } = LEFT;
  assert.equal(takeOvers.adjust(stateOf([bridge, port]), new Map(), snapshotWith(without), true).size, 1);
  takeOvers.poke();
  await run();
  assert.deepEqual([seen, takeOvers.conditions], [[], []]);
  const other = open({ why: ["somebody would put it back"] });
  other.takeOvers.adjust(stateOf([bridge, port]), new Map(), snapshotWith(LEFT), true);
  other.takeOvers.poke();
  await other.run();
  assert.deepEqual(other.seen, []);
  assert.match(other.takeOvers.conditions.join(), /eth0 is not taken over by wb-office: somebody would put it back/);
});

test("what could not move is taken over by itself when it can", async () => {
  const { takeOvers, disk, options, run } = open({ rests: 2 });
  const { hostUse } = options.kernel;
  const leased = { ...FULL, addresses: FULL.addresses.map((one) => ({ ...one, validS: 300 })) };
  let looks = 0;
  // The third look is that of the second try.
  options.kernel.hostUse = (device) => (device === "eth0" && looks++ < 2 ? leased : hostUse(device));
  takeOvers.adjust(stateOf([bridge, port]), new Map(), snapshotWith(LEFT), true);
  takeOvers.poke();
  await run();
  assert.equal(looks, 3);
  assert.deepEqual([takeOvers.conditions, disk.all], [[], [RECORD]]);
});

test("if the server is not reached all goes back, and it is tried again only after another setting", async () => {
  const { takeOvers, disk, seen, world, run } = open({ isReached: false });
  const desired = stateOf([bridge, port]);
  const round = (setting: object) => {
    takeOvers.adjust(desired, new Map(), snapshotWith(setting), true);
    takeOvers.poke();
  };
  round(LEFT);
  await run();
  assert.deepEqual([seen, disk.all], [["over false", "back false"], []]);
  assert.ok(world.now >= 2_000);
  assert.match(takeOvers.conditions.join(), /the server was not reached by wb-office within 2 s, so it was undone/);
  round(LEFT);
  assert.equal(takeOvers.conditions.length, 1);
  takeOvers.adjust(stateOf([bridge]), new Map(), snapshotWith({ name: "lan", device: "none" }), true);
  assert.deepEqual(takeOvers.conditions, []);
});

test("nothing is taken over that the disk does not take down first", async () => {
  const { takeOvers, seen, run } = open({ isFull: true });
  takeOvers.adjust(stateOf([bridge, port]), new Map(), snapshotWith(LEFT), true);
  takeOvers.poke();
  await run();
  assert.deepEqual(seen, []);
});

test("what was taken over stays as it is until it is given back, also if its network is gone", async () => {
  const { takeOvers, disk, seen, run } = open({ saved: [RECORD] });
  const actual = stateOf([bridge, port]);
  const gone = snapshotWith(LEFT, []);
  assert.deepEqual(
    [...takeOvers.adjust(new Map(), actual, gone, false).keys()],
    [],
    "an incomplete snapshot says nothing",
  );
  assert.deepEqual([...takeOvers.adjust(new Map(), actual, gone, true).keys()].sort(), [...actual.keys()].sort());
  takeOvers.poke();
  await run();
  assert.deepEqual([seen, disk.all], [["back true"], []]);
  assert.equal(takeOvers.adjust(new Map(), actual, gone, true).size, 0);
});

test("a bridge that somebody removed: what is saved goes onto the device, and then it is taken over anew", async () => {
  const { takeOvers, seen, run } = open({ saved: [RECORD] });
  const desired = stateOf([bridge, port]);
  assert.equal(takeOvers.adjust(desired, new Map(), snapshotWith(LEFT), true).size, 0);
  takeOvers.poke();
  await run();
  assert.deepEqual(seen, ["back true"]);
});

test("a take-over that the disk has lost is found in the kernel", () => {
  const { takeOvers, disk, options } = open();
  options.kernel.hostUse = (device) =>
    device === "wb-office" ? { ...FULL, device, index: 9 } : { ...NOTHING, device };
  const desired = stateOf([bridge, port]);
  assert.equal(takeOvers.adjust(desired, desired, snapshotWith(LEFT), true), desired);
  assert.deepEqual(disk.all, [RECORD]);
});

test("a start undoes what was not confirmed, and forgets what another boot did", async () => {
  const { options, seen } = open();
  const unconfirmed = { ...RECORD, isConfirmed: false };
  assert.deepEqual(await undoUnconfirmed([RECORD, unconfirmed, { ...RECORD, bootId: "before" }], options), [RECORD]);
  assert.equal(seen.length, 1);
});

test("what is taken over counts whatever the server says by then", () => {
  const other = snapshotWith({ name: "lan", device: "eth1", takeOver: true });
  const [self] = withTakeOvers(other, "h1", [RECORD]).hosts;
  assert.equal(self && deviceFor(self.spec, "lan"), "eth0");
  assert.equal(withTakeOvers(other, "h1", []), other);
  assert.ok(mustStay(snapshotWith(LEFT), "h1", RECORD));
  for (const [why, snapshot] of Object.entries({
    "another device": other,
    "no permission": snapshotWith({ name: "lan", device: "eth0" }),
    "no network": snapshotWith(LEFT, []),
    "a network of another bridge": snapshotWith(LEFT, [{ ...OFFICE, name: "lab" }]),
    "no host": emptySnapshot("c"),
  }))
    assert.equal(mustStay(snapshot, "h1", RECORD), false, why);
});

/** The server tells of the device what the agent saw of it. */
function seenWith(facts: object): Snapshot {
  const snapshot = snapshotWith(LEFT);
  const [self] = snapshot.hosts;
  const devices = [{ name: "eth0", mtu: 1500, mac: NOTHING.mac, onBridge: ["192.0.2.2"], ...facts }];
  return { ...snapshot, hosts: self === undefined ? [] : [{ ...self, spec: { ...self.spec, devices } }] };
}

test("the device stays a port, whatever else would keep it from being taken over, and the host says so", async () => {
  const { takeOvers, options, seen, run } = open({ saved: [RECORD] });
  const actual = stateOf([bridge, port]);
  const leased = { ...FULL, addresses: FULL.addresses.map((one) => ({ ...one, cidr: "192.0.2.9/24", validS: 300 })) };
  options.kernel.hostUse = (device) => (device === "eth0" ? leased : FULL);
  for (const facts of [
    { addresses: ["192.0.2.9"], leased: ["192.0.2.9"] },
    { addresses: ["192.0.2.9"], leased: ["192.0.2.9"], onBridge: [] },
    { master: "br0" },
    { bridge: { forwardDelay: 0 } },
  ]) {
    const told = seenWith(facts);
    const local = takeOvers.inForce(told);
    assert.deepEqual(enslavedDevices(local, "h1"), ["eth0"], JSON.stringify(facts));
    assert.equal(takeOvers.adjust(actual, actual, told, true), actual);
  }
  assert.match(
    takeOvers.conditions.join(),
    /eth0 stays a port of wb-office, but has 192\.0\.2\.9\/24 .*ip address flush dev eth0.*weft host set h1/,
  );
  takeOvers.poke();
  await run();
  assert.deepEqual(seen, []);
});

test("whatever takes the port away, everything goes back before", async () => {
  const another = { ...port, master: "wb-other" } as const;
  for (const desired of [stateOf([bridge]), stateOf([port]), stateOf([]), stateOf([bridge, another])]) {
    const { takeOvers, disk, seen, run } = open({ saved: [RECORD] });
    const actual = stateOf([bridge, port]);
    const adjusted = takeOvers.adjust(desired, actual, snapshotWith(LEFT), true);
    assert.deepEqual([...adjusted.values()].sort(byKind), [...actual.values()].sort(byKind));
    takeOvers.poke();
    await run();
    assert.deepEqual([seen, disk.all], [["back true"], []]);
  }
});

test("what somebody took out of the bridge and uses is no port again: everything goes back", async () => {
  const { takeOvers, options, seen, run } = open({ saved: [RECORD] });
  const desired = stateOf([bridge, port]);
  assert.equal(takeOvers.adjust(desired, stateOf([bridge]), snapshotWith(LEFT), true), desired, "a round mends that");
  options.kernel.hostUse = () => FULL;
  takeOvers.adjust(desired, stateOf([bridge]), snapshotWith(LEFT), true);
  takeOvers.poke();
  await run();
  assert.deepEqual(seen, ["back true"]);
});

const byKind = (a: KernelObject, b: KernelObject) => a.kind.localeCompare(b.kind);
