// A host's line of claims against a server that answers as a test says, over real sockets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { until } from "../api/lab.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault, problemOf, type Reason } from "../../../src/model/fault.ts";
import { credentialWith } from "../api/certificates.ts";
import { httpTransport } from "../../../src/client/transportHttp.ts";

const claim = { network: "blue", host: "h1", owner: "web", ifname: "eth0", netns: "/run/netns/web" };
const exhausted = new Fault("exhausted", { what: "network blue is full", fix: "detach something" });
/** Everything here waits for answers over sockets of this machine: one that never comes is a failure, not a wait. */
const LIMIT = { timeout: 20_000 };
type Line = { readonly response: ServerResponse; readonly ids: number[]; readonly token: string | undefined };

/** `now` goes on when the test says so. */
function stepClock() {
  let nowMs = 1_000_000;
  const sleepers = new Set<() => void>();
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => nowMs,
    sleep: () => new Promise((resolve) => void sleepers.add(resolve)),
  };
  const advance = (ms: number) => {
    nowMs += ms;
    for (const wake of sleepers) wake();
    sleepers.clear();
  };
  return { clock, advance, sleeping: () => sleepers.size };
}

/** A server that opens lines and says nothing on them by itself; claims in requests of their own get `one`. */
async function serving(t: TestContext, { hasLines = true, head = Promise.resolve() } = {}) {
  const lines: Line[] = [];
  const asked = { lines: 0, requests: 0 };
  const server = createServer((request, response) => {
    if (request.url !== "/v1/claims") {
      asked.requests++;
      request.resume();
      return response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ name: "one" }));
    }
    asked.lines++;
    if (!hasLines) return response.writeHead(404).end();
    const line: Line = { response, ids: [], token: request.headers.authorization };
    void head.then(() => response.writeHead(200, { "content-type": "application/x-ndjson" }).flushHeaders());
    request.setEncoding("utf8");
    request.on("data", (lump: string) => {
      for (const each of lump.split("\n").filter((some) => some !== "")) {
        const said = JSON.parse(each) as { readonly id: number; readonly claim: unknown };
        assert.deepEqual(said.claim, claim);
        line.ids.push(said.id);
      }
    });
    request.on("error", () => undefined);
    return lines.push(line);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { clock, advance, sleeping } = stepClock();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = httpTransport({ url, credential: credentialWith("own"), clock });
  t.after(() => transport.close());
  return { lines, asked, transport, advance, sleeping };
}

async function notYet(answer: Promise<unknown>): Promise<void> {
  const turn = new Promise((resolve) => void setImmediate(resolve, "not yet"));
  assert.equal(await Promise.race([answer, turn]), "not yet");
}
const fault = (reason: Reason) => (error: unknown) => error instanceof Fault && error.reason === reason;
const say = ({ response }: Line, value: object) => response.write(`${JSON.stringify(value)}\n`);

/** With a line that is open, which takes a claim to find out. */
async function open(t: TestContext) {
  const served = await serving(t);
  const { lines, transport } = served;
  await transport.attach(claim);
  const nth = async (n: number) => {
    // Asked until one is heard on the line: only then is it open at this end, too.
    await until("the server has the line", () => lines.length === n);
    const line = lines[n - 1];
    assert.ok(line !== undefined);
    for (;;) {
      const sent = transport.attach(claim);
      const heard = await Promise.race([
        sent.then(() => false),
        until("heard", () => line.ids.length > 0).then(() => true),
      ]);
      if (!heard) continue;
      say(line, { id: line.ids[0], granted: { name: "first" } });
      say(line, { id: line.ids[0], kept: true });
      await sent;
      line.ids.length = 0;
      return line;
    }
  };
  const ask = async (line: Line) => {
    const granted: unknown[] = [];
    const before = line.ids.length;
    const answer = transport.attach(claim, (endpoint) => granted.push(endpoint));
    answer.catch(() => undefined);
    await until("the claim", () => line.ids.length > before);
    return { id: line.ids[before] ?? 0, granted, answer };
  };
  return { ...served, line: await nth(1), nth, ask };
}

test(
  "what is granted is told at once, and answered when it is kept; claims do not wait for each other",
  LIMIT,
  async (t) => {
    const { line, ask, asked } = await open(t);
    const [a, b] = [await ask(line), await ask(line)];
    say(line, { id: b.id, granted: { name: "b" } });
    await until("the grant", () => b.granted.length === 1);
    say(line, { id: a.id, problem: problemOf(exhausted) });
    await assert.rejects(a.answer, fault("exhausted"));
    assert.deepEqual([a.granted, b.granted], [[], [{ name: "b" }]]);
    await notYet(b.answer);
    say(line, { id: b.id, kept: true });
    assert.deepEqual(await b.answer, { name: "b" });
    assert.equal(asked.lines, 1);
    assert.equal(line.token, "Bearer own");
  },
);

test("a line that ends: what was granted is none, what was not is asked again by itself", LIMIT, async (t) => {
  const { line, ask, nth, asked, transport } = await open(t);
  const [a, b] = [await ask(line), await ask(line)];
  say(line, { id: a.id, granted: { name: "a" } });
  await until("the grant", () => a.granted.length === 1);
  const { requests } = asked;
  line.response.destroy();
  await assert.rejects(a.answer, fault("unavailable"));
  assert.deepEqual([await b.answer, asked.requests], [{ name: "one" }, requests + 1]);
  await transport.attach(claim);
  await nth(2);
});

test("a grant that nobody confirms is given up after 5 s, a claim that nobody answers after 30 s", LIMIT, async (t) => {
  const { line, ask, nth, advance, asked, transport } = await open(t);
  const a = await ask(line);
  say(line, { id: a.id, granted: { name: "a" } });
  await until("the grant", () => a.granted.length === 1);
  advance(4_900);
  await notYet(a.answer);
  advance(200);
  await assert.rejects(a.answer, fault("timeout"));
  // What was silent once is not trusted at once.
  await transport.attach(claim);
  assert.equal(asked.lines, 1);
  advance(31_000);
  await transport.attach(claim);
  const second = await nth(2);
  const b = await ask(second);
  const { requests } = asked;
  advance(29_000);
  await notYet(b.answer);
  advance(2_000);
  assert.deepEqual([await b.answer, asked.requests], [{ name: "one" }, requests + 1]);
});

test(
  "the time for the word that it is kept begins with the grant, and both times end as they should",
  LIMIT,
  async (t) => {
    const { line, ask, nth, advance, transport } = await open(t);
    const a = await ask(line);
    advance(20_000);
    say(line, { id: a.id, granted: { name: "a" } });
    await until("the grant", () => a.granted.length === 1);
    advance(5_000);
    await settled();
    await notYet(a.answer);
    say(line, { id: a.id, kept: true });
    assert.deepEqual(await a.answer, { name: "a" });
    // The same line goes on, and is looked at again.
    const b = await ask(line);
    advance(30_000);
    await settled();
    await notYet(b.answer);
    advance(1);
    assert.deepEqual(await b.answer, { name: "one" });
    // Silent once: half a minute by requests, and not a moment longer.
    advance(29_999);
    await transport.attach(claim);
    await settled();
    advance(1);
    await transport.attach(claim);
    await nth(2);
  },
);

/** What the clock woke has had its turns. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => void setImmediate(resolve));
}

test(
  "an answer to nothing that was asked is passed over; one that keeps what was not granted is none",
  LIMIT,
  async (t) => {
    const { line, ask, asked } = await open(t);
    const a = await ask(line);
    for (const said of [{ id: 999, granted: { name: "x" } }, { id: 999, kept: true }, { kept: true }, {}])
      say(line, said);
    await settled();
    await notYet(a.answer);
    say(line, { id: a.id, kept: true });
    await assert.rejects(a.answer, fault("internal"));
    const b = await ask(line);
    say(line, { id: b.id, granted: { name: "b" } });
    say(line, { id: b.id, kept: true });
    assert.deepEqual([await b.answer, b.granted, asked.lines], [{ name: "b" }, [{ name: "b" }], 1]);
  },
);

test("one timer runs for all claims on the line, and none while there are none", LIMIT, async (t) => {
  const { line, ask, advance, sleeping } = await open(t);
  for (let round = 0; round < 2; round++) {
    const [a, b] = [await ask(line), await ask(line)];
    assert.equal(sleeping(), 1);
    advance(1_000);
    await settled();
    assert.equal(sleeping(), 1);
    for (const { id } of [a, b]) {
      say(line, { id, granted: { name: "one" } });
      say(line, { id, kept: true });
    }
    await Promise.all([a.answer, b.answer]);
    advance(1_000);
    await settled();
    assert.equal(sleeping(), 0);
  }
});

test("claims that come while a line opens ask for no second one", LIMIT, async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { lines, asked, transport } = await serving(t, { head: promise });
  await Promise.all([1, 2, 3].map(() => transport.attach(claim)));
  await until("the server has the line", () => lines.length === 1);
  await transport.attach(claim);
  resolve();
  await settled();
  assert.deepEqual([asked.lines, asked.requests], [1, 4]);
});

test("what is no answer ends the line, and a problem of the whole line, too", LIMIT, async (t) => {
  const { line, ask, nth, transport } = await open(t);
  const a = await ask(line);
  line.response.write("<html>\n");
  assert.deepEqual(await a.answer, { name: "one" });
  await transport.attach(claim);
  const second = await nth(2);
  const b = await ask(second);
  say(second, { problem: problemOf(exhausted) });
  assert.deepEqual(await b.answer, { name: "one" });
});

test("a host that begins anew does not claim with what it was", LIMIT, async (t) => {
  const { line, nth, transport } = await open(t);
  const closed = once(line.response, "close");
  transport.renew("another");
  await closed;
  await transport.attach(claim);
  assert.equal((await nth(2)).token, "Bearer join");
});

test("a server without lines is asked by requests, and for a line only now and then", LIMIT, async (t) => {
  const { asked, transport, advance } = await serving(t, { hasLines: false });
  for (let i = 0; i < 20; i++) assert.deepEqual(await transport.attach(claim), { name: "one" });
  assert.deepEqual([asked.requests, asked.lines], [20, 1]);
  advance(31_000);
  await transport.attach(claim);
  await until("another try", () => asked.lines === 2);
});

test("a line that opens while the host becomes another is not used", LIMIT, async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { lines, transport } = await serving(t, { head: promise });
  await transport.attach(claim);
  await until("the server has the line", () => lines.length === 1);
  const closed = once(lines[0]?.response ?? assert.fail(), "close");
  transport.renew("another");
  resolve();
  await closed;
  assert.deepEqual(await transport.attach(claim), { name: "one" });
  await until("the next line", () => lines.length === 2);
  assert.deepEqual(
    lines.map(({ ids, token }) => [ids, token]),
    [
      [[], "Bearer own"],
      [[], "Bearer join"],
    ],
  );
});

test("an agent that stops lets go of its line, and what was granted on it may be none", LIMIT, async (t) => {
  for (const end of ["close", "reconnect"] as const) {
    const { line, ask, transport } = await open(t);
    const closed = once(line.response, "close");
    const a = await ask(line);
    transport[end]();
    await assert.rejects(a.answer, fault("unavailable"), end);
    await closed;
  }
});
