// Clusters of hosts: a network is in the kernels of the hosts that are in its clusters, and follows labels; a host that
// leaves by force detaches what it has, and its kernel is empty of the network.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, run, until } from "./lab/cluster.ts";

describe("networks of a cluster, over two hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const ask = async (method: "PUT" | "POST", path: string, body: object) => {
    const answer = await cluster.api(method, path, body);
    assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
  };
  const label = (host: string, labels: object, query = "") => ask("POST", `/v1/hosts/${host}/set${query}`, { labels });
  /** Whether the network's bridge is in the host's kernel. */
  const isThere = async (host: string, name: string) =>
    (await run("ip", "-n", cluster.vrfNetns(host, name), "link", "show", "dev", `wb-${name}`)).code === 0;

  before(async () => {
    await cluster.open();
    await label("h1", { rack: "r7" });
    await ask("PUT", "/v1/hostclusters/east", { spec: { selector: "rack=r7" } });
    const spec = { clusters: ["east"], hosts: ["*"] };
    await ask("PUT", "/v1/networks/blue", { spec: { ...spec, subnets: [{ cidr: "10.7.0.0/24" }] } });
    const subnets = [{ cidr: "9.0.0.0/22", hostPrefix: 24 }];
    await ask("PUT", "/v1/networks/dcos", { spec: { clusters: ["east"], subnets } });
    await cluster.converged();
  });
  after(() => cluster.close());

  test("it is where the cluster is, and elsewhere attaches are refused", async () => {
    for (const vrf of ["blue", "dcos"])
      assert.deepEqual([await isThere("h1", vrf), await isThere("h2", vrf)], [true, false], vrf);
    await assert.rejects(cluster.attach("h2", "blue", "no"), /host-outside|none of|cluster/);
  });

  test("a label brings a host in; it leaves by force only while it has endpoints, and then wholly", async () => {
    await label("h2", { rack: "r7" });
    await cluster.converged();
    const a = await cluster.attach("h1", "blue", "a");
    const b = await cluster.attach("h2", "blue", "b");
    const local = await cluster.attach("h2", "dcos", "c");
    const near = await cluster.attach("h1", "dcos", "d");
    await cluster.reaches(a, b.addresses[0] ?? "");
    await cluster.reaches(near, local.addresses[0] ?? "");
    const refused = async () => (await cluster.api("POST", "/v1/hosts/h2/set", { labels: {} })).body;
    await until("the server knows all of them", async () => {
      const { blockers = [] } = await refused();
      return /b\.eth0|c\.eth0/.test(String(blockers));
    });
    assert.equal((await refused()).reason, "in-use");
    await until("the local endpoint is registered", async () => {
      const { items } = (await cluster.api("GET", "/v1/endpoints")).body;
      return items.length === 4;
    });
    await label("h2", {}, "?force=true");
    for (const vrf of ["blue", "dcos"])
      await until(`h2 has nothing of ${vrf}`, async () => !(await isThere("h2", vrf)));
    assert.deepEqual([await isThere("h1", "blue"), await isThere("h1", "dcos")], [true, true]);
  });
});
