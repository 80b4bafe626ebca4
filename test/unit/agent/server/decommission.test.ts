// A host that is no longer lets go of all it had, in this order: it assigns nothing more, its ports go, its journal
// forgets; and what began before joins no later life.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { Mirror } from "../../../../src/client/mirror.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { type Conversion, emptySnapshot, type Endpoint, type Snapshot } from "../../../../src/model/resource.ts";
import { type Entry, type Former, memoryJournal } from "../../../../src/agent/journal/journal.ts";
import { Decommission, rejoin } from "../../../../src/agent/server/decommission.ts";
import { firstReport } from "../../../../src/agent/server/report.ts";
import { SavedSnapshot } from "../../../../src/agent/server/savedSnapshot.ts";
import { BlockLease, type BlockLeaseRecord } from "../../../../src/agent/journal/blockLease.ts";

const RECLAIMED = new Fault("host-reclaimed", { what: "host h1 was reclaimed", why: "lost", fix: "join" });
const entry = (owner: string, state: Entry["state"] = "attached"): Entry => {
  const netns = `/run/netns/${owner}`;
  const spec = { network: "n", host: "h1", owner, ifname: "eth0", netns, mac: "", addresses: ["10.0.0.2", "fd00::2"] };
  const endpoint: Endpoint = { kind: "endpoint", name: `${owner}.eth0`, uid: owner, revision: 1, spec };
  return { endpoint, netnsId: owner, bootId: "b", state };
};

function lostHost(...entries: readonly Entry[]) {
  const clock = new VirtualClock();
  const disk = { isFull: false };
  const freed = new Map<string, Former>();
  const journal = memoryJournal(new Map(entries.map((one) => [one.endpoint.name, one])), freed, {
    write: () => {
      if (disk.isFull) throw new Error("ENOSPC");
    },
  });
  const kernel = new FakeKernel();
  for (const { endpoint } of entries) kernel.addWorkload(endpoint.spec.netns as `/${string}`);
  const blockLease = new BlockLease(clock, undefined, () => undefined);
  const logged: string[] = [];
  const log = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const ports = { left: entries.map(({ endpoint }) => portName(endpoint.name)), rounds: 0 };
  const stop = new AbortController();
  let isDone = false;
  const round = async () => {
    ports.rounds++;
    return new Set(ports.left);
  };
  const lost = new Decommission({ journal, kernel, clock, blockLease, log, round });
  const letGo = () => lost.run(RECLAIMED, stop.signal).then(() => void (isDone = true));
  const states = () => Object.fromEntries([...journal.entries].map(([name, { state }]) => [name, state]));
  return { clock, disk, journal, kernel, blockLease, logged, lost, ports, stop, letGo, states, isDone: () => isDone };
}

test("the journal forgets when the last port has gone, and nothing is assigned from the first moment", async () => {
  const host = lostHost(entry("web"), entry("db", "detaching"));
  const { clock, ports, states, blockLease, journal, logged } = host;
  void host.letGo();
  assert.equal(blockLease.ended?.reason, "host-reclaimed");
  await clock.advance(0);
  assert.deepEqual(states(), { "web.eth0": "detaching", "db.eth0": "detaching" });
  assert.deepEqual([host.isDone(), ports.rounds], [false, 1]);
  await clock.advance(3_000);
  assert.deepEqual([host.isDone(), ports.rounds], [false, 4]);
  ports.left = [portName("db.eth0"), portName("other.eth0")];
  await clock.advance(1_000);
  assert.equal(host.isDone(), false);
  ports.left = [portName("other.eth0")];
  await clock.advance(1_000);
  assert.deepEqual([host.isDone(), states()], [true, {}]);
  assert.deepEqual(journal.freed.get("n 10.0.0.2"), { endpoint: "db.eth0", atMs: clock.monotonicMs() });
  assert.deepEqual(
    logged.map((line) => line.split(" {")[0]),
    ["this host is no longer", "detached"],
  );
});

test("a disk that refuses is asked again, and keeps no port", async () => {
  const host = lostHost(entry("web"));
  host.disk.isFull = true;
  void host.letGo();
  await host.clock.advance(0);
  assert.deepEqual([host.ports.rounds, host.states()], [1, { "web.eth0": "attached" }]);
  host.ports.left = [];
  await host.clock.advance(5_000);
  assert.deepEqual([host.isDone(), host.ports.rounds, host.states()], [false, 2, { "web.eth0": "attached" }]);
  host.disk.isFull = false;
  await host.clock.advance(1_000);
  assert.deepEqual([host.isDone(), host.states()], [true, {}]);
});

test("an agent that is being stopped forgets nothing: its next start goes on", async () => {
  const host = lostHost(entry("web"));
  void host.letGo();
  await host.clock.advance(0);
  host.stop.abort();
  await host.clock.advance(2_000);
  assert.deepEqual([host.isDone(), host.states(), host.ports.rounds], [true, { "web.eth0": "detaching" }, 1]);
});

test("people are told why the host is none, and what went with it, until it is back or its workload gone", async () => {
  const host = lostHost(entry("web"), entry("db"), entry("old", "detaching"));
  assert.deepEqual(host.lost.conditions(), []);
  host.ports.left = [];
  void host.letGo();
  await host.clock.advance(0);
  const told = () => host.lost.conditions();
  const line = (name: string) =>
    `endpoint ${name} was detached and lost 10.0.0.2, fd00::2: host h1 was reclaimed; attach it again`;
  assert.deepEqual(told(), [RECLAIMED.message, line("web.eth0"), line("db.eth0")]);
  host.blockLease.begin();
  assert.deepEqual(told(), [line("web.eth0"), line("db.eth0")]);
  host.journal.put(entry("web", "detaching"));
  assert.deepEqual(told(), [line("web.eth0"), line("db.eth0")]);
  host.journal.put(entry("web"));
  assert.deepEqual(told(), [line("db.eth0")]);
  host.journal.remove("web.eth0", 1);
  assert.deepEqual(told(), [line("db.eth0")], "once is enough");
  host.kernel.removeWorkload("/run/netns/db");
  assert.deepEqual(told(), []);
});

/** A mirror, and a disk that keeps what it is given. */
function saving(record?: BlockLeaseRecord) {
  const clock = new VirtualClock();
  const mirror = { isSynced: true, now: undefined as Snapshot | undefined, snapshot: () => mirror.now };
  const saved: number[] = [];
  const says = { fails: false, wait: Promise.resolve() };
  const logged: string[] = [];
  const blockLease = new BlockLease(clock, record, () => undefined);
  const options = {
    mirror: mirror as unknown as Mirror,
    clock,
    blockLease,
    saveSnapshot: async ({ revision }: Snapshot) => {
      await says.wait;
      if (says.fails) throw new Error("ENOSPC");
      saved.push(revision);
    },
    log: (message: string) => void logged.push(message),
  };
  const at = (revision: number, history?: string) => {
    const snapshot = { ...emptySnapshot("c"), revision };
    mirror.now = history === undefined ? snapshot : { ...snapshot, history };
  };
  return { clock, mirror, saved, says, logged, blockLease, options, at };
}

test("the newest snapshot is kept, once a second at most, if it is complete and news", async () => {
  const { clock, mirror, saved, says, logged, options, at } = saving();
  const stop = new AbortController();
  const done = new SavedSnapshot(options).run(stop.signal);
  await clock.advance(5_000);
  assert.equal(saved.length, 0);
  at(1);
  await clock.advance(999);
  assert.equal(saved.length, 0);
  for (let revision = 1; revision <= 10; revision++) {
    at(revision);
    await clock.advance(100);
  }
  assert.deepEqual(saved, [1]);
  await clock.advance(5_000);
  assert.deepEqual(saved, [1, 10]);
  at(10);
  await clock.advance(5_000);
  assert.deepEqual(saved, [1, 10], "the same again");
  at(10, "another");
  await clock.advance(1_000);
  assert.deepEqual(saved, [1, 10, 10], "of another history");
  mirror.isSynced = false;
  at(11, "another");
  await clock.advance(5_000);
  assert.deepEqual(saved.length, 3, "not complete");
  mirror.isSynced = true;
  says.fails = true;
  await clock.advance(3_000);
  assert.deepEqual([saved.length, logged], [3, ["save", "save", "save"]]);
  says.fails = false;
  await clock.advance(1_000);
  assert.deepEqual(saved.at(-1), 11);
  stop.abort();
  await clock.advance(10);
  await done;
});

const ENDED = { ended: { reason: RECLAIMED.reason, detail: RECLAIMED.detail } } as const;

test("a new life begins when its blocks are on disk, and not before", async () => {
  const { clock, saved, says, logged, blockLease, options, at } = saving(ENDED);
  const { promise, resolve } = Promise.withResolvers<void>();
  says.wait = promise;
  at(5);
  let begun = 0;
  void rejoin(options, new AbortController().signal, () => begun++);
  await clock.advance(10_000);
  assert.deepEqual([blockLease.ended?.reason, begun], ["host-reclaimed", 0]);
  says.fails = true;
  resolve();
  await clock.advance(2_500);
  assert.deepEqual([blockLease.ended?.reason, begun, logged], ["host-reclaimed", 0, ["save", "save", "save"]]);
  says.fails = false;
  await clock.advance(1_000);
  assert.deepEqual([blockLease.ended, begun, saved, logged.at(-1)], [undefined, 1, [5], "this host has joined anew"]);
});

test("no life begins where none ended or none is known, nor when it ends again or the agent stops", async () => {
  const never = () => assert.fail("it began");
  const fine = saving();
  fine.at(5);
  await rejoin(fine.options, new AbortController().signal, never);
  const unknown = saving(ENDED);
  await rejoin(unknown.options, new AbortController().signal, never);
  assert.deepEqual([fine.saved, unknown.saved, unknown.blockLease.ended?.reason], [[], [], "host-reclaimed"]);
  for (const isStopped of [true, false]) {
    const { clock, says, blockLease, options, at, saved } = saving(ENDED);
    const { promise, resolve } = Promise.withResolvers<void>();
    says.wait = promise;
    at(5);
    const stop = new AbortController();
    const done = rejoin(options, stop.signal, never);
    await clock.advance(10);
    if (isStopped) stop.abort();
    else blockLease.end(RECLAIMED);
    resolve();
    await clock.advance(5_000);
    await done;
    assert.deepEqual([blockLease.ended?.reason, saved], ["host-reclaimed", [5]]);
    const broken = saving(ENDED);
    broken.says.fails = true;
    broken.at(5);
    const end = new AbortController();
    const tries = rejoin(broken.options, end.signal, never);
    await broken.clock.advance(10);
    if (isStopped) end.abort();
    else broken.blockLease.end(RECLAIMED);
    await broken.clock.advance(5_000);
    await tries;
    assert.deepEqual(broken.logged, ["save"]);
  }
});

test("a phase of a conversion is reported when it is on disk, and no snapshot is saved for it twice", async () => {
  const { mirror, saved, says, options, at } = saving();
  const snapshot = new SavedSnapshot(options);
  const report = { ...firstReport({ host: "h1", bootId: "b", version: "v", hostPrefixes: [] }), revision: 9 };
  at(9);
  assert.deepEqual(await snapshot.covered(report), report);
  assert.deepEqual(saved, [], "without a conversion nothing waits for the disk");
  const phase = (revision: number) => {
    const spec = { vrf: "v", from: { vni: 1 }, to: { vni: 2 }, phase: "receive" } as const;
    const conversion: Conversion = { kind: "conversion", name: "v", uid: "u", revision, spec };
    mirror.now = { ...emptySnapshot("c"), revision: 9, conversions: [conversion] };
  };
  phase(7);
  says.fails = true;
  const refused = await snapshot.covered(report);
  assert.equal(refused.revision, 6, "the server does not take the host for one that is there");
  assert.match(refused.errors[0] ?? "", /on this host's disk: .*ENOSPC/);
  says.fails = false;
  assert.deepEqual([await snapshot.covered(report), saved], [report, [9]]);
  await snapshot.covered(report);
  assert.deepEqual(saved, [9]);
  phase(10);
  mirror.now = { ...(mirror.now ?? assert.fail()), revision: 10 };
  await snapshot.covered({ ...report, revision: 10 });
  assert.deepEqual(saved, [9, 10]);
});
