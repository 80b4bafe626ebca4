// Random lives of conversions: edits, cancels, hosts that come and go, networks that are deleted, crashes of agents and
// of the server at any step, lines that break, reports that are lost or come late. What two workloads could once send
// each other, packets as large as their MTU and broadcasts alike, arrives at every moment after that, exactly once. In
// the end no conversion is left, and nothing of one. A failure prints the seed; run it again with WEFT_SEED=n.
// WEFT_SEEDS=n runs that many lives.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import { Conversions, conversionsIn } from "./lab/conversions.ts";
import type { Host } from "./lab/host.ts";
import { NETWORKS } from "./lab/pairs.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 10) : 1;
const STEPS = 40;

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: conversions lose nothing, and end`, { timeout: 120_000 }, () => live(seed));
}

/** What all lives came to: a simulation in which nothing happens proves nothing. */
const came = { begun: 0, ended: 0, cancelled: 0, refused: 0 };
if (count >= 10)
  after(() =>
    assert.ok(came.begun > count && came.ended > count && came.cancelled > 0 && came.refused > 0, JSON.stringify(came)),
  );

async function live(seed: number): Promise<void> {
  const world = new World(randomFrom(seed));
  const life = new Conversions(world, `seed ${seed}`);
  try {
    await world.startServer();
    for (const name of ["h1", "h2", "h3"]) world.startAgent(world.addHost(name));
    await world.clock.advance(2_000);
    await life.begin();
    world.lossPercent = world.random(3) * 4;
    world.repeatsReports = true;
    for (let step = 0; step < STEPS; step++) await life.step(step);
    await life.end();
  } finally {
    world.afterOps = undefined;
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
  for (const key of Object.keys(came) as (keyof typeof came)[]) came[key] += life.came[key];
}

/** Three hosts with workloads that reach each other, until `play` has ended. */
async function onHosts(label: string, play: (world: World, life: Conversions) => Promise<void>): Promise<void> {
  const world = new World(randomFrom(1));
  const life = new Conversions(world, label);
  try {
    await world.startServer();
    for (const name of ["h1", "h2", "h3"]) world.startAgent(world.addHost(name));
    await world.clock.advance(2_000);
    await life.begin();
    world.afterOps = undefined;
    await play(world, life);
    await life.end();
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
}

/** Another VNI for the switched network; gives the revision of the conversion. */
async function renumber(world: World): Promise<number> {
  const spec = { ...NETWORKS.segment, vni: 5000 };
  const done = world.control?.write({ verb: "put", kind: "network", name: "segment", spec });
  await world.clock.advance(1);
  await done;
  return (await conversionsIn(world))[0]?.revision ?? assert.fail();
}

for (const phase of ["receive", "send", undefined]) {
  const what = phase ?? "the end";
  test(`the server dies when hosts have heard of ${what}, before they follow: no broadcast is lost or doubled`, () =>
    onHosts(what, async (world, life) => {
      await renumber(world);
      const isThere = (host: Host) => {
        const snapshot = host.running?.mirror.snapshot();
        const [conversion] = snapshot?.conversions ?? [];
        return conversion?.spec.phase === phase && snapshot?.networks.some(({ spec }) => spec.vni === 5000) === true;
      };
      for (let ms = 0; ms < 20_000 && world.control !== undefined; ms++) {
        await world.clock.advance(1);
        if ([...world.hosts.values()].some(isThere)) world.killServer();
      }
      assert.equal(world.control, undefined, "it has come so far");
      await world.clock.advance(5_000);
      await life.judge("without a server");
    }));
}

test("an agent dies when it has reported a phase, and starts without the server: it is not a phase behind", () =>
  onHosts("killed", async (world, life) => {
    const revision = await renumber(world);
    const host = world.hosts.get("h2") ?? assert.fail();
    const hasReported = async (wanted: number) =>
      ((await world.control?.status())?.hosts.find((one) => one.host === "h2")?.status?.revision ?? 0) >= wanted;
    for (let ms = 0; ms < 5_000 && !(await hasReported(revision + 1)); ms++) await world.clock.advance(1);
    assert.equal((await conversionsIn(world))[0]?.spec.phase, "send");
    world.killAgent(host);
    host.isCut = true;
    await world.clock.advance(5_000);
    assert.equal((await conversionsIn(world))[0]?.spec.phase, undefined, "the others have gone on");
    world.startAgent(host);
    await world.clock.advance(10_000);
    await life.judge("while it does not reach the server");
  }));
