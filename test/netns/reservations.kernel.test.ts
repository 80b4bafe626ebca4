// Reservations on the real kernel: endpoints of a network, of what is reserved from it and of what is reserved from
// that are on one segment over two hosts, also after an agent was killed; and what is deleted leaves nothing behind.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Json, type Workload } from "./lab/cluster.ts";

const RANGES = [
  { name: "main", type: "ip4-6-static", first: "10.7.1.0", first6: "fd07::1:0", size: 64 },
  { name: "edge", type: "ip4", first: "10.7.2.0", size: 64, gateway: "10.7.0.254", mtu: 1300, dns: ["10.7.2.53"] },
];
const SPEC = { subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }], ranges: RANGES };

describe("reservations over two hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);
  const attach = async (host: string, network: string, name: string, more: object = {}) => {
    workloads.set(name, await cluster.attach(host, network, name, { ...more }));
    return of(name);
  };
  const reaches = async (from: string, to: string) =>
    until(`${from} reaches ${to}`, () => cluster.pings(of(from), to), 5_000);
  const all = async () => {
    for (const from of workloads.keys())
      for (const [to, { addresses }] of workloads)
        for (const address of addresses)
          if (from !== to && (of(from).addresses.length > 1 || !address.includes(":"))) await reaches(from, address);
  };

  before(async () => {
    await cluster.open();
    assert.equal((await cluster.api("PUT", "/v1/networks/blue", { spec: SPEC })).status, 201);
    for (const [parent, body] of [
      ["blue", { name: "acme", size: 16, tenant: "acme" }],
      ["blue", { name: "acme", size: 16, range: "edge" }],
      ["acme", { name: "team", size: 4, first: "10.7.1.8" }],
    ] as const) {
      const { status, body: answer } = await cluster.api("POST", `/v1/networks/${parent}/reservations`, body);
      assert.ok(status < 300, JSON.stringify(answer));
    }
    await cluster.converged();
  });
  after(() => cluster.close());

  test("the network, its reservation and that one's are one segment, in both families", async () => {
    await attach("h1", "acme", "a");
    await attach("h2", "blue", "b");
    await attach("h2", "team", "t");
    await attach("h1", "blue", "c");
    await attach("h2", "acme", "e", { range: "piece-2" });
    assert.deepEqual(
      [...workloads.values()].map(({ addresses }) => addresses.join()),
      ["10.7.1.0,fd07::1:0", "10.7.1.16,fd07::1:10", "10.7.1.8,fd07::1:8", "10.7.1.17,fd07::1:11", "10.7.2.0"],
    );
    await cluster.converged();
    await all();
    const links = JSON.parse(await must("ip", "-n", cluster.vrfNetns("h1", "blue"), "-j", "link", "show"));
    const bridges = links.filter((link: Json) => String(link.ifname).startsWith("wb"));
    assert.equal(bridges.length, 1, "no reservation has a bridge");
  });

  test("a piece has what the range has that it is from: gateway, MTU, name servers", async () => {
    assert.match(await must("ip", "-n", of("e").netns, "route", "show", "default"), /via 10\.7\.0\.254 /);
    const [link] = JSON.parse(await must("ip", "-n", of("e").netns, "-j", "link", "show", "dev", "eth0"));
    assert.equal(link.mtu, 1300);
    await reaches("e", "10.7.0.254");
    await reaches("a", "10.7.0.1");
  });

  test("an agent that is killed comes back to the same, and a check finds nothing", async () => {
    await cluster.kill("h2");
    await cluster.startAgent("h2");
    await cluster.converged();
    await all();
    const checked = await cluster.weft("ipam", "check");
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  });

  test("a reservation deleted by force: its endpoints go and the rest stays", async () => {
    const refused = await cluster.api("DELETE", "/v1/networks/acme");
    assert.deepEqual([refused.body.reason, refused.body.blockers], ["in-use", ["reservation team"]]);
    assert.equal((await cluster.api("DELETE", "/v1/networks/acme?force=true")).status, 200);
    await until("their interfaces are gone", async () => {
      const shown = await Promise.all(
        ["a", "t", "e"].map((name) => run("ip", "-n", of(name).netns, "link", "show", "dev", "eth0")),
      );
      return shown.every(({ code }) => code !== 0);
    });
    for (const name of ["a", "t", "e"]) workloads.delete(name);
    await cluster.converged();
    await all();
    const entries = JSON.parse(await must("bridge", "-n", cluster.vrfNetns("h1", "blue"), "-j", "fdb", "show"));
    const macs = new Set(entries.map((entry: Json) => entry.mac));
    assert.ok(!macs.has("02:00:0a:07:02:00"), "the other host has forgotten it");
  });
});
