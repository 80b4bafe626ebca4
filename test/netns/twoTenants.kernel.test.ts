// Two tenants who know nothing but a name: each makes a network from the template private-ipv4. They get the same
// addresses on the same hosts; each reaches its own and the outside, and nothing of one is seen by the other.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, OUTSIDE, packetsAt, type Workload } from "./lab/cluster.ts";
import { cliOf } from "./lab/weft.ts";

const TENANTS = ["red", "blue"] as const;
type Tenant = (typeof TENANTS)[number];

describe("two tenants with networks of private-ipv4", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const { weft, refused } = cliOf(cluster);
  const workloads = new Map<string, Workload>();
  const of = (tenant: Tenant, host: string) =>
    workloads.get(`${tenant}-${host}`) ?? assert.fail(`nothing of ${tenant} on ${host}`);

  before(() => cluster.open());
  after(() => cluster.close());

  test("a name is enough, and both have the same addresses", async () => {
    for (const tenant of TENANTS) {
      const said = await weft("template", "instantiate", "private-ipv4", tenant);
      assert.match(
        said,
        new RegExp(`network ${tenant} created .*: 10\\.64\\.0\\.0/24, gateway 10\\.64\\.0\\.1, VRF ${tenant}`),
      );
    }
    await refused(/there is a network "red" already/, "template", "instantiate", "private-ipv4", "red");
    await cluster.converged();
    for (const tenant of TENANTS)
      for (const host of cluster.hosts)
        workloads.set(`${tenant}-${host}`, await cluster.attach(host, tenant, `${tenant}-${host}`));
    await cluster.converged();
    for (const host of cluster.hosts) {
      assert.deepEqual(of("red", host).addresses, of("blue", host).addresses);
      assert.match(of("red", host).addresses[0] ?? "", /^10\.64\.0\./);
    }
  });

  test("each pings its own and its gateway; the outside sees the host", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const tenant of TENANTS) {
      const from = of(tenant, "h1");
      await cluster.reaches(from, address);
      await cluster.reaches(from, "10.64.0.1");
      await cluster.reaches(from, OUTSIDE);
      const outside = await packetsAt(cluster.wire, "lan", `icmp and host ${OUTSIDE}`, () =>
        cluster.pings(from, OUTSIDE, 2),
      );
      assert.match(outside, new RegExp(`${cluster.underlayOf("h1")} > ${OUTSIDE}`));
      assert.doesNotMatch(outside, /10\.64\./);
    }
  });

  test("no frame of one is at the other: not at its workloads, not in its namespaces", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const [sender, silent] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const { mac } = of(sender, "h1");
      const ears = cluster.hosts.flatMap((host) => [
        { netns: of(silent, host).netns, dev: "eth0" },
        { netns: cluster.vrfNetns(host, silent), dev: "any" },
      ]);
      let heard = "";
      let act: () => Promise<unknown> = async () => {
        assert(await cluster.pings(of(sender, "h1"), address, 5, 10_000));
        await cluster.pings(of(sender, "h1"), OUTSIDE, 2);
      };
      for (const { netns, dev } of ears) {
        const inner = act;
        act = async () => void (heard += await packetsAt(netns, dev, "icmp", inner));
      }
      await act();
      assert.equal(heard, "", `${silent} hears ${sender} (${mac})`);
    }
  });
});
