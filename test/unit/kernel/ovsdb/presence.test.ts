// Whether a host has Open vSwitch: asked of whatever is at the socket, in bounded time, without staying connected.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OpenVswitch } from "../../../../src/kernel/ovsdb/openVswitch.ts";
import { hasDatabase } from "../../../../src/kernel/ovsdb/presence.ts";
import { type Answer, TestServer, answering, result, until } from "./server.ts";

/** Not listening yet. */
function place(t: TestContext): TestServer {
  const directory = mkdtempSync(join(tmpdir(), "weft-ovsdb-"));
  const server = new TestServer(join(directory, "db.sock"));
  t.after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  return server;
}

const ANSWERS: readonly (readonly [what: string, special: Readonly<Record<string, Answer>>, has: boolean])[] = [
  ["the database", {}, true],
  ["another database", { list_dbs: ({ id }) => result(id, ["Other"]) }, false],
  ["no list", { list_dbs: ({ id }) => result(id, 7) }, false],
  ["a refusal", { list_dbs: ({ id }) => JSON.stringify({ id, result: null, error: "no" }) }, false],
  ["rubbish", { list_dbs: () => "hello\n" }, false],
  ["nothing", { list_dbs: () => undefined }, false],
  ["the end", { list_dbs: (_, socket) => void socket.destroy() }, false],
];
for (const [what, special, has] of ANSWERS)
  test(`a server that answers ${what}`, async (t) => {
    const server = place(t);
    await server.listen(answering(special));
    assert.equal(await hasDatabase(server.path, "Open_vSwitch", 100), has);
    await until("no connection is left", () => server.sockets.size === 0);
  });

test("no socket, a file, and a socket that was left", async (t) => {
  const server = place(t);
  assert.equal(await hasDatabase(server.path, "Open_vSwitch", 100), false);
  writeFileSync(server.path, "");
  assert.equal(await hasDatabase(server.path, "Open_vSwitch", 100), false);
});

test("it comes, is replaced, and goes: what is away for one look only is there", async (t) => {
  const server = place(t);
  const ovs = new OpenVswitch(server.path);
  t.after(() => ovs.close());
  assert.equal(await ovs.isThere(), false);
  await server.listen(answering({}));
  assert.equal(await ovs.isThere(), true);
  await server.stop();
  assert.equal(await ovs.isThere(), true);
  await server.listen(answering({}));
  assert.equal(await ovs.isThere(), true);
  await server.stop();
  assert.deepEqual([await ovs.isThere(), await ovs.isThere()], [true, false]);
});

test("while it is in use, the connection there is is asked, and ends if no answer comes", async (t) => {
  let isDeaf = false;
  const server = place(t);
  const echo: Answer = ({ id }) => (isDeaf ? undefined : result(id, []));
  await server.listen(answering({ echo, monitor: ({ id }) => result(id, {}) }));
  const ovs = new OpenVswitch(server.path, 100);
  t.after(() => ovs.close());
  await ovs.wanted();
  assert.equal(await ovs.isThere(), true);
  assert.equal(server.connections, 1);
  isDeaf = true;
  assert.deepEqual([await ovs.isThere(), await ovs.isThere()], [true, false]);
  assert.match(ovs.troubles().join(), /does not answer.*echo/);
  isDeaf = false;
  await until("it is connected again", () => ovs.troubles().length === 0);
  assert.equal(await ovs.isThere(), true);
});

test("without files of processes, the daemon is dead when nobody has its lock", async (t) => {
  let isHeld = true;
  const server = place(t);
  const none = ["set", []];
  const ours = { external_ids: ["map", [["weft", "network:a"]]] };
  const port = { name: "wo7", interfaces: none, tag: none, trunks: none, vlan_mode: none, protected: false, ...ours };
  const bridge = { name: "br-int", ports: ["uuid", "1-p"], datapath_type: "", external_ids: ["map", []] };
  const rows = { Port: { "1-p": { new: port } }, Bridge: { "1-b": { new: bridge } } };
  await server.listen(
    answering({
      echo: ({ id }) => result(id, []),
      monitor: ({ id }) => result(id, rows),
      lock: ({ id }) => result(id, { locked: !isHeld }),
    }),
  );
  const ovs = new OpenVswitch(server.path);
  t.after(() => ovs.close());
  let pokes = 0;
  ovs.watch(() => pokes++, new AbortController().signal);
  await ovs.wanted();
  await ovs.isThere();
  assert.deepEqual(ovs.troubles(), []);
  const before = pokes;
  isHeld = false;
  await ovs.isThere();
  assert.match(ovs.troubles().join(), /ovs-vswitchd does not run/);
  assert.equal(pokes, before + 1);
  isHeld = true;
  await ovs.isThere();
  assert.deepEqual(ovs.troubles(), []);
  // It is not kept, nor waited for.
  const asked = server.received.map(({ method }) => method).filter((method) => method?.endsWith("lock"));
  assert.deepEqual(asked, ["lock", "unlock", "lock", "unlock", "lock", "unlock"]);
});

test("rounds ask it nothing: what it has is known from its updates", async (t) => {
  const server = place(t);
  await server.listen(answering({ monitor: ({ id }) => result(id, {}) }));
  const ovs = new OpenVswitch(server.path);
  t.after(() => ovs.close());
  for (let round = 0; round < 100; round++) {
    await ovs.wanted();
    await ovs.look();
    assert.deepEqual(ovs.objects(), []);
  }
  assert.deepEqual(
    server.received.map(({ method }) => method),
    ["list_dbs", "monitor"],
  );
});
