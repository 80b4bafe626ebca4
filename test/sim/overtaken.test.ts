// What holds between two rounds. A round decides what to do and then takes time to do it. Attaches and detaches in that
// time are newer, and the round must not undo them. An attached endpoint is also listed before the first round.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Ns } from "../../src/datapath/kinds/kind.ts";
import { keyOf } from "../../src/datapath/state/state.ts";
import { portName } from "../../src/datapath/state/names.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

async function hostWith(world: World, workloads: readonly string[]): Promise<Host> {
  await world.startServer();
  const host = world.addHost("h1");
  world.startAgent(host);
  await world.clock.advance(2000);
  const made = world.control?.write({
    verb: "put",
    kind: "network",
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
  return attachTo(host, "blue", name, "eth0");
}

function attachTo(host: Host, network: string, name: string, ifname = network): Promise<unknown> {
  return host.running?.attacher.attach({ network, netns: `/run/netns/${name}`, ifname }) ?? assert.fail("no agent");
}

async function finish<T>(world: World, work: Promise<T>): Promise<T> {
  // Whatever becomes of it is told by the await below.
  work.catch(() => undefined);
  await world.clock.advance(100);
  return work;
}

/** Whatever was still going on is over, and the kernel is as it should be. */
async function endWell(world: World, host: Host): Promise<void> {
  await world.clock.advance(60_000);
  await world.assertConverged("after all");
  world.killAgent(host);
  world.killServer();
}

async function portOf(host: Host, name: string) {
  const state = await host.kernel.observe([...host.workloads] as Ns[]);
  return [...state.values()].find((o) => o.kind === "veth" && o.name === portName(`${name}.eth0`));
}

test("a port that is detached while a round is about to make it again stays away", async () => {
  const world = new World(randomFrom(1));
  const host = await hostWith(world, ["web", "old"]);
  const { attacher, agent } = host.running ?? assert.fail();
  // The next round removes one port, which takes it 20 ms, and then makes the other one, which somebody removed.
  const [web, old] = [(await portOf(host, "web")) ?? assert.fail(), host.entries.get("old.eth0") ?? assert.fail()];
  host.entries.set("old.eth0", { ...old, state: "detaching" });
  host.kernel.disturb(web);
  agent.rounds.pokeFull();
  await world.clock.advance(10);
  assert.equal(await portOf(host, "old"), undefined, "the round has begun");
  assert.equal(await portOf(host, "web"), undefined, "and is not over");
  const detached = attacher.detach("web.eth0");
  detached.catch(() => undefined);
  await world.clock.advance(25);
  await detached;
  assert.equal(await portOf(host, "web"), undefined);
  await finish(world, attach(host, "web"));
  assert.equal(keyOf((await portOf(host, "web")) ?? assert.fail()), keyOf(web));
  await endWell(world, host);
});

test("an agent that has just started tells what is attached, with the server away and without a snapshot", async () => {
  const world = new World(randomFrom(1));
  const host = await hostWith(world, ["web"]);
  const list = () => host.running?.agent.inspection.list() ?? assert.fail("no agent");
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

describe("a lease that is told before it is on disk", () => {
  /** A host with a workload, and with a network whose addresses the server gives. */
  async function granting(): Promise<{ readonly world: World; readonly host: Host }> {
    const world = new World(randomFrom(1));
    const host = await hostWith(world, ["web", "other"]);
    const spec = { ipam: "global", subnets: [{ cidr: "10.8.0.0/24" }] } as const;
    await finish(world, world.control?.write({ verb: "put", kind: "network", name: "red", spec }) ?? assert.fail());
    await finish(world, attachTo(host, "red", "other"));
    await world.clock.advance(2000);
    return { world, host };
  }
  const addressesOf = async (host: Host) =>
    [...(await host.kernel.observe(["/run/netns/web"])).values()].flatMap((o) =>
      o.kind === "address" && o.ns === "/run/netns/web" && o.dev === "red" ? [o.cidr] : [],
    );
  const tracesOf = async (host: Host) =>
    [...(await host.kernel.observe([])).keys()].filter((key) => key.includes(portName("web.red")));
  const told = (work: Promise<unknown>) => {
    const answers: string[] = [];
    work.then(
      () => answers.push("attached"),
      (error: unknown) => answers.push(String(error)),
    );
    return answers;
  };

  test("is in the kernel before it is kept, and nobody hears of it", async () => {
    const { world, host } = await granting();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.disk = promise;
    const answers = told(attachTo(host, "red", "web"));
    await world.clock.advance(1000);
    assert.deepEqual([await addressesOf(host), answers], [["10.8.0.3/24"], []]);
    // A round finds something in the kernel of which the journal knows nothing, and is not to judge it.
    host.running?.agent.rounds.pokeFull();
    await world.clock.advance(1000);
    assert.deepEqual([await addressesOf(host), host.entries.has("web.red"), answers], [["10.8.0.3/24"], false, []]);
    resolve();
    await world.clock.advance(100);
    assert.deepEqual(answers, ["attached"]);
    await endWell(world, host);
  });

  test("that the server could not keep is gone again, and free", async () => {
    const { world, host } = await granting();
    const { promise, reject } = Promise.withResolvers<void>();
    world.disk = promise;
    const attached = attachTo(host, "red", "web");
    const answers = told(attached);
    const left = attached.then(
      () => assert.fail("it was not refused"),
      () => tracesOf(host),
    );
    await world.clock.advance(1000);
    assert.equal((await addressesOf(host)).length, 1);
    assert.notDeepEqual(await tracesOf(host), []);
    reject(new Error("the disk is full"));
    world.disk.catch(() => undefined);
    await world.clock.advance(10);
    world.disk = Promise.resolve();
    await world.clock.advance(1000);
    assert.match(answers.join(), /the disk is full/);
    // Not by the next round: whoever is refused may ask again at once, and for other addresses.
    assert.deepEqual(await left, []);
    assert.deepEqual([await addressesOf(host), host.entries.has("web.red")], [[], false]);
    await finish(world, attachTo(host, "red", "web"));
    assert.deepEqual(await addressesOf(host), ["10.8.0.3/24"]);
    await endWell(world, host);
  });

  test("that is kept while a round looks is as the host made it", async () => {
    const { world, host } = await granting();
    const { agent } = host.running ?? assert.fail();
    // Nothing else of it is attached, so that a look that does not know of this one leaves its far end out.
    host.kernel.addWorkload("/run/netns/own");
    host.workloads.add("/run/netns/own");
    const disk = Promise.withResolvers<void>();
    world.disk = disk.promise;
    const answers = told(attachTo(host, "red", "own"));
    await world.clock.advance(1000);
    const seen = Promise.withResolvers<void>();
    const observe = host.kernel.observe.bind(host.kernel);
    host.kernel.observe = async (workloads) => {
      const look = await observe(workloads);
      await seen.promise;
      return look;
    };
    const changed: string[] = [];
    const apply = host.kernel.apply.bind(host.kernel);
    host.kernel.apply = (ops, isStale) => {
      changed.push(...ops.map(({ op, object }) => `${op} ${keyOf(object)}`));
      return apply(ops, isStale);
    };
    agent.rounds.pokeFull();
    await world.clock.advance(1000);
    disk.resolve();
    await world.clock.advance(100);
    assert.deepEqual(answers, ["attached"], "the round is still looking");
    seen.resolve();
    await world.clock.advance(1000);
    assert.deepEqual(changed, []);
    await endWell(world, host);
  });

  test("whose workload has something in the way is refused with it, and free", async () => {
    const { world, host } = await granting();
    const ns = "/run/netns/own" as const;
    host.kernel.addWorkload(ns);
    host.kernel.plant({ kind: "bridge", ns, name: "br0", mtu: 1500, mac: "02:00:00:00:00:01", alias: "" });
    host.kernel.plant({ kind: "route", ns, dst: "0.0.0.0/0", via: "10.0.0.1", dev: "br0", onlink: true });
    const answers = told(attachTo(host, "red", "own"));
    await world.clock.advance(2000);
    assert.match(answers.join(), /0\.0\.0\.0\/0/);
    assert.deepEqual([host.entries.has("own.red"), host.kernel.linkNames(ns).includes("red")], [false, false]);
    assert.equal(await world.control?.find("endpoint", "own.red", { role: "admin" }), undefined);
    await endWell(world, host);
  });

  test("knows of its workload's others: one of them is the way out", async () => {
    for (const order of [
      ["red", "blue", "green"],
      ["green", "red", "blue"],
    ]) {
      const { world, host } = await granting();
      const spec = { ipam: "global", subnets: [{ cidr: "10.10.0.0/24" }] } as const;
      await finish(world, world.control?.write({ verb: "put", kind: "network", name: "green", spec }) ?? assert.fail());
      await finish(world, attachTo(host, "green", "other"));
      await world.clock.advance(2000);
      const { promise, resolve } = Promise.withResolvers<void>();
      world.disk = promise;
      host.kernel.addWorkload("/run/netns/new");
      host.workloads.add("/run/netns/new");
      const attached: Promise<unknown>[] = [];
      for (const network of order) {
        attached.push(attachTo(host, network, "new"));
        await world.clock.advance(20);
      }
      const answers = told(Promise.all(attached));
      await world.clock.advance(1000);
      resolve();
      await world.clock.advance(1000);
      assert.deepEqual(answers, ["attached"]);
      const ways = [...(await host.kernel.observe(["/run/netns/new"])).values()].flatMap((object) =>
        object.kind === "route" && object.ns === "/run/netns/new" && object.dst === "0.0.0.0/0" ? [object.dev] : [],
      );
      assert.deepEqual(ways, [order[0]], "the first that was there");
      await endWell(world, host);
    }
  });

  test("is nothing to a host that has become another before the answer came", async () => {
    const { world, host } = await granting();
    const control = world.control ?? assert.fail();
    const answer = Promise.withResolvers<void>();
    const write = control.write.bind(control);
    control.write = async (asked, options) => {
      const outcome = await write(asked, options);
      if (asked.verb === "attach") await answer.promise;
      return outcome;
    };
    const attached = attachTo(host, "red", "web");
    const answers = told(attached);
    const left = attached.then(
      () => assert.fail("it was not refused"),
      async () => [...host.entries.keys(), ...(await tracesOf(host))],
    );
    await world.clock.advance(1000);
    assert.deepEqual([await addressesOf(host), answers], [["10.8.0.3/24"], []]);
    await finish(world, control.reclaim("h1", { force: true }));
    await world.clock.advance(10_000);
    assert.equal((await control.find("host", "h1", { role: "admin" }))?.name, "h1", "it has joined anew");
    answer.resolve();
    await world.clock.advance(1000);
    assert.equal(answers.length, 1);
    assert.notEqual(answers[0], "attached");
    assert.deepEqual(await left, []);
    assert.deepEqual([await addressesOf(host), await tracesOf(host), [...host.entries.keys()]], [[], [], []]);
    await endWell(world, host);
  });

  test("is no lease when both die before it is kept", async () => {
    const { world, host } = await granting();
    world.disk = new Promise(() => undefined);
    told(attachTo(host, "red", "web"));
    await world.clock.advance(1000);
    assert.deepEqual([(await addressesOf(host)).length, host.entries.has("web.red")], [1, false]);
    world.killAgent(host);
    world.killServer();
    world.disk = Promise.resolve();
    await world.startServer();
    world.startAgent(host);
    // Nothing else is written meanwhile: the server is at the revision before the one that was granted.
    await world.clock.advance(10_000);
    assert.deepEqual([await addressesOf(host), host.entries.has("web.red")], [[], false]);
    await world.assertConverged("after all");
    world.killAgent(host);
    world.killServer();
  });
});
