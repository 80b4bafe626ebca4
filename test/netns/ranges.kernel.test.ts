// Address ranges on the real kernel: leases of different ranges of one network reach each other across hosts, in both
// families, by SLAAC addresses, and with frames alone; what a range has otherwise is what its leases have.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, must, run, until, type Json, type Workload } from "./lab/cluster.ts";

const RANGES = [
  { name: "main", type: "ip4-6-static", first: "10.7.1.0", first6: "fd07::1:0", size: 16 },
  { name: "edge", type: "ip4", first: "10.7.2.0", size: 16, gateway: "10.7.2.254", mtu: 1300, dns: ["10.7.2.53"] },
  { name: "slaac", type: "ip6", prefix: "fd08::/64", ula: "fd09::/64", size: 16, gateway6: "fd08::1" },
];
const SPEC = { subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }], ranges: RANGES, quarantine: 0 };
const FRAMES = { subnets: [], ranges: [{ name: "frames", type: "ether", size: 4 }], masquerade: false };

describe("address ranges over two hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);
  const attach = async (host: string, network: string, name: string, more: object = {}) => {
    workloads.set(name, await cluster.attach(host, network, name, { ...more }));
    return of(name);
  };
  const reaches = async (from: string, to: string) =>
    until(`${from} reaches ${to}`, () => cluster.pings(of(from), to), 5_000);
  const linkOf = async (netns: string, dev: string): Promise<Json> =>
    JSON.parse(await must("ip", "-n", netns, "-j", "-d", "link", "show", "dev", dev))[0];

  before(async () => {
    await cluster.open();
    for (const [name, spec] of [
      ["blue", SPEC],
      ["frames", FRAMES],
    ] as const) {
      const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
      assert.equal(status, 201, JSON.stringify(body));
    }
    await cluster.converged();
  });
  after(() => cluster.close());

  test("leases of two ranges reach each other across hosts, in both families", async () => {
    const a = await attach("h1", "blue", "a");
    const b = await attach("h2", "blue", "b");
    const c = await attach("h2", "blue", "c", { range: "edge" });
    assert.deepEqual(
      [a.addresses, b.addresses, c.addresses],
      [["10.7.1.0", "fd07::1:0"], ["10.7.1.1", "fd07::1:1"], ["10.7.2.0"]],
    );
    assert.deepEqual([a.mac, c.mac], ["02:00:0a:07:01:00", "02:00:0a:07:02:00"]);
    await cluster.converged();
    for (const [from, to] of [
      ["a", "10.7.2.0"],
      ["a", "fd07::1:1"],
      ["c", "10.7.1.0"],
      ["c", "10.7.1.1"],
      ["b", "fd07::1:0"],
    ] as const)
      await reaches(from, to);
  });

  test("what a range has otherwise: gateway, MTU on both ends, name servers", async () => {
    const routes = async (name: string) => must("ip", "-n", of(name).netns, "route", "show", "default");
    assert.match(await routes("a"), /via 10.7.0.1 /);
    assert.match(await routes("c"), /via 10.7.2.254 /);
    for (const gateway of ["10.7.2.254", "10.7.0.1"]) await reaches("c", gateway);
    const link = await linkOf(of("c").netns, "eth0");
    assert.equal(link.mtu, 1300);
    assert.equal((await linkOf(of("a").netns, "eth0")).mtu, 1450);
    const ports = JSON.parse(await must("ip", "-n", cluster.vrfNetns("h2", "blue"), "-j", "link", "show"));
    const port = ports.find((each: Json) => each.ifalias === "weft:endpoint:c.eth0");
    assert.equal(port?.mtu, 1300);
    const { body } = await call(cluster.agentSocket("h2"), "GET", "/v1/attachments");
    const shown = new Map(body.items.map((item: Json) => [item.endpoint, [item.dns, item.mtu, item.gateways]]));
    assert.deepEqual(shown.get("c.eth0"), [["10.7.2.53"], 1300, ["10.7.2.254"]]);
    assert.deepEqual(shown.get("b.eth0"), [[], 1450, ["10.7.0.1", "fd07::1"]]);
  });

  test("SLAAC: both prefixes across hosts, and the way to the static range through the gateway", async () => {
    const s = await attach("h1", "blue", "s", { range: "slaac" });
    const t = await attach("h2", "blue", "t", { range: "slaac" });
    for (const { addresses } of [s, t]) {
      assert.match(addresses[0] ?? "", /^fd08::/);
      assert.match(addresses[1] ?? "", /^fd09::/);
    }
    // The kernel makes the same interface identifier of the MAC by itself, on a link that nobody configures.
    await must("ip", "-n", s.netns, "link", "add", "own", "address", s.mac, "type", "veth", "peer", "name", "other");
    for (const dev of ["own", "other"]) await must("ip", "-n", s.netns, "link", "set", dev, "up");
    const own = JSON.parse(await must("ip", "-n", s.netns, "-j", "-6", "addr", "show", "dev", "own", "scope", "link"));
    const identifier = own[0]?.addr_info[0]?.local.replace("fe80::", "");
    assert.ok(s.addresses[0]?.endsWith(`:${identifier}`), `${s.addresses[0]} ends with ${identifier}`);
    await cluster.converged();
    for (const to of t.addresses) await reaches("s", to);
    for (const to of s.addresses) await reaches("t", to);
    await reaches("s", "fd07::1:1");
    await reaches("b", s.addresses[0] ?? "");
  });

  test("frames alone: a network without any address carries what workloads make of it", async () => {
    const x = await attach("h1", "frames", "x");
    const y = await attach("h2", "frames", "y");
    assert.deepEqual([x.addresses, y.addresses], [[], []]);
    assert.notEqual(x.mac, y.mac);
    for (const [{ netns, mac }, address] of [
      [x, "192.168.99.1"],
      [y, "192.168.99.2"],
    ] as const) {
      assert.equal((await linkOf(netns, "eth0")).address, mac);
      assert.equal((await must("ip", "-n", netns, "-4", "addr", "show", "dev", "eth0")).trim(), "");
      await must("ip", "-n", netns, "addr", "add", `${address}/24`, "dev", "eth0");
    }
    await cluster.converged();
    await reaches("x", "192.168.99.2");
    await reaches("y", "192.168.99.1");
  });

  test("an agent that is killed comes back to the same leases", async () => {
    await cluster.kill("h2");
    await cluster.startAgent("h2");
    await cluster.converged();
    await reaches("a", "10.7.2.0");
    await reaches("x", "192.168.99.2");
    const { body } = await call(cluster.agentSocket("h2"), "GET", "/v1/attachments");
    assert.deepEqual(body.items.map((item: Json) => item.endpoint).toSorted(), [
      "b.eth0",
      "c.eth0",
      "t.eth0",
      "y.eth0",
    ]);
  });

  test("a check of server, journals and kernels finds nothing: what a workload gave itself is its own", async () => {
    const checked = await cluster.weft("ipam", "check");
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  });

  test("a range taken away by force: its hosts detach what was in it, and nobody else notices", async () => {
    const without = { ...SPEC, ranges: RANGES.filter((range) => range.name !== "edge") };
    const refused = await cluster.api("PUT", "/v1/networks/blue", { spec: without });
    assert.deepEqual(
      [refused.body.reason, refused.body.blockers],
      ["in-use", ["endpoint c.eth0 on h2 (10.7.2.0, 02:00:0a:07:02:00)"]],
    );
    assert.equal((await cluster.api("PUT", "/v1/networks/blue?force=true", { spec: without })).status, 200);
    await until("the endpoint is gone at the server", async () => {
      return (await cluster.api("GET", "/v1/endpoints/c.eth0")).status === 404;
    });
    await until("its interface is gone", async () => {
      return (await run("ip", "-n", of("c").netns, "link", "show", "dev", "eth0")).code !== 0;
    });
    await cluster.converged();
    await reaches("a", "10.7.1.1");
    assert.equal(await cluster.pings(of("a"), "10.7.2.254"), false);
  });
});
