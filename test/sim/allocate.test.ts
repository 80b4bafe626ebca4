// Eight agents that allocate at once, all the time, from ranges too small for all of them, while agents and server are
// killed and lines are cut and lose answers: no address and no MAC is ever given twice, and in the end nothing has
// leaked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import type { Snapshot } from "../../src/model/resource.ts";
import { snapshotOf } from "../../src/model/resource.ts";
import { randomFrom } from "./clock.ts";
import { assertUnique, type Host, World } from "./world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? 4 : 1;
const HOSTS = 8;
const STEPS = 50;
const NETWORKS = ["lowest", "next", "random", "local"] as const;

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: nothing is given twice`, { timeout: 60_000 }, () => live(seed));
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = new World(random);
  let workloads = 0;
  let given = 0;
  const attach = (host: Host) => {
    const netns = `/run/netns/w${++workloads}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const network = NETWORKS[random(NETWORKS.length)] ?? "lowest";
    void host.running?.door.attach({ network, netns }).then(() => given++, mustBeFault);
  };
  try {
    await world.startServer();
    for (let i = 1; i <= HOSTS; i++) world.startAgent(world.addHost(`h${i}`));
    await world.clock.advance(2000);
    await makeNetworks(world);
    world.lossPercent = 5;
    for (let step = 0; step < STEPS; step++) {
      for (const host of world.hosts.values()) {
        for (let n = random(3); n > 0; n--) attach(host);
        const name = [...host.entries.keys()][random(20)];
        if (name !== undefined) void host.running?.door.detach(name).catch(mustBeFault);
      }
      await trouble(world, random);
      await world.clock.advance([1, 5, 60, 1500][random(4)] ?? 1);
      assertUnique(await snapshotIn(world), `seed ${seed}, step ${step}`);
    }
    await world.heal();
    await world.assertConverged(`seed ${seed}`);
    await assertNothingLeaked(world, seed);
    assert.ok(given > 60, `only ${given} attaches were answered`);
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
}

async function makeNetworks(world: World): Promise<void> {
  for (const [n, name] of NETWORKS.entries()) {
    const ranges = [{ name: "few", type: "ip4", first: `10.${n}.0.8`, size: 12 }] as const;
    const spec =
      name === "local"
        ? { subnets: [{ cidr: `10.${n}.0.0/24`, hostPrefix: 28 }], quarantine: 1 }
        : { subnets: [{ cidr: `10.${n}.0.0/24` }], ranges, strategy: name, sticky: n === 0, quarantine: 1 };
    const written = world.control?.write({ verb: "put-network", name, spec });
    await world.clock.advance(10);
    await written;
  }
}

async function trouble(world: World, random: (n: number) => number): Promise<void> {
  const host = [...world.hosts.values()][random(HOSTS)];
  if (host === undefined) return;
  const what = random(8);
  if (what === 0) world.killServer();
  if (what <= 2 && world.control === undefined) await world.startServer();
  if (what === 3 && host.running !== undefined) world.killAgent(host);
  else if (what <= 5 && host.running === undefined) world.startAgent(host);
  if (what >= 6) host.isCut = !host.isCut;
}

async function snapshotIn(world: World): Promise<Snapshot> {
  const { cluster, revision, resources } = await world.store.read();
  return snapshotOf(cluster, revision, resources);
}

/** What the server has given is what the hosts have, and what was given back is free again when its time is over. */
async function assertNothingLeaked(world: World, seed: number): Promise<void> {
  await world.clock.advance(5_000);
  const { endpoints, freed } = await snapshotIn(world);
  const attached = [...world.hosts.values()].flatMap((host) => [...host.entries.keys()]).toSorted();
  assert.deepEqual(endpoints.map(({ name }) => name).toSorted(), attached, `seed ${seed}`);
  const kept = freed.filter(({ spec }) => spec.untilMs !== undefined);
  assert.deepEqual(kept, [], `seed ${seed}: quarantine is over`);
  assert.deepEqual(
    freed.filter(({ spec }) => spec.network !== "lowest"),
    [],
    "only a sticky network remembers",
  );
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
