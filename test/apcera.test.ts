// Apcera's virtual networks, case by case (AP-1 to AP-13): the same outcome, or Weft's refusal where that is better.
// Everything runs on a real control plane and real agents over kernels in memory; the tests with packets are in
// test/netns/members.kernel.test.ts.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { PATHS_NS } from "../src/datapath/network/paths.ts";
import { parseApceraConfig } from "../src/ancestors/apcera/config.ts";
import { applyOf } from "../src/ancestors/apcera/resources.ts";
import type { Outcome, Write } from "../src/control/write.ts";
import type { KernelObject } from "../src/datapath/kinds.ts";
import { Fault, type Reason } from "../src/model/fault.ts";
import { parseApply } from "../src/model/parse.ts";
import type { Endpoint, Network, Snapshot } from "../src/model/resource.ts";
import type { Host } from "./sim/lab/host.ts";
import { World } from "./sim/lab/world.ts";

const ADMIN = { role: "admin" } as const;
const LOCAL = "chef: { continuum: { enable_local_ipam: true } }";
const GLOBAL = "chef: { continuum: { vxlan_enabled: true } }";

/** Three hosts whose agents follow a server, and short ways to do what people do. */
class Cluster {
  readonly world = new World(() => 0);

  static async open(t: TestContext, conf = GLOBAL): Promise<Cluster> {
    const cluster = new Cluster();
    const { world } = cluster;
    t.after(async () => {
      for (const host of world.hosts.values()) world.killAgent(host);
      world.killServer();
      await world.clock.advance(60_000);
    });
    await world.startServer();
    for (const name of ["h1", "h2", "h3"]) world.startAgent(world.addHost(name));
    await world.clock.advance(1000);
    await cluster.import(conf);
    return cluster;
  }

  async write(write: Exclude<Write, { readonly verb: "join" }>, ms = 2000): Promise<Outcome> {
    const { control, clock } = this.world;
    const [outcome] = await Promise.all([control?.write(write) ?? assert.fail("no server"), clock.advance(ms)]);
    return outcome;
  }

  async import(conf: string, ms?: number): Promise<void> {
    const known = await this.snapshot();
    const { resources: items } = parseApply(applyOf(parseApceraConfig(conf, "cluster.conf"), {}, known));
    await this.write({ verb: "apply", items }, ms);
  }

  async create(name: string, more: object = {}): Promise<Network> {
    const spec = { pool: { name: "apcera" }, ...more };
    const { resource } = await this.write({ verb: "put", kind: "network", name, spec });
    return resource?.kind === "network" ? resource : assert.fail("no network");
  }

  host(name: string): Host {
    return this.world.hosts.get(name) ?? assert.fail(name);
  }

  /** Attaches by hand, through the host's own agent. */
  async attach(host: string, network: string, owner: string, workload?: string): Promise<Endpoint> {
    const netns = `/run/netns/${owner}` as const;
    const at = this.host(host);
    if (!at.workloads.has(netns)) at.kernel.addWorkload(netns);
    at.workloads.add(netns);
    const request = { network, netns, owner, ...(workload === undefined ? {} : { workload }) };
    const attach = at.running?.attacher.attach(request) ?? assert.fail("no agent");
    const [{ endpoint }] = await Promise.all([attach, this.world.clock.advance(2000)]);
    return (await this.snapshot()).endpoints.find(({ name }) => name === endpoint) ?? assert.fail(endpoint);
  }

  async snapshot(): Promise<Snapshot> {
    return (await this.world.control?.snapshot(ADMIN)) ?? assert.fail("no server");
  }

  async in(network: string): Promise<string[]> {
    const { endpoints } = await this.snapshot();
    return endpoints
      .filter(({ spec }) => spec.network === network)
      .map(({ name }) => name)
      .sort();
  }

  async kernel(host: string): Promise<KernelObject[]> {
    const { kernel, workloads } = this.host(host);
    return [...(await kernel.observe([...workloads])).values()];
  }

  async refuses(reason: Reason, text: RegExp, attempt: () => Promise<unknown>): Promise<void> {
    const { revision } = await this.snapshot();
    await assert.rejects(attempt(), (error) => {
      assert.ok(error instanceof Fault, String(error));
      assert.equal(error.reason, reason, error.message);
      assert.match(error.message, text);
      return true;
    });
    await this.world.clock.advance(2000);
    assert.equal((await this.snapshot()).revision, revision, "a refusal changes nothing");
  }
}

const cidrOf = ({ spec }: Network) => spec.subnets.map(({ cidr }) => cidr).join();

test("AP-1 networks are made, listed, shown and deleted at run time; members keep it", async (t) => {
  const cluster = await Cluster.open(t);
  await cluster.create("net1");
  assert.deepEqual(
    (await cluster.snapshot()).networks.map(({ name }) => name),
    ["net1"],
  );
  await cluster.attach("h1", "net1", "a");
  const remove = (force: boolean) => () => cluster.write({ verb: "delete", kind: "network", name: "net1", force });
  await cluster.refuses("in-use", /a\.eth0/, remove(false));
  await remove(true)();
  assert.deepEqual((await cluster.snapshot()).networks, []);
  assert.deepEqual(
    (await cluster.kernel("h1")).filter(({ kind }) => kind === "veth"),
    [],
  );
});

test("AP-1 a workload that is to be in a network keeps it, too, and goes with it by force", async (t) => {
  const cluster = await Cluster.open(t);
  await cluster.create("net1");
  await cluster.write({ verb: "join-network", claim: { network: "net1", workload: "web" } });
  const remove = (force: boolean) => () => cluster.write({ verb: "delete", kind: "network", name: "net1", force });
  await cluster.refuses("in-use", /workload web/, remove(false));
  await remove(true)();
  assert.deepEqual((await cluster.snapshot()).memberships, []);
});

test("AP-2 a name may say its namespace with dots; Apcera's /prod::net1 is refused", async (t) => {
  const cluster = await Cluster.open(t);
  assert.equal(cidrOf(await cluster.create("prod.net1")), "192.168.1.0/24");
  await cluster.refuses("name-invalid", /\/prod::net1/, () => cluster.create("/prod::net1"));
});

test("AP-3 every instance of a workload joins and leaves live; what was attached by hand stays", async (t) => {
  const cluster = await Cluster.open(t);
  for (const name of ["net1", "net2", "net3"])
    await cluster.create(name, { ipam: name === "net3" ? "local" : "global" });
  await cluster.attach("h1", "net1", "a", "web");
  await cluster.attach("h2", "net1", "b", "web");
  await cluster.attach("h2", "net1", "c", "db");
  for (const network of ["net2", "net3"]) {
    const { resource } = await cluster.write({ verb: "join-network", claim: { network, workload: "web" } });
    assert.deepEqual(resource?.spec, { network, workload: "web" });
  }
  assert.deepEqual(await cluster.in("net2"), ["a.eth1", "b.eth1"]);
  assert.deepEqual(await cluster.in("net3"), ["a.eth2", "b.eth2"]);
  await cluster.attach("h3", "net1", "d", "web");
  assert.deepEqual(await cluster.in("net2"), ["a.eth1", "b.eth1", "d.eth1"], "later instances join by themselves");
  const before = (await cluster.snapshot()).revision;
  await cluster.write({ verb: "join-network", claim: { network: "net2", workload: "web" } });
  assert.equal((await cluster.snapshot()).revision, before, "joining twice is joining once");
  for (const network of ["net1", "net2"]) {
    await cluster.write({ verb: "join-network", claim: { network, workload: "web" } });
    await cluster.write({ verb: "delete", kind: "membership", name: `${network}~web` });
  }
  assert.deepEqual(await cluster.in("net2"), []);
  assert.deepEqual(await cluster.in("net1"), ["a.eth0", "b.eth0", "c.eth0", "d.eth0"]);
  assert.deepEqual(await cluster.in("net3"), ["a.eth2", "b.eth2", "d.eth2"]);
  await cluster.refuses("membership-unknown", /net2~web/, () =>
    cluster.write({ verb: "delete", kind: "membership", name: "net2~web" }),
  );
});

test("AP-4 hosts of a network are a full mesh of VXLAN tunnels on UDP port 4789", async (t) => {
  const cluster = await Cluster.open(t);
  for (const name of ["net1", "net2"]) await cluster.create(name, { ipam: name === "net2" ? "local" : "global" });
  for (const network of ["net1", "net2"])
    for (const host of ["h1", "h2", "h3"]) await cluster.attach(host, network, `${network}-${host}`);
  for (const host of ["h1", "h2", "h3"]) {
    const objects = (await cluster.kernel(host)).filter(({ ns }) => ns !== PATHS_NS);
    const tunnels = objects.filter((object) => object.kind === "vxlan");
    assert.deepEqual(
      tunnels.map(({ port }) => port),
      [4789, 4789],
    );
    const others = ["h1", "h2", "h3"].filter((other) => other !== host).map((other) => cluster.host(other).underlay);
    for (const { ns, name } of tunnels) {
      const reached = objects.flatMap((o) => (o.kind === "fdb" && o.ns === ns && o.dev === name ? [o.dst] : []));
      assert.deepEqual([...new Set(reached)].sort(), others, `${host} ${name}`);
    }
  }
});

const GRE = "chef: { continuum: { vxlan_enabled: false } }";

test("AP-5 GRE: a device to each other host with members, the VNI as key", async (t) => {
  const cluster = await Cluster.open(t, GRE);
  const made = [await cluster.create("net1"), await cluster.create("net2", { ipam: "local" })];
  assert.deepEqual([...new Set(made.map(({ spec }) => spec.driver))], ["gre"]);
  for (const network of ["net1", "net2"])
    for (const host of ["h1", "h2", "h3"]) await cluster.attach(host, network, `${network}-${host}`);
  const { vrfs } = await cluster.snapshot();
  const keys = [made[0]?.spec.vni, vrfs.find(({ name }) => name === "net2")?.spec.vni];
  for (const host of ["h1", "h2", "h3"]) {
    const objects = (await cluster.kernel(host)).filter(({ ns }) => ns !== PATHS_NS);
    assert.ok(!objects.some(({ kind }) => kind === "vxlan"));
    const tunnels = objects.filter((object) => object.kind === "gretap");
    const others = ["h1", "h2", "h3"].filter((other) => other !== host).map((other) => cluster.host(other).underlay);
    for (const key of keys) {
      const reached = tunnels.filter((tunnel) => tunnel.key === key).map(({ remote }) => remote);
      assert.deepEqual(reached.sort(), others, `${host} key ${key}`);
    }
    assert.equal(tunnels.length, 2 * others.length);
  }
});

test("AP-6 GRE to VXLAN: another file converts the networks that are GRE by the pool, and no other", async (t) => {
  const cluster = await Cluster.open(t, GRE);
  for (const name of ["net1", "net2"]) await cluster.create(name, name === "net2" ? { ipam: "local" } : {});
  await cluster.create("chosen", { driver: "vxlan" });
  await cluster.create("own", { pool: undefined, driver: "gre", subnets: [{ cidr: "10.99.0.0/24" }] });
  for (const network of ["net1", "net2", "own"])
    for (const host of ["h1", "h2"]) await cluster.attach(host, network, `${network}-${host}`);
  const before = await cluster.snapshot();
  await cluster.import(GLOBAL, 20);
  const { conversions, ...after } = await cluster.snapshot();
  const changes = conversions.map(({ spec }) => `${spec.network} ${spec.from.driver} ${spec.to.driver}`);
  assert.deepEqual(changes.sort(), ["net1 gre vxlan", "net2 gre vxlan"]);
  assert.deepEqual(after.endpoints, before.endpoints, "members stay");
  await cluster.create("net3");
  await cluster.world.clock.advance(30_000);
  assert.deepEqual((await cluster.snapshot()).conversions, []);
  const drivers = ["chosen vxlan", "net1 vxlan", "net2 vxlan", "net3 vxlan", "own gre"];
  assert.deepEqual(await driversIn(cluster), drivers);
  await cluster.world.assertConverged("converted");
  await cluster.import(GLOBAL);
  assert.deepEqual((await cluster.snapshot()).conversions, [], "the same again changes nothing");
});

async function driversIn(cluster: Cluster): Promise<readonly string[]> {
  return (await cluster.snapshot()).networks.map(({ name, spec }) => `${name} ${spec.driver}`).sort();
}

test("AP-7 global networks are 192.168.<id>.0/24, id 1 to 255, and the pool's overflow beyond", async (t) => {
  const cluster = await Cluster.open(t);
  const items = Array.from({ length: 256 }, (_, i) => ({
    kind: "network" as const,
    name: `n${i + 1}`,
    spec: { pool: { name: "apcera" } },
  }));
  await cluster.write({ verb: "apply", items });
  const made = new Map((await cluster.snapshot()).networks.map((network) => [network.name, network]));
  for (let id = 1; id <= 255; id++) {
    const { spec } = made.get(`n${id}`) ?? assert.fail();
    assert.deepEqual(
      [spec.ipam, spec.pool, spec.subnets[0]?.cidr],
      ["global", { name: "apcera", id }, `192.168.${id}.0/24`],
    );
  }
  assert.deepEqual(made.get("n256")?.spec.subnets[0]?.cidr, "10.224.0.0/20");
  assert.deepEqual(made.get("n256")?.spec.pool, { name: "apcera", id: 256 });
  // An id is free again with its network, and the lowest is next.
  await cluster.write({ verb: "delete", kind: "network", name: "n7" });
  assert.equal(cidrOf(await cluster.create("again")), "192.168.7.0/24");
});

test("AP-8 local networks are 10.<id>.0.0/16, with a block for each host, so that no two collide", async (t) => {
  const cluster = await Cluster.open(t, LOCAL);
  assert.equal(cidrOf(await cluster.create("net1")), "10.1.0.0/16");
  assert.equal(cidrOf(await cluster.create("last", { pool: { name: "apcera", id: 255 } })), "10.255.0.0/16");
  for (const host of ["h1", "h2", "h3"]) for (const n of [1, 2]) await cluster.attach(host, "net1", `${host}-${n}`);
  const { endpoints, blocks } = await cluster.snapshot();
  const addresses = endpoints.map(({ spec }) => spec.addresses[0] ?? "");
  assert.equal(new Set(addresses).size, 6);
  for (const { spec } of endpoints) {
    const block = blocks.find((each) => each.spec.network === "net1" && each.spec.host === spec.host);
    assert.match(block?.spec.cidr ?? "", /^10\.1\.\d\.0\/24$/);
    assert.ok(spec.addresses[0]?.startsWith(block?.spec.cidr.replace("0/24", "") ?? "-"));
  }
});

test("AP-9 the mode is a network's own; the cluster's switch is for new networks only", async (t) => {
  const cluster = await Cluster.open(t, GLOBAL);
  const old = await cluster.create("old");
  await cluster.import(LOCAL);
  const young = await cluster.create("young");
  const asked = await cluster.create("asked", { ipam: "global" });
  await cluster.import(GLOBAL);
  const last = await cluster.create("last");
  assert.deepEqual(
    [old, young, asked, last].map((network) => [network.spec.ipam, cidrOf(network)]),
    [
      ["global", "192.168.1.0/24"],
      ["local", "10.2.0.0/16"],
      ["global", "192.168.3.0/24"],
      ["global", "192.168.4.0/24"],
    ],
  );
  const { networks, revision } = await cluster.snapshot();
  assert.deepEqual(networks.find(({ name }) => name === "old")?.spec, old.spec);
  assert.deepEqual(networks.find(({ name }) => name === "young")?.spec, young.spec);
  await cluster.import(GLOBAL);
  assert.equal((await cluster.snapshot()).revision, revision, "the same file again changes nothing");
  await cluster.world.assertConverged("both kinds live together");
});

test("AP-10 local leases survive kill -9 of the agent, and end with the boot", async (t) => {
  const cluster = await Cluster.open(t, LOCAL);
  await cluster.create("net1", { quarantine: 0 });
  const endpoint = await cluster.attach("h1", "net1", "a");
  const host = cluster.host("h1");
  const before = await cluster.kernel("h1");
  cluster.world.killAgent(host);
  cluster.world.startAgent(host);
  await cluster.world.clock.advance(40_000);
  assert.deepEqual((await cluster.snapshot()).endpoints, [endpoint]);
  assert.deepEqual(await cluster.kernel("h1"), before);
  cluster.world.reboot(host);
  cluster.world.startAgent(host);
  await cluster.world.clock.advance(40_000);
  assert.deepEqual((await cluster.snapshot()).endpoints, []);
  assert.equal((await cluster.attach("h1", "net1", "b")).spec.addresses[0], endpoint.spec.addresses[0]);
});

test("AP-11 attaches at the same moment get distinct addresses", async (t) => {
  const cluster = await Cluster.open(t);
  for (const name of ["net1", "net2"]) await cluster.create(name, { ipam: name === "net2" ? "local" : "global" });
  const attaches = ["net1", "net2"].flatMap((network) =>
    ["h1", "h2", "h3"].flatMap((name) =>
      Array.from({ length: 20 }, (_, i) => {
        const host = cluster.host(name);
        const netns = `/run/netns/${network}-${name}-${i}` as const;
        host.kernel.addWorkload(netns);
        host.workloads.add(netns);
        return host.running?.attacher.attach({ network, netns }) ?? assert.fail();
      }),
    ),
  );
  await cluster.world.clock.advance(10_000);
  const addresses = (await Promise.all(attaches)).map(({ spec }) => `${spec.network} ${spec.addresses.join()}`);
  assert.equal(new Set(addresses).size, 120);
});

test("AP-12 ids that meet the cluster's subnet are passed over, and refused to whoever asks for one", async (t) => {
  const cluster = await Cluster.open(
    t,
    'chef: { continuum: { enable_local_ipam: true, cluster: { subnet: "10.3.0.0/16" } } }',
  );
  const made = [];
  for (const name of ["n1", "n2", "n3"]) made.push(cidrOf(await cluster.create(name)));
  assert.deepEqual(made, ["10.1.0.0/16", "10.2.0.0/16", "10.4.0.0/16"]);
  await cluster.refuses("overlap", /id 3 .*10\.3\.0\.0\/16, which overlaps 10\.3\.0\.0\/16: it is reserved/, () =>
    cluster.create("n4", { pool: { name: "apcera", id: 3 } }),
  );
  await cluster.refuses("id-taken", /id 2 .*network "n2" has it/, () =>
    cluster.create("n4", { pool: { name: "apcera", id: 2 } }),
  );
  // Global networks do not meet it.
  assert.equal(
    cidrOf(await cluster.create("n4", { pool: { name: "apcera", id: 3 }, ipam: "global" })),
    "192.168.3.0/24",
  );
});

test("AP-12 a cluster subnet shorter than /16 makes local networks impossible: refused, with the reason", async (t) => {
  const cluster = await Cluster.open(t, 'chef: { continuum: { cluster: { subnet: "10.0.0.0/8" } } }');
  assert.equal(cidrOf(await cluster.create("n1")), "192.168.1.0/24", "global ones are none the worse");
  await cluster.refuses("overlap", /10\.2\.0\.0\/16, which overlaps 10\.0\.0\.0\/8: it is reserved in the pool/, () =>
    cluster.create("n2", { ipam: "local" }),
  );
  await cluster.refuses("overlap", /could make no local network.*overlaps 10\.0\.0\.0\/8/, () =>
    cluster.import('chef: { continuum: { enable_local_ipam: true, cluster: { subnet: "10.0.0.0/8" } } }'),
  );
});

test("AP-12 with an overflow elsewhere, local networks come from there", async (t) => {
  const cluster = await Cluster.open(t);
  const conf = 'chef: { continuum: { enable_local_ipam: true, cluster: { subnet: "10.0.0.0/8" } } }';
  const { resources: items } = parseApply(
    applyOf(parseApceraConfig(conf, "cluster.conf"), { overflow: "172.16.0.0/12" }),
  );
  await cluster.write({ verb: "apply", items });
  const { spec } = await cluster.create("n1");
  // The hosts have their underlay addresses in the first part, which is passed over.
  assert.deepEqual([spec.pool?.id, spec.subnets], [257, [{ cidr: "172.16.16.0/20", hostPrefix: 26 }]]);
});

test("AP-12 addresses and routes that a host has itself are kept clear as well", async (t) => {
  const cluster = await Cluster.open(t, LOCAL);
  const { control, clock } = cluster.world;
  const status = await control?.status();
  const report = status?.hosts.find(({ host }) => host === "h1")?.status ?? assert.fail();
  cluster.world.killAgent(cluster.host("h1"));
  const done = control?.report({ ...report, hostPrefixes: ["10.1.0.0/20"] });
  await clock.advance(10);
  await done;
  assert.equal(cidrOf(await cluster.create("n1")), "10.2.0.0/16");
});

test("AP-13 members move to another network in one operation that reports old and new addresses", async (t) => {
  const cluster = await Cluster.open(t);
  await cluster.create("old", { quarantine: 0 });
  await cluster.create("new", { ipam: "local" });
  const owners = { h1: "a", h2: "b", h3: "c" };
  for (const [host, owner] of Object.entries(owners)) await cluster.attach(host, "old", owner, "web");
  await cluster.write({ verb: "join-network", claim: { network: "old", workload: "web" } });
  const { resource } = await cluster.write({ verb: "migrate", request: { from: "old", to: "new", workload: "web" } });
  const { moves, memberships } = await cluster.snapshot();
  assert.deepEqual(
    moves.map(({ spec }) => [spec.migration, spec.endpoint, spec.state, spec.oldAddresses, spec.newAddresses]),
    [
      [resource?.name, "a.eth0", "left", ["192.168.1.2"], ["10.2.0.2"]],
      [resource?.name, "b.eth0", "left", ["192.168.1.3"], ["10.2.1.2"]],
      [resource?.name, "c.eth0", "left", ["192.168.1.4"], ["10.2.2.2"]],
    ],
  );
  assert.deepEqual(await cluster.in("old"), []);
  assert.deepEqual(await cluster.in("new"), ["a.eth1", "b.eth1", "c.eth1"]);
  assert.deepEqual(
    memberships.map(({ name }) => name),
    ["new~web"],
    "whoever comes later joins the new one",
  );
  // What was released is free again.
  assert.deepEqual((await cluster.attach("h1", "old", "d")).spec.addresses, ["192.168.1.2"]);
  await cluster.world.assertConverged("after the migration");
});

test("AP-13 a migration that does not fit is refused before anything happens", async (t) => {
  const cluster = await Cluster.open(t);
  await cluster.create("old");
  for (const owner of ["a", "b"]) await cluster.attach("h1", "old", owner);
  const small = { subnets: [{ cidr: "172.20.0.0/30" }] };
  await cluster.write({ verb: "put", kind: "network", name: "small", spec: small });
  const blocks = { subnets: [{ cidr: "172.21.0.0/24", hostPrefix: 30 }] };
  await cluster.write({ verb: "put", kind: "network", name: "blocks", spec: blocks });
  const migrate =
    (to: string, more: object = {}) =>
    () =>
      cluster.write({ verb: "migrate", request: { from: "old", to, ...more } });
  await cluster.refuses("exhausted", /IPv4: 1 free for 2/, migrate("small"));
  await cluster.refuses("exhausted", /host h1: 1 free for 2/, migrate("blocks"));
  await cluster.refuses("request-invalid", /two different networks/, migrate("old"));
  await cluster.refuses("not-found", /workload "none"/, migrate("small", { workload: "none" }));
  await migrate("small", { endpoint: "a.eth0" })();
  assert.deepEqual(await cluster.in("small"), ["a.eth1"]);
});
