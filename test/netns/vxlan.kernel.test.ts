// What every driver does, done by VXLAN, over an underlay of each family.
import { after, before, describe } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster } from "./lab/cluster.ts";
import { DriverScene, driverSuite, lastTests, segment, TUNNELED } from "./lab/driverSuite.ts";

for (const underlay of [4, 6] as const) {
  describe(`VXLAN over IPv${underlay}`, { skip: whyNoKernelTests() ?? false }, () => {
    const cluster = new Cluster(2, [], underlay);
    const scene = new DriverScene(cluster, "vxlan", {
      ...TUNNELED,
      group: { spec: { ...segment(7), peers: "multicast" } },
      // Networks of one VRF reach each other, and of this place there is one VRF.
      hosted: { spec: { ...segment(9), placement: "host", peers: underlay === 4 ? "multicast" : "unicast" } },
    });

    before(async () => {
      await cluster.open();
      await scene.open();
    });
    after(async () => {
      scene.close();
      await cluster.close();
    });

    driverSuite(scene, underlay === 4 ? 1450 : 1430);
    if (underlay === 4) lastTests(scene);
  });
}
