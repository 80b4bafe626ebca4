// The client and the mirror against the server they are for: the real API over a real store and a unix socket.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createApi } from "../../../src/api/api.ts";
import { Control } from "../../../src/control/control.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";
import { Mirror } from "../../../src/client/mirror.ts";
import { serverClient } from "../../../src/client/server.ts";
import { certificateOf, certifier, credentialWith } from "../api/certificates.ts";
import { httpTransport } from "../../../src/client/transportHttp.ts";

const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {}),
};
const TOKENS = { admin: "admin".padEnd(40, "a"), join: "join".padEnd(40, "j"), own: "own".padEnd(40, "o") };
const FACTS = { underlay: "10.9.0.1", underlayMtu: 1500, hostPrefixes: [] };

type Server = { readonly url: string; readonly file: string; start(): Promise<void>; stop(): Promise<void> };

/** A server whose store outlives its process, so to speak. */
async function serving(t: TestContext): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "weft-wire-"));
  const socket = join(directory, "server.sock");
  let stop = async (): Promise<void> => {};
  const server: Server = {
    url: `unix:${socket}`,
    file: join(directory, "store.db"),
    async start() {
      const store = openSqliteStore(join(directory, "store.db"));
      const control = await Control.open(store, { clock, certifier });
      await control.setToken("admin", TOKENS.admin);
      await control.setToken("join", TOKENS.join);
      const api = createApi(control, { clock, version: "test", certificateOf });
      await api.listen({ path: socket });
      stop = async () => {
        await api.close();
        await control.close();
        await store.close();
      };
    },
    async stop() {
      await stop();
      stop = async () => {};
    },
  };
  await server.start();
  t.after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return server;
}

function refusal(reason: Reason): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.reason === reason;
}

async function eventually(isSo: () => boolean, what: string): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!isSo()) {
    assert.ok(Date.now() < deadlineMs, `not so after 10 s: ${what}`);
    await sleep(5);
  }
}

test("a person writes, reads, plans and deletes", async (t) => {
  const { url } = await serving(t);
  const client = serverClient({ url, token: TOKENS.admin });
  t.after(() => client.close());
  assert.equal((await client.version()).version, "test");
  const spec = { subnets: [{ cidr: "10.1.0.0/16" }] };
  const blue = await client.put("network", "blue", spec, { createOnly: true });
  assert.deepEqual(await client.get("network", "blue"), blue);
  await assert.rejects(client.put("network", "blue", spec, { createOnly: true }), refusal("revision-stale"));
  await assert.rejects(
    client.put("network", "blue", spec, { ifRevision: blue.revision + 9 }),
    refusal("revision-stale"),
  );
  const red = { kind: "network", name: "red", spec: { subnets: [{ cidr: "10.2.0.0/16" }] } };
  const planned = await client.apply({ resources: [red], dryRun: true });
  assert.ok(planned.changes.length > 0);
  assert.deepEqual(
    (await client.list("network")).map(({ name }) => name),
    ["blue"],
  );
  await client.apply({ resources: [red] });
  assert.deepEqual(
    (await client.list("network")).map(({ name }) => name),
    ["blue", "red"],
  );
  const { revision } = await client.remove("network", "blue");
  assert.equal(revision, (await client.snapshot()).revision);
  await assert.rejects(client.get("network", "blue"), refusal("network-unknown"));
  await assert.rejects(serverClient({ url, token: "wrong" }).status(), refusal("token-wrong"));
});

test("a join whose answer was lost can be repeated; from then on the host has a certificate", async (t) => {
  const { url } = await serving(t);
  const claim = { host: "h1", ...FACTS };
  await httpTransport({ url, credential: credentialWith(TOKENS.join, "own"), clock }).join(claim);
  const transport = httpTransport({ url, credential: credentialWith(TOKENS.join, "own"), clock });
  t.after(() => transport.close());
  assert.equal((await transport.join(claim)).certificate, "cert-h1.own");
  assert.deepEqual(
    (await transport.snapshot()).hosts.map(({ name }) => name),
    ["h1"],
  );
  await assert.rejects(
    httpTransport({ url, credential: credentialWith(TOKENS.join, "another"), clock }).join(claim),
    refusal("host-claimed"),
  );
  await transport.detach("nobody.eth0");
});

test("a mirror follows over HTTP, and over a restart of the server", async (t) => {
  const server = await serving(t);
  const transport = httpTransport({ url: server.url, credential: credentialWith(TOKENS.join, "own"), clock });
  const admin = serverClient({ url: server.url, token: TOKENS.admin });
  await transport.join({ host: "h1", ...FACTS });
  const stop = new AbortController();
  const mirror = new Mirror({ transport, clock, random: () => 0 });
  const running = mirror.run(stop.signal);
  try {
    await eventually(() => mirror.isSynced, "synced");
    await admin.put("network", "blue", { ipam: "local", subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] });
    await eventually(() => mirror.snapshot()?.blocks.length === 1, "the block of the new network");
    await server.stop();
    await eventually(() => !mirror.isSynced, "the server is away");
    assert.equal(mirror.snapshot()?.networks.length, 1);
    await server.start();
    await admin.put("network", "red", { subnets: [{ cidr: "10.2.0.0/16" }] });
    await eventually(() => mirror.isSynced && mirror.snapshot()?.networks.length === 2, "the network made meanwhile");
    const { revision } = await admin.snapshot();
    assert.equal(mirror.snapshot()?.revision, revision);
  } finally {
    stop.abort();
    await running;
    transport.close();
    admin.close();
  }
});

test("a server whose disk lost its last writes is not followed, although it goes on further", async (t) => {
  const server = await serving(t);
  const transport = httpTransport({ url: server.url, credential: credentialWith(TOKENS.join, "own"), clock });
  const admin = serverClient({ url: server.url, token: TOKENS.admin });
  t.after(() => (transport.close(), admin.close()));
  await transport.join({ host: "h1", ...FACTS });
  const first = await transport.snapshot();
  for (const n of [1, 2, 3]) await admin.put("network", `n${n}`, { subnets: [{ cidr: `10.${n}.0.0/16` }] });
  const seen = await transport.snapshot();
  // What a power loss leaves: the file and its log, of which one bit flips in the frames of the last write.
  const [file, log] = [readFileSync(server.file), readFileSync(`${server.file}-wal`)];
  await server.stop();
  const at = log.length - 40;
  log[at] = (log[at] ?? 0) ^ 1;
  writeFileSync(server.file, file);
  writeFileSync(`${server.file}-wal`, log);
  await server.start();
  assert((await admin.snapshot()).revision < seen.revision, "SQLite drops the frame without a word");
  for (const n of [6, 7, 8]) await admin.put("network", `n${n}`, { subnets: [{ cidr: `10.${n}.0.0/16` }] });
  assert((await admin.snapshot()).revision > seen.revision);
  const known = { history: seen.history ?? assert.fail(), revision: seen.revision };
  await assert.rejects(transport.snapshot(known), refusal("another-history"));
  const watch = transport.watch(known.revision, AbortSignal.timeout(10_000), known.history);
  await assert.rejects(watch[Symbol.asyncIterator]().next(), refusal("another-history"));
  const told = (await admin.status()).conditions?.find((one) => one.reason === "another-history");
  assert.match(told?.message ?? "", /weft host accept-history h1/);
  // Who saw only what is still there goes on, and is told of which history the rest is.
  const early = { history: first.history ?? assert.fail(), revision: first.revision };
  const now = await transport.snapshot(early);
  assert.notEqual(now.history, early.history);
  const sets = transport.watch(now.revision, AbortSignal.timeout(10_000), now.history)[Symbol.asyncIterator]();
  assert.deepEqual((await sets.next()).value, { revision: now.revision, changes: [], history: now.history });
  await sets.return?.(undefined);
  await assert.rejects(admin.acceptHistory("h2"), refusal("not-found"));
  await assert.rejects(transport.snapshot(known), refusal("another-history"));
  await admin.acceptHistory("h1");
  assert.equal((await transport.snapshot(known)).history, now.history);
});
