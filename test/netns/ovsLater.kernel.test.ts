// Open vSwitch that comes to a host whose agent has been there without it, and what it lacks there.
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

  const told = async (host: string): Promise<string> =>
    (await cluster.status()).hosts.find((one) => one.host === host)?.status?.conditions.join("\n") ?? "";

  test("a daemon that is dead is told also where no file says which process it was", async () => {
    const pid = cluster.switchOf("h2").loseProcessFiles();
    await put("/v1/physicalnetworks/other", { vlans: ["1-9"] });
    await cluster.converged();
    assert.doesNotMatch(await told("h2"), /ovs-vswitchd does not run/);
    process.kill(pid, "SIGKILL");
    await until("the host says so", async () => /ovs-vswitchd does not run/.test(await told("h2")), 40_000);
    cluster.switchOf("h2").startSwitch();
    await until("it runs again", async () => !/ovs-vswitchd does not run/.test(await told("h2")), 40_000);
    await cluster.converged();
  });

  test("tunnels that the datapath of ovs-vswitchd cannot send are a condition, with what to do", async () => {
    await put("/v1/networks/far", { ipam: "global", subnets: [{ cidr: "10.9.0.0/16" }], driver: "ovs", hosts: ["*"] });
    const said = await until("the host says so", async () => {
      const text = await told("h2");
      return text.includes("network far") && text;
    });
    assert.match(
      said,
      /nothing of network far passes .* the way to the others is eth0; load .*ovs-vsctl del-br wob\d+/,
    );
    assert.doesNotMatch(await told("h1"), /network far/);
    await cluster.converged();
    await cluster.moveUnderlay("h2");
    const [one, two] = [await cluster.attach("h1", "far", "far1"), await cluster.attach("h2", "far", "far2")];
    await cluster.reaches(one, two.addresses[0] ?? "");
    await until("nothing is said any more", async () => !(await told("h2")).includes("network far"), 40_000);
  });

  test("a bridge of others that is not there is a condition, and holds nothing back", async () => {
    await put("/v1/networks/inner", { ...segment(8), driver: "ovs", bridge: "br-none", hosts: ["h2"] });
    await until("the host says so", async () =>
      /network inner has no way out of this host: Open vSwitch has no bridge br-none .*add-br br-none/.test(
        await told("h2"),
      ),
    );
    await cluster.converged();
    const ovs = cluster.switchOf("h2");
    ovs.vsctl("add-br", "br-none", "--", "set", "bridge", "br-none", "datapath_type=netdev");
    await until("the port is there", async () => ovs.vsctl("list-ports", "br-none").startsWith("wo"));
    await until("nothing is said any more", async () => !(await told("h2")).includes("br-none"));
    ovs.vsctl("del-br", "br-none");
    await until("it is said again", async () => (await told("h2")).includes("br-none"));
    const { status } = await cluster.api("DELETE", "/v1/networks/inner");
    assert.equal(status, 200);
    await until("it ends with the network", async () => !(await told("h2")).includes("br-none"));
    await cluster.converged();
  });
});
