// Random lives of a cluster: writes, attaches, crashes of server and agents, reboots, partitions, lost answers, drift,
// workloads that end, clocks that are set, disks of hosts that refuse writes, take a part of them, or lose some of what
// they had, copies of hosts, servers that go back to a backup. At the end everything heals, and everything must agree.
// A failure prints the seed; run it again with WEFT_SEED=n. WEFT_SEEDS=n runs that many lives.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import { Life, STEPS } from "./lab/life.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 40) : 1;

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: heals and agrees`, { timeout: 60_000 }, () => live(seed));
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const disks = mkdtempSync(join(tmpdir(), "weft-life-"));
  const world = new World(random, undefined, disks);
  const life = new Life(world, seed);
  try {
    await world.startServer();
    for (let i = 1; i <= 3 + random(3); i++) world.startAgent(world.addHost(`h${i}`));
    await world.clock.advance(2000);
    // Faults need something to break, and what has healed something to carry.
    await life.populate();
    world.lossPercent = random(3) * 5;
    for (let step = 0; step < STEPS; step++) await life.step(step);
    await life.heal();
    await life.assertKept();
    await life.populate();
    await world.assertConverged(`seed ${seed}`);
    await life.assertMends();
    await world.clock.advance(1_000);
    await world.assertConverged(`seed ${seed}, after a repair`);
    // A clean round applies nothing (law 1), and a killed agent's successor finds nothing to do (law 6).
    for (const host of world.hosts.values()) {
      world.killAgent(host);
      world.startAgent(host);
    }
    await world.clock.advance(40_000);
    for (const host of world.hosts.values()) assert.equal(host.running?.agent.report.driftRepaired, 0, `seed ${seed}`);
    await world.assertConverged(`seed ${seed}, after restarts`);
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
    rmSync(disks, { recursive: true });
  }
}
