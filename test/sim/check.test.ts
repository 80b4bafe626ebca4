// `weft ipam check` over whole clusters: it finds what is planted in the store, a journal or a kernel, it does not
// report what passes by itself, and after a repair nothing is left.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerChecks } from "../../src/agent/server/checkResponder.ts";
import { memoryJournal } from "../../src/agent/journal/journal.ts";
import type { Ask, CheckReport, InventoryAnswer } from "../../src/model/check.ts";
import type { Endpoint } from "../../src/model/resource.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { World } from "./lab/world.ts";

/** Two hosts with two endpoints each on a local network, `near`, and on a global one, `wide`. */
async function withCluster(body: (world: World, one: Host, two: Host) => Promise<void>, seed = 7): Promise<void> {
  const world = new World(randomFrom(seed));
  try {
    const control = await world.startServer();
    const [one, two] = ["h1", "h2"].map((name) => world.addHost(name));
    assert(one !== undefined && two !== undefined);
    for (const host of [one, two]) world.startAgent(host);
    await world.clock.advance(2_000);
    const near = { ipam: "local", subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] } as const;
    const wide = { ipam: "global", subnets: [{ cidr: "10.2.0.0/16" }] } as const;
    await control.write({ verb: "put", kind: "network", name: "near", spec: near });
    await control.write({ verb: "put", kind: "network", name: "wide", spec: wide });
    await world.clock.advance(2_000);
    for (const host of [one, two]) {
      for (const n of [1, 2]) for (const network of ["near", "wide"]) await attach(world, host, network, n);
    }
    await world.clock.advance(5_000);
    await body(world, one, two);
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
}

async function attach(world: World, host: Host, network: string, n: number): Promise<void> {
  const netns = `/run/netns/${network}-${host.name}-${n}` as const;
  host.kernel.addWorkload(netns);
  host.workloads.add(netns);
  const attached = host.running?.attacher.attach({ network, netns });
  await world.clock.advance(500);
  await attached;
}

/** Ends a workload as its runtime would, without telling anybody. */
function end(host: Host, netns: `/${string}`): void {
  host.workloads.delete(netns);
  host.kernel.removeWorkload(netns);
}

/** What a journal says of an endpoint, changed while its agent is dead. */
async function edit(world: World, host: Host, name: string, change: Partial<Endpoint["spec"]>): Promise<void> {
  world.killAgent(host);
  const entry = host.entries.get(name) ?? assert.fail(name);
  host.entries.set(name, { ...entry, endpoint: { ...entry.endpoint, spec: { ...entry.endpoint.spec, ...change } } });
  world.startAgent(host);
  await world.clock.advance(3_000);
}

function rulesOf({ findings }: CheckReport): string[] {
  return findings.map(({ kind, rule, host, endpoint }) => `${kind} ${rule} ${host} ${endpoint}`);
}

async function assertClean(world: World): Promise<void> {
  const { report } = await world.check({});
  assert.deepEqual([report.findings, report.unchecked, report.checked], [[], [], ["h1", "h2"]]);
}

test("a cluster where nothing is wrong: no findings, and it costs one exchange", () =>
  withCluster(async (world) => {
    const { report, tookMs } = await world.check({});
    assert.deepEqual([report.findings, report.unchecked, report.endpoints, report.passing], [[], [], 8, 0]);
    assert(tookMs < 100, `${tookMs} ms`);
  }));

test("what ended without a detach is leaked: in its host's journal and at the server", () =>
  withCluster(async (world, one, two) => {
    end(one, "/run/netns/near-h1-1");
    end(two, "/run/netns/wide-h2-2");
    await world.clock.advance(1_000);
    const before = await world.check({});
    const leaks = ["leaked workload-gone h1 near-h1-1.eth0", "leaked workload-gone h2 wide-h2-2.eth0"];
    assert.deepEqual(rulesOf(before.report), leaks);
    assert(before.tookMs < 1_000, `${before.tookMs} ms`);
    assert.deepEqual(rulesOf((await world.check({ network: "wide" })).report), leaks.slice(1));
    assert.deepEqual(rulesOf((await world.check({ host: "h1" })).report), leaks.slice(0, 1));
    // A dry check changes nothing.
    assert.deepEqual(rulesOf((await world.check({})).report), leaks);
    const { report } = await world.check({ repair: true });
    assert.deepEqual([rulesOf(report), report.left], [leaks, 0]);
    assert(report.findings.every(({ repair }) => repair?.done === true && repair.says !== ""));
    await assertClean(world);
    const left = (await world.control?.list("endpoint", { role: "admin" }))?.items.map(({ name }) => name) ?? [];
    assert.equal(left.includes("near-h1-1.eth0") || left.includes("wide-h2-2.eth0"), false);
    assert.deepEqual([one.entries.size, two.entries.size], [3, 3]);
  }));

test("two entries of one journal with one address: nobody is evicted unasked, then the later one", () =>
  withCluster(async (world, one) => {
    const addresses = one.entries.get("near-h1-1.eth0")?.endpoint.spec.addresses ?? [];
    await edit(world, one, "near-h1-2.eth0", { addresses });
    const asked = await world.check({});
    const rules = ["doubled two-holders h1 near-h1-2.eth0", "conflicting unknown-to-server h1 near-h1-2.eth0"];
    assert.deepEqual(rulesOf(asked.report), rules);
    assert.deepEqual(asked.report.findings[0]?.addresses, addresses);
    const timid = await world.check({ repair: true });
    assert.deepEqual([rulesOf(timid.report), timid.report.left], [rules, 2]);
    assert.match(timid.report.findings[1]?.repair?.says ?? "", /taken/);
    assert.equal(one.entries.size, 4);
    const bold = await world.check({ repair: true, evict: true });
    assert.equal(bold.report.left, 0, JSON.stringify(bold.report.findings));
    assert.deepEqual([...one.entries.keys()].includes("near-h1-2.eth0"), false);
    await assertClean(world);
    const kept = await one.kernel.ports();
    assert.equal(kept.filter(({ far }) => far?.addresses.includes(addresses[0] ?? "") === true).length, 1);
  }));

test("a journal that names another MAC: the server's word counts in a global network, the host's in a local one", () =>
  withCluster(async (world, one) => {
    const wide = one.entries.get("wide-h1-1.eth0")?.endpoint.spec.mac ?? "";
    const [other, another] = ["02:aa:00:00:00:01", "02:aa:00:00:00:02"];
    await edit(world, one, "wide-h1-1.eth0", { mac: other });
    await edit(world, one, "near-h1-1.eth0", { mac: another });
    const { report } = await world.check({ repair: true });
    const rules = ["conflicting lease-differs h1 near-h1-1.eth0", "conflicting lease-differs h1 wide-h1-1.eth0"];
    assert.deepEqual([rulesOf(report), report.left], [rules, 0]);
    const ports = new Map((await one.kernel.ports()).map(({ endpoint, far }) => [endpoint, far?.mac]));
    assert.deepEqual([ports.get("wide-h1-1.eth0"), ports.get("near-h1-1.eth0")], [wide, another]);
    const told = await world.control?.find("endpoint", "near-h1-1.eth0", { role: "admin" });
    assert.equal(told?.spec.mac, another);
    await assertClean(world);
  }));

/** A port with an address, as an agent would make it, that nobody has asked for. */
async function plantOrphan({ kernel }: Host): Promise<void> {
  kernel.addWorkload("/run/netns/ghost");
  const bridge = [...(await kernel.observe([])).values()].find(
    ({ kind, ns }) => kind === "bridge" && ns === "vrf:near",
  );
  assert(bridge?.kind === "bridge");
  const peer = { ns: "/run/netns/ghost", name: "eth0", mtu: 1450, mac: "02:00:00:00:00:99" } as const;
  const veth = { kind: "veth", ns: bridge.ns, name: "wpghost", mtu: 1450, mac: "fe:00:00:00:00:99" } as const;
  const results = await kernel.apply([
    { op: "add", object: { ...veth, alias: "weft:endpoint:ghost.eth0", master: bridge.name, peer } },
    { op: "add", object: { kind: "address", ns: peer.ns, dev: "eth0", cidr: "10.1.0.77/24" } },
  ]);
  assert(results.every(({ refusal }) => refusal === undefined));
}

test("a port that nobody knows and that the kernel holds on to is orphaned; when it lets go, a repair removes it", () =>
  withCluster(async (world, one) => {
    one.kernel.stuck.add("wpghost");
    await plantOrphan(one);
    await world.clock.advance(2_000);
    const stuck = await world.check({ repair: true });
    assert.deepEqual([rulesOf(stuck.report), stuck.report.left], [["orphaned port-unknown h1 ghost.eth0"], 1]);
    assert.deepEqual(stuck.report.findings[0]?.addresses, ["10.1.0.77"]);
    one.kernel.stuck.clear();
    const { report } = await world.check({ repair: true });
    assert.equal(report.left ?? 0, 0);
    await assertClean(world);
    assert.equal(
      (await one.kernel.ports()).some(({ name }) => name === "wpghost"),
      false,
    );
  }));

test("what an agent mends by itself while the check looks is no finding, but counted", () =>
  withCluster(async (world, one) => {
    await plantOrphan(one);
    const { report } = await world.check({});
    assert.deepEqual([report.findings, report.passing], [[], 1]);
    await assertClean(world);
  }));

test("a lease that its host never heard of is let go by the server", () =>
  withCluster(async (world, one) => {
    const [near = ""] = one.entries.get("near-h1-1.eth0")?.endpoint.spec.addresses ?? [];
    const where = { network: "near", host: "h1", owner: "lost", ifname: "eth0", netns: "/run/netns/lost" };
    const claim = { ...where, addresses: [near.replace(/\d+$/, "99")] };
    await world.control?.write({ verb: "attach", claim, by: { role: "admin" } });
    const { report } = await world.check({ repair: true });
    assert.deepEqual([rulesOf(report), report.left], [["leaked unknown-to-host h1 lost.eth0"], 0]);
    await assertClean(world);
    assert.equal(await world.control?.find("endpoint", "lost.eth0", { role: "admin" }), undefined);
  }));

test("an order that comes too late, when a workload of the name is there again, is refused", () =>
  withCluster(async (world, one) => {
    const { agent, attacher, mirror } = one.running ?? assert.fail();
    const { view, rounds, registrar } = agent;
    const { promise: answer, resolve } = Promise.withResolvers<InventoryAnswer>();
    let tell: (ask: Ask) => void = () => assert.fail("nobody listens");
    answerChecks({
      host: "h1",
      bootId: one.bootId,
      view,
      rounds,
      registrar,
      attacher,
      kernel: one.kernel,
      journal: memoryJournal(one.entries),
      mirror: { onAsk: (hear) => (tell = hear), snapshot: () => mirror.snapshot() },
      transport: { attach: () => assert.fail("nothing is to tell"), answer: async (given) => resolve(given) },
      tryWays: () => assert.fail("nothing is to be tried"),
      log: () => undefined,
    });
    const endpoint = "near-h1-1.eth0";
    const addresses = one.entries.get(endpoint)?.endpoint.spec.addresses ?? [];
    tell({
      id: 1,
      orders: [
        { do: "detach", endpoint, addresses, alive: false },
        { do: "detach", endpoint, addresses: ["10.1.9.9"], alive: true },
        { do: "take", endpoint: "nobody.eth0" },
      ],
    });
    await world.clock.advance(2_000);
    const { done, inventory } = await answer;
    assert.match(done[0] ?? "", /its workload is there/);
    assert.match(done[1] ?? "", /other addresses/);
    assert.match(done[2] ?? "", /is not attached here/);
    assert.equal(inventory.entries.length, 4);
    await assertClean(world);
  }));

/** Attaches and detaches one workload after the other until told to stop. */
async function churn(world: World, host: Host, id: number, signal: AbortSignal): Promise<void> {
  for (let n = 10; !signal.aborted; n++) {
    const netns = `/run/netns/churn-${id}-${n}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const network = n % 2 === 0 ? "near" : "wide";
    const { endpoint } = (await host.running?.attacher.attach({ network, netns })) ?? assert.fail();
    await world.clock.sleep(n % 40);
    await host.running?.attacher.detach(endpoint);
    end(host, netns);
  }
}

for (const seed of [7, 8, 9])
  test(`seed ${seed}: attaches and detaches that go on all the time are no findings`, () =>
    withCluster(async (world, one, two) => {
      const stop = new AbortController();
      const churning = Promise.all([one, two, one].map((host, id) => churn(world, host, id, stop.signal)));
      const reports: CheckReport[] = [];
      for (let i = 0; i < 8; i++) reports.push((await world.check({})).report);
      stop.abort();
      await world.clock.advance(5_000);
      await churning;
      assert.deepEqual(reports.flatMap(rulesOf), []);
      assert.deepEqual(
        reports.flatMap(({ unchecked }) => unchecked),
        [],
      );
      assert(
        reports.some(({ passing }) => passing > 0),
        "something was on its way",
      );
      await world.clock.advance(60_000);
      await assertClean(world);
    }, seed));

test("a host that cannot be asked is named, whether it is away or does not answer, and the others are checked", () =>
  withCluster(async (world, one, two) => {
    end(one, "/run/netns/near-h1-1");
    world.killAgent(two);
    await world.clock.advance(1_000);
    const away = await world.check({});
    assert.deepEqual(rulesOf(away.report), ["leaked workload-gone h1 near-h1-1.eth0"]);
    assert.deepEqual([away.report.checked, away.report.unchecked.map(({ host }) => host)], [["h1"], ["h2"]]);
    assert.match(away.report.unchecked[0]?.why ?? "", /away/);
    world.startAgent(two);
    await world.clock.advance(5_000);
    // Its watch still stands when the line is cut: it hears, but its answers do not come through.
    two.isCut = true;
    const silent = await world.check({ host: "h2" });
    assert.deepEqual(
      silent.report.unchecked.map(({ host }) => host),
      ["h2"],
    );
    assert(silent.tookMs < 4_000, `${silent.tookMs} ms`);
  }));
