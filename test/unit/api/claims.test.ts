// Lines of claims over real sockets: what is said before a write is durable, after it, and instead.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { Control } from "../../../src/control/control.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { createApi } from "../../../src/api/api.ts";
import { ADMIN, JOIN, claim as facts, until, web } from "./lab.ts";

const clock: Clock = {
  nowMs: () => 1_000_000,
  monotonicMs: () => 1_000_000,
  sleep: () => new Promise(() => undefined),
};
const apps: FastifyInstance[] = [];
const requests: ClientRequest[] = [];
after(async () => {
  for (const one of requests) one.destroy();
  await Promise.all(apps.map((app) => app.close()));
});

type Said = {
  readonly id?: number;
  readonly granted?: { readonly name: string; readonly spec: { readonly addresses: readonly string[] } };
  readonly kept?: true;
  readonly problem?: { readonly reason: string; readonly detail: string };
};

/** A server with network blue and host h1, whose commits wait for `disk`. */
async function open() {
  const store = openMemoryStore();
  const gate = { disk: Promise.resolve() };
  const control = await Control.open(
    { ...store, commit: (...group) => gate.disk.then(() => store.commit(...group)) },
    { clock },
  );
  await control.setToken("admin", ADMIN);
  await control.setToken("join", JOIN);
  await control.write({ verb: "put", kind: "network", name: "blue", spec: { subnets: [{ cidr: "10.7.0.0/22" }] } });
  const { token } = await control.join({ host: "h1", ...facts(1) }, JOIN);
  const errors: unknown[] = [];
  const app = createApi(control, { clock, version: "0", onError: (error) => errors.push(error) });
  apps.push(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  return { app, control, gate, token, port, errors };
}

/** Opens a line; `said` grows as answers come. */
async function line(port: number, token: string, path = "/v1/claims") {
  const asking = request({
    host: "127.0.0.1",
    port,
    path,
    method: "POST",
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/x-ndjson",
      "transfer-encoding": "chunked",
    },
  });
  requests.push(asking);
  asking.on("error", () => undefined);
  asking.flushHeaders();
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  const said: Said[] = [];
  const state = { isEnded: false };
  let rest = "";
  response.setEncoding("utf8");
  response.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    said.push(...lines.map((one) => JSON.parse(one) as Said));
  });
  response.on("end", () => (state.isEnded = true));
  const ask = (id: number, claim: unknown) => asking.write(`${JSON.stringify({ id, claim })}\n`);
  return { asking, response, said, state, ask };
}

test("a grant is said before it is durable, and that it is kept after; both are one lease", async () => {
  const { control, gate, port, token } = await open();
  const { said, ask } = await line(port, token);
  const { promise, resolve } = Promise.withResolvers<void>();
  const { revision } = control;
  gate.disk = promise;
  ask(7, web);
  await until("the grant", () => said.length === 1);
  assert.deepEqual([said[0]?.id, said[0]?.granted?.spec.addresses], [7, ["10.7.0.2"]]);
  assert.equal(control.revision, revision);
  resolve();
  await until("the word that it is kept", () => said.length === 2);
  assert.deepEqual(said[1], { id: 7, kept: true });
  const found = await control.find("endpoint", "web.eth0", { role: "admin" });
  assert.deepEqual(found, said[0]?.granted);
  // The same again is the same again.
  ask(8, web);
  await until("the second answer", () => said.length === 4);
  assert.deepEqual(said.slice(2), [
    { id: 8, granted: found },
    { id: 8, kept: true },
  ]);
});

test("what the disk refuses was granted and is a problem then, and free again", async () => {
  const { control, gate, port, token, errors } = await open();
  const { said, ask } = await line(port, token);
  const { promise, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  gate.disk = promise;
  ask(1, web);
  await until("the grant", () => said.length === 1);
  reject(new Error("the disk is full"));
  await until("the problem", () => said.length === 2);
  assert.deepEqual([said[1]?.id, said[1]?.problem?.reason, errors.length], [1, "internal", 1]);
  gate.disk = Promise.resolve();
  assert.equal(await control.find("endpoint", "web.eth0", { role: "admin" }), undefined);
  ask(2, { ...web, owner: "other" });
  await until("another", () => said.length === 4);
  assert.deepEqual(said[2]?.granted?.spec.addresses, ["10.7.0.2"]);
});

test("each claim is refused by itself, as POST /v1/endpoints would refuse it", async () => {
  const { port, token } = await open();
  const { said, state, ask } = await line(port, token);
  ask(1, { ...web, network: "red" });
  ask(2, { ...web, host: "h2" });
  ask(3, { ...web, addresses: ["10.7.0.300"] });
  ask(4, web);
  await until("all answers", () => said.length === 5);
  const answers = new Map(said.map(({ id, problem, kept }) => [id, problem?.reason ?? kept]));
  assert.deepEqual(answers.get(1), "network-unknown");
  assert.deepEqual(answers.get(2), "forbidden");
  assert.deepEqual(answers.get(3), "address-invalid");
  assert.deepEqual(answers.get(4), true);
  assert.equal(state.isEnded, false);
});

test("a right that is lost ends with the next claim, and a join token opens nothing", async () => {
  const { control, port, token } = await open();
  const { said, ask } = await line(port, token);
  await control.write({ verb: "delete", kind: "host", name: "h1", force: true });
  ask(1, web);
  await until("the refusal", () => said.length === 1);
  assert.match(String(said[0]?.problem?.reason), /^(token-wrong|host-\w+)$/);
  assert.equal((await line(port, JOIN)).response.statusCode, 403);
  const nobody = await line(port, "nobody");
  assert.equal(nobody.response.statusCode, 401);
  await until("it is cut off in the middle of its body", () => nobody.asking.destroyed);
  assert.equal((await line(port, ADMIN, "/v1/claims?x=1")).response.statusCode, 400);
});

test("what is no claim ends the line and says why; what was asked before is answered", async () => {
  const { port, token } = await open();
  for (const [text, why] of [
    ["{}\n", /\{\}/],
    ["hello\n", /hello/],
    [`${"w".repeat(200)}\n`, /: "w{80}" is not one/],
    ['{"id":"1","claim":{}}\n', /is not one/],
    ['{"id":1}\n', /is not one/],
    ["null\n", /null/],
    ["\n", /""/],
    ["x".repeat(1024 * 1024 + 1), /1 MiB/],
  ] as const) {
    const { asking, said, state, ask } = await line(port, token);
    ask(1, web);
    asking.write(text);
    await until("the end", () => state.isEnded);
    const kinds = said.map((one) => Object.keys(one).join("+")).sort();
    assert.deepEqual(kinds, ["id+granted", "id+kept", "problem"]);
    assert.match(String(said.find(({ id }) => id === undefined)?.problem?.detail), why);
  }
});

test("a host that asks for a thousand at once gets them all, in one line and in parts of lines", async () => {
  const { port, token, control } = await open();
  const { asking, said, state } = await line(port, token);
  const lines = Array.from({ length: 1000 }, (_, id) => JSON.stringify({ id, claim: { ...web, owner: `w${id}` } }));
  const text = `${lines.join("\n")}\n`;
  for (let at = 0; at < text.length; at += 7001) asking.write(text.slice(at, at + 7001));
  asking.end();
  await until("the end", () => state.isEnded);
  assert.equal(said.filter(({ kept }) => kept).length, 1000);
  const { items } = await control.list("endpoint", { role: "admin" });
  assert.equal(new Set(items.flatMap(({ spec }) => spec.addresses)).size, 1000);
});

test("a host that does not read is not heard any further, and gets all its answers when it does", async () => {
  const { port, token, control } = await open();
  let asked = 0;
  const write = control.writeAs.bind(control);
  control.writeAs = (caller, one, options) => (asked++, write(caller, one, options));
  const { asking, response, said, state } = await line(port, token);
  response.pause();
  // More than all buffers between the two: 40 MB of answers.
  const total = 10_000;
  const claim = { ...web, netns: `/${"n".repeat(4000)}` };
  for (let id = 0; id < total; id++) asking.write(`${JSON.stringify({ id, claim })}\n`);
  asking.end();
  let [before, same] = [0, 0];
  await until("it is not heard", () => {
    same = before === asked && asked > 0 ? same + 1 : 0;
    before = asked;
    return same === 50;
  });
  assert.ok(asked < total, `${asked} were decided`);
  response.resume();
  await until("the end", () => state.isEnded);
  assert.equal(said.filter(({ kept }) => kept).length, total);
});

test("a server that stops answers what it was asked, and ends its lines", async () => {
  const { app, gate, port, token } = await open();
  const { said, state, ask } = await line(port, token);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.disk = promise;
  ask(1, web);
  await until("the grant", () => said.length === 1);
  const closed = app.close();
  resolve();
  await closed;
  await until("the end", () => state.isEnded);
  assert.deepEqual(said[1], { id: 1, kept: true });
});
