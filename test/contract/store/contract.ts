// What every store promises, as tests: run by memory.test.ts and sqlite.test.ts. The last one compares a store with a
// naive model over random writes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { AuditEntry } from "../../../src/model/audit.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { keyOfResource } from "../../../src/model/resource.ts";
import type { Change, ChangeSet, Host, Key, Resource } from "../../../src/model/resource.ts";
import type { AuditBounds } from "../../../src/store/audit.ts";
import type { LeaseBounds } from "../../../src/store/leases.ts";
import type { Commit, Precondition, Store } from "../../../src/store/store.ts";

export type OpenStore = (options?: {
  readonly cluster?: string;
  readonly history?: number;
  readonly leases?: LeaseBounds;
  readonly audit?: AuditBounds;
}) => Store;

export function entry(verb = "put", atMs = 1): AuditEntry {
  return { atMs, who: "admin", credential: "token", from: "10.0.0.9", verb, result: "done" };
}

export function host(name: string, order = 0): Host {
  const spec = { underlay: "10.0.0.1", underlayMtu: 1500, order };
  return { kind: "host", name, uid: `uid-${name}`, revision: 0, spec };
}
export function putting(...resources: readonly Resource[]): Commit {
  return { changes: resources.map((put) => ({ put })), preconditions: [], audit: entry() };
}
export function removing(...keys: readonly Key[]): Commit {
  return { changes: keys.map((remove) => ({ remove })), preconditions: [], audit: entry() };
}
export function refusal(reason: Reason): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.reason === reason;
}

/** The first `count` sets after `from`. */
export async function take(store: Store, from: number, count: number): Promise<ChangeSet[]> {
  const stop = new AbortController();
  const sets: ChangeSet[] = [];
  for await (const set of store.watch(from, stop.signal)) {
    sets.push(set);
    if (sets.length === count) stop.abort();
  }
  return sets;
}

export function storeContract(name: string, open: OpenStore): void {
  describe(name, () => {
    commitContract(open);
    preconditionContract(open);
    watchContract(open);
    compactionContract(open);
    lifeContract(open);
    propertyContract(open);
  });
}

function commitContract(open: OpenStore): void {
  test("begins empty, at revision 0, under the name it was given", async () => {
    const store = open({ cluster: "c1" });
    assert.deepEqual(await store.read(), { cluster: "c1", revision: 0, resources: [] });
    assert.equal(store.revision, 0);
    await store.close();
  });

  test("two stores never share a name", async () => {
    const [a, b] = [open(), open()];
    assert.notEqual(a.cluster, b.cluster);
    await Promise.all([a.close(), b.close()]);
  });

  test("each commit is one revision, and what it puts carries it", async () => {
    const store = open({ cluster: "c1" });
    const commits = [putting(host("h1"), host("h2")), putting(host("h3")), removing("host/h1")];
    assert.deepEqual(await store.commit(commits), [1, 2, 3]);
    assert.deepEqual(await store.commit([putting(host("h3", 7))]), [4]);
    const { revision, resources } = await store.read();
    assert.equal(revision, 4);
    assert.deepEqual(
      byKey(resources),
      byKey([
        { ...host("h2"), revision: 1 },
        { ...host("h3", 7), revision: 4 },
      ]),
    );
    await store.close();
  });

  test("is committed before the call returns, so that the next decision sees it", async () => {
    const store = open();
    const first = store.commit([putting(host("h1"))]);
    assert.equal(store.revision, 1);
    const second = store.commit([putting(host("h2"))]);
    assert.deepEqual(await Promise.all([first, second]), [[1], [2]]);
    await store.close();
  });

  test("removing what is not there is a revision like any other", async () => {
    const store = open();
    assert.deepEqual(await store.commit([removing("host/nobody")]), [1]);
    assert.deepEqual(await take(store, 0, 1), [{ revision: 1, changes: [{ remove: "host/nobody" }] }]);
    await store.close();
  });

  test("a commit without changes is a bug of the caller, and nothing of the call is kept", async () => {
    const store = open();
    const commits = [putting(host("h1")), { changes: [], preconditions: [], audit: entry() }];
    await assert.rejects(store.commit(commits), assert.AssertionError);
    assert.equal(store.revision, 0);
    assert.deepEqual((await store.read()).resources, []);
    await store.close();
  });

  test("secrets are kept, replaced and forgotten, with commits or alone", async () => {
    const store = open();
    assert.equal(store.secret("token"), undefined);
    assert.deepEqual(await store.commit([], [{ key: "token", value: "s1" }]), []);
    assert.equal(store.secret("token"), "s1");
    await store.commit(
      [putting(host("h1"))],
      [
        { key: "token", value: "s2" },
        { key: "other", value: "" },
      ],
    );
    assert.deepEqual([store.secret("token"), store.secret("other"), store.revision], ["s2", "", 1]);
    await store.commit([], [{ key: "token", value: undefined }]);
    assert.equal(store.secret("token"), undefined);
    assert.equal(store.revision, 1);
    await store.close();
  });
}

function preconditionContract(open: OpenStore): void {
  const expecting = (key: Key, revision: number, change: Change): Commit => ({
    changes: [change],
    preconditions: [{ key, revision }],
    audit: entry(),
  });

  test("a precondition holds at its revision, or absent at 0", async () => {
    const store = open();
    await store.commit([expecting("host/h1", 0, { put: host("h1") })]);
    await store.commit([expecting("host/h1", 1, { put: host("h1", 1) })]);
    await store.commit([expecting("host/h1", 2, { remove: "host/h1" })]);
    await store.commit([expecting("host/h1", 0, { put: host("h1") })]);
    assert.equal(store.revision, 4);
    await store.close();
  });

  test("a later commit of the same call sees the earlier ones", async () => {
    const store = open();
    const commits = [
      expecting("host/h1", 0, { put: host("h1") }),
      expecting("host/h1", 1, { remove: "host/h1" }),
      expecting("host/h1", 0, { put: host("h1", 2) }),
    ];
    assert.deepEqual(await store.commit(commits), [1, 2, 3]);
    await store.close();
  });

  test("one that fails changes nothing: not the commits before it, not the secrets, not the history", async () => {
    const store = open({ cluster: "c1" });
    await store.commit([putting(host("h1"))], [{ key: "token", value: "s1" }]);
    for (const wrong of [expecting("host/h1", 0, { put: host("h1") }), expecting("host/h2", 9, { put: host("h2") })]) {
      const call = store.commit([putting(host("h3")), wrong], [{ key: "token", value: "s2" }]);
      await assert.rejects(call, refusal("revision-stale"));
    }
    assert.deepEqual(await store.read(), { cluster: "c1", revision: 1, resources: [{ ...host("h1"), revision: 1 }] });
    assert.equal(store.secret("token"), "s1");
    await store.commit([putting(host("h4"))]);
    assert.deepEqual(
      (await take(store, 0, 2)).map((set) => set.revision),
      [1, 2],
    );
    await store.close();
  });
}

function watchContract(open: OpenStore): void {
  test("a watch gives the history first, then what is committed, without gaps or repeats", async () => {
    const store = open();
    await store.commit([putting(host("h1")), putting(host("h2"))]);
    const live = take(store, 1, 4);
    await store.commit([removing("host/h1")]);
    await store.commit([putting(host("h3")), putting(host("h4"))]);
    assert.deepEqual(await live, [
      { revision: 2, changes: [{ put: { ...host("h2"), revision: 2 } }] },
      { revision: 3, changes: [{ remove: "host/h1" }] },
      { revision: 4, changes: [{ put: { ...host("h3"), revision: 4 } }] },
      { revision: 5, changes: [{ put: { ...host("h4"), revision: 5 } }] },
    ]);
    await store.close();
  });

  test("watchers that wait are all told, each at its own pace", async () => {
    const store = open();
    const watchers = Array.from({ length: 50 }, () => take(store, 0, 3));
    for (const name of ["h1", "h2", "h3"]) await store.commit([putting(host(name))]);
    for (const sets of await Promise.all(watchers))
      assert.deepEqual(
        sets.map((set) => set.revision),
        [1, 2, 3],
      );
    await store.close();
  });

  test("from the future is refused: the reader knew another life of this store", async () => {
    const store = open();
    await store.commit([putting(host("h1"))]);
    await assert.rejects(take(store, 2, 1), refusal("revision-stale"));
    await store.close();
  });

  test("ends with the signal, while it waits and before it begins", async () => {
    const store = open();
    const stop = new AbortController();
    const waiting = collect(store.watch(0, stop.signal));
    stop.abort();
    assert.deepEqual(await waiting, []);
    assert.deepEqual(await collect(store.watch(0, AbortSignal.abort())), []);
    await store.close();
  });

  test("ends when the store is closed", async () => {
    const store = open();
    const waiting = collect(store.watch(0, new AbortController().signal));
    await store.close();
    assert.deepEqual(await waiting, []);
  });
}

function compactionContract(open: OpenStore): void {
  test("history reaches back as far as it was asked to, and no further", async () => {
    const store = open({ history: 3 });
    for (let i = 1; i <= 10; i++) await store.commit([putting(host(`h${i}`))]);
    assert.deepEqual(
      (await take(store, 7, 3)).map((set) => set.revision),
      [8, 9, 10],
    );
    await assert.rejects(take(store, 6, 1), refusal("compacted"));
    await assert.rejects(take(store, 0, 1), refusal("compacted"));
    await store.close();
  });

  test("a reader overtaken by the window is told so, and has delayed nobody", async () => {
    const store = open({ history: 2 });
    await store.commit([putting(host("h1"))]);
    const slow = store.watch(0, new AbortController().signal)[Symbol.asyncIterator]();
    assert.equal((await slow.next()).value?.revision, 1);
    for (let i = 2; i <= 9; i++) await store.commit([putting(host(`h${i}`))]);
    assert.equal(store.revision, 9);
    await assert.rejects(slow.next(), refusal("compacted"));
    await store.close();
  });

  test("the newest commit can always be watched, whatever its size", async () => {
    const store = open({ history: 2 });
    const waiting = take(store, 0, 1);
    await store.commit([putting(...Array.from({ length: 20 }, (_, i) => host(`h${i}`)))]);
    assert.equal((await waiting)[0]?.changes.length, 20);
    await store.close();
  });
}

function lifeContract(open: OpenStore): void {
  test("a closed store takes no commit; closing twice is harmless", async () => {
    const store = open();
    await store.close();
    await store.close();
    await assert.rejects(store.commit([putting(host("h1"))]), refusal("unavailable"));
    await assert.rejects(store.leases({ address: "10.0.0.1", limit: 1 }), refusal("unavailable"));
    assert.equal(store.revision, 0);
  });

  test("a call without commits and secrets is nothing", async () => {
    const store = open();
    assert.deepEqual(await store.commit([]), []);
    assert.deepEqual([store.revision, (await store.read()).resources], [0, []]);
    await store.close();
  });
}

/** Commits of one call. A change puts a host with an `order`, or removes it; a precondition is the truth, or a lie. */
type Step = readonly {
  readonly changes: readonly (readonly [host: number, order: number | undefined])[];
  readonly preconditions: readonly (readonly [host: number, isLie: boolean])[];
}[];
type Model = { resources: Map<Key, Resource>; log: ChangeSet[] };

/** Hosts are few, so that random writes meet. */
const stepOf = fc.array(
  fc.record({
    changes: fc.array(fc.tuple(fc.nat(4), fc.option(fc.nat(99), { nil: undefined })), { minLength: 1, maxLength: 4 }),
    preconditions: fc.array(
      fc.tuple(
        fc.nat(4),
        fc.nat(7).map((n) => n === 0),
      ),
      { maxLength: 2 },
    ),
  }),
  { maxLength: 4 },
);

function propertyContract(open: OpenStore): void {
  test("random writes: the same answers, state and history as the naive model", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepOf, { maxLength: 20 }), fc.nat(90), async (steps, from) => {
        const store = open({ cluster: "c1" });
        const model: Model = { resources: new Map(), log: [] };
        for (const step of steps) await compareStep(store, model, step);
        assert.deepEqual(byKey((await store.read()).resources), model.resources);
        const missed = model.log.slice(from);
        if (missed.length > 0) assert.deepEqual(await take(store, from, missed.length), missed);
        await store.close();
      }),
      { numRuns: 60 },
    );
  });
}

async function compareStep(store: Store, model: Model, step: Step): Promise<void> {
  const next = new Map(model.resources);
  const log = [...model.log];
  const commits: Commit[] = [];
  for (const { changes, preconditions } of step) {
    const wanted = changes.map(([n, order]): Change => {
      return order === undefined ? { remove: `host/h${n}` } : { put: host(`h${n}`, order) };
    });
    const expected = preconditions.map(([n, isLie]): Precondition => {
      const revision = next.get(`host/h${n}`)?.revision ?? 0;
      return { key: `host/h${n}`, revision: isLie ? revision + 1 : revision };
    });
    commits.push({ changes: wanted, preconditions: expected, audit: entry() });
    const revision = log.length + 1;
    const done = wanted.map((change) => ("put" in change ? { put: { ...change.put, revision } } : change));
    log.push({ revision, changes: done });
    for (const change of done) {
      if ("put" in change) next.set(keyOfResource(change.put), change.put);
      else next.delete(change.remove);
    }
  }
  if (step.some(({ preconditions }) => preconditions.some(([, isLie]) => isLie))) {
    await assert.rejects(store.commit(commits), refusal("revision-stale"));
  } else {
    assert.deepEqual(
      await store.commit(commits),
      log.slice(model.log.length).map((set) => set.revision),
    );
    model.resources = next;
    model.log = log;
  }
  assert.equal(store.revision, model.log.length);
}

async function collect(sets: AsyncIterable<ChangeSet>): Promise<ChangeSet[]> {
  const all: ChangeSet[] = [];
  for await (const set of sets) all.push(set);
  return all;
}

function byKey(resources: readonly Resource[]): ReadonlyMap<Key, Resource> {
  return new Map(resources.map((resource) => [keyOfResource(resource), resource]));
}
