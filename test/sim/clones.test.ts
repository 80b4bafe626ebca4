// A machine that is a copy of a host: its disk has the host's token, and leases that belong to an earlier boot for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

const ELSEWHERE = "172.16.9.9";

test("a copy steals nothing while the host is heard, and both are named; it is taken when that is silent", async () => {
  const { world, host } = await cluster();
  const before = await leases(world);
  assert.equal(before.length, 3);
  const copy = world.clone(host, ELSEWHERE);
  world.startAgent(copy);
  for (let n = 0; n < 12; n++) {
    await world.clock.advance(10_000);
    assert.deepEqual(await leases(world), before);
    assert.equal(await underlay(world), host.underlay);
    assert(world.clock.nowMs() - host.heardAtMs <= 11_000, "the host is heard");
    const [cloned] = await conditions(world);
    assert.match(cloned ?? "", /h1.*172\.16\.0\.1 \(boot boot-1\), which is heard, and 172\.16\.9\.9/);
  }
  assert.match(copy.log.join("\n"), /two machines say/);
  // A server that starts anew does not take the one that asks first.
  world.killServer();
  await world.startServer();
  await world.clock.advance(60_000);
  assert.deepEqual([await leases(world), await underlay(world)], [before, host.underlay]);
  host.isCut = true;
  await world.clock.advance(60_000);
  assert.equal(await underlay(world), ELSEWHERE);
  assert.deepEqual(await leases(world), [], "those were of another boot");
  // The first is back, and is told; it may not undo what is so now.
  host.isCut = false;
  await world.clock.advance(60_000);
  assert.equal(await underlay(world), ELSEWHERE);
  assert.equal((await conditions(world)).length, 1);
  assert.match(host.running?.agent.report.conditions.join("\n") ?? "", /two machines say/);
  world.killAgent(copy);
  await finish(world);
});

test("a host that restarts with another address is back within a minute, without a person", async () => {
  const { world, host } = await cluster();
  world.reboot(host, ELSEWHERE);
  world.startAgent(host);
  await world.clock.advance(60_000);
  assert.equal(await underlay(world), ELSEWHERE);
  await world.clock.advance(60_000);
  assert.deepEqual(await conditions(world), []);
  await world.assertConverged("after a restart");
  await finish(world);
});

async function cluster(): Promise<{ readonly world: World; readonly host: Host }> {
  const world = new World(randomFrom(1));
  const control = await world.startServer();
  const host = world.addHost("h1");
  world.startAgent(host);
  world.startAgent(world.addHost("h2"));
  await world.clock.advance(2_000);
  const spec = { subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }] };
  const made = control.write({ verb: "put", kind: "network", name: "blue", spec });
  await world.clock.advance(2_000);
  await made;
  for (const name of ["a", "b", "c"]) {
    const netns = `/run/netns/${name}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const attached = host.running?.attacher.attach({ network: "blue", netns });
    await world.clock.advance(500);
    await attached;
  }
  await world.clock.advance(11_000);
  return { world, host };
}

async function leases(world: World): Promise<readonly string[]> {
  const { items } = (await world.control?.list("endpoint", { role: "admin" })) ?? assert.fail();
  return items.map(({ name, spec }) => `${name} ${spec.addresses.join()} ${spec.host}`).sort();
}

async function underlay(world: World): Promise<string | undefined> {
  return (await world.control?.find("host", "h1", { role: "admin" }))?.spec.underlay;
}

async function conditions(world: World): Promise<readonly string[]> {
  const all = (await world.control?.conditions()) ?? [];
  return all.filter((one) => one.reason === "host-cloned").map((one) => one.message);
}

async function finish(world: World): Promise<void> {
  for (const host of world.hosts.values()) world.killAgent(host);
  world.killServer();
  await world.clock.advance(60_000);
}
