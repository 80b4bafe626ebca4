// Networks by Open vSwitch, with the datapath of the kernel: what differs from the one of ovs-vswitchd. Tunnels are the
// kernel's own, and packets pass while the daemon is away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inGuest } from "../guest/inGuest.ts";
import { must, packetsAt, until } from "./lab/cluster.ts";
import { segment } from "./lab/driverSuite.ts";
import { type OvsScene, ovsTests, saying } from "./lab/ovsSuite.ts";

const networks = {
  vlan: { spec: { ...segment(7), placement: "own", parent: "dc" }, mtu: 1500 },
  vxlan: { spec: { ...segment(7), placement: "own" }, mtu: 1450 },
  gre: { spec: { ...segment(7), tunnel: "gre" }, mtu: 1458 },
};

await inGuest(import.meta.filename, () =>
  ovsTests({ datapath: "system", family: 4, networks }, (all) => {
    packetTests(all);
    daemonTest(all);
  }),
);

function packetTests({ cluster, scene }: OvsScene): void {
  test("the largest packets and TCP pass, by both families, and none larger", async () => {
    for (const [network, { mtu = 0 }] of Object.entries(scene.networks)) {
      const [from, to] = [scene.of(`${network}-a`), scene.of(`${network}-c`)];
      for (const ip of to.addresses) {
        await until(`${mtu} bytes to ${ip} of ${network}`, () => scene.fits(from, ip, mtu));
        assert(!(await scene.fits(from, ip, mtu + 1)), `${mtu + 1} bytes to ${ip} of ${network}`);
      }
      for (const family of [4, 6] as const) await scene.stream(from, to, family, { bytes: 2_000_000 });
    }
  });

  test("the kernel has the datapath and its tunnels; frames on the wire have the VLAN", async () => {
    for (const host of cluster.hosts) {
      const ovs = cluster.switchOf(host);
      assert.match(ovs.vsctl("--columns=name,datapath_type", "list", "bridge"), /wop-dc\n.*system/);
      const links = await must("ip", "-n", cluster.netnsOf(host), "-br", "link");
      for (const device of ["ovs-system", "vxlan_sys_4790", "gre_sys"])
        assert.match(links, new RegExp(`^${device}`, "m"));
    }
    const to = scene.of("vlan-c").addresses[0] ?? "";
    const seen = await packetsAt(cluster.wire, "dc", "-e vlan", () => cluster.reaches(scene.of("vlan-a"), to));
    assert.match(seen, /vlan 100,.*ICMP echo request/);
  });
}

function daemonTest({ cluster, scene }: OvsScene): void {
  test("while ovs-vswitchd is away packets of known flows pass, and all after its start", async () => {
    const to = (network: string) => scene.of(`${network}-c`).addresses[0] ?? "";
    const ovs = cluster.switchOf("h1");
    for (const network of scene.names) await cluster.reaches(scene.of(`${network}-a`), to(network), 3);
    ovs.signal("ovs-vswitchd", "SIGKILL");
    await until("the agent says so", async () => (await saying(cluster, "h1")).includes("ovs-vswitchd does not run"));
    for (const network of scene.names) await cluster.reaches(scene.of(`${network}-a`), to(network));
    ovs.startSwitch();
    await cluster.converged();
    for (const network of scene.names) await cluster.reaches(scene.of(`${network}-a`), to(network));
  });
}
