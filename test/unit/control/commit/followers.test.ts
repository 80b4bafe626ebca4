// Hosts that watch: a reader that is too slow, one that is removed, questions, and what is forgotten when a watch ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import type { Store } from "../../../../src/store/store.ts";
import { Followers } from "../../../../src/control/commit/followers.ts";
import { JOIN_TOKEN, openLab, v4 } from "../lab.ts";
import { Control } from "../../../../src/control/control.ts";
import { viewOf } from "../../../../src/control/state/view.ts";

const HOST = { role: "host", host: "h1" } as const;
const host = (name: string) => ({ role: "host", host: name }) as const;
const hosts = [1, 2].map((n) => {
  const spec = { underlay: `192.168.0.${n}`, underlayMtu: 1500, order: n };
  return { kind: "host", name: `h${n}`, uid: `u${n}`, revision: n, spec } as const;
});
const view = () => viewOf("lab", 2, hosts);
const step = (revision: number) => ({ revision, committedAtMs: 0, before: new Map() });
const ask = { id: 1, orders: [] };

test("a reader for whom too much waits has to list again, and nobody else has", () => {
  const followers = new Followers();
  const [slow, quick] = [followers.join(view(), host("h1"), []), followers.join(view(), host("h2"), [])];
  for (let revision = 1; revision <= 8192; revision++) {
    followers.append([step(revision)]);
    followers.publish(view());
    quick.waiting = [];
  }
  assert.deepEqual([slow.state, slow.waiting.length], ["follows", 8192]);
  assert.deepEqual(slow.waiting.at(-1), { revision: 8192, changes: [] });
  followers.append([step(8193)]);
  followers.publish(view());
  assert.deepEqual([slow.state, slow.waiting.length, quick.state, quick.waiting.length], ["lost", 0, "follows", 1]);
  followers.append([step(8194)]);
  followers.publish(view());
  assert.deepEqual([slow.waiting.length, quick.waiting.length], [0, 2], "it gets nothing that has a gap before it");
  assert.deepEqual([...followers.ask(new Map(["h1", "h2", "h3"].map((host) => [host, ask])))], ["h2"]);
  assert.deepEqual([slow.asks, quick.asks], [[], [ask]]);
  assert.deepEqual([...followers.ask(new Map([["h1", ask]]))], []);
});

test("who joins hears what it missed at once; who has left, or lost the way, hears nothing", () => {
  const followers = new Followers();
  assert.equal(followers.isBehind, false);
  const early = followers.join(view(), host("h1"), []);
  followers.append([step(1), step(2)]);
  assert.equal(followers.isBehind, true);
  const late = followers.join(view(), host("h2"), [step(2)]);
  assert.equal(followers.isBehind, false);
  const revisions = ({ waiting }: typeof early) => waiting.map(({ revision }) => revision);
  assert.deepEqual([revisions(early), revisions(late)], [[1, 2], [2]]);
  followers.leave(late);
  followers.append([step(3)]);
  followers.publish(view());
  assert.deepEqual([revisions(early), revisions(late)], [[1, 2, 3], [2]]);
  followers.append([step(4)]);
  followers.lose();
  assert.deepEqual([early.state, late.state, followers.isBehind], ["lost", "follows", false]);
  const gone = followers.join(viewOf("lab", 2, []), host("h1"), [step(5)]);
  assert.deepEqual([gone.state, revisions(gone)], ["removed", [5]]);
  assert.deepEqual([...followers.ask(new Map([["h1", ask]]))], []);
});

test("whoever waits for news hears it, and goes when it is told to", async () => {
  const followers = new Followers();
  const ended = new AbortController();
  ended.abort();
  await followers.sleepers.sleep(ended.signal);
  const stop = new AbortController();
  let woken = 0;
  const wait = () => followers.sleepers.sleep(stop.signal).then(() => woken++);
  void wait();
  void wait();
  await setImmediate();
  assert.equal(woken, 0);
  followers.sleepers.wake();
  await setImmediate();
  assert.equal(woken, 2);
  const [last] = [wait()];
  stop.abort();
  await last;
  assert.equal(woken, 3);
});

test("a watch that ends is nobody's any more: a question is answered at once by whoever is away", async () => {
  const lab = await openLab();
  await lab.join(1);
  const stop = new AbortController();
  const watch = lab.control.watch(lab.control.revision, HOST, stop.signal)[Symbol.asyncIterator]();
  await watch.next();
  await watch.return?.();
  // The lab's clock stands still: a host that is waited for would never be late.
  const report = await lab.control.check({});
  assert.match(JSON.stringify(report), /does not follow the server/);
});

test("a reader lists again when the store knows more than was told", async () => {
  const inner = openMemoryStore({ cluster: "lab" });
  let isLost = false;
  const store: Store = {
    ...inner,
    get revision() {
      return inner.revision;
    },
    async commit(...args) {
      const revisions = await inner.commit(...args);
      if (isLost) throw new Error("the answer was lost");
      return revisions;
    },
  };
  const lab = await openLab(store);
  await lab.join(1);
  const { control } = lab;
  const watch = control.watch(control.revision, HOST, new AbortController().signal)[Symbol.asyncIterator]();
  assert.deepEqual((await watch.next()).value, { revision: 1, changes: [] });
  const next = watch.next();
  isLost = true;
  await assert.rejects(lab.put("blue", v4("10.7.0.0/16")), /answer was lost/);
  isLost = false;
  await assert.rejects(next, { reason: "compacted" });
});

test("a server whose disk was full when it started begins its history with its first commit", async () => {
  const inner = openMemoryStore({ cluster: "lab" });
  const first = await openLab(inner);
  await first.join(1);
  const known = (await first.control.snapshot(HOST)).history;
  await first.control.close();
  let isFull = true;
  const store: Store = {
    ...inner,
    get revision() {
      return inner.revision;
    },
    commit: async (...args) => (isFull ? Promise.reject(new Error("disk full")) : inner.commit(...args)),
  };
  const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { clock });
  assert.equal((await control.snapshot(HOST)).history, known, "nothing is begun that is not written");
  const watch = control.watch(1, HOST, new AbortController().signal)[Symbol.asyncIterator]();
  await watch.next();
  const next = watch.next();
  isFull = false;
  await control.write({ verb: "put", kind: "network", name: "blue", spec: v4("10.7.0.0/16") });
  await assert.rejects(next, { reason: "compacted" });
  const { history } = await control.snapshot(HOST);
  assert.notEqual(history, known);
  const named = control.watch(1, HOST, new AbortController().signal, known)[Symbol.asyncIterator]();
  assert.deepEqual((await named.next()).value, { revision: 1, changes: [], history });
  // It is named once.
  await control.setToken("join", JOIN_TOKEN);
  assert.equal((await control.snapshot(HOST)).history, history);
});
