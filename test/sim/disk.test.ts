// Hosts whose disk refuses the journal, and hosts that lost it: a refused attach leaves nothing anywhere, and what was
// attached stays.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName } from "../../src/datapath/state/names.ts";
import { Fault } from "../../src/model/fault.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

const NETWORKS = {
  wide: { ipam: "global", subnets: [{ cidr: "10.1.0.0/24" }] },
  near: { ipam: "local", subnets: [{ cidr: "10.2.0.0/16", hostPrefix: 24 }] },
} as const;

async function cluster(seed: number): Promise<{ readonly world: World; readonly host: Host }> {
  const world = new World(randomFrom(seed));
  await world.startServer();
  const host = world.addHost("h1");
  for (const one of [host, world.addHost("h2")]) world.startAgent(one);
  for (const [name, spec] of Object.entries(NETWORKS))
    await world.control?.write({ verb: "put", kind: "network", name, spec });
  const rules = [{ direction: "in", action: "allow", protocol: "tcp", ports: [80] }] as const;
  await world.control?.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules } });
  await world.clock.advance(5_000);
  return { world, host };
}

/** The answer, or the reason of the Fault. */
async function attached(
  { world, host }: { readonly world: World; readonly host: Host },
  network: string,
  name: string,
  more: { readonly securityGroups?: readonly string[]; readonly addresses?: readonly string[] } = {},
): Promise<readonly string[] | string> {
  const netns = `/run/netns/${name}` as const;
  if (!host.workloads.has(netns)) host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  let said: readonly string[] | string | undefined;
  void host.running?.attacher.attach({ network, netns, ...more }).then(
    ({ spec }) => (said = spec.addresses),
    (error: unknown) => (said = error instanceof Fault ? error.reason : assert.fail(String(error))),
  );
  for (let i = 0; said === undefined && i < 200; i++) await world.clock.advance(50);
  return said ?? assert.fail("no answer");
}

for (const seed of [1, 2, 3])
  test(`a disk that refuses an attach: nothing of it is in the kernel or at the server (seed ${seed})`, async () => {
    const { world, host } = await cluster(seed);
    for (const network of ["wide", "near"])
      assert.notEqual(await attached({ world, host }, network, `${network}1`), "");
    host.isDiskFull = true;
    for (const network of ["wide", "near"])
      assert.equal(await attached({ world, host }, network, `${network}2`), "unavailable");
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
      assert.notEqual(await attached({ world, host }, network, `${network}3`), "unavailable");
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
    for (const one of ["near1", "near2", "wide1"])
      before.set(one, await attached({ world, host }, one.slice(0, 4), one));
    await world.clock.advance(10_000);
    world.killAgent(host);
    const ports = await host.kernel.ports();
    host.entries.clear();
    if (isServerAway) world.killServer();
    world.startAgent(host);
    await world.clock.advance(10_000);
    assert.deepEqual(await host.kernel.ports(), ports);
    const late = await attached({ world, host }, "near", "late");
    assert(Array.isArray(late), String(late));
    for (const addresses of before.values()) assert.notDeepEqual(late, addresses);
    await world.heal();
    for (const [one, addresses] of before)
      assert.deepEqual(host.entries.get(`${one}.eth0`)?.endpoint.spec.addresses, addresses);
    assert.equal(host.running?.agent.report.driftRepaired, 0);
    await world.assertConverged(name);
  });

for (const server of ["there", "away"])
  test(`a detach right after a start finds the port that the journal lost, server ${server}`, async () => {
    const { world, host } = await cluster(23);
    for (const one of ["near1", "wide1"]) await attached({ world, host }, one.slice(0, 4), one);
    await world.clock.advance(10_000);
    world.killAgent(host);
    host.entries.clear();
    if (server === "away") world.killServer();
    world.startAgent(host);
    const answers = new Map<string, string>();
    const detachAll = async (ms: number) => {
      for (const one of ["near1", "wide1", "none"])
        void host.running?.attacher.detach(`${one}.eth0`).then(
          () => answers.set(one, "detached"),
          (error: unknown) => answers.set(one, error instanceof Fault ? error.reason : String(error)),
        );
      await world.clock.advance(ms);
    };
    await detachAll(0);
    assert.deepEqual([...answers.values()].toSorted(), ["detached", "unavailable", "unavailable"]);
    assert.equal(answers.get("none"), "detached");
    await world.clock.advance(10_000);
    await detachAll(10_000);
    assert.deepEqual(new Set(answers.values()), new Set(["detached"]));
    await world.heal();
    assert.deepEqual([[...host.entries.keys()], await host.kernel.ports()], [[], []]);
    await world.assertConverged("detached");
  });

test("a detach of a port that only the server can explain is refused until the server is there", async () => {
  const { world, host } = await cluster(24);
  await attached({ world, host }, "wide", "wide1");
  await world.clock.advance(10_000);
  await loseJournal(world, host, async () => {
    world.killServer();
    host.saved = undefined;
  });
  const detach = async () => {
    const asked = host.running?.attacher.detach("wide1.eth0").then(
      () => "detached",
      (error: unknown) => (error instanceof Fault ? error.reason : assert.fail(String(error))),
    );
    await world.clock.advance(10_000);
    return asked;
  };
  assert.equal(await detach(), "unavailable");
  assert.equal((await host.kernel.ports()).length, 1);
  await world.heal();
  assert.equal(await detach(), "detached");
  await world.heal();
  assert.deepEqual([[...host.entries.keys()], await host.kernel.ports()], [[], []]);
});

test("a port that the journal lost, on a disk that takes nothing, keeps nothing else from the kernel", async () => {
  const { world, host } = await cluster(17);
  for (const one of ["near1", "near2"]) await attached({ world, host }, "near", one);
  await world.clock.advance(10_000);
  const ports = await host.kernel.ports();
  await loseJournal(world, host, async () => void (host.isDiskFull = true));
  const spec = { ...NETWORKS.near, mtu: 1333 };
  await world.control?.write({ verb: "put", kind: "network", name: "near", spec });
  await world.clock.advance(10_000);
  const state = await host.kernel.observe([]);
  const bridges = [...state.values()].filter((one) => one.kind === "bridge" && one.ns === "vrf:near");
  assert.deepEqual(
    bridges.map((one) => "mtu" in one && one.mtu),
    [1333],
  );
  assert.deepEqual(
    (await host.kernel.ports()).map(({ name }) => name),
    ports.map(({ name }) => name),
  );
  assert.match(host.running?.agent.report.conditions.join() ?? "", /near1\.eth0 .* cannot be put into the journal/);
  assert.equal(await attached({ world, host }, "near", "near3"), "unavailable", "what seems free may be in use");
  await world.heal();
  assert.deepEqual([...host.entries.keys()].toSorted(), ["near1.eth0", "near2.eth0"]);
  host.kernel.removeWorkload("/run/netns/near3");
  host.workloads.delete("/run/netns/near3");
  await world.assertConverged("with room");
});

for (const [name, isServerAway] of [
  ["which the server knows", false],
  ["of which the server never heard", true],
] as const)
  test(`an older journal brings back nothing whose address is now another's, ${name}`, async () => {
    const { world, host } = await cluster(17);
    await attached({ world, host }, "near", "stays");
    const address = await attached({ world, host }, "near", "ended");
    await world.clock.advance(10_000);
    const old = new Map(host.entries);
    if (isServerAway) world.killServer();
    await host.running?.attacher.detach("ended.eth0");
    await world.clock.advance(5_000);
    assert(Array.isArray(address));
    assert.deepEqual(await attached({ world, host }, "near", "later", { addresses: address }), address);
    await world.clock.advance(10_000);
    const ports = await host.kernel.ports();
    await loseJournal(world, host, async () => {
      for (const [key, entry] of old) host.entries.set(key, entry);
    });
    assert.deepEqual(await host.kernel.ports(), ports);
    assert.deepEqual(host.kernel.linkNames("/run/netns/ended"), ["lo"]);
    await world.heal();
    assert.deepEqual([...host.entries.keys()].toSorted(), ["later.eth0", "stays.eth0"]);
    assert.deepEqual(host.running?.agent.report.conditions, []);
    await world.assertConverged(name);
  });

/** Kills the agent, loses its journal, starts it again. */
async function loseJournal(world: World, host: Host, harm: () => Promise<unknown> = async () => undefined) {
  world.killAgent(host);
  host.entries.clear();
  await harm();
  world.startAgent(host);
  await world.clock.advance(10_000);
}

const GROUPED = { securityGroups: ["g"] };

test("a lost journal comes back by its names, with groups, where others have them, too", async () => {
  const { world, host } = await cluster(11);
  const other = world.hosts.get("h2") ?? assert.fail();
  const before = [
    await attached({ world, host }, "near", "web", GROUPED),
    await attached({ world, host: other }, "near", "web", GROUPED),
  ];
  await world.clock.advance(10_000);
  for (const [i, one] of [host, other].entries()) {
    const ports = await one.kernel.ports();
    await loseJournal(world, one);
    assert.deepEqual(await one.kernel.ports(), ports, one.name);
    assert.deepEqual([...one.entries.keys()], ["web.eth0"], one.name);
    assert.deepEqual(one.entries.get("web.eth0")?.endpoint.spec.addresses, before[i], one.name);
    assert.deepEqual(one.entries.get("web.eth0")?.endpoint.spec.securityGroups, ["g"], one.name);
    assert.equal(one.running?.agent.report.driftRepaired, 0);
  }
  const { items } = (await world.control?.list("endpoint", { role: "admin" })) ?? assert.fail();
  assert.deepEqual(
    items.map(({ name }) => name),
    ["web.eth0", "web.eth0@h2"],
  );
  await world.heal();
  await world.assertConverged("names of hosts");
});

/** A port that neither journal nor server has, beside some that the server has: its groups are not known. */
async function closes(groups: object, harm: (host: Host) => Promise<unknown>): Promise<void> {
  const { world, host } = await cluster(13);
  await attached({ world, host }, "near", "told", GROUPED);
  await attached({ world, host }, "near", "plain");
  await world.clock.advance(10_000);
  world.killServer();
  const said = await attached({ world, host }, "near", "late", groups);
  assert(Array.isArray(said), String(said));
  await loseJournal(world, host, () => harm(host));
  const left = async () => (await host.kernel.ports()).map(({ name }) => name).toSorted();
  const kept = ["told.eth0", "plain.eth0"];
  assert.deepEqual(await left(), kept.map(portName).toSorted(), "while the server is away");
  assert.deepEqual(host.kernel.linkNames("/run/netns/late"), ["lo"]);
  assert.match(host.running?.agent.report.conditions.join() ?? "", /late\.eth0 .* security groups are not known/);
  await world.heal();
  assert.deepEqual([...host.entries.keys()].toSorted(), kept.toSorted());
  assert.notEqual(await attached({ world, host }, "near", "late", groups), "unavailable");
  await world.heal();
  await world.assertConverged("attached again");
}

test("a port whose groups nobody knows any more is closed, not open: it is removed, and told", () =>
  closes(GROUPED, async () => undefined));

test("a port that nothing judges any more, and that nobody knows, is not opened", () =>
  closes({}, async (host) => {
    const state = await host.kernel.observe([]);
    const marks = [...state.values()].filter((object) => object.kind === "element");
    const ofLate = marks.filter(({ set, key }) => set === "ports" && key === portName("late.eth0"));
    assert.equal(ofLate.length, 1);
    await host.kernel.apply(ofLate.map((object) => ({ op: "remove", object })));
  }));
