// Hosts whose disk refuses the journal, and hosts that lost it: what is refused leaves nothing anywhere, what was
// attached stays as it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import { randomFrom } from "./clock.ts";
import { type Host, World } from "./world.ts";

const NETWORKS = {
  wide: { ipam: "global", subnets: [{ cidr: "10.1.0.0/24" }] },
  near: { ipam: "local", subnets: [{ cidr: "10.2.0.0/16", hostPrefix: 24 }] },
} as const;

async function cluster(seed: number): Promise<{ readonly world: World; readonly host: Host }> {
  const world = new World(randomFrom(seed));
  await world.startServer();
  const host = world.addHost("h1");
  for (const one of [host, world.addHost("h2")]) world.startAgent(one);
  for (const [name, spec] of Object.entries(NETWORKS)) await world.control?.write({ verb: "put-network", name, spec });
  await world.clock.advance(5_000);
  return { world, host };
}

/** The answer, or the reason of the Fault. */
async function attached(world: World, host: Host, network: string, name: string): Promise<readonly string[] | string> {
  const netns = `/run/netns/${name}` as const;
  if (!host.workloads.has(netns)) host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  let said: readonly string[] | string | undefined;
  void host.running?.door.attach({ network, netns }).then(
    ({ spec }) => (said = spec.addresses),
    (error: unknown) => (said = error instanceof Fault ? error.reason : assert.fail(String(error))),
  );
  for (let i = 0; said === undefined && i < 200; i++) await world.clock.advance(50);
  return said ?? assert.fail("no answer");
}

for (const seed of [1, 2, 3])
  test(`a disk that refuses an attach: nothing of it is in the kernel or at the server (seed ${seed})`, async () => {
    const { world, host } = await cluster(seed);
    for (const network of ["wide", "near"]) assert.notEqual(await attached(world, host, network, `${network}1`), "");
    host.isDiskFull = true;
    for (const network of ["wide", "near"])
      assert.equal(await attached(world, host, network, `${network}2`), "unavailable");
    await world.clock.advance(60_000);
    assert.deepEqual([...host.entries.keys()], ["wide1.eth0", "near1.eth0"]);
    for (const path of ["/run/netns/wide2", "/run/netns/near2"] as const) {
      assert.deepEqual(host.kernel.linkNames(path), ["lo"]);
      host.kernel.removeWorkload(path);
      host.workloads.delete(path);
    }
    await world.assertConverged(`seed ${seed}`);
    host.isDiskFull = false;
    for (const network of ["wide", "near"])
      assert.notEqual(await attached(world, host, network, `${network}3`), "unavailable");
    await world.heal();
    await world.assertConverged(`seed ${seed}, with room`);
  });

for (const [name, isServerAway] of [
  ["with", false],
  ["without", true],
] as const)
  test(`a journal that is lost while the agent is dead is found again in the kernel, ${name} the server`, async () => {
    const { world, host } = await cluster(7);
    const before = new Map<string, readonly string[] | string>();
    for (const one of ["near1", "near2", "wide1"]) before.set(one, await attached(world, host, one.slice(0, 4), one));
    await world.clock.advance(10_000);
    world.killAgent(host);
    const ports = await host.kernel.ports();
    host.entries.clear();
    if (isServerAway) world.killServer();
    world.startAgent(host);
    await world.clock.advance(10_000);
    assert.deepEqual(await host.kernel.ports(), ports);
    const late = await attached(world, host, "near", "late");
    assert(Array.isArray(late), String(late));
    for (const addresses of before.values()) assert.notDeepEqual(late, addresses);
    await world.heal();
    for (const [one, addresses] of before)
      assert.deepEqual(host.entries.get(`${one}.eth0`)?.endpoint.spec.addresses, addresses);
    assert.equal(host.running?.agent.report.driftRepaired, 0);
    await world.assertConverged(name);
  });
