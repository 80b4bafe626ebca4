// The client against a real ovsdb-server, each test with one of its own: what it relies on is so.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { type Operation, Ovsdb, TransactionRefused } from "../../../src/kernel/ovsdb/client.ts";
import { atomsIn, entriesIn, mapOf, named, setOf, textsIn } from "../../../src/kernel/ovsdb/values.ts";
import { Fault } from "../../../src/model/fault.ts";
import { OpenVswitch, ovsObstacle } from "../../netns/lab/openVswitch.ts";

const skip = ovsObstacle() ?? false;
const WATCHED = {
  Open_vSwitch: ["bridges", "next_cfg"],
  Bridge: ["name", "external_ids", "ports"],
  Port: ["name", "trunks"],
};

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !isSo(); await setTimeout(2))
    assert(performance.now() < end, `never: ${what}`);
}

async function started(t: TestContext): Promise<[OpenVswitch, Ovsdb]> {
  const ovs = new OpenVswitch();
  const client = new Ovsdb({ path: ovs.socket, database: "Open_vSwitch", watched: WATCHED, onChange: () => undefined });
  t.after(() => {
    client.close();
    ovs.close();
  });
  ovs.startDatabase();
  client.open();
  await until("the rows", () => client.replica !== undefined);
  return [ovs, client];
}

/** A bridge with its own port. */
function bridge(name: string, owner: string): readonly Operation[] {
  return [
    { op: "insert", table: "Interface", row: { name, type: "internal" }, "uuid-name": "own" },
    {
      op: "insert",
      table: "Port",
      row: { name, interfaces: named("own"), trunks: setOf([7, 9]) },
      "uuid-name": "port",
    },
    {
      op: "insert",
      table: "Bridge",
      row: { name, ports: named("port"), external_ids: mapOf({ weft: owner }) },
      "uuid-name": "bridge",
    },
    { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["bridges", "insert", setOf([named("bridge")])]] },
  ];
}

const bridges = (client: Ovsdb) => [...(client.replica?.table("Bridge").values() ?? [])];
const namesOf = (client: Ovsdb) => bridges(client).flatMap(({ name }) => textsIn(name));

test("a transaction does all, and the replica has it", { skip }, async (t) => {
  const [ovs, client] = await started(t);
  const [, , inserted] = await client.transact(bridge("br0", "network:blue"));
  await until("the bridge", () => namesOf(client).join() === "br0");
  const [row] = bridges(client);
  assert.deepEqual([...entriesIn(row?.["external_ids"])], [["weft", "network:blue"]]);
  assert.deepEqual(
    [...(client.replica?.table("Bridge").keys() ?? [])],
    inserted?.uuid === undefined ? [] : atomsIn(inserted.uuid),
  );
  const [port] = client.replica?.table("Port").values() ?? [];
  assert.deepEqual(atomsIn(port?.["trunks"]), [7, 9]);
  assert.equal(ovs.vsctl("list-br"), "br0");
});

test("a transaction that is refused at one operation does nothing, and says at which", { skip }, async (t) => {
  const [ovs, client] = await started(t);
  const wrong: Operation = { op: "insert", table: "Port", row: { name: "p", tag: 4096 } };
  await assert.rejects(client.transact([...bridge("br0", "a"), wrong]), (error) => {
    assert(error instanceof TransactionRefused, String(error));
    assert.equal(error.at, 4);
    assert.match(error.message, /constraint violation.*4096/);
    return true;
  });
  assert.equal(ovs.vsctl("list-br"), "");
});

test("a constraint of all together is told without a place", { skip }, async (t) => {
  const [, client] = await started(t);
  await client.transact(bridge("br0", "a"));
  await assert.rejects(
    client.transact(bridge("br0", "b")),
    (error) =>
      error instanceof TransactionRefused && error.at === undefined && /constraint violation/.test(error.error),
  );
});

test("what the server does not understand is refused, and the connection goes on", { skip }, async (t) => {
  const [, client] = await started(t);
  const unknown: Operation = { op: "insert", table: "Nonsense", row: {} };
  await assert.rejects(client.transact([unknown]), TransactionRefused);
  await client.transact(bridge("br0", "a"));
});

test("a wait for what is not so refuses the transaction", { skip }, async (t) => {
  const [ovs, client] = await started(t);
  await client.transact(bridge("br0", "a"));
  const wait: Operation = {
    op: "wait",
    table: "Bridge",
    where: [["name", "==", "br0"]],
    columns: ["fail_mode"],
    until: "==",
    rows: [{ fail_mode: "secure" }],
    timeout: 0,
  };
  await assert.rejects(
    client.transact([wait, { op: "delete", table: "Bridge", where: [] }]),
    (error) => error instanceof TransactionRefused && error.at === 0 && error.error === "timed out",
  );
  assert.equal(ovs.vsctl("list-br"), "br0");
});

test("what others change is in the replica: new, other and gone rows", { skip }, async (t) => {
  const [ovs, client] = await started(t);
  ovs.vsctl("--no-wait", "add-br", "br0");
  await until("a row", () => namesOf(client).join() === "br0");
  ovs.vsctl("--no-wait", "set", "bridge", "br0", "external_ids:a=1", "external_ids:b=2");
  await until("two ids", () => entriesIn(bridges(client)[0]?.["external_ids"]).size === 2);
  ovs.vsctl("--no-wait", "remove", "bridge", "br0", "external_ids", "a");
  await until("one id", () => [...entriesIn(bridges(client)[0]?.["external_ids"]).keys()].join() === "b");
  ovs.vsctl("--no-wait", "del-br", "br0");
  await until("no row", () => bridges(client).length === 0 && client.replica?.table("Port").size === 0);
});

test("a thousand ports come in one answer, and are there again after kill -9 of the server", { skip }, async (t) => {
  const [ovs, client] = await started(t);
  await client.transact(bridge("br0", "a"));
  const ports = Array.from({ length: 1000 }, (_, i): readonly Operation[] => [
    { op: "insert", table: "Interface", row: { name: `p${i}` }, "uuid-name": `i${i}` },
    { op: "insert", table: "Port", row: { name: `p${i}`, interfaces: named(`i${i}`) }, "uuid-name": `p${i}` },
    {
      op: "mutate",
      table: "Bridge",
      where: [["name", "==", "br0"]],
      mutations: [["ports", "insert", setOf([named(`p${i}`)])]],
    },
  ]).flat();
  await client.transact(ports);
  await until("the ports", () => client.replica?.table("Port").size === 1001);
  ovs.signal("ovsdb-server", "SIGKILL");
  await until("the loss", () => client.replica === undefined);
  await assert.rejects(client.transact([]), Fault);
  ovs.startDatabase();
  await until("the ports again", () => client.replica?.table("Port").size === 1001);
});

test("a server that stands still: a Fault in time, and all goes on when it does", { skip }, async (t) => {
  const ovs = new OpenVswitch();
  const options = { path: ovs.socket, database: "Open_vSwitch", watched: WATCHED, onChange: () => undefined };
  const client = new Ovsdb({ ...options, timeoutMs: 200 });
  t.after(() => {
    client.close();
    ovs.close();
  });
  ovs.startDatabase();
  client.open();
  await until("the rows", () => client.replica !== undefined);
  ovs.signal("ovsdb-server", "SIGSTOP");
  await assert.rejects(
    client.transact(bridge("br0", "a")),
    (error) => error instanceof Fault && error.reason === "timeout",
  );
  ovs.signal("ovsdb-server", "SIGCONT");
  await until("the rows again", () => client.replica !== undefined);
});

test("no server at all: a Fault that says so", { skip }, async () => {
  const options = {
    path: "/nonexistent/db.sock",
    database: "Open_vSwitch",
    watched: WATCHED,
    onChange: () => undefined,
  };
  const client = new Ovsdb(options);
  client.open();
  await until("a fault", () => client.trouble !== undefined);
  client.close();
  const failing = new Ovsdb(options);
  failing.open();
  await until("a fault", () => failing.trouble !== undefined);
  assert.match(failing.trouble?.message ?? "", /\/nonexistent\/db\.sock.*ENOENT/);
  failing.close();
});
