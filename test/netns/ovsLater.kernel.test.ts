// Open vSwitch that comes to a host whose agent has been there without it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { packetsAt, until } from "./lab/cluster.ts";
import { segment } from "./lab/driverSuite.ts";
import { ovsObstacle } from "./lab/openVswitch.ts";
import { OvsCluster } from "./lab/ovsCluster.ts";

describe("Open vSwitch that comes later", {
  skip: whyNoKernelTests() ?? ovsObstacle() ?? false,
}, () => {
  const cluster = new OvsCluster("netdev", 4, ["h2"]);
  const features = async (host: string): Promise<readonly string[]> =>
    (await cluster.api("GET", `/v1/hosts/${host}`)).body.spec.features;
  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert.equal(status, 201, JSON.stringify(body));
  };

  before(async () => {
    await cluster.open();
    await put("/v1/physicalnetworks/dc", { vlans: ["100-109"] });
    for (const host of cluster.hosts) {
      const { status } = await cluster.api("POST", `/v1/hosts/${host}/set`, {
        physical: [{ name: "dc", device: "eth1" }],
      });
      assert.equal(status, 200);
    }
    await put("/v1/networks/office", { ...segment(7), driver: "ovs", parent: "dc", hosts: ["*"] });
    await cluster.converged();
  });
  after(() => cluster.close());

  test("until then the host is no member of networks of all hosts, and gets no endpoint", async () => {
    assert.deepEqual(await Promise.all(cluster.hosts.map(async (host) => (await features(host)).includes("ovsdb"))), [
      true,
      false,
    ]);
    await assert.rejects(cluster.attach("h2", "office", "early"), /feature-missing.*openvswitch-switch/);
  });

  test("the agent finds it, the network comes by itself, and packets pass", async () => {
    await cluster.install("h2");
    const ovs = cluster.switchOf("h2");
    await until("the server knows", async () => (await features("h2")).includes("ovsdb"), 30_000);
    await until("the network is there", async () => {
      return ovs.vsctl("--bare", "--columns=tag", "find", "port", 'external_ids:weft!=""').includes("100");
    });
    const [one, two] = [await cluster.attach("h1", "office", "one"), await cluster.attach("h2", "office", "two")];
    const seen = await packetsAt(cluster.wire, "dc", "-e vlan", async () => {
      for (const to of two.addresses) await cluster.reaches(one, to);
      for (const to of one.addresses) await cluster.reaches(two, to);
    });
    assert.match(seen, /vlan 100,.*ICMP echo request/);
    await cluster.converged();
  });
});
