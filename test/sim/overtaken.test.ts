// What holds between two rounds. A round decides what to do and then needs time to do it: what an attach or a detach
// does meanwhile is newer, and the round must not undo it. What is attached is so before the first round, too.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ns, keyOf } from "../../src/datapath/state.ts";
import { portName } from "../../src/datapath/names.ts";
import { randomFrom } from "./clock.ts";
import { type Host, World } from "./world.ts";

async function hostWith(world: World, workloads: readonly string[]): Promise<Host> {
  await world.startServer();
  const host = world.addHost("h1");
  world.startAgent(host);
  await world.clock.advance(2000);
  const made = world.control?.write({
    verb: "put-network",
    name: "blue",
    spec: { subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }] },
  });
  await world.clock.advance(2000);
  await made;
  for (const name of workloads) {
    host.kernel.addWorkload(`/run/netns/${name}`);
    host.workloads.add(`/run/netns/${name}`);
    await finish(world, attach(host, name));
  }
  await world.clock.advance(2000);
  return host;
}

function attach(host: Host, name: string): Promise<unknown> {
  return host.running?.door.attach({ network: "blue", netns: `/run/netns/${name}` }) ?? assert.fail("no agent");
}

async function finish<T>(world: World, work: Promise<T>): Promise<T> {
  // Whatever becomes of it is told by the await below.
  work.catch(() => undefined);
  await world.clock.advance(100);
  return work;
}

async function portOf(host: Host, name: string) {
  const state = await host.kernel.observe([...host.workloads] as Ns[]);
  return [...state.values()].find((o) => o.kind === "veth" && o.name === portName(`${name}.eth0`));
}

test("a port that is detached while a round is about to make it again stays away", async () => {
  const world = new World(randomFrom(1));
  const host = await hostWith(world, ["web", "old"]);
  const { door, agent } = host.running ?? assert.fail();
  // The next round removes one port, which takes it 20 ms, and then makes the other one, which somebody removed.
  const [web, old] = [(await portOf(host, "web")) ?? assert.fail(), host.entries.get("old.eth0") ?? assert.fail()];
  host.entries.set("old.eth0", { ...old, state: "detaching" });
  host.kernel.disturb(web);
  agent.poke();
  await world.clock.advance(10);
  assert.equal(await portOf(host, "old"), undefined, "the round has begun");
  assert.equal(await portOf(host, "web"), undefined, "and is not over");
  const detached = door.detach("web.eth0");
  detached.catch(() => undefined);
  await world.clock.advance(25);
  await detached;
  assert.equal(await portOf(host, "web"), undefined);
  await finish(world, attach(host, "web"));
  assert.equal(keyOf((await portOf(host, "web")) ?? assert.fail()), keyOf(web));
  await world.clock.advance(40_000);
  await world.assertConverged("after all");
  world.killAgent(host);
  world.killServer();
});

test("an agent that has just started tells what is attached, with the server away and without a snapshot", async () => {
  const world = new World(randomFrom(1));
  const host = await hostWith(world, ["web"]);
  const list = () => host.running?.door.list() ?? assert.fail("no agent");
  const before = list();
  assert.equal(before.length, 1);
  world.killServer();
  world.killAgent(host);
  world.startAgent(host);
  assert.deepEqual(list(), before);
  world.killAgent(host);
  host.saved = undefined;
  world.startAgent(host);
  assert.deepEqual(
    list().map(({ endpoint, spec }) => ({ endpoint, spec })),
    before.map(({ endpoint, spec }) => ({ endpoint, spec })),
  );
  world.killAgent(host);
});

test("a round that cannot read the kernel is made again, and does not forget what it was for", async () => {
  const world = new World(randomFrom(1));
  const host = await hostWith(world, ["web"]);
  const { agent } = host.running ?? assert.fail();
  const web = (await portOf(host, "web")) ?? assert.fail();
  const observe = host.kernel.observe.bind(host.kernel);
  let isBusy = true;
  host.kernel.observe = (workloads) => (isBusy ? Promise.reject(new Error("busy")) : observe(workloads));
  await world.clock.advance(2000);
  host.kernel.disturb(web);
  await world.clock.advance(2000);
  isBusy = false;
  assert.equal(await portOf(host, "web"), undefined);
  // Far less than the period, after which everything is read anyway.
  await world.clock.advance(5000);
  assert.deepEqual(await portOf(host, "web"), web);
  assert.equal(agent.report.errors.length, 0);
  world.killAgent(host);
  world.killServer();
});
