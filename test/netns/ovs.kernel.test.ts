// Networks by Open vSwitch, with the datapath of ovs-vswitchd, which every machine has, over an underlay of IPv4.
import assert from "node:assert/strict";
import { test } from "node:test";
import { packetsAt, until } from "./lab/cluster.ts";
import { driverSuite, segment } from "./lab/driverSuite.ts";
import { type OvsScene, driftTest, ovsTests, saying } from "./lab/ovsSuite.ts";

const networks = {
  vlan: { spec: { ...segment(7), placement: "own", parent: "dc" }, mtu: 1500 },
  vxlan: { spec: { ...segment(7), placement: "own" } },
  gre: { spec: { ...segment(7), tunnel: "gre" }, mtu: 1458 },
  other: { spec: { ...segment(7), placement: "own", parent: "dc", vlan: 105 } },
};

ovsTests({ datapath: "netdev", family: 4, networks }, (all) => {
  driverSuite(all.scene, 1450);
  tagTest(all);
  driftTest(all, "wop-dc", "vlan");
  daemonsTest(all);
});

function tagTest({ cluster, scene, vniOf }: OvsScene): void {
  test("frames on the wire have the VLAN that was chosen, or given; tunnels have a port of their own", async () => {
    for (const [network, vlan] of [
      ["vlan", 100],
      ["other", 105],
    ] as const) {
      const to = scene.of(`${network}-c`).addresses[0] ?? "";
      const seen = await packetsAt(cluster.wire, "dc", "-e vlan", () =>
        cluster.reaches(scene.of(`${network}-a`), to, 2),
      );
      assert.match(seen, new RegExp(`vlan ${vlan},.*ICMP echo request`));
    }
    const options = cluster.switchOf("h1").vsctl("get", "interface", `wt${await vniOf("vxlan")}-2`, "options");
    assert.match(options, /dst_port="4790"/);
  });
}

function daemonsTest({ cluster, scene }: OvsScene): void {
  const first = (name: string) => scene.of(name).addresses[0] ?? "";
  const passes = (network: string, peer: string) =>
    cluster.reaches(scene.of(`${network}-a`), first(`${network}-${peer}`));

  test("daemons that are killed are told, frames of one host pass, and the rest does after their start", async () => {
    const ovs = cluster.switchOf("h1");
    ovs.signal("ovs-vswitchd", "SIGKILL");
    for (const network of ["vlan", "vxlan", "gre"])
      await cluster.reaches(scene.of(`${network}-a`), first(`${network}-b`));
    await until("the agent says so", async () => (await saying(cluster, "h1")).includes("ovs-vswitchd does not run"));
    ovs.startSwitch();
    for (const network of ["vlan", "vxlan", "gre"]) await passes(network, "c");
    ovs.signal("ovsdb-server", "SIGKILL");
    await until("the agent says so", async () => (await saying(cluster, "h1")).includes("cannot be reached"));
    await cluster.reaches(scene.of("vlan-a"), first("vlan-b"));
    ovs.startDatabase();
    await cluster.converged();
    await passes("vlan", "c");
  });

  test("a database that comes back empty is filled again", async () => {
    const rows = () => cluster.switchOf("h2").vsctl("--columns=name,tag,protected", "list", "port");
    const was = rows().split("\n").toSorted();
    await cluster.forget("h2");
    await until("all rows are there", async () => rows().split("\n").toSorted().join() === was.join());
    await cluster.converged();
    await passes("vlan", "c");
  });
}
