// Size: two hundred hosts with every kind of network, and a thousand endpoints on one host, converge and stay so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

async function cluster(hosts: number): Promise<{ readonly world: World; readonly list: readonly Host[] }> {
  const world = new World(randomFrom(1));
  await world.startServer();
  for (let i = 1; i <= hosts; i++) world.startAgent(world.addHost(`h${i}`));
  await world.clock.advance(5000);
  const put = async (name: string, spec: object) => {
    const made = world.control?.write({ verb: "put", kind: "network", name, spec: spec as never });
    await world.clock.advance(10);
    await made;
  };
  await put("routed", {
    subnets: [
      { cidr: "10.0.0.0/8", hostPrefix: 20 },
      { cidr: "fd01::/48", hostPrefix: 64 },
    ],
  });
  await put("switched", { subnets: [{ cidr: "172.20.0.0/16" }], ipam: "global" });
  await world.clock.advance(5000);
  return { world, list: [...world.hosts.values()] };
}

function attach(host: Host, network: string, name: string): Promise<unknown> {
  const netns = `/run/netns/${name}` as const;
  host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  return host.running?.attacher.attach({ network, netns }) ?? Promise.reject(new Error("the agent is dead"));
}

async function close(world: World): Promise<void> {
  for (const host of world.hosts.values()) world.killAgent(host);
  world.killServer();
  await world.clock.advance(60_000);
}

test("200 hosts converge; the loss of one is forgotten by all others", { timeout: 280_000 }, async () => {
  const { world, list } = await cluster(200);
  const attached = list.flatMap((host, i) => [
    attach(host, "routed", `r${i}`),
    ...(i % 4 === 0 ? [attach(host, "switched", `s${i}`)] : []),
  ]);
  await world.clock.advance(20_000);
  await Promise.all(attached);
  await world.clock.advance(40_000);
  await world.assertConverged("200 hosts");
  const [first] = list;
  assert(first !== undefined);
  world.killAgent(first);
  world.hosts.delete(first.name);
  const deleted = world.control?.write({ verb: "delete", kind: "host", name: first.name, force: true });
  await world.clock.advance(1);
  await deleted;
  await world.clock.advance(40_000);
  await world.assertConverged("199 hosts");
  for (const host of world.hosts.values()) {
    const state = await host.kernel.observe([]);
    for (const object of state.values()) assert(!JSON.stringify(object).includes(first.underlay + '"'), host.name);
  }
  await close(world);
});

test("1,000 endpoints on one host converge, and its agent's successor finds nothing to do", {
  timeout: 120_000,
}, async () => {
  const { world, list } = await cluster(3);
  const [host] = list;
  assert(host !== undefined);
  const attached = Array.from({ length: 1000 }, (_, i) => attach(host, i % 2 === 0 ? "routed" : "switched", `w${i}`));
  await world.clock.advance(20_000);
  await Promise.all(attached);
  await world.clock.advance(60_000);
  await world.assertConverged("1,000 endpoints");
  world.killAgent(host);
  world.startAgent(host);
  await world.clock.advance(40_000);
  assert.equal(host.running?.agent.report.driftRepaired, 0);
  assert(host.running !== undefined && host.running.agent.report.objects > 3000);
  await world.assertConverged("after a restart");
  await close(world);
});
