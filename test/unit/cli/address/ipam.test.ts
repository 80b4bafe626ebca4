// `weft ipam check` as people and scripts meet it: the program against a real server, and a host that follows it over
// HTTP and says of itself what the test wants.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { createApi } from "../../../../src/api/api.ts";
import { httpTransport } from "../../../../src/client/transportHttp.ts";
import { Control } from "../../../../src/control/control.ts";
import type { Ask, CheckReport, Inventory } from "../../../../src/model/check.ts";
import { problemOf } from "../../../../src/model/fault.ts";
import type { SpaceMap } from "../../../../src/model/map.ts";
import { certificateOf, certifier, credentialWith } from "../../api/certificates.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";

const WEFT = join(import.meta.dirname, "../../../../bin/weft");
const folder = mkdtempSync(join(tmpdir(), "weft-ipam-"));
const socket = join(folder, "server.sock");
const clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms: number, signal?: AbortSignal) => setTimeout(ms, undefined, { signal }).catch(() => undefined),
};
const control = await Control.open(openMemoryStore(), { clock, certifier });
const api = createApi(control, { clock, version: "9.9.9", certificateOf });
const server = createServer((...args) => api.routing(...args));
const transport = httpTransport({ url: `unix:${socket}`, credential: credentialWith("j".repeat(40)), clock });
const stop = new AbortController();

const nothing: Inventory = { host: "h1", revision: 0, entries: [], ports: [], busy: [], telling: false };
/** What h1 says of itself; the orders it got are kept. */
let says: Inventory = nothing;
const asks: Ask[] = [];

function weft(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    PATH: process.env["PATH"],
    WEFT_SERVER: `unix:${socket}`,
    WEFT_TOKEN_FILE: join(folder, "admin.token"),
  };
  return new Promise((resolve) => {
    execFile(WEFT, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
  });
}

async function follow(): Promise<void> {
  for await (const { ask } of transport.watch(control.revision, stop.signal)) {
    if (ask === undefined) continue;
    asks.push(ask);
    await transport.answer({ ask: ask.id, done: ask.orders.map(() => ""), inventory: says });
  }
}

before(async () => {
  await control.setToken("admin", "a".repeat(40));
  await control.setToken("join", "j".repeat(40));
  writeFileSync(join(folder, "admin.token"), "a".repeat(40));
  await api.ready();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const subnets = [{ cidr: "10.7.0.0/16" }];
  await control.write({ verb: "put", kind: "network", name: "blue", spec: { ipam: "global", subnets } });
  await transport.join({ host: "h1", underlay: "192.0.2.1", underlayMtu: 1500, hostPrefixes: [] });
  for (const owner of ["web", "db"])
    await transport.attach({ network: "blue", host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}` });
  says = await agreeing();
  void follow();
});
after(async () => {
  stop.abort();
  transport.close();
  server.close();
  server.closeAllConnections();
  await api.close();
  await control.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Journal and kernel as the server has them. */
async function agreeing(): Promise<Inventory> {
  const { items } = await control.list("endpoint", { role: "admin" });
  return {
    ...nothing,
    entries: items.map(({ name, revision, spec: { network, netns, mac, addresses } }) => ({
      endpoint: name,
      network,
      netns,
      mac,
      addresses,
      revision,
      state: "attached",
      alive: true,
    })),
    ports: items.map(({ name, spec: { mac, addresses } }) => ({
      endpoint: name,
      vrf: "blue",
      name: `wp-${name}`,
      far: { ifname: "eth0", mac, addresses },
    })),
  };
}

test("nothing found: no data, a line of prose, exit 0", async () => {
  const { code, stdout, stderr } = await weft("ipam", "check");
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(stderr, /^nothing found: 2 endpoints on 1 host at revision \d+\n$/);
});

test("a finding: a row, who says what, what is to be done, exit 11; dry, so no order was given", async () => {
  says = { ...(await agreeing()), ports: [] };
  asks.length = 0;
  const { code, stdout, stderr } = await weft("ipam", "check");
  assert.equal(code, 11);
  assert.match(
    stdout,
    /^KIND +ADDRESS +NETWORK +HOST +ENDPOINT +WHY\nleaked +10\.7\.0\.3 +blue +h1 +db\.eth0 +port-missing\n/,
  );
  assert.match(
    stdout,
    /journal of h1 +10\.7\.0\.2, MAC .*, in blue, attached at \/run\/netns\/web\n +kernel of h1 +has no port\n/,
  );
  assert.match(stdout, /do +the agent makes the port again \(--repair\)/);
  assert.match(stderr, /^2 findings: /);
  assert.deepEqual(
    asks.map(({ orders }) => orders),
    [[], []],
    "two looks, no order",
  );
  const { findings } = JSON.parse((await weft("ipam", "check", "-o", "json")).stdout) as CheckReport;
  assert.deepEqual(
    findings.map(({ kind, rule, host, mendable }) => [kind, rule, host, mendable]),
    [
      ["leaked", "port-missing", "h1", true],
      ["leaked", "port-missing", "h1", true],
    ],
  );
  assert.equal((await weft("ipam", "check", "-o", "name")).stdout, "port-missing/db.eth0\nport-missing/web.eth0\n");
});

test("a repair gives each host each order once, and believes only another check", async () => {
  says = { ...(await agreeing()), ports: [] };
  asks.length = 0;
  const { code, stdout, stderr } = await weft("ipam", "check", "--repair");
  assert.equal(code, 11);
  assert.match(stdout, /not done +it is still so afterwards/);
  assert.match(stderr, /2 findings, 0 mended, 2 left/);
  assert.deepEqual(
    asks.flatMap(({ orders }) => orders),
    [{ do: "settle" }, { do: "settle" }],
    "in each of two attempts",
  );
});

test("a lease that the host does not know is let go by the server, and only that", async () => {
  const all = await agreeing();
  says = { ...all, entries: all.entries.slice(1), ports: all.ports.slice(1) };
  const { code, stdout } = await weft("ipam", "check", "--repair");
  assert.equal(code, 0);
  assert.match(stdout, /leaked +10\.7\.0\.\d +blue +h1 +\w+\.eth0 +unknown-to-host +done/);
  const { items } = await control.list("endpoint", { role: "admin" });
  assert.deepEqual(
    items.map(({ name }) => name),
    all.entries.slice(1).map(({ endpoint }) => endpoint),
  );
});

test("a map is drawn for people, and whole for programs", async () => {
  const { stdout } = await weft("ipam", "map", "blue");
  assert.match(stdout, /^blue 10\.7\.0\.0\/16: 1 of 65533 addresses used\n\n {2}10\.7\.0\.0 +░·{31}\n/);
  const { subnets } = JSON.parse((await weft("ipam", "map", "blue", "-o", "json")).stdout) as SpaceMap;
  assert.deepEqual(
    subnets[0]?.intervals.slice(0, 2).map(({ first, state }) => [first, state]),
    [
      ["10.7.0.0", "excluded"],
      ["10.7.0.1", "gateway"],
    ],
  );
  assert.equal((await weft("ipam", "map", "red")).code, 3);
});

test("a host that does not follow is named, exit 12; what is named and is not there is 3", async () => {
  await control.join({ host: "h2", underlay: "192.0.2.2", underlayMtu: 1500, hostPrefixes: [] }, "j".repeat(40));
  says = await agreeing();
  const { code, stderr } = await weft("ipam", "check");
  assert.equal(code, 12, stderr);
  assert.match(stderr, /^not checked: host h2: away: its agent does not follow the server\n/);
  assert.equal((await weft("ipam", "check", "--host", "h1")).code, 0);
  assert.equal((await weft("ipam", "check", "--host", "h9")).code, 3);
  assert.equal((await weft("ipam", "check", "--network", "red")).code, 3);
  assert.equal((await weft("ipam", "check", "--evict")).code, 2);
});

test("a host answers only for itself, only in the documented form, and what nobody asked is nothing", async () => {
  const refused = async (inventory: unknown) =>
    problemOf(
      await transport.answer({ ask: 1, done: [], inventory: inventory as Inventory }).catch((error: unknown) => error),
    ).reason;
  assert.equal(await refused({ ...nothing, host: "h2" }), "forbidden");
  assert.equal(await refused({ ...nothing, ports: [{ endpoint: 7 }] }), "request-invalid");
  await transport.answer({ ask: 4711, done: [], inventory: nothing });
});
