// VXLAN to GRE and back, of a switched and of a routed network, under traffic; over an underlay of either family. On a
// kernel that has both.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cluster, must } from "./cluster.ts";
import { BOTH, Converting, RUNS } from "./converting.ts";

export function convertSuite(family: 4 | 6): void {
  describe(`VXLAN to GRE and back over IPv${family}`, () => {
    const lab = new Converting(new Cluster(2, [], family));

    before(() => lab.open());
    after(() => lab.close());

    test("no packet is lost, and none comes twice", async () => {
      for (let run = 0; run < RUNS; run++) {
        for (const network of BOTH) await lab.start(network);
        for (const driver of ["gre", "vxlan"]) {
          for (const network of BOTH) await lab.edit(`/v1/networks/${network}`, { driver });
          for (const network of BOTH) await lab.over(network);
          for (const network of BOTH) assert.equal(await kindsOf(network), driver);
        }
        for (const network of BOTH) await lab.end(network);
      }
    });

    /** What a host has of tunnels; the kernel has one to any host by itself. */
    async function kindsOf(network: (typeof BOTH)[number]): Promise<string> {
      const gre = family === 4 ? "gretap" : "ip6gretap";
      const seen = await must("ip", "-n", lab.cluster.vrfNetns("h2", network), "-d", "-o", "link", "show");
      const has = [
        seen.includes(" vxlan id ") ? "vxlan" : "",
        new RegExp(` ${gre} remote (?!any)`).test(seen) ? "gre" : "",
      ];
      return has.filter((kind) => kind !== "").join(" and ");
    }
  });
}
