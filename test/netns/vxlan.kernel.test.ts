// What every driver does, done by VXLAN, over an underlay of each family.
import { after, before, describe } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster } from "./lab/cluster.ts";
import { DriverScene, driverSuite } from "./lab/driverSuite.ts";

for (const underlay of [4, 6] as const) {
  describe(`VXLAN over IPv${underlay}`, { skip: whyNoKernelTests() ?? false, timeout: 120_000 }, () => {
    const cluster = new Cluster(2, [], underlay);
    const scene = new DriverScene(cluster, "vxlan");

    before(async () => {
      await cluster.open();
      await scene.open();
    });
    after(async () => {
      scene.close();
      await cluster.close();
    });

    driverSuite(scene, underlay === 4 ? 1450 : 1430);
  });
}
