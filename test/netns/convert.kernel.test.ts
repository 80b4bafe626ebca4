// Networks change how their frames cross, and in which sizes, while 1 kHz of datagrams both ways, broadcasts and a TCP
// stream pass: nothing is lost and nothing comes twice. A switched and a routed network, in VRFs of their own, go
// through it at the same time. What happens when server and agents die meanwhile is in convertKilled.kernel.test.ts.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must } from "./lab/cluster.ts";
import { BOTH, Converting } from "./lab/converting.ts";

describe("a live conversion", { skip: whyNoKernelTests() ?? false, concurrency: true }, () => {
  const lab = new Converting(new Cluster(3));
  const { cluster } = lab;

  before(() => lab.open());
  after(() => lab.close());

  for (const network of BOTH) {
    const path = `/v1/networks/${network}`;
    const vrf = `/v1/vrfs/${network}`;
    test(`${network}: another port, MTU and VNI, and back; one after the other`, async () => {
      await lab.under(network, async () => {
        for (const port of [8472, 4789]) {
          await lab.change(network, vrf, { tunnelPort: port });
          for (const host of cluster.hosts)
            assert.match(
              (await lab.devices(host, network)).join(),
              new RegExp(`^wx\\d+${port === 8472 ? "b" : ""} ${port} `),
            );
        }
      });
      // With the headers of IPv4, 1450 bytes: packets that become too large are sent in pieces.
      await lab.under(network, () => resize(network), 1422);
      const owner = network === "switched" ? path : vrf;
      const { vni } = await lab.spec(owner);
      await lab.under(network, async () => {
        for (const next of [5000 + BOTH.indexOf(network), vni]) {
          await lab.change(network, owner, { vni: next });
          assert.match((await lab.devices("h2", network)).join(), new RegExp(`^wx\\d+ 4789 ${next}$`));
        }
      });
      if (network === "switched") await lab.under(network, grouped);
    });
  }

  async function resize(network: (typeof BOTH)[number]): Promise<void> {
    for (const mtu of [1400, 1450]) {
      await lab.change(network, `/v1/networks/${network}`, { mtu });
      for (const { netns } of lab.of(network)) {
        assert.match(await must("ip", "-n", netns, "link", "show", "eth0"), new RegExp(` mtu ${mtu} `));
        assert.doesNotMatch(await must("ip", "-n", netns, "route", "show"), / mtu /);
      }
    }
  }

  /** One device, changed in place. */
  async function grouped(): Promise<void> {
    for (const peers of ["multicast", "unicast"]) {
      await lab.change("switched", "/v1/networks/switched", { peers, group: undefined });
      const seen = await must("ip", "-n", cluster.vrfNetns("h2", "switched"), "-d", "link", "show", "type", "vxlan");
      assert.equal(/ group 239\./.test(seen), peers === "multicast", seen);
      const groups = await must("ip", "-n", cluster.netnsOf("h2"), "maddress", "show", "dev", "eth0");
      assert.equal(/inet +239\./.test(groups), peers === "multicast", groups);
    }
  }
});
