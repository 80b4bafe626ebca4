// Pools, memberships and migrations, as the server decides about them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import type { MigrationRequest, MoveReport, NetworkInput, PoolInput } from "../../../src/model/input.ts";
import { ADMIN, type Lab, Reader, openLab, sorted } from "./lab.ts";

async function refuses(lab: Lab, reason: Reason, text: RegExp, attempt: () => Promise<unknown>): Promise<Fault> {
  const before = sorted(await lab.snapshot());
  const error = await attempt().then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof Fault, `expected ${reason}, got ${String(error)}`);
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, text);
  assert.deepEqual(sorted(await lab.snapshot()), before, "a refusal changes nothing");
  return error;
}

const RULES: PoolInput = {
  globalSubnets: [{ cidr: "10.0.<id>.0/24" }],
  localSubnets: [{ cidr: "9.<id>.0.0/16", hostPrefix: 24 }],
};
const putPool = (lab: Lab, spec: PoolInput, name = "p") => lab.control.write({ verb: "put", kind: "pool", name, spec });
const from = (more: object = {}, spec: Partial<NetworkInput> = {}): NetworkInput => ({
  ...spec,
  pool: { name: "p", ...more },
});
const migrate = (lab: Lab, request: MigrationRequest, dryRun = false) =>
  lab.control.write({ verb: "migrate", request }, { dryRun });
const say = (lab: Lab, move: string, report: MoveReport, host = "h1") =>
  lab.control.write({ verb: "move", move, report, by: { role: "host", host } });
const remove = (
  lab: Lab,
  kind: "pool" | "membership" | "migration" | "network" | "host",
  name: string,
  force = false,
) => lab.control.write({ verb: "delete", kind, name, force });

test("a pool has defaults, and refuses rules by which no network could be made", async () => {
  const lab = await openLab();
  const { resource } = await putPool(lab, RULES);
  assert.deepEqual(resource?.spec, {
    driver: "vxlan",
    ipam: "global",
    ids: { first: 1, last: 255 },
    reserved: [],
    ...RULES,
  });
  const cases: readonly (readonly [Reason, RegExp, PoolInput])[] = [
    ["request-invalid", /has no subnets for global networks.*spec\.globalSubnets/, {}],
    ["request-invalid", /no subnets for local networks/, { ...RULES, ipam: "local", localSubnets: [] }],
    ["request-invalid", /"10\.1\.0\.0\/16" is the same for every id/, { globalSubnets: [{ cidr: "10.1.0.0/16" }] }],
    ["cidr-invalid", /10\.0\.300\.0\/24.*spec\.globalSubnets with id 300/, { ...RULES, ids: { first: 1, last: 300 } }],
    ["prefix-invalid", /has no hostPrefix/, { localSubnets: [{ cidr: "9.<id>.0.0/16" }] }],
    ["request-invalid", /has no blocks/, { globalSubnets: [{ cidr: "10.0.<id>.0/24", hostPrefix: 26 }] }],
    ["request-invalid", /ids from 5 to 4 are no range/, { ...RULES, ids: { first: 5, last: 4 } }],
    ["prefix-invalid", /larger than the whole/, { ...RULES, overflow: { cidr: "10.224.0.0/12", prefix: 8 } }],
    ["prefix-invalid", /more than 1048576/, { ...RULES, overflow: { cidr: "fd00::/16", prefix: 64 } }],
    ["prefix-invalid", /no room/, { ...RULES, overflow: { cidr: "10.224.0.0/12", prefix: 31 } }],
    ["cidr-invalid", /not ordinary unicast/, { ...RULES, overflow: { cidr: "224.0.0.0/12", prefix: 20 } }],
    [
      "overlap",
      /could make no global network.*10\.0\.1\.0\/24 overlaps 10\.0\.0\.0\/8/,
      { ...RULES, reserved: ["10.0.0.0/8"] },
    ],
  ];
  for (const [reason, text, spec] of cases) await refuses(lab, reason, text, () => putPool(lab, spec));
});

test("a network out of a pool can be read and written again; its subnets are the pool's", async () => {
  const lab = await openLab();
  await putPool(lab, RULES);
  const made = await lab.put("a", from());
  assert.deepEqual(made.spec.pool, { name: "p", id: 1 });
  assert.deepEqual(await lab.put("a", made.spec), made);
  const quiet = await lab.put("a", { ...made.spec, masquerade: false });
  assert.deepEqual([quiet.spec.pool, quiet.spec.subnets], [made.spec.pool, made.spec.subnets]);
  assert.deepEqual((await lab.put("a", from())).spec.pool, made.spec.pool, "an id stays");
  await refuses(lab, "request-invalid", /not those of pool "p": 10\.0\.1\.0\/24/, () =>
    lab.put("a", { ...made.spec, subnets: [{ cidr: "10.9.0.0/24" }] }),
  );
  await refuses(lab, "pool-unknown", /no pool "q"/, () => lab.put("b", { pool: { name: "q" } }));
  await refuses(lab, "request-invalid", /has no id 256.*1 to 255/, () => lab.put("b", from({ id: 256 })));
  await refuses(lab, "id-taken", /network "a" has it/, () => lab.put("b", from({ id: 1 })));
  // Without endpoints it may become local, and keeps its id; it may also leave the pool.
  assert.equal((await lab.put("a", from({}, { ipam: "local" }))).spec.subnets[0]?.cidr, "9.1.0.0/16");
  assert.equal((await lab.put("a", { subnets: [{ cidr: "10.9.0.0/24" }] })).spec.pool, undefined);
  assert.deepEqual((await lab.put("b", from())).spec.pool, { name: "p", id: 1 });
});

test("templates may be of both families; networks of one VRF pass over what the others have", async () => {
  const lab = await openLab();
  await putPool(lab, { globalSubnets: [{ cidr: "10.0.<id>.0/24" }, { cidr: "fd00:<id>::/64" }] });
  assert.deepEqual(
    (await lab.put("a", from())).spec.subnets.map(({ cidr }) => cidr),
    ["10.0.1.0/24", "fd00:1::/64"],
  );
  await lab.put("other", { subnets: [{ cidr: "10.0.2.0/23" }], vrf: "shared" });
  assert.deepEqual((await lab.put("b", from({}, { vrf: "shared" }))).spec.pool, { name: "p", id: 4 });
  await refuses(lab, "overlap", /id 3 .*network "other"/, () => lab.put("c", from({ id: 3 }, { vrf: "shared" })));
  assert.deepEqual((await lab.put("c", from())).spec.pool, { name: "p", id: 2 });
});

test("when all ids are taken, and what is free meets something, each is said as it is", async () => {
  const lab = await openLab();
  await putPool(lab, { ...RULES, ids: { first: 1, last: 1 } });
  await lab.put("a", from());
  await refuses(lab, "exhausted", /no global network left.*all ids \(1 to 1\) are taken/, () => lab.put("b", from()));
  await putPool(lab, { ...RULES, ids: { first: 1, last: 1 }, overflow: { cidr: "10.224.0.0/12", prefix: 24 } });
  assert.deepEqual((await lab.put("b", from())).spec.subnets[0]?.cidr, "10.224.0.0/24");
  await refuses(lab, "exhausted", /no local network left/, () => lab.put("c", from({}, { ipam: "local" })));
});

test("a pool goes when no network names it, or by force, and then networks keep their subnets", async () => {
  const lab = await openLab();
  await putPool(lab, RULES);
  const made = await lab.put("a", from());
  await refuses(lab, "in-use", /has networks.*\[a\]/, () => remove(lab, "pool", "p"));
  await remove(lab, "pool", "p", true);
  const { pool: _, ...spec } = made.spec;
  assert.deepEqual((await lab.snapshot()).networks[0]?.spec, spec);
  await refuses(lab, "pool-unknown", /no pool "p"/, () => remove(lab, "pool", "p"));
});

/** Two networks, and a host with two endpoints of a workload in the first. */
async function withMembers(): Promise<Lab> {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("old", { subnets: [{ cidr: "10.1.0.0/24" }] });
  await lab.put("new", { subnets: [{ cidr: "10.2.0.0/24" }] });
  for (const owner of ["a", "b"]) await lab.attach("old", "h1", owner, { workload: "web" });
  return lab;
}

test("a membership is made once, and of a network that takes endpoints", async () => {
  const lab = await withMembers();
  const claim = { network: "new", workload: "web" };
  assert.equal((await lab.control.write({ verb: "join-network", claim })).created, true);
  assert.deepEqual((await lab.control.write({ verb: "join-network", claim })).changes, []);
  await refuses(lab, "network-unknown", /no network "none"/, () =>
    lab.control.write({ verb: "join-network", claim: { network: "none", workload: "web" } }),
  );
  await lab.put("shut", { subnets: [{ cidr: "10.3.0.0/24" }], enabled: false });
  await refuses(lab, "network-disabled", /"shut" is disabled/, () =>
    lab.control.write({ verb: "join-network", claim: { network: "shut", workload: "web" } }),
  );
});

test("a host sees its own moves and every membership, no pool or migration; so does its watch", async () => {
  const lab = await withMembers();
  await putPool(lab, RULES);
  const readers = new Map<string, Reader>();
  for (const host of ["h1", "h2"]) readers.set(host, await Reader.open(lab.control, { role: "host", host }));
  await lab.control.write({ verb: "join-network", claim: { network: "old", workload: "web" } });
  await putPool(lab, { ...RULES, ipam: "local" });
  const { resource } = await migrate(lab, { from: "old", to: "new" });
  await say(lab, `${resource?.name}~a.eth0`, { state: "failed", reason: "no" });
  for (const [host, reader] of readers) {
    const snapshot = await lab.snapshot({ role: "host", host });
    assert.deepEqual(snapshot.moves.map(({ spec }) => spec.endpoint).sort(), host === "h1" ? ["a.eth0", "b.eth0"] : []);
    assert.deepEqual(
      snapshot.memberships.map(({ name }) => name),
      ["new~web"],
    );
    assert.deepEqual([snapshot.pools, snapshot.migrations], [[], []]);
    await reader.readTo(snapshot.revision);
    assert.deepEqual(reader.state, sorted(snapshot));
    await reader.close();
  }
});

test("a move goes forward only, and only by its host's word", async () => {
  const lab = await withMembers();
  const planned = await migrate(lab, { from: "old", to: "new" }, true);
  assert.equal(planned.changes.length, 3);
  assert.deepEqual((await lab.snapshot()).moves, []);
  const { resource } = await migrate(lab, { from: "old", to: "new" });
  const name = `${resource?.name}~a.eth0`;
  const stateOf = async () => (await lab.snapshot()).moves.find((move) => move.name === name)?.spec;
  await refuses(lab, "forbidden", /host "h2" cannot say/, () => say(lab, name, { state: "left" }, "h2"));
  await refuses(lab, "in-use", /on their way already/, () => migrate(lab, { from: "old", to: "new" }));
  await say(lab, name, { state: "failed", reason: "full" });
  assert.equal((await stateOf())?.reason, "full");
  await say(lab, name, { state: "joined", newEndpoint: "a.eth1", newAddresses: ["10.2.0.2"] });
  assert.equal((await stateOf())?.reason, undefined);
  await say(lab, name, { state: "left" });
  const { revision } = await lab.snapshot();
  await say(lab, name, { state: "joined" });
  await say(lab, "m999~a.eth0", { state: "left" });
  assert.equal((await lab.snapshot()).revision, revision);
  assert.deepEqual([(await stateOf())?.state, (await stateOf())?.newEndpoint], ["left", "a.eth1"]);
  assert.deepEqual(
    (await lab.snapshot()).endpoints.map((endpoint) => endpoint.name),
    ["b.eth0"],
    "what has left is free",
  );
});

test("a migration that is not over is deleted by force only, and memberships that are needed come back", async () => {
  const lab = await withMembers();
  await lab.control.write({ verb: "join-network", claim: { network: "old", workload: "db" } });
  await lab.attach("old", "h2", "c", { workload: "db", joined: true });
  await refuses(lab, "in-use", /"c\.eth0" cannot move alone.*--workload db/, () =>
    migrate(lab, { from: "old", to: "new", endpoint: "c.eth0" }),
  );
  const { resource } = await migrate(lab, { from: "old", to: "new", workload: "db" });
  assert.deepEqual(
    (await lab.snapshot()).memberships.map(({ name }) => name),
    ["new~db"],
  );
  const name = resource?.name ?? "";
  await refuses(lab, "in-use", /is not over.*\[c\.eth0\]/, () => remove(lab, "migration", name));
  await remove(lab, "migration", name, true);
  const { memberships, moves, migrations } = await lab.snapshot();
  assert.deepEqual([memberships.map((each) => each.name).sort(), moves, migrations], [["new~db", "old~db"], [], []]);
  await refuses(lab, "migration-unknown", /no migration .*`weft network migration list`/, () =>
    remove(lab, "migration", name),
  );
  await refuses(lab, "membership-unknown", /no membership "x" .*`weft network members NETWORK`/, () =>
    remove(lab, "membership", "x"),
  );
  await refuses(lab, "pool-unknown", /`weft pool list`/, () => remove(lab, "pool", "x"));
});

test("moves end when their host goes or a network is deleted by force; without force it is refused", async () => {
  const lab = await withMembers();
  await lab.attach("old", "h2", "c");
  await migrate(lab, { from: "old", to: "new" });
  const states = async () =>
    Object.fromEntries((await lab.snapshot()).moves.map(({ spec }) => [spec.endpoint, spec.state]));
  await remove(lab, "host", "h2", true);
  assert.deepEqual(await states(), { "a.eth0": "pending", "b.eth0": "pending", "c.eth0": "gone" });
  await refuses(lab, "in-use", /migration of a\.eth0, migration of b\.eth0/, () => remove(lab, "network", "new"));
  await remove(lab, "network", "new", true);
  assert.deepEqual(await states(), { "a.eth0": "gone", "b.eth0": "gone", "c.eth0": "gone" });
});

test("the last 20 finished migrations are kept", async () => {
  const lab = await withMembers();
  const made: string[] = [];
  for (let n = 0; n < 25; n++) {
    const { resource } = await migrate(lab, { from: "old", to: "new", endpoint: "a.eth0" });
    made.push(resource?.name ?? "");
    assert.equal(resource?.name, `m${resource?.revision}`, "named after its commit");
    await say(lab, `${resource?.name}~a.eth0`, { state: "gone" });
  }
  const { migrations, moves } = await lab.control.snapshot(ADMIN);
  assert.deepEqual(new Set(migrations.map(({ name }) => name)), new Set(made.slice(-20)));
  assert.equal(moves.length, 20);
});
