// What every driver does, done by plain bridges: alone on a physical network, as an island beside another, and on a
// bridge that hosts have already.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must } from "./lab/cluster.ts";
import { DriverScene, driverSuite, lastTests, segment } from "./lab/driverSuite.ts";
import { Segment } from "./lab/segment.ts";

describe("plain bridges", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const scene = new DriverScene(cluster, "bridge", {
    plain: { spec: { ...segment(1), parent: "lan" } },
    island: { spec: { ...segment(2), parent: "shared", isolated: true } },
    plugged: { spec: { ...segment(3), bridge: "br0" } },
    other: { spec: { ...segment(4), parent: "shared", isolated: true } },
  });

  before(async () => {
    await cluster.open();
    for (const dev of ["lan", "shared", "theirs"]) {
      const switched = new Segment(`${cluster.id}-${dev}`);
      await switched.open();
      for (const host of cluster.hosts) await switched.plug(cluster.netnsOf(host), `${dev}0`, host);
    }
    for (const name of ["lan", "shared"]) assert.equal((await cluster.weft("physical", "create", name)).code, 0);
    for (const host of cluster.hosts) {
      const words = ["--physical", "lan=lan0", "--physical", "shared=shared0"];
      assert.equal((await cluster.weft("host", "set", host, ...words)).code, 0);
      const inHost = (...args: readonly string[]) => must("ip", "-n", cluster.netnsOf(host), ...args);
      await inHost("link", "add", "br0", "up", "type", "bridge");
      await inHost("link", "set", "theirs0", "master", "br0");
    }
    await scene.open();
  });
  after(async () => {
    scene.close();
    await cluster.close();
  });

  driverSuite(scene, 1500);
  lastTests(scene);
});
