// A wall clock is set while everything runs: nothing waits by it, and the step is reported.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import { World } from "./lab/world.ts";

const HOUR = 3_600_000;
const LIVENESS = { suspectAfterMs: 30_000, lostAfterMs: 60_000, reclaimAfterMs: 90_000 };

for (const ms of [-HOUR, HOUR]) {
  test(`a host's clock is set by ${ms / HOUR} h: its reports go on, and say so`, async () => {
    const world = await cluster();
    const [host] = world.hosts.values();
    await world.clock.advance(20_000);
    host?.wall.step(ms);
    for (let n = 0; n < 6; n++) {
      await world.clock.advance(10_000);
      const silentMs = world.clock.nowMs() - (host?.heardAtMs ?? 0);
      assert(silentMs <= 11_000, `silent for ${silentMs} ms`);
    }
    const status = (await world.control?.status())?.hosts.find((one) => one.host === "h1");
    const way = ms > 0 ? "forward" : "back";
    assert.match(status?.status?.conditions.join() ?? "", new RegExp(`clock-stepped: .* "h1" was set ${way} by 1h`));
    await finish(world);
  });

  test(`the server's clock is set by ${ms / HOUR} h: it gives up no live host, a silent one in its time`, async () => {
    const world = await cluster();
    await world.clock.advance(20_000);
    world.wall.step(ms);
    await world.clock.advance(30_000);
    assert.deepEqual([...world.givenUp], []);
    const stepped = (await world.control?.conditions())?.filter((one) => one.reason === "clock-stepped");
    assert.equal(stepped?.length, 1);
    const [silent] = world.hosts.values();
    if (silent !== undefined) world.killAgent(silent);
    await world.clock.advance(80_000);
    assert.deepEqual([...world.givenUp], []);
    await world.clock.advance(40_000);
    assert.equal(world.givenUp.size, 1);
    await finish(world);
  });
}

async function cluster(): Promise<World> {
  const world = new World(randomFrom(1), LIVENESS);
  await world.startServer();
  for (let n = 1; n <= 4; n++) world.startAgent(world.addHost(`h${n}`));
  await world.clock.advance(2_000);
  return world;
}

async function finish(world: World): Promise<void> {
  for (const host of world.hosts.values()) world.killAgent(host);
  world.killServer();
  await world.clock.advance(100_000);
}
