// Eight agents allocate at once, all the time, from ranges too small for all of them, while agents and server are
// killed and connections break and lose answers: no address and no MAC is ever given twice, and in the end nothing has
// leaked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import type { Write } from "../../src/control/write.ts";
import type { Snapshot } from "../../src/model/resource.ts";
import { snapshotOf } from "../../src/model/resource.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { assertUnique } from "./lab/laws.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? 4 : 1;
const HOSTS = 8;
const STEPS = 50;
const NETWORKS = ["lowest", "next", "random", "local"] as const;
/** Reserved from "lowest", made and deleted all the time. */
const RESERVATION = "reserved";

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: nothing is given twice`, { timeout: 60_000 }, () => live(seed));
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = new World(random);
  let workloads = 0;
  const given = new Map<string, number>();
  const attach = (host: Host) => {
    const netns = `/run/netns/w${++workloads}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const network = NETWORKS[random(NETWORKS.length + 1)] ?? RESERVATION;
    void host.running?.attacher
      .attach({ network, netns })
      .then(() => given.set(network, (given.get(network) ?? 0) + 1), mustBeFault);
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
        if (name !== undefined) void host.running?.attacher.detach(name).catch(mustBeFault);
      }
      carve(world, random);
      await trouble(world, random);
      await world.clock.advance([1, 5, 60, 1500][random(4)] ?? 1);
      assertUnique(await snapshotIn(world), `seed ${seed}, step ${step}`);
    }
    await world.heal();
    await world.assertConverged(`seed ${seed}`);
    await assertNothingLeaked(world, seed);
    // The reservation comes and goes.
    for (const [network, least] of [...NETWORKS.map((name) => [name, 5] as const), [RESERVATION, 2] as const])
      assert.ok(
        (given.get(network) ?? 0) >= least,
        `seed ${seed}: ${given.get(network)} attaches to ${network} were answered`,
      );
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
}

async function makeNetworks(world: World): Promise<void> {
  for (const [n, name] of NETWORKS.entries()) {
    const size = name === "lowest" ? 40 : 12;
    const ranges = [{ name: "few", type: "ip4", first: `10.${n}.0.8`, size }] as const;
    const spec =
      name === "local"
        ? { subnets: [{ cidr: `10.${n}.0.0/24`, hostPrefix: 28 }], quarantine: 1 }
        : { subnets: [{ cidr: `10.${n}.0.0/24` }], ranges, strategy: name, sticky: n === 0, quarantine: 1 };
    const written = world.control?.write({ verb: "put", kind: "network", name, spec });
    await world.clock.advance(10);
    await written;
  }
}

/** A piece more, or all of them back, by force; nobody waits for the answer. */
function carve(world: World, random: (n: number) => number): void {
  const what = random(8);
  const write: Write | undefined =
    what <= 3
      ? { verb: "reserve", network: "lowest", request: { name: RESERVATION, size: 1 + random(3) } }
      : what === 4
        ? { verb: "delete", kind: "network", name: RESERVATION, force: true }
        : undefined;
  // As over a line: what is asked in the moment of a kill reaches the server that comes, or none.
  if (write !== undefined) void world.clock.sleep(1).then(() => world.control?.write(write).catch(mustBeFault));
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
    freed.filter(({ spec }) => spec.network !== "lowest" && spec.network !== RESERVATION),
    [],
    "only a sticky network remembers, and what is reserved from it",
  );
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
