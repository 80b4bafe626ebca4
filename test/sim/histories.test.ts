// The server's store goes back, is replaced, and continues: a host that has seen more, or something else, keeps what it
// has until a person decides which history counts, whatever the revisions are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import { portName } from "../../src/datapath/state/names.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 20) : 1;
const ADMIN = { role: "admin" } as const;
const LIVENESS = { suspectAfterMs: 30_000, lostAfterMs: 60_000, reclaimAfterMs: 90_000 };

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: a restored server that overtakes its hosts is not followed`, { timeout: 60_000 }, () =>
    live(seed),
  );
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const mayReclaim = random(2) === 0;
  const world = new World(random, mayReclaim ? LIVENESS : undefined);
  await world.startServer();
  for (let n = 1; n <= 3; n++) world.startAgent(world.addHost(`h${n}`));
  await world.clock.advance(2_000);
  await put(world, "kept");
  for (const host of world.hosts.values()) await attach(world, host, "kept", `${host.name}k`);
  await world.clock.advance(11_000);
  const backup = world.backup();
  // Sometimes a server's life begins between the backup and what is lost, sometimes one of the hosts misses what is.
  if (random(2) === 0) await restart(world);
  const [away] = world.hosts.values();
  const isMissed = random(3) === 0;
  if (away !== undefined) away.isCut = isMissed;
  await put(world, "lost");
  const seeing = [...world.hosts.values()].filter((host) => !host.isCut);
  for (const host of seeing) await attach(world, host, "lost", `${host.name}l`);
  await world.clock.advance(11_000);
  const before = await Promise.all(seeing.map(held));
  if (random(2) === 0) for (const host of seeing) restartAgent(world, host);

  await world.restore(backup);
  await world.startServer();
  // It overtakes, at once or while hosts ask, by another past.
  const overtakes = random(12);
  for (let n = 0; n < overtakes; n++) await put(world, `other${n}`);
  if (away !== undefined) away.isCut = false;
  for (let n = 0; n < 15; n++) {
    await world.clock.advance(10_000);
    if (random(6) === 0) await restart(world);
    if (random(6) === 0) restartAgent(world, seeing[random(seeing.length)] ?? assert.fail());
  }
  await world.clock.advance(20_000);
  assert.deepEqual(await Promise.all(seeing.map(held)), before, `seed ${seed}: something was lost`);
  assert.deepEqual([...world.givenUp], [], `seed ${seed}`);
  const told = (await world.control?.conditions())?.filter((one) => one.reason === "another-history") ?? [];
  assert.deepEqual(new Set(told.map((one) => one.host)), new Set(seeing.map((host) => host.name)), `seed ${seed}`);
  for (const host of seeing) {
    // Where servers give hosts up by themselves, a host that none has heard for long gives no addresses.
    if (!mayReclaim) await attach(world, host, "kept", `${host.name}x`);
    assert.match(host.running?.agent.report.conditions[0] ?? "", /has newer data than this server/);
  }
  for (const { host } of told) {
    const done = world.control?.acceptHistory(host ?? "");
    await world.clock.advance(10);
    await done;
  }
  await world.heal();
  await world.assertConverged(`seed ${seed}`);
  assert.deepEqual(
    (await world.control?.conditions())?.filter((one) => one.reason === "another-history"),
    [],
  );
  for (const host of seeing) assert.equal(host.entries.has(`${host.name}l.eth0`), false, "its network is none");
  for (const host of world.hosts.values()) assert(host.entries.has(`${host.name}k.eth0`));
  for (const host of world.hosts.values()) world.killAgent(host);
  world.killServer();
  await world.clock.advance(100_000);
}

async function restart(world: World): Promise<void> {
  world.killServer();
  await world.startServer();
}

function restartAgent(world: World, host: Host): void {
  world.killAgent(host);
  world.startAgent(host);
}

/** What the host's workloads have, in its journal and in its kernel. */
async function held(host: Host): Promise<readonly string[]> {
  const ports = new Set((await host.kernel.ports()).map((port) => port.name));
  return [...host.entries.values()].map(
    ({ endpoint: { name, spec }, state }) => `${name} ${spec.addresses.join()} ${state} ${ports.has(portName(name))}`,
  );
}

async function put(world: World, name: string): Promise<void> {
  const n = { kept: 1, lost: 2 }[name] ?? 3 + Number(name.replace("other", ""));
  const spec = { subnets: [{ cidr: `10.${n}.0.0/16`, hostPrefix: 24 }] };
  const made = world.control?.write({ verb: "put", kind: "network", name, spec });
  await world.clock.advance(100);
  await made;
}

async function attach(world: World, host: Host, network: string, name: string): Promise<void> {
  await world.clock.advance(2_000);
  const netns = `/run/netns/${name}` as const;
  host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  const attached = host.running?.attacher.attach({ network, netns }) ?? assert.fail();
  attached.catch(() => undefined);
  await world.clock.advance(1_000);
  await attached;
}

test("another server of the same cluster that never was the one before is not followed either", async () => {
  const world = new World(randomFrom(1));
  await world.startServer();
  const host = world.addHost("h1");
  world.startAgent(host);
  await world.clock.advance(2_000);
  await put(world, "kept");
  await attach(world, host, "kept", "w");
  const backup = world.backup();
  // Both go on from the same disk, and one goes on longer: the host follows the first, then meets the second.
  await restart(world);
  await put(world, "lost");
  await world.clock.advance(5_000);
  const networks = () => host.running?.mirror.snapshot()?.networks.map(({ name }) => name);
  assert.deepEqual(networks(), ["kept", "lost"]);
  await world.restore(backup);
  await world.startServer();
  for (let n = 0; n < 5; n++) await put(world, `other${n}`);
  await world.clock.advance(30_000);
  assert.deepEqual(networks(), ["kept", "lost"]);
  assert.equal((await world.control?.list("network", ADMIN))?.items.length, 6);
  world.killAgent(host);
  world.killServer();
  await world.clock.advance(60_000);
});

test("another history that a full disk keeps from the journal is not followed until there is room", async () => {
  const world = new World(randomFrom(1));
  await world.startServer();
  const host = world.addHost("h1");
  world.startAgent(host);
  await world.clock.advance(2_000);
  await put(world, "kept");
  for (const name of ["a", "b"]) await attach(world, host, "kept", name);
  await world.clock.advance(11_000);
  const backup = world.backup();
  await put(world, "lost");
  for (const name of ["c", "d"]) await attach(world, host, "lost", name);
  await world.clock.advance(11_000);
  const before = await held(host);
  await world.restore(backup);
  await world.startServer();
  await world.clock.advance(30_000);
  host.isDiskFull = true;
  const accepted = world.control?.acceptHistory("h1");
  await world.clock.advance(60_000);
  await accepted;
  assert.equal(host.running?.mirror.isSynced, false);
  assert.equal(host.running?.mirror.problem?.reason, "unavailable");
  assert.deepEqual(await held(host), before);
  host.isDiskFull = false;
  await world.clock.advance(30_000);
  assert.equal(host.running?.mirror.isSynced, true);
  await world.heal();
  await world.assertConverged("with room");
  assert.deepEqual([...host.entries.keys()].toSorted(), ["a.eth0", "b.eth0"]);
  world.killAgent(host);
  world.killServer();
  await world.clock.advance(60_000);
});
