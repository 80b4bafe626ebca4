// The typed calls against a server that writes down what it was asked: the wire format, as docs/api.md has it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { closeAll, open } from "../api/lab.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault, problemOf, type Reason, REASONS } from "../../../src/model/fault.ts";
import type { ChangeSet } from "../../../src/model/resource.ts";
import { agentClient } from "../../../src/client/agent.ts";
import { serverClient } from "../../../src/client/server.ts";
import { credentialWith } from "../api/certificates.ts";
import { httpTransport } from "../../../src/client/transportHttp.ts";

type Asked = {
  readonly line: string;
  readonly token?: string;
  readonly match?: string;
  readonly history?: string;
  readonly body?: unknown;
};

type Scripted = { readonly url: string; readonly socket: string; readonly asked: readonly Asked[] };

/** Answers every request with what `answer` has for it, and keeps what it was asked. */
async function scripted(t: TestContext, answer: (asked: Asked) => unknown): Promise<Scripted> {
  const asked: Asked[] = [];
  const answering = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { authorization, "if-match": ifMatch, "if-none-match": ifNoneMatch } = request.headers;
    // A line of claims is cut off at the end of the test.
    const body = await text(request).catch(() => undefined);
    if (body === undefined) return;
    const match = ifMatch ?? ifNoneMatch;
    const history = request.headers["weft-history"];
    const one: Asked = {
      line: `${request.method} ${request.url}`,
      ...(authorization === undefined ? {} : { token: authorization.replace("Bearer ", "") }),
      ...(match === undefined ? {} : { match }),
      ...(typeof history === "string" ? { history } : {}),
      ...(body === "" ? {} : { body: JSON.parse(body) as unknown }),
    };
    asked.push(one);
    const result = answer(one);
    const send = (status: number, type: string, content?: string) =>
      response.writeHead(status, { "content-type": type }).end(content);
    if (result instanceof Fault) send(REASONS[result.reason].status, "application/problem+json", problemText(result));
    else if (typeof result === "string") send(200, "application/x-ndjson", result);
    else if (result === undefined) send(204, "application/json");
    else send(200, "application/json", JSON.stringify(result));
  };
  const server = createServer((request, response) => void answering(request, response));
  const directory = mkdtempSync(join(tmpdir(), "weft-client-"));
  const socket = join(directory, "test.sock");
  await once(server.listen(socket), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  });
  return { url: `unix:${socket}`, socket, asked };
}
function problemText(fault: Fault): string {
  return JSON.stringify(problemOf(fault));
}
function fault(reason: Reason): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.reason === reason;
}
const gone = new Fault("endpoint-unknown", { what: "no endpoint e1", fix: "see the list" });
const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise(() => undefined) };
const claim = { network: "blue", host: "h1", owner: "web", ifname: "eth0", netns: "/run/netns/web" };

test("a list is all of its pages", async (t) => {
  const { url, asked } = await scripted(t, ({ line }) =>
    line.includes("cursor") ? { revision: 9, items: ["c"] } : { revision: 9, items: ["a", "b"], cursor: "b&" },
  );
  assert.deepEqual(await serverClient({ url, token: "t" }).list("network"), ["a", "b", "c"]);
  assert.deepEqual(
    asked.map(({ line }) => line),
    ["GET /v1/networks", "GET /v1/networks?cursor=b%26"],
  );
});

test("reads and writes say what the API expects", async (t) => {
  const { url, asked } = await scripted(t, () => ({}));
  const client = serverClient({ url, token: "t" });
  await client.get("host", "rack/1");
  await client.put("network", "blue", { mtu: 1400 });
  await client.put("network", "blue", {}, { createOnly: true });
  await client.put("vrf", "red", {}, { ifRevision: 7 });
  await client.remove("endpoint", "web.eth0");
  await client.remove("network", "blue", { force: true });
  await client.apply({ resources: [{ kind: "network" }], pruneVrf: "red", dryRun: true });
  await client.attach(claim);
  await client.snapshot();
  await client.status();
  await client.version();
  assert.deepEqual(
    asked.map(({ token: _token, ...rest }) => rest),
    [
      { line: "GET /v1/hosts/rack%2F1" },
      { line: "PUT /v1/networks/blue", body: { spec: { mtu: 1400 } } },
      { line: "PUT /v1/networks/blue", body: { spec: {} }, match: "*" },
      { line: "PUT /v1/vrfs/red", body: { spec: {} }, match: '"7"' },
      { line: "DELETE /v1/endpoints/web.eth0" },
      { line: "DELETE /v1/networks/blue?force=true" },
      { line: "POST /v1/apply", body: { resources: [{ kind: "network" }], pruneVrf: "red", dryRun: true } },
      { line: "POST /v1/endpoints", body: claim },
      { line: "GET /v1/snapshot" },
      { line: "GET /v1/status" },
      { line: "GET /v1/version" },
    ],
  );
  assert.ok(asked.every(({ token }) => token === "t"));
});

test("every other call asks what the API expects, of a route that the server has", async (t) => {
  const { url, asked } = await scripted(t, ({ line }) => (line.includes("/history") ? { items: ["then"] } : {}));
  const client = serverClient({ url, token: "t" });
  const span = { network: "blue", first: "10.7.0.9" };
  const hold = { ...span, last: "10.7.0.11", reason: "printers", owner: "ops" };
  const query = { address: "10.7.0.8", limit: 7 };
  const calls: readonly (readonly [() => Promise<unknown>, Asked])[] = [
    [() => client.list("freed"), { line: "GET /v1/freed" }],
    [() => client.put("pool", "p", { a: 1 }, { force: true }), { line: "PUT /v1/pools/p?force=true", body: spec(1) }],
    [() => client.commitGroup("web", undefined), { line: "POST /v1/securitygroups/web/commit", body: {} }],
    [() => client.commitGroup("web", ["h1"]), { line: "POST /v1/securitygroups/web/commit", body: { hosts: ["h1"] } }],
    [() => client.patchEndpoint("w.eth0", { qos: {} }), { line: "PATCH /v1/endpoints/w.eth0", body: { qos: {} } }],
    [() => client.reclaim("h1"), { line: "POST /v1/hosts/h1/reclaim?force=false&dryRun=false" }],
    [() => client.reclaim("h1", { force: true }), { line: "POST /v1/hosts/h1/reclaim?force=true&dryRun=false" }],
    [() => client.reclaim("h1", { dryRun: true }), { line: "POST /v1/hosts/h1/reclaim?force=false&dryRun=true" }],
    [() => client.drain("h1", true), { line: "POST /v1/hosts/h1/drain" }],
    [() => client.drain("h1", false), { line: "POST /v1/hosts/h1/resume" }],
    [
      () => client.join({ network: "blue", workload: "web" }),
      { line: "POST /v1/memberships", body: { network: "blue", workload: "web" } },
    ],
    [() => client.migrate({ from: "a", to: "b" }), { line: "POST /v1/migrations", body: { from: "a", to: "b" } }],
    [() => client.hold(hold), { line: "POST /v1/holds", body: hold }],
    [() => client.release(span), { line: "DELETE /v1/holds?network=blue&first=10.7.0.9" }],
    [
      () => client.reserve("blue", { name: "r", size: 2 }),
      { line: "POST /v1/networks/blue/reservations", body: { name: "r", size: 2 } },
    ],
    [() => client.leaseHistory(query), { line: "GET /v1/leases/history?address=10.7.0.8&limit=7" }],
    [
      () => client.leaseHistory({ ...query, network: "blue", sinceMs: 0, beforeMs: 5 }),
      { line: "GET /v1/leases/history?address=10.7.0.8&network=blue&limit=7&since=0&before=5" },
    ],
    [() => client.spaceMap("blue"), { line: "GET /v1/networks/blue/map" }],
    [() => client.check({ repair: true }), { line: "POST /v1/ipam/check", body: { repair: true } }],
  ];
  const routes = await serverRoutes();
  for (const [call, expected] of calls) {
    // A list without items has none.
    await call().catch(() => undefined);
    const { token, ...rest } = asked.at(-1) ?? assert.fail();
    assert.deepEqual([rest, token], [expected, "t"]);
    assert.ok(
      routes.some((route) => route.test(expected.line.split("?")[0] ?? "")),
      expected.line,
    );
  }
  assert.deepEqual(await client.leaseHistory(query), ["then"]);
});

const spec = (a: number) => ({ spec: { a } });

/** `METHOD path` of each route that the real server has. */
async function serverRoutes(): Promise<RegExp[]> {
  const { ask } = await open();
  const { paths } = (await ask("GET", "/openapi.json")).body as { paths: Record<string, object> };
  await closeAll();
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((m) => new RegExp(`^${m.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`)),
  );
}

test("a watch gives change sets, and the reason when the server ends it with one", async (t) => {
  const compacted = new Fault("compacted", { what: "too late", fix: "list again" });
  const sets: ChangeSet[] = [
    { revision: 5, changes: [{ remove: "host/h1" }] },
    { revision: 6, changes: [] },
  ];
  const lines = [...sets.map((set) => JSON.stringify(set)), "", problemText(compacted), ""];
  const { url, asked } = await scripted(t, () => lines.join("\n"));
  const seen: ChangeSet[] = [];
  const watching = async () => {
    for await (const set of serverClient({ url, token: "t" }).watch(4, new AbortController().signal)) seen.push(set);
  };
  await assert.rejects(watching(), fault("compacted"));
  assert.deepEqual(seen, sets);
  assert.deepEqual(asked, [{ line: "GET /v1/watch?from=4", token: "t" }]);
});

test("an agent joins with the token it was given, and goes on with its own", async (t) => {
  const { url, asked } = await scripted(t, ({ line }) =>
    line.endsWith("/join") ? { certificate: "own", ca: "ca" } : {},
  );
  const transport = httpTransport({ url, credential: credentialWith("join", "wish"), clock });
  const facts = { underlay: "10.0.0.1", underlayMtu: 1500, hostPrefixes: [] };
  await transport.join({ host: "h1", ...facts });
  await transport.snapshot();
  await transport.attach(claim);
  await transport.detach("web.eth0");
  const lists = { errors: [], networks: [], conditions: [], hostPrefixes: [] };
  const report = { host: "h1", bootId: "b", version: "v", revision: 1, driftRepaired: 0, objects: 0, ...lists };
  await transport.report(report);
  assert.deepEqual(asked, [
    { line: "POST /v1/hosts/h1/join", token: "join", body: { ...facts, csr: "csr h1 wish" } },
    { line: "GET /v1/snapshot", token: "own" },
    { line: "POST /v1/endpoints", token: "own", body: claim },
    { line: "DELETE /v1/endpoints/web.eth0", token: "own" },
    { line: "PUT /v1/hosts/h1/report", token: "own", body: report },
  ]);
});

test("detaching what is not there succeeds for an agent, and is said to a person", async (t) => {
  const { url } = await scripted(t, () => gone);
  await httpTransport({ url, credential: credentialWith("own"), clock }).detach("e1");
  await assert.rejects(serverClient({ url, token: "t" }).remove("endpoint", "e1"), fault("endpoint-unknown"));
});

test("every other call of an agent's asks what the API expects, with names that need care", async (t) => {
  const { url, asked } = await scripted(t, () => ({}));
  const transport = httpTransport({ url, credential: credentialWith("own"), clock });
  const facts = { underlay: "10.0.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const inventory = { host: "rack/1" } as Parameters<typeof transport.answer>[0]["inventory"];
  const answer = { id: "q1", inventory } as unknown as Parameters<typeof transport.answer>[0];
  const report = { host: "rack/1" } as Parameters<typeof transport.report>[0];
  const calls: readonly (readonly [() => Promise<unknown>, Asked])[] = [
    [() => transport.snapshot({ history: "h", revision: 7 }), { line: "GET /v1/snapshot", history: "h@7" }],
    [() => transport.snapshot(), { line: "GET /v1/snapshot" }],
    [() => first(transport.watch(7, never, "h")), { line: "GET /v1/watch?from=7", history: "h@7" }],
    [() => first(transport.watch(7, never)), { line: "GET /v1/watch?from=7" }],
    [() => transport.report(report), { line: "PUT /v1/hosts/rack%2F1/report", body: report }],
    [() => transport.answer(answer), { line: "POST /v1/hosts/rack%2F1/inventory", body: answer }],
    [() => transport.detach("a/b.eth0"), { line: "DELETE /v1/endpoints/a%2Fb.eth0" }],
    [() => transport.moved("m/1", { state: "left" }), { line: "PUT /v1/moves/m%2F1", body: { state: "left" } }],
    [() => transport.join({ host: "rack/1", ...facts }), { line: "POST /v1/hosts/rack%2F1/join", body: facts }],
  ];
  for (const [ask, expected] of calls) {
    await ask();
    assert.deepEqual(asked.at(-1), { token: "own", ...expected });
  }
});

const never = new AbortController().signal;

async function first(sets: AsyncIterable<ChangeSet>): Promise<ChangeSet | undefined> {
  for await (const set of sets) return set;
  return undefined;
}

test("a host that begins anew asks with the join token, and with another wish", async (t) => {
  const { url, asked } = await scripted(t, ({ line }) =>
    line.endsWith("/join") ? { certificate: "next", ca: "ca" } : {},
  );
  const transport = httpTransport({ url, credential: credentialWith("join"), clock });
  const facts = { underlay: "10.0.0.1", underlayMtu: 1500, hostPrefixes: [] };
  transport.renew("wish");
  await transport.join({ host: "h1", ...facts });
  transport.reconnect();
  await transport.snapshot();
  assert.deepEqual(asked, [
    { line: "POST /v1/hosts/h1/join", token: "join", body: { ...facts, csr: "csr h1 wish" } },
    { line: "GET /v1/snapshot", token: "next" },
  ]);
});

test("an agent's detach that is refused for any other reason is refused", async (t) => {
  const { url } = await scripted(t, () => new Fault("forbidden", { what: "not yours", fix: "ask" }));
  await assert.rejects(
    httpTransport({ url, credential: credentialWith("own"), clock }).detach("e1"),
    fault("forbidden"),
  );
});

test("the agent's socket: attach, list, detach, status", async (t) => {
  const { socket, asked } = await scripted(t, ({ line }) =>
    line.startsWith("DELETE") ? undefined : /^GET .v1.(attach|queue|counter)/.test(line) ? { items: [line] } : { line },
  );
  const agent = agentClient(socket);
  const request = { network: "blue", netns: "/run/netns/web" };
  await agent.attach(request);
  assert.deepEqual(await agent.attachments(), ["GET /v1/attachments"]);
  await agent.detach("a/web.eth0");
  assert.deepEqual(await agent.status(), { line: "GET /v1/status" });
  assert.deepEqual(await agent.queues(), ["GET /v1/queues"]);
  assert.deepEqual(await agent.counters(), ["GET /v1/counters"]);
  agent.close();
  assert.deepEqual(asked, [
    { line: "POST /v1/attachments", body: request },
    { line: "GET /v1/attachments" },
    { line: "DELETE /v1/attachments/a%2Fweb.eth0" },
    { line: "GET /v1/status" },
    { line: "GET /v1/queues" },
    { line: "GET /v1/counters" },
  ]);
});

test("a detach that the agent refuses is refused", async (t) => {
  const busy = new Fault("in-use", { what: "the port is busy", fix: "wait" });
  const { socket } = await scripted(t, ({ line }) => (line.startsWith("DELETE") ? busy : {}));
  const agent = agentClient(socket);
  await assert.rejects(agent.detach("web.eth0"), fault("in-use"));
  agent.close();
});

test("who does not answer is called by name, with what to do about it", async () => {
  const path = join(tmpdir(), `weft-nobody-${process.pid}.sock`);
  await assert.rejects(agentClient(path).status(), /cannot reach the agent.*no such socket.*weft agent/);
  await assert.rejects(serverClient({ url: `unix:${path}`, token: "t" }).status(), /the server.*weft server.*--server/);
});
