// The mirror against a store that plays the server, over a transport that squashes, repeats and cuts as it is told, in
// virtual time. What is compared is always what the mirror holds with what the server holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { entry } from "../../contract/store/contract.ts";
import { VirtualClock } from "../../sim/lab/clock.ts";
import { Fault } from "../../../src/model/fault.ts";
import { keyOfResource, resourcesIn, snapshotOf } from "../../../src/model/resource.ts";
import type { Change, ChangeSet, Endpoint, Host, Resource, Snapshot } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { applyChanges, Mirror } from "../../../src/client/mirror.ts";
import type { Transport } from "../../../src/client/transport.ts";

function host(name: string, order = 0): Host {
  return { kind: "host", name, uid: name, revision: 0, spec: { underlay: "10.0.0.1", underlayMtu: 1500, order } };
}
function endpoint(name: string): Endpoint {
  const workload = { owner: name, ifname: "eth0", netns: "/x", mac: "02:00:00:00:00:01", addresses: [] };
  return { kind: "endpoint", name, uid: name, revision: 0, spec: { network: "blue", host: "h1", ...workload } };
}
const put = (...resources: readonly Resource[]) => commitOf(resources.map((r) => ({ put: r })));
const commitOf = (changes: readonly Change[]) => ({ changes, preconditions: [], audit: entry() });
const away = () => new Fault("unavailable", { what: "the line is cut", fix: "wait" });

/** What happens to a change set on its way: it arrives, twice, after an old one, with the next, or the line breaks. */
type Fate = "arrives" | "twice" | "after an old one" | "with the next" | "cut" | "ended";

class Line {
  store: Store;
  isUp = true;
  fates: Fate[] = [];
  #cut = new AbortController();
  readonly transport: Pick<Transport, "snapshot" | "watch">;

  constructor(store: Store) {
    this.store = store;
    this.transport = { snapshot: () => this.#snapshot(), watch: (from, signal) => this.#watch(from, signal) };
  }

  cut(): void {
    this.#cut.abort();
  }

  async #snapshot(): Promise<Snapshot> {
    if (!this.isUp) throw away();
    const { cluster, revision, resources } = await this.store.read();
    return snapshotOf(cluster, revision, resources);
  }

  async *#watch(from: number, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    if (!this.isUp) throw away();
    this.#cut = new AbortController();
    const cut = this.#cut.signal;
    let old: ChangeSet | undefined;
    let held: readonly Change[] = [];
    for await (const { revision, changes } of this.store.watch(from, AbortSignal.any([signal, cut]))) {
      const set: ChangeSet = { revision, changes: [...held, ...changes] };
      const fate = this.fates.shift() ?? "arrives";
      if (fate === "cut") throw away();
      if (fate === "ended") return;
      held = fate === "with the next" ? set.changes : [];
      if (fate === "with the next") continue;
      if (fate === "after an old one" && old !== undefined) yield old;
      yield set;
      if (fate === "twice") yield set;
      old = set;
    }
    if (cut.aborted) throw away();
  }
}

type Body = (mirror: Mirror, clock: VirtualClock) => Promise<void>;

/** A mirror that follows `line` for the length of `body`. */
async function following(line: Line, body: Body, saved?: Snapshot): Promise<void> {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const options = { transport: line.transport, clock, random: () => 0.5 };
  const mirror = new Mirror(saved === undefined ? options : { ...options, saved });
  const running = mirror.run(stop.signal);
  try {
    await clock.advance(0);
    await body(mirror, clock);
  } finally {
    stop.abort();
    await running;
  }
}

async function assertMirrors(mirror: Mirror, store: Store): Promise<void> {
  const { cluster, revision, resources } = await store.read();
  const held = mirror.snapshot();
  assert.deepEqual([held?.cluster, held?.revision], [cluster, revision]);
  assert.deepEqual(contents(held), byKey(resources));
}
function contents(snapshot: Snapshot | undefined): ReadonlyMap<string, Resource> {
  if (snapshot === undefined) return new Map();
  return byKey(resourcesIn(snapshot));
}
function byKey(resources: readonly Resource[]): ReadonlyMap<string, Resource> {
  return new Map(resources.map((resource) => [keyOfResource(resource), resource]));
}

test("lists, is synced, and follows", async () => {
  const line = new Line(openMemoryStore());
  await line.store.commit([put(host("h1"))]);
  await following(line, async (mirror, clock) => {
    assert.equal(mirror.isSynced, true);
    await assertMirrors(mirror, line.store);
    await line.store.commit([put(host("h2"), endpoint("e1")), commitOf([{ remove: "host/h1" }])]);
    await clock.advance(0);
    await assertMirrors(mirror, line.store);
  });
});

test("a saved snapshot is there at once, but not synced while the server is away", async () => {
  const line = new Line(openMemoryStore({ cluster: "c1" }));
  await line.store.commit([put(host("h1")), put(host("h2"))]);
  line.isUp = false;
  const saved = snapshotOf("c1", 1, [{ ...host("h1"), revision: 1 }]);
  await following(
    line,
    async (mirror, clock) => {
      await clock.advance(60_000);
      assert.deepEqual([mirror.snapshot(), mirror.isSynced, mirror.problem?.reason], [saved, false, "unavailable"]);
      line.isUp = true;
      await clock.advance(60_000);
      assert.deepEqual([mirror.isSynced, mirror.problem], [true, undefined]);
      await assertMirrors(mirror, line.store);
    },
    saved,
  );
});

test("without a saved snapshot there is nothing until the first answer", async () => {
  const line = new Line(openMemoryStore());
  line.isUp = false;
  await following(line, async (mirror) => assert.deepEqual([mirror.snapshot(), mirror.isSynced], [undefined, false]));
});

test("a lost line is resumed from where it was, and only then it is synced again", async () => {
  const line = new Line(openMemoryStore());
  await following(line, async (mirror, clock) => {
    line.isUp = false;
    line.cut();
    await line.store.commit([put(host("h1")), put(host("h2"))]);
    await clock.advance(30_000);
    assert.deepEqual([mirror.isSynced, mirror.problem?.reason, mirror.snapshot()?.revision], [false, "unavailable", 0]);
    line.isUp = true;
    await clock.advance(60_000);
    assert.deepEqual([mirror.isSynced, mirror.problem], [true, undefined]);
    await assertMirrors(mirror, line.store);
  });
});

test("the server's word that there is nothing more makes a resumed watch synced at once", async () => {
  const store = openMemoryStore({ cluster: "c1" });
  await store.commit([put(host("h1"))]);
  const line = new Line(store);
  const watch = line.transport.watch;
  let beats = 0;
  const transport: Pick<Transport, "snapshot" | "watch"> = {
    ...line.transport,
    async *watch(from, signal) {
      if (beats++ > 0) yield { revision: from, changes: [] };
      yield* watch(from, signal);
    },
  };
  const clock = new VirtualClock();
  const stop = new AbortController();
  const mirror = new Mirror({ transport, clock, random: () => 0.5 });
  const running = mirror.run(stop.signal);
  await clock.advance(0);
  line.cut();
  await clock.advance(0);
  assert.equal(mirror.isSynced, false);
  await clock.advance(200);
  assert.equal(mirror.isSynced, true);
  stop.abort();
  await running;
});

test("after compaction it lists again, and what was removed meanwhile is gone", async () => {
  const line = new Line(openMemoryStore({ history: 2 }));
  await line.store.commit([put(host("h1"))]);
  await following(line, async (mirror, clock) => {
    line.isUp = false;
    line.cut();
    await line.store.commit([commitOf([{ remove: "host/h1" }])]);
    for (let i = 2; i < 9; i++) await line.store.commit([put(host(`h${i}`))]);
    line.isUp = true;
    await clock.advance(60_000);
    assert.equal(mirror.isSynced, true);
    await assertMirrors(mirror, line.store);
  });
});

test("another cluster is a problem, never a deletion; the right one heals it", async () => {
  const right = openMemoryStore({ cluster: "right", history: 1 });
  await right.commit([put(host("h1")), put(host("h2")), put(host("h3"))]);
  const line = new Line(right);
  await following(line, async (mirror, clock) => {
    const before = mirror.snapshot();
    line.store = openMemoryStore({ cluster: "wrong" });
    line.cut();
    await clock.advance(120_000);
    assert.deepEqual([mirror.snapshot(), mirror.isSynced, mirror.problem?.reason], [before, false, "host-claimed"]);
    line.store = right;
    await right.commit([put(host("h4"))]);
    await clock.advance(60_000);
    assert.equal(mirror.isSynced, true);
    await assertMirrors(mirror, right);
  });
});

test("the word that the host is no longer ends the run, keeps the snapshot, and the next run lists anew", async () => {
  const store = openMemoryStore();
  await store.commit([put(host("h1"))]);
  const line = new Line(store);
  const clock = new VirtualClock();
  const mirror = new Mirror({ transport: line.transport, clock, random: () => 0.5 });
  const stop = new AbortController();
  const first = mirror.run(stop.signal);
  await clock.advance(100);
  const before = mirror.snapshot();
  const end = new Fault("host-reclaimed", { what: "it was lost", fix: "join" });
  const { watch } = line.transport;
  Object.assign(line.transport, {
    watch: () => {
      throw end;
    },
  });
  line.cut();
  await clock.advance(60_000);
  await first;
  assert.deepEqual([mirror.snapshot(), mirror.isSynced, mirror.problem], [before, false, end]);
  Object.assign(line.transport, { watch });
  await store.commit([put(host("h2"))]);
  const second = mirror.run(stop.signal);
  await clock.advance(100);
  assert.equal(mirror.isSynced, true);
  await assertMirrors(mirror, store);
  stop.abort();
  await clock.advance(1);
  await second;
});

test("a saved snapshot of another cluster is kept, and said so", async () => {
  const saved = snapshotOf("mine", 7, [{ ...host("h1"), revision: 1 }]);
  await following(
    new Line(openMemoryStore({ cluster: "another" })),
    async (mirror) => {
      assert.deepEqual([mirror.snapshot(), mirror.isSynced, mirror.problem?.reason], [saved, false, "host-claimed"]);
    },
    saved,
  );
});

test("the same cluster at an earlier revision is a restored backup: nothing is believed", async () => {
  const saved = snapshotOf("c1", 7, [{ ...host("h1"), revision: 1 }]);
  const line = new Line(openMemoryStore({ cluster: "c1" }));
  await following(
    line,
    async (mirror, clock) => {
      await clock.advance(30_000);
      assert.deepEqual([mirror.snapshot(), mirror.isSynced, mirror.problem?.reason], [saved, false, "revision-stale"]);
    },
    saved,
  );
});

test("the snapshot is one value until something changes, and untouched lists stay what they were", async () => {
  const line = new Line(openMemoryStore());
  await line.store.commit([put(host("h1"), endpoint("e1"))]);
  await following(line, async (mirror, clock) => {
    const before = mirror.snapshot();
    assert.equal(mirror.snapshot(), before);
    await line.store.commit([put(host("h2"))]);
    await clock.advance(0);
    assert.notEqual(mirror.snapshot(), before);
    assert.equal(mirror.snapshot()?.endpoints, before?.endpoints);
    assert.equal(before?.hosts.length, 1);
  });
});

test("pokes after every revision until the reader has enough", async () => {
  const line = new Line(openMemoryStore());
  await following(line, async (mirror, clock) => {
    const seen: (number | undefined)[] = [];
    const enough = mirror.onChange(() => seen.push(mirror.snapshot()?.revision));
    await line.store.commit([put(host("h1"))]);
    await clock.advance(0);
    enough();
    await line.store.commit([put(host("h1"))]);
    await clock.advance(0);
    assert.deepEqual(seen, [1]);
  });
});

const changeOf = fc.oneof(
  fc.tuple(fc.nat(5), fc.nat(9)).map(([n, order]): Change => ({ put: host(`h${n}`, order) })),
  fc.nat(5).map((n): Change => ({ put: endpoint(`e${n}`) })),
  fc.nat(5).map((n): Change => ({ remove: n % 2 === 0 ? `host/h${n}` : `endpoint/e${n}` })),
);
type Event = { readonly changes: readonly Change[] } | { readonly waitMs: number } | { readonly isUp: boolean } | "cut";
const eventOf: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.array(changeOf, { minLength: 1, maxLength: 3 }).map((changes) => ({ changes })) },
  { weight: 3, arbitrary: fc.nat(4_000).map((waitMs) => ({ waitMs })) },
  { weight: 1, arbitrary: fc.boolean().map((isUp) => ({ isUp })) },
  { weight: 1, arbitrary: fc.constant("cut" as const) },
);
const fateOf = fc.constantFrom<Fate>(
  "arrives",
  "arrives",
  "twice",
  "after an old one",
  "with the next",
  "cut",
  "ended",
);
const scheduleOf = fc.record({
  events: fc.array(eventOf, { maxLength: 25 }),
  fates: fc.array(fateOf, { maxLength: 40 }),
  history: fc.integer({ min: 1, max: 8 }),
});

test("any delivery ends at the server's state, and the mirror never goes back", async () => {
  await fc.assert(
    fc.asyncProperty(scheduleOf, async ({ events, fates, history }) => {
      const line = new Line(openMemoryStore({ history }));
      line.fates = [...fates];
      await following(line, async (mirror, clock) => {
        let reached = 0;
        for (const event of events) {
          if (event === "cut") line.cut();
          else if ("changes" in event) await line.store.commit([commitOf(event.changes)]);
          else if ("isUp" in event) line.isUp = event.isUp;
          else await clock.advance(event.waitMs);
          const revision = mirror.snapshot()?.revision ?? 0;
          assert.ok(revision >= reached, `revision went back from ${reached} to ${revision}`);
          reached = revision;
        }
        line.isUp = true;
        line.fates = [];
        // A set that was to come with the next one needs a next one.
        await line.store.commit([put(host("last"))]);
        await clock.advance(60_000);
        assert.equal(mirror.isSynced, true);
        await assertMirrors(mirror, line.store);
      });
    }),
    { numRuns: 150 },
  );
});

test("applyChanges: however a history is split into sets, the end is the same", () => {
  fc.assert(
    fc.property(fc.array(changeOf, { maxLength: 30 }), fc.array(fc.nat(30), { maxLength: 5 }), (changes, cuts) => {
      const start = snapshotOf("c1", 0, [host("h1"), endpoint("e1")]);
      const whole = applyChanges(start, { revision: 9, changes });
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), changes.length];
      const parts = bounds.slice(1).map((end, i) => changes.slice(bounds[i], end));
      const split = parts.reduce((snapshot, part) => applyChanges(snapshot, { revision: 9, changes: part }), start);
      assert.deepEqual(contents(split), contents(whole));
      assert.equal([...contents(split).keys()].length, split.hosts.length + split.endpoints.length, "nothing twice");
    }),
  );
});
