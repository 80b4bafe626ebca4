// Networks by Open vSwitch, with the datapath of ovs-vswitchd, over an underlay of IPv6; and on a bridge of another's,
// with trunks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { packetsAt, until } from "./lab/cluster.ts";
import { type Station, driverSuite, segment } from "./lab/driverSuite.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { type OvsScene, ovsTests } from "./lab/ovsSuite.ts";

const trunk = { bridge: "br-ex", vlan: 33, trunks: ["200-202", "300"], spoofing: { tags: true } };
const networks = {
  trunk: { spec: { ...segment(7), ...trunk }, mtu: 1500 },
  vxlan: { spec: { ...segment(8) } },
  gre: { spec: { ...segment(7), placement: "own", tunnel: "gre" }, mtu: 1438 },
  other: { spec: { ...segment(7), placement: "own" } },
};

ovsTests({ datapath: "netdev", family: 6, networks }, (all) => {
  driverSuite(all.scene, 1430);
  trunkTest(all);
});

function trunkTest({ cluster, scene }: OvsScene): void {
  const VLANS = [200, 202, 300, 33, 203, 1, 4094];
  const TRUNK = [200, 202, 300];
  /** A tag with the network's own VLAN is none. */
  const passes = (vlan: number) => vlan === 33 || TRUNK.includes(vlan);
  const tagged = (frame: Buffer, vlan: number) => frames.tagged(frame, [0x8100, vlan]);

  test("what a workload sends with a tag of the trunk passes as it is, and with another it does not", async () => {
    const [from, near, far] = ["a", "b", "c"].map((name) => scene.of(`trunk-${name}`)) as [Station, Station, Station];
    const ends = await scene.ends(from, far, 4);
    const seen = await packetsAt(far.netns, "eth0", "-e vlan", async () => {
      for (const vlan of VLANS) {
        const [unicast, broadcast, fence] = [scene.tag(), scene.tag(), scene.tag()];
        from.wire.send(tagged(frames.udp(ends, 4000, unicast), vlan));
        from.wire.send(tagged(frames.udp({ ...ends, toMac: frames.BROADCAST }, 4000, broadcast), vlan));
        from.wire.send(frames.udp(ends, 4000, fence));
        await until("the fence is there", async () => far.wire.has(fence));
        for (const tag of [unicast, broadcast]) assert.equal(far.wire.has(tag), passes(vlan), `VLAN ${vlan}`);
        assert(!near.wire.has(unicast));
      }
    });
    const numbers = [...seen.matchAll(/ vlan (\d+),/g)].map(([, vlan]) => Number(vlan));
    assert.deepEqual(
      [...new Set(numbers)].toSorted((a, b) => a - b),
      TRUNK,
    );
  });

  test("what comes from outside with a tag of the trunk passes, and with another it does not", async (t) => {
    const far = scene.of("trunk-c");
    // A machine that Weft does not know.
    const machine = await Interface.in(cluster.wire, "dc");
    t.after(() => machine.close());
    const ends = {
      ...(await scene.ends(scene.of("trunk-a"), far, 4)),
      fromMac: "02:00:00:00:00:77",
      toMac: frames.BROADCAST,
    };
    for (const vlan of VLANS) {
      const [outside, fence] = [scene.tag(), scene.tag()];
      machine.send(tagged(frames.udp(ends, 4000, outside), vlan));
      machine.send(tagged(frames.udp(ends, 4000, fence), 33));
      await until("what is in the network's own VLAN is there", async () => far.wire.has(fence));
      assert.equal(far.wire.has(outside), passes(vlan), `VLAN ${vlan}`);
    }
  });
}
