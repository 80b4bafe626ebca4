// A subnet that grows under its endpoints: their interfaces follow while they run, keep their way out and their
// gateway, and reach those that get addresses which the old subnet did not have.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, until, type Json, type Workload } from "./lab/cluster.ts";

describe("a subnet that grows, over two hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const put = async (name: string, spec: object) => {
    const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
    assert.ok(status === 200 || status === 201, JSON.stringify(body));
    return body;
  };
  const addressesOf = async ({ netns }: Workload): Promise<string[]> => {
    const links: Json = JSON.parse(await must("ip", "-n", netns, "-j", "addr", "show", "dev", "eth0"));
    const all: { scope: string; local: string; prefixlen: number }[] = links[0].addr_info;
    return all.filter(({ scope }) => scope === "global").map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  };

  before(async () => {
    await cluster.open();
    await put("blue", { subnets: [{ cidr: "10.7.0.0/24" }, { cidr: "fd07::/64" }] });
    await put("local", { vrf: "local", subnets: [{ cidr: "10.9.0.0/24", hostPrefix: 25 }] });
    await cluster.converged();
  });
  after(() => cluster.close());

  test("a global network: interfaces get the new length, and old and new addresses reach each other", async () => {
    const a = await cluster.attach("h1", "blue", "a");
    const b = await cluster.attach("h2", "blue", "b");
    await cluster.reaches(a, b.addresses[0] ?? "");
    const grown = await put("blue", { subnets: [{ cidr: "10.6.0.0/15" }, { cidr: "fd07::/48" }] });
    assert.deepEqual(grown.spec.subnets, [
      { cidr: "10.6.0.0/15", gateway: "10.7.0.1" },
      { cidr: "fd07::/48", gateway: "fd07::1" },
    ]);
    await cluster.converged();
    for (const workload of [a, b])
      await until(
        "its interface has the new length",
        async () => {
          const found = await addressesOf(workload);
          return found.length === 2 && found[0]?.endsWith("/15") === true && found[1]?.endsWith("/48") === true;
        },
        40_000,
      );
    const c = await cluster.attach("h1", "blue", "c", { addresses: ["10.6.0.9", "fd07:0:0:9::9"] });
    await cluster.converged();
    for (const [from, to] of [
      [a, "10.6.0.9"],
      [b, "10.6.0.9"],
      [b, "fd07:0:0:9::9"],
      [c, b.addresses[0] ?? ""],
      [c, b.addresses[1] ?? ""],
      [a, "10.7.0.1"],
      [c, "10.7.0.1"],
    ] as const)
      await cluster.reaches(from, to);
    for (const family of ["-4", "-6"])
      assert.match(await must("ip", "-n", a.netns, family, "route", "show", "default"), /via (10\.7\.0\.1|fd07::1) /);
    for (const { status } of (await cluster.status()).hosts) assert.deepEqual(status?.errors, []);
  });

  test("a local network: blocks stay, and there is room for one more host", async () => {
    const a = await cluster.attach("h1", "local", "la");
    const b = await cluster.attach("h2", "local", "lb");
    await cluster.reaches(a, b.addresses[0] ?? "");
    const before = await addressesOf(a);
    await put("local", { vrf: "local", subnets: [{ cidr: "10.8.0.0/15", hostPrefix: 25 }] });
    await cluster.converged();
    assert.deepEqual(await addressesOf(a), before);
    await cluster.reaches(a, b.addresses[0] ?? "");
    await cluster.addHost("h3");
    await cluster.startAgent("h3");
    await cluster.converged([...cluster.hosts, "h3"]);
    const c = await cluster.attach("h3", "local", "lc");
    await cluster.reaches(c, b.addresses[0] ?? "");
    await cluster.reaches(a, c.addresses[0] ?? "");
  });
});
