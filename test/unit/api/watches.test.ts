// Watches over real sockets, read by the client that agents use.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { Mirror } from "../../../src/client/mirror.ts";
import { serverClient } from "../../../src/client/server.ts";
import { httpTransport } from "../../../src/client/transportHttp.ts";
import { Control, type ControlOptions } from "../../../src/control/control.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { ChangeSet } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { createApi } from "../../../src/api/api.ts";
import { certificateOf, certifier, credentialWith } from "./certificates.ts";
import { ADMIN, JOIN, until } from "./lab.ts";

const apps: FastifyInstance[] = [];
after(() => Promise.all(apps.map((app) => app.close())));

/** A clock whose sleeps end when the test says so. */
function stepClock(): Clock & { step(ms?: number): void } {
  const sleepers = new Set<() => void>();
  let atMs = 0;
  return {
    nowMs: () => 0,
    monotonicMs: () => atMs,
    sleep: (_, signal) =>
      new Promise((resolve) => {
        sleepers.add(resolve);
        signal?.addEventListener("abort", () => resolve());
      }),
    step(ms = 0) {
      atMs += ms;
      for (const wake of sleepers) wake();
      sleepers.clear();
    },
  };
}

async function open(history = 4096, more: Partial<ControlOptions> = {}) {
  const clock = stepClock();
  const control = await Control.open(openMemoryStore(), { clock, history, ...more });
  await control.setToken("admin", ADMIN);
  await control.setToken("join", JOIN);
  const app = createApi(control, { clock, version: "0", certificateOf });
  apps.push(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const claim = (n: number) => ({ host: `h${n}`, underlay: `192.168.0.${n}`, underlayMtu: 1500, hostPrefixes: [] });
  return { app, control, clock, url, claim };
}
const watchersOf = async (app: FastifyInstance) =>
  /weft_watchers (\d+)/.exec(
    (await app.inject({ url: "/metrics", headers: { authorization: `Bearer ${ADMIN}` } })).body,
  )?.[1];
const put = (control: Control, name: string, spec: object) =>
  control.write({ verb: "put", kind: "network", name, spec: { subnets: [{ cidr: "10.7.0.0/16" }], ...spec } });

test("change sets arrive as they become durable; bookmarks between; the end of the server ends them", async () => {
  const { app, control, clock, url, claim } = await open();
  const { token } = await control.join(claim(1), JOIN);
  const sets: ChangeSet[] = [];
  const client = serverClient({ url, token });
  const reading = (async () => {
    for await (const set of client.watch(0, new AbortController().signal)) sets.push(set);
  })();
  const seen = () => sets.map(({ revision, changes }) => `${revision}:${changes.length}`).join(" ");
  // What was missed, and at once that this was all.
  await until("the first sets", () => seen() === "1:1 1:0");
  await put(control, "blue", {});
  await until("a change", () => seen() === "1:1 1:0 2:2");
  clock.step();
  await until("a bookmark", () => seen() === "1:1 1:0 2:2 2:0");
  clock.step();
  await until("another bookmark", () => seen() === "1:1 1:0 2:2 2:0 2:0");
  await app.close();
  await reading.catch(() => {});
  client.close();
  await control.close();
});

test("a mirror over HTTP holds what its host should see, also after it was away", async () => {
  const { control, clock: server, url, claim } = await open(4096, { certifier });
  const transports = [1, 2].map((n) =>
    httpTransport({ url, credential: credentialWith(JOIN, `own-${n}`), clock: server }),
  );
  const [first, second] = transports;
  assert.ok(first !== undefined && second !== undefined);
  await first.join(claim(1));
  await second.join(claim(2));
  await put(control, "blue", {});
  await put(control, "dcos", { subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }] });
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))),
  };
  const mirror = new Mirror({ transport: first, clock, random: () => 0 });
  const stop = new AbortController();
  let running = mirror.run(stop.signal);
  const names = () =>
    mirror
      .snapshot()
      ?.endpoints.map((each) => each.name)
      .sort()
      .join(" ");
  await until("it is synced", () => mirror.isSynced);
  const attach = (host: string, owner: string) => ({ network: "blue", host, owner, ifname: "eth0", netns: "/n" });
  await second.attach(attach("h2", "a"));
  await until("a revision that does not concern it", () => mirror.snapshot()?.revision === control.revision);
  assert.equal(names(), "");
  await first.attach(attach("h1", "b"));
  await until("its own, and now the others", () => names() === "a.eth0 b.eth0");
  stop.abort();
  await running;
  await second.attach(attach("h2", "c"));
  await second.detach("a.eth0");
  await first.detach("b.eth0");
  const again = new AbortController();
  running = mirror.run(again.signal);
  await until("what it missed", () => mirror.snapshot()?.revision === control.revision && names() === "");
  again.abort();
  await running;
  for (const transport of transports) transport.close();
});

test("refused before it begins: compacted is 410, the future 412", async () => {
  const { control, url, claim } = await open(1);
  const { token } = await control.join(claim(1), JOIN);
  for (let i = 0; i < 5; i++) await put(control, "blue", { description: String(i) });
  const client = serverClient({ url, token });
  const first = async (from: number) => {
    for await (const set of client.watch(from, new AbortController().signal)) return set;
    return undefined;
  };
  await assert.rejects(first(0), (error) => error instanceof Fault && error.reason === "compacted");
  await assert.rejects(first(99), (error) => error instanceof Fault && error.reason === "revision-stale");
  assert.deepEqual(await first(6), { revision: 6, changes: [] });
  client.close();
});

test("every watch gets signs of life, also those that begin when all before them have ended", async () => {
  const { app, control, clock, url, claim } = await open();
  const tokens: string[] = [];
  for (const n of [1, 2]) tokens.push((await control.join(claim(n), JOIN)).token);
  const from = control.revision;
  for (const round of ["the first readers", "later ones"]) {
    const stop = new AbortController();
    const clients = tokens.map((token) => serverClient({ url, token }));
    const sets: ChangeSet[][] = clients.map(() => []);
    const reading = clients.map(async (client, i) => {
      for await (const set of client.watch(from, stop.signal)) sets[i]?.push(set);
    });
    await until(`${round} follow`, () => sets.every(({ length }) => length === 1));
    clock.step();
    await until(`${round} hear a sign of life each`, () => sets.every(({ length }) => length === 2));
    assert.deepEqual(
      sets.flat(),
      Array.from({ length: 4 }, () => ({ revision: from, changes: [] })),
    );
    stop.abort();
    await Promise.allSettled(reading);
    for (const client of clients) client.close();
    let count: string | undefined;
    await until(`${round} are forgotten`, () => {
      void watchersOf(app).then((now) => (count = now));
      return count === "0";
    });
    // With none left their timer ends, too.
    clock.step();
    await setImmediate();
  }
});

test("a host that is deleted hears of it, and its watch ends", async () => {
  const { control, url, claim } = await open();
  const { token } = await control.join(claim(1), JOIN);
  const client = serverClient({ url, token });
  const sets: ChangeSet[] = [];
  const reading = (async () => {
    for await (const set of client.watch(1, new AbortController().signal)) sets.push(set);
  })();
  await until("it began", () => sets.length === 1);
  await control.write({ verb: "delete", kind: "host", name: "h1" });
  await reading;
  assert.deepEqual(sets.at(-1), { revision: 2, changes: [{ remove: "host/h1" }] });
  client.close();
});

test("a reader that does not read delays nobody, and one that is gone is forgotten", async () => {
  const { app, control, url, claim } = await open();
  const { token } = await control.join(claim(1), JOIN);
  const watchers = () => watchersOf(app);
  const stuck = request(`${url}/v1/watch?from=0`, { headers: { authorization: `Bearer ${token}` } }).end();
  const [response] = await once(stuck, "response");
  assert.equal(response.headers["content-type"], "application/x-ndjson");
  assert.equal(await watchers(), "1");
  // Far more than socket buffers hold.
  const description = "x".repeat(100_000);
  const startMs = performance.now();
  for (let i = 0; i < 200; i++) await put(control, "blue", { description: description + i });
  assert.ok(performance.now() - startMs < 5_000);
  stuck.destroy();
  let count: string | undefined;
  await until("it is forgotten", () => {
    void watchers().then((now) => (count = now));
    return count === "0";
  });
});

/** A watch whose reader takes nothing, with far more waiting for it than socket buffers hold. */
async function stuckWatch() {
  const opened = await open();
  // Not the beginning of all time: a span is what counts.
  opened.clock.step(1_000_000);
  const { token } = await opened.control.join(opened.claim(1), JOIN);
  const stuck = request(`${opened.url}/v1/watch?from=0`, { headers: { authorization: `Bearer ${token}` } }).end();
  const [response] = (await once(stuck, "response")) as [IncomingMessage];
  stuck.on("error", () => undefined);
  const description = "x".repeat(100_000);
  for (let i = 0; i < 200; i++) await put(opened.control, "blue", { description: description + i });
  return { ...opened, response };
}

/** The lines that a reader gets from now on. */
function linesOf(response: IncomingMessage): ChangeSet[] {
  const sets: ChangeSet[] = [];
  let rest = "";
  response.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    sets.push(...lines.map((line) => JSON.parse(line) as ChangeSet));
  });
  return sets;
}

test("a reader that was slow and reads again follows on, with signs of life", async () => {
  const { app, clock, control, response } = await stuckWatch();
  clock.step(15_000);
  const sets = linesOf(response);
  await until("it has read all", () => sets.some(({ revision }) => revision === control.revision));
  for (const n of [1, 2, 3]) {
    clock.step(15_000);
    await until("a sign of life", () => sets.filter(({ changes }) => changes.length === 0).length >= n);
  }
  assert.equal(await watchersOf(app), "1");
  const revisions = sets.filter(({ changes }) => changes.length > 0).map(({ revision }) => revision);
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(revisions).size, control.revision);
});

test("for a reader that takes nothing only so much is kept; then it must list again", async () => {
  const { control, response } = await stuckWatch();
  // Half as much again as may wait: what was committed last may not have been given to followers yet.
  for (let i = 0; i < 12; i++)
    await Promise.all(Array.from({ length: 1000 }, (_, n) => put(control, "blue", { description: `${i} ${n}` })));
  const lines: unknown[] = linesOf(response);
  await once(response, "end", { signal: AbortSignal.timeout(30_000) });
  const { reason, where } = lines.at(-1) as { reason?: string; where?: string };
  assert.deepEqual([reason, where], ["compacted", undefined]);
  assert.ok(lines.length < 1000, `${lines.length} lines were kept`);
});

test("the answer to a watch begins at once, also when there is nothing to tell", async () => {
  const { url } = await open();
  const asked = request(`${url}/v1/watch?from=0`, { headers: { authorization: `Bearer ${ADMIN}` } }).end();
  const [response] = (await once(asked, "response", { signal: AbortSignal.timeout(10_000) })) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  assert.deepEqual([response.headers["cache-control"], response.headers["x-accel-buffering"]], ["no-store", "no"]);
  asked.on("error", () => undefined).destroy();
});

test("a reader that takes nothing for half a minute is ended: what waits for it is memory", async () => {
  const { app, clock } = await stuckWatch();
  const watchers = () => watchersOf(app);
  for (const ms of [0, 15_000, 14_999]) {
    clock.step(ms);
    for (let n = 0; n < 5; n++) await setImmediate();
  }
  assert.equal(await watchers(), "1");
  clock.step(1);
  let count: string | undefined;
  await until("it is ended", () => {
    void watchers().then((now) => (count = now));
    return count === "0";
  });
});

test("the server's end does not wait for a reader that takes nothing", async () => {
  const { app, clock } = await stuckWatch();
  let isClosed = false;
  void app.close().then(() => (isClosed = true));
  await until("the server is closed", () => {
    clock.step(1_000);
    return isClosed;
  });
});
