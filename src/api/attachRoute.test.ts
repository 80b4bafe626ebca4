// The answer in two lines, over a connection: what is on the wire when the store is asked to make the endpoint durable.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import type { Clock } from "../model/clock.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { Control } from "../control/control.ts";
import { createApi } from "./api.ts";

const ADMIN = "admin-0123456789abcdef0123456789abcdef";
const clock: Clock = { nowMs: () => 1_000_000, sleep: () => new Promise<void>(() => {}) };
const web = { network: "blue", host: "h1", owner: "web", ifname: "eth0", netns: "/run/netns/web" };

/** A server whose store calls `committing` before each commit of an endpoint. */
async function serving(t: TestContext, committing: () => void) {
  const store = openMemoryStore();
  const sockets = new Set<Socket>();
  const commit: Store["commit"] = (commits, secrets) => {
    const changes = commits.flatMap((one) => one.changes);
    if (changes.some((change) => "put" in change && change.put.kind === "endpoint")) committing();
    return store.commit(commits, secrets);
  };
  const control = await Control.open({ ...store, commit }, { clock });
  await control.setToken("admin", ADMIN);
  await control.setToken("join", "join-0123456789abcdef0123456789abcdef");
  const app = createApi(control, { clock, version: "1.2.3" });
  t.after(() => app.close());
  app.server.on("connection", (socket) => sockets.add(socket));
  const host = { underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  await control.join({ host: "h1", ...host }, ADMIN);
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  assert(typeof address === "object" && address !== null);
  const ask = async (method: string, path: string, body: object, accept = "application/json") => {
    const headers = { authorization: `Bearer ${ADMIN}`, accept };
    const outgoing = request({ port: address.port, host: "127.0.0.1", method, path, headers });
    outgoing.end(JSON.stringify(body));
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return { status: response.statusCode, type: response.headers["content-type"], body: await text(response) };
  };
  const spec = { ipam: "global", subnets: [{ cidr: "10.7.0.0/24" }] };
  assert.equal((await ask("PUT", "/v1/networks/blue", { spec })).status, 201);
  /** Bytes that are on their way, of all answers. */
  const sent = () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  return { ask, control, sent };
}

const LINES = "application/x-ndjson";
const linesOf = (body: string) =>
  body
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ReturnType<typeof JSON.parse>);

test("what is granted has left the server before the store is asked to keep it", async (t) => {
  const at: number[] = [];
  const { ask, control, sent } = await serving(t, () => at.push(sent()));
  const before = sent();
  const { status, type, body } = await ask("POST", "/v1/endpoints", web, LINES);
  const [first, last] = linesOf(body);
  assert.deepEqual([status, type, first], [201, LINES, { granted: last }]);
  assert.deepEqual(last, await control.find("endpoint", "web.eth0", { role: "admin" }));
  const early = (at[0] ?? 0) - before;
  assert(early > JSON.stringify(first).length && early < sent() - before, `${early} bytes at the commit`);
  const again = await ask("POST", "/v1/endpoints", web, LINES);
  assert.deepEqual([again.status, linesOf(again.body)], [200, [{ granted: last }, last]]);
});

test("whoever does not ask for lines hears nothing before it is durable", async (t) => {
  const at: number[] = [];
  const { ask, sent } = await serving(t, () => at.push(sent()));
  const before = sent();
  const { status, type, body } = await ask("POST", "/v1/endpoints", web);
  assert.deepEqual([status, type?.split(";")[0], at], [201, "application/json", [before]]);
  assert.equal((JSON.parse(body) as { readonly name: string }).name, "web.eth0");
});

test("what is not kept is taken back with a problem, and is free again", async (t) => {
  let isFull = true;
  const { ask, control } = await serving(t, () => {
    if (isFull) throw new Error("the disk is full");
  });
  const { status, body } = await ask("POST", "/v1/endpoints", web, LINES);
  const [first, last] = linesOf(body);
  assert.deepEqual([status, first.granted.spec.addresses, last.reason], [201, ["10.7.0.2"], "internal"]);
  assert.equal(await control.find("endpoint", "web.eth0", { role: "admin" }), undefined);
  isFull = false;
  const other = await ask("POST", "/v1/endpoints", { ...web, owner: "other" }, LINES);
  assert.deepEqual(linesOf(other.body)[1].spec.addresses, ["10.7.0.2"]);
});

test("a refusal is a problem with its status, as ever", async (t) => {
  const { ask } = await serving(t, () => undefined);
  const { status, type, body } = await ask("POST", "/v1/endpoints", { ...web, network: "nowhere" }, LINES);
  assert.deepEqual([status, type?.split(";")[0]], [404, "application/problem+json"]);
  assert.equal((JSON.parse(body) as { readonly reason: string }).reason, "network-unknown");
});
