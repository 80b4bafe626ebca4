// Processes have the namespace names that people give them, often the same on every host. An endpoint that a host has
// attached is registered, under its name or a qualified one, whichever host has the name and whatever happens
// meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import { nameOnHost } from "../../src/model/endpointName.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 20) : 1;
const ADMIN = { role: "admin" } as const;
const NAMES = ["web", "db", "cache"] as const;

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: no acknowledged attach stays unregistered`, { timeout: 60_000 }, () => live(seed));
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = await cluster(random, 3);
  const hosts = [...world.hosts.values()];
  const anyHost = () => hosts[random(hosts.length)] ?? assert.fail();
  for (let step = 0; step < 50; step++) {
    const host = anyHost();
    const name = NAMES[random(NAMES.length)] ?? "web";
    const network = ["routed", "routed", "segment"][random(3)] ?? "";
    if (random(3) > 0) attach(host, network, name).catch(mustBeFault);
    else host.running?.attacher.detach(`${name}.eth0`).catch(mustBeFault);
    if (random(8) === 0) host.isCut = !host.isCut;
    if (random(12) === 0) world.killServer();
    if (world.control === undefined && random(3) === 0) await world.startServer();
    if (random(12) === 0) restart(world, host);
    await world.clock.advance([0, 5, 300, 4_000][random(4)] ?? 0);
  }
  await world.heal();
  const { items } = (await world.control?.list("endpoint", ADMIN)) ?? assert.fail();
  for (const host of hosts) {
    const known = items.filter(({ spec }) => spec.host === host.name);
    const registered = known.map(({ spec }) => `${nameOnHost(spec)} ${spec.addresses.join()}`);
    const held = [...host.entries.values()].map(({ endpoint: e }) => `${e.name} ${e.spec.addresses.join()}`);
    assert.deepEqual(registered.sort(), held.sort(), `seed ${seed}, ${host.name}`);
    assert.deepEqual(host.running?.agent.report.conditions, [], `seed ${seed}, ${host.name}`);
  }
  const { findings } = (await world.check({})).report;
  assert.deepEqual(findings, [], `seed ${seed}`);
  await finish(world);
}

test("two hosts, one name: both are registered, over restarts; each detaches its own; names stay", async () => {
  const world = await cluster(randomFrom(1), 2);
  const [h1, h2] = [...world.hosts.values()];
  assert(h1 !== undefined && h2 !== undefined);
  for (const host of [h1, h2]) {
    host.isCut = true;
    const attached = attach(host, "routed", "web");
    await world.clock.advance(500);
    await attached;
  }
  h1.isCut = false;
  await world.clock.advance(20_000);
  h2.isCut = false;
  await world.clock.advance(20_000);
  const names = async () => ((await world.control?.list("endpoint", ADMIN))?.items ?? []).map(({ name }) => name);
  assert.deepEqual(await names(), ["web.eth0", "web.eth0@h2"]);
  await assert.rejects(
    async () => {
      const asked = attach(h2, "segment", "other", "web");
      asked.catch(() => undefined);
      await world.clock.advance(500);
      await asked;
    },
    (error) => error instanceof Fault,
    "in a global network a name that is elsewhere is refused at once",
  );
  for (const host of [h1, h2]) restart(world, host);
  await world.clock.advance(40_000);
  assert.deepEqual(await names(), ["web.eth0", "web.eth0@h2"]);
  const went = h1.running?.attacher.detach("web.eth0");
  await world.clock.advance(5_000);
  await went;
  assert.deepEqual(await names(), ["web.eth0@h2"]);
  restart(world, h2);
  await world.clock.advance(40_000);
  assert.deepEqual(await names(), ["web.eth0@h2"], "it stays what it was called first");
  // A person detaches it by the server's name; and its host by its own.
  const marked = world.control?.write({ verb: "detach", endpoint: "web.eth0@h2", by: ADMIN });
  await world.clock.advance(60_000);
  await marked;
  assert.deepEqual([await names(), [...h2.entries]], [[], []]);
  await finish(world);
});

async function cluster(random: (n: number) => number, hosts: number): Promise<World> {
  const world = new World(random);
  const control = await world.startServer();
  for (let n = 1; n <= hosts; n++) world.startAgent(world.addHost(`h${n}`));
  await world.clock.advance(2_000);
  const networks = { routed: { cidr: "10.1.0.0/16", hostPrefix: 24 }, segment: { cidr: "10.2.0.0/24" } };
  for (const [name, subnet] of Object.entries(networks)) {
    const made = control.write({ verb: "put", kind: "network", name, spec: { subnets: [subnet] } });
    await world.clock.advance(1_000);
    await made;
  }
  return world;
}

async function attach(host: Host, network: string, name: string, owner = name): Promise<void> {
  const netns = `/run/netns/${name}` as const;
  if (!host.workloads.has(netns)) host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  await host.running?.attacher.attach({ network, netns, owner });
}

function restart(world: World, host: Host): void {
  world.killAgent(host);
  world.startAgent(host);
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}

async function finish(world: World): Promise<void> {
  for (const host of world.hosts.values()) world.killAgent(host);
  world.killServer();
  await world.clock.advance(60_000);
}
