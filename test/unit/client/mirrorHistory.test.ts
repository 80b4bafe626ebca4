// The mirror against a server that says, step by step, what a test wants: histories that it names, questions, restored
// backups, and the times at which it is asked again.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle, VirtualClock } from "../../sim/lab/clock.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { type ChangeSet, type Host, type Position, type Snapshot, snapshotOf } from "../../../src/model/resource.ts";
import { Mirror } from "../../../src/client/mirror.ts";

const fault = (reason: Reason) => new Fault(reason, { what: "no", fix: "wait" });
function host(name: string): Host {
  return { kind: "host", name, uid: name, revision: 0, spec: { underlay: "10.0.0.1", underlayMtu: 1500, order: 0 } };
}

/** A server of one line: answers lists with what is next, and hands on what a test puts on its watch. */
class Server {
  readonly clock = new VirtualClock();
  readonly stop = new AbortController();
  lists: (Snapshot | Fault)[] = [];
  /** What each list and each watch was asked with. */
  readonly listed: (Position | undefined)[] = [];
  readonly watched: (readonly [from: number, history: string | undefined])[] = [];
  readonly askedAtMs: number[] = [];
  isMute = false;
  #say: (set: ChangeSet | Fault) => void = () => undefined;

  readonly transport = {
    snapshot: (known?: Position): Promise<Snapshot> => {
      this.listed.push(known);
      this.askedAtMs.push(this.clock.nowMs());
      const next = this.lists.length > 1 ? this.lists.shift() : this.lists[0];
      return next instanceof Fault || next === undefined
        ? Promise.reject(next ?? fault("unavailable"))
        : Promise.resolve(next);
    },
    watch: (from: number, signal: AbortSignal, history?: string) => this.#watch(from, signal, history),
  };

  mirror(random: () => number, saved?: Snapshot): Mirror {
    const options = { transport: this.transport, clock: this.clock, random };
    const mirror = new Mirror(saved === undefined ? options : { ...options, saved });
    void mirror.run(this.stop.signal);
    return mirror;
  }

  async say(...sets: readonly (ChangeSet | Fault)[]): Promise<void> {
    for (const set of sets) {
      this.#say(set);
      await settle();
    }
  }

  async *#watch(from: number, signal: AbortSignal, history: string | undefined): AsyncGenerator<ChangeSet> {
    this.watched.push([from, history]);
    this.askedAtMs.push(this.clock.nowMs());
    if (this.isMute) throw fault("unavailable");
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<ChangeSet | Fault | undefined>();
      this.#say = resolve;
      signal.addEventListener("abort", () => resolve(undefined));
      const said = await promise;
      if (said instanceof Fault) throw said;
      if (said === undefined) return;
      yield said;
    }
  }
}

const at = (revision: number, history?: string): Snapshot => {
  const snapshot = snapshotOf("c1", revision, [host(`h${revision}`)]);
  return history === undefined ? snapshot : { ...snapshot, history };
};
const half = () => 0.5;

test("the history that a server names is shown to it again, with the revision that was reached", async () => {
  const server = new Server();
  server.lists = [at(5, "first")];
  const mirror = server.mirror(half);
  await server.clock.advance(0);
  assert.deepEqual([server.listed, server.watched], [[undefined], [[5, "first"]]]);
  const put = { put: { ...host("new"), revision: 7 } };
  await server.say({ revision: 5, changes: [], history: "second" }, { revision: 7, changes: [put] });
  assert.deepEqual([mirror.snapshot()?.revision, mirror.snapshot()?.history], [7, "second"]);
  await server.say(fault("unavailable"));
  await server.clock.advance(1_000);
  assert.deepEqual(server.watched.at(-1), [7, "second"]);
  await server.say(fault("another-history"));
  await server.clock.advance(1_000);
  assert.deepEqual(server.listed, [undefined, { history: "second", revision: 7 }]);
  server.stop.abort();
});

test("a list of a lower revision: taken from a server that has judged it, and told before; else refused", async () => {
  const cases: readonly (readonly [saved: Snapshot, list: Snapshot, isTaken: boolean, rewound: number[]])[] = [
    [at(9, "h"), at(4, "h"), true, [4]],
    [at(9, "h"), at(9, "h"), true, []],
    [at(9, "h"), at(12, "h"), true, []],
    [at(9), at(9), true, []],
    // A server that knows no histories, and one that was shown none.
    [at(9, "h"), at(8), false, []],
    [at(9), at(8, "h"), false, []],
  ];
  for (const [saved, list, isTaken, expected] of cases) {
    const server = new Server();
    server.lists = [list];
    const rewound: (readonly [number, number | undefined])[] = [];
    const mirror = server.mirror(half, saved);
    mirror.onRewind((revision) => rewound.push([revision, mirror.snapshot()?.revision]));
    await server.clock.advance(0);
    assert.equal(mirror.isSynced, isTaken, JSON.stringify([saved.revision, list.revision, list.history]));
    assert.deepEqual(mirror.snapshot(), isTaken ? list : saved);
    assert.equal(mirror.problem?.reason, isTaken ? undefined : "revision-stale");
    assert.deepEqual(
      rewound,
      expected.map((revision) => [revision, 9]),
      "told while the old one is still there",
    );
    server.stop.abort();
  }
});

test("a question is heard, and says nothing about what is known", async () => {
  const server = new Server();
  server.lists = [at(5)];
  const mirror = server.mirror(half);
  await server.clock.advance(0);
  const [asks, pokes]: [unknown[], number[]] = [[], []];
  mirror.onAsk((ask) => asks.push(ask));
  mirror.onChange(() => pokes.push(1));
  const ask = { id: "q", kind: "inventory" } as unknown as NonNullable<ChangeSet["ask"]>;
  await server.say({ revision: 6, changes: [], ask });
  assert.deepEqual([asks, pokes, mirror.snapshot()?.revision], [[ask], [], 5]);
  server.stop.abort();
});

test("readers are told when it is synced, of each revision, and once when it is synced no longer", async () => {
  const server = new Server();
  server.lists = [at(5)];
  const mirror = server.mirror(half);
  const seen: (readonly [boolean, number | undefined, string | undefined])[] = [];
  mirror.onChange(() => seen.push([mirror.isSynced, mirror.snapshot()?.revision, mirror.problem?.reason]));
  await server.clock.advance(0);
  // Old ones, and the newest again, are no news.
  await server.say({ revision: 6, changes: [] }, { revision: 6, changes: [] }, { revision: 3, changes: [] });
  server.isMute = true;
  await server.say(fault("unavailable"));
  await server.clock.advance(60_000);
  assert.deepEqual(seen, [
    [true, 5, undefined],
    [true, 6, undefined],
    [false, 6, "unavailable"],
  ]);
  server.stop.abort();
});

test("a resumed watch is followed after three seconds in which it does not end, or at the server's word", async () => {
  const server = new Server();
  server.lists = [at(5)];
  const mirror = server.mirror(() => 0);
  await server.clock.advance(0);
  const resume = async () => {
    await server.say(fault("unavailable"));
    assert.equal(mirror.isSynced, false);
    const watches = server.watched.length;
    while (server.watched.length === watches) await server.clock.advance(10);
  };
  await resume();
  // Neither something old nor something new says that nothing is missing.
  await server.say({ revision: 4, changes: [] }, { revision: 6, changes: [] });
  await server.clock.advance(2_980);
  assert.deepEqual([mirror.isSynced, mirror.problem?.reason, mirror.snapshot()?.revision], [false, "unavailable", 6]);
  await server.clock.advance(20);
  assert.deepEqual([mirror.isSynced, mirror.problem], [true, undefined]);
  await resume();
  await server.say({ revision: 6, changes: [] });
  assert.deepEqual([mirror.isSynced, mirror.problem], [true, undefined]);
  // One that ended before its three seconds were over says nothing about the next.
  await resume();
  await server.clock.advance(2_000);
  await resume();
  await server.clock.advance(1_500);
  assert.equal(mirror.isSynced, false);
  server.stop.abort();
});

test("a server that is away is asked after 0.2 s, then ever later, at most after 10 s, by chance sooner", async () => {
  for (const [random, share] of [
    [0, 0.5],
    [0.5, 0.75],
  ] as const) {
    const server = new Server();
    server.isMute = true;
    server.lists = [fault("unavailable")];
    server.mirror(() => random);
    await server.clock.advance(80_000);
    const waits = server.askedAtMs.slice(1).map((ms, i) => ms - (server.askedAtMs[i] ?? 0));
    const expected = [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].map((ms) => ms * share);
    assert.deepEqual(waits.slice(0, expected.length), expected);
    // All these attempts leave nothing behind them.
    assert.ok(getEventListeners(server.stop.signal, "abort").length <= 3);
    // Whatever is heard begins the count anew.
    server.lists = [at(5)];
    server.isMute = false;
    await server.clock.advance(10_000);
    const before = server.clock.nowMs();
    server.isMute = true;
    await server.say(fault("unavailable"));
    await server.clock.advance(200);
    assert.equal((server.askedAtMs.at(-1) ?? 0) - before, 200 * share);
    server.stop.abort();
  }
});

test("what fails in a transport is a problem, and no end", async () => {
  const server = new Server();
  server.lists = [at(5)];
  const mirror = server.mirror(half);
  await server.clock.advance(0);
  await server.say(fault("compacted"));
  server.lists = [];
  const failing = server.transport.snapshot;
  server.transport.snapshot = () => Promise.reject(new TypeError("no such method"));
  await server.clock.advance(1_000);
  assert.equal(mirror.problem?.reason, "internal");
  assert.match(mirror.problem?.message ?? "", /no such method/);
  server.lists = [at(8)];
  server.transport.snapshot = failing;
  await server.clock.advance(10_000);
  assert.deepEqual([mirror.isSynced, mirror.snapshot()?.revision], [true, 8]);
  server.stop.abort();
});

test("many changes that nobody asks for are all there when somebody does", async () => {
  const server = new Server();
  server.lists = [at(0)];
  const mirror = server.mirror(half);
  await server.clock.advance(0);
  const changes = (n: number) =>
    Array.from({ length: 6_000 }, (_, i) => ({ put: { ...host(`n${(n * 6_000 + i) % 9_000}`), revision: n + 1 } }));
  for (let n = 0; n < 4; n++) await server.say({ revision: n + 1, changes: changes(n) });
  const { hosts, revision } = mirror.snapshot() ?? assert.fail();
  assert.deepEqual([hosts.length, new Set(hosts.map(({ name }) => name)).size, revision], [9_001, 9_001, 4]);
  server.stop.abort();
});

test("a mirror that is told to stop does so, also while the server does not answer", async () => {
  const { clock, transport } = new Server();
  const mute = { ...transport, snapshot: () => new Promise<Snapshot>(() => undefined) };
  const mirror = new Mirror({ transport: mute, clock, random: half });
  const stop = new AbortController();
  let isRunning = true;
  void mirror.run(stop.signal).then(() => (isRunning = false));
  await settle();
  stop.abort();
  await settle();
  assert.deepEqual([isRunning, mirror.isSynced, mirror.problem], [false, false, undefined]);
});
