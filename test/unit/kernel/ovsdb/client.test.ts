// The client against a server of the test that does what no good server does: answers without sense, or none, goes
// away, comes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ovsdb } from "../../../../src/kernel/ovsdb/client.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { type Answer, ROWS, answering, result, started, until } from "./server.ts";

const names = (client: Ovsdb) => [...(client.replica?.table("Bridge").values() ?? [])].map(({ name }) => name);
const INSERT = { op: "insert", table: "Bridge", row: { name: "br1" } } as const;

test("an update that comes in one piece with the first answer is not lost", async (t) => {
  const update = JSON.stringify({
    id: null,
    method: "update",
    params: ["weft", { Bridge: { "2-b": { new: { name: "br1" } } } }],
  });
  const [, client] = await started(t, answering({ monitor: ({ id }) => result(id, ROWS) + update }));
  await until("both rows", () => names(client).join() === "br0,br1");
});

test("an echo is answered", async (t) => {
  const echo = JSON.stringify({ id: "probe", method: "echo", params: ["x"] });
  const [server] = await started(t, answering({ monitor: ({ id }) => result(id, ROWS) + echo }));
  await until("an answer", () => server.received.some(({ id }) => id === "probe"));
  assert.deepEqual(server.received.at(-1), { id: "probe", result: ["x"], error: null });
});

const GARBLED: readonly (readonly [what: string, special: Readonly<Record<string, Answer>>])[] = [
  ["no JSON", { list_dbs: () => "hello\n" }],
  ["another database", { list_dbs: ({ id }) => result(id, ["Other"]) }],
  ["no list of databases", { list_dbs: ({ id }) => result(id, { length: 1 }) }],
  ["an answer to no question", { list_dbs: () => result(99, []) }],
  ["rows that are none", { monitor: ({ id }) => result(id, { Bridge: { "1-a": { new: 7 } } }) }],
  ["rows of a table that was not asked for", { monitor: ({ id }) => result(id, { Secret: {} }) }],
  ["a refusal of the monitor", { monitor: ({ id }) => JSON.stringify({ id, result: null, error: "unknown column" }) }],
  ["a notification without parameters", { monitor: ({ id }) => `${result(id, {})}{"method":"update","params":7}` }],
  ["the end", { monitor: (_, socket) => void socket.destroy() }],
];
for (const [what, special] of GARBLED)
  test(`a server that says ${what}: a Fault, and a later try`, async (t) => {
    const [server, client] = await started(t, answering(special));
    await until("a fault", () => client.trouble !== undefined);
    assert(client.trouble instanceof Fault);
    assert.equal(client.replica, undefined);
    await assert.rejects(client.transact([INSERT]), Fault);
    await until("another connection", () => server.connections > 1);
    await server.stop();
    await server.listen(answering({}));
    await until("the rows", () => names(client).join() === "br0");
    assert.equal(client.trouble, undefined);
  });

const RESULTS: readonly (readonly [what: string, value: unknown])[] = [
  ["no list", { count: 1 }],
  ["too few", []],
  ["too many", [{}, {}]],
  ["numbers", [7]],
];
for (const [what, value] of RESULTS)
  test(`results of a transaction that are ${what}: a Fault, and the connection is made anew`, async (t) => {
    const [server, client] = await started(t, answering({ transact: ({ id }) => result(id, value) }));
    await until("the rows", () => client.replica !== undefined);
    await assert.rejects(client.transact([INSERT]), Fault);
    await until("another connection", () => server.connections > 1);
  });

test("no answer in time: a Fault, for all that wait", async (t) => {
  const [server, client] = await started(t, answering({ transact: () => undefined }), 50);
  await until("the rows", () => client.replica !== undefined);
  const both = await Promise.allSettled([client.transact([INSERT]), client.transact([INSERT])]);
  for (const one of both) assert(one.status === "rejected" && one.reason instanceof Fault, JSON.stringify(one));
  await until("another connection", () => server.connections > 1 && client.replica !== undefined);
});

test("while the server is away, tries are rarer each time, and a change tells of both", async (t) => {
  const [server, client, changes] = await started(t, answering({}));
  await until("the rows", () => client.replica !== undefined);
  const before = changes();
  await server.stop();
  await until("the loss", () => client.replica === undefined);
  assert.match(client.trouble?.message ?? "", /cannot be reached.*start ovsdb-server/);
  assert(changes() > before);
  await server.listen(answering({}));
  await until("the rows again", () => client.replica !== undefined);
});

test("more requests than the server answers are refused at once", async (t) => {
  const [, client] = await started(t, answering({ transact: () => undefined }));
  await until("the rows", () => client.replica !== undefined);
  const many = Array.from({ length: 300 }, () => client.transact([INSERT]).then(String, String));
  assert.match((await many.at(-1)) ?? "", /256 requests wait for an answer already/);
  client.close();
  await Promise.all(many);
});

test("closed, it connects no more, and can be opened again", async (t) => {
  const [server, client] = await started(t, answering({}));
  client.close();
  client.open();
  await until("the rows", () => client.replica !== undefined);
  client.close();
  assert.equal(client.replica, undefined);
  assert.equal(client.trouble, undefined);
  await until("no connection", () => server.sockets.size === 0);
});
