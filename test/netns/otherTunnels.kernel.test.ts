// A VXLAN device of another program on the port of Weft's tunnels receives nothing: the host says so, until one of them
// has another port.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, until } from "./lab/cluster.ts";

const MESSAGE = /VXLAN device encap, which is not Weft's, uses UDP port 8472/;

describe("a VXLAN device of others", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const weft = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.weft(...words);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  };
  before(() => cluster.open());
  after(() => cluster.close());

  test("is told of while Weft's tunnels use its port, and stays as it is", async () => {
    for (const [name, id, port] of [
      ["encap", "99", "8472"],
      ["far", "98", "4790"],
    ] as const) {
      const how = ["type", "vxlan", "id", id, "dstport", port, "local", cluster.underlayOf("h1")];
      await must("ip", "-n", cluster.netnsOf("h1"), "link", "add", name, ...how);
    }
    const device = () => must("ip", "-n", cluster.netnsOf("h1"), "-d", "link", "show", "encap");
    const asMade = await device();
    await weft("network", "create", "lab", "--subnet", "10.8.0.0/24");
    await cluster.attach("h1", "lab", "a");
    await cluster.attach("h2", "lab", "b");
    assert.doesNotMatch(await weft("status"), /VXLAN device/);
    await weft("network", "edit", "lab", "--tunnel-port", "8472", "--wait");
    await until("it is told", async () => MESSAGE.test(await weft("status")));
    const said = await weft("status");
    assert.match(said, /weft vrf edit lab --tunnel-port/);
    assert.doesNotMatch(said, /VXLAN device far/);
    await weft("network", "edit", "lab", "--tunnel-port", "4789", "--wait");
    await until("it has ended", async () => !MESSAGE.test(await weft("status")));
    assert.equal(await device(), asMade);
  });
});
