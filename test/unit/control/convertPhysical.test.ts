// Networks on physical networks, plain bridges and Open vSwitch: which changes are possible while endpoints use them,
// and what a refusal of the others says to do.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import { parsePut } from "../../../src/model/parse.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

const parsed = (spec: object): NetworkInput => parsePut("network", { spec });

/** Two hosts whose devices lead to two physical networks, and an endpoint of the network on each. */
async function labWith(spec: object): Promise<Lab> {
  const lab = await openLab();
  for (const name of ["lan", "wan"]) {
    const physical = parsePut("physicalnetwork", { spec: { vlans: ["100-199"] } });
    await lab.control.write({ verb: "put", kind: "physicalnetwork", name, spec: physical });
  }
  const physical = ["lan", "wan"].map((name, i) => ({ name, device: `eth${i + 1}` }));
  const devices = physical.map(({ device }) => ({ name: device, mtu: 1500, addresses: [] }));
  for (const n of [1, 2]) await lab.join(n, { physical, devices });
  await lab.put("net", parsed({ subnets: [{ cidr: "10.7.0.0/16" }], ...spec }));
  for (const n of [1, 2]) await lab.attach("net", `h${n}`, `w${n}`);
  return lab;
}

const WAYS = {
  vlan: { driver: "vlan", parent: "lan", vlan: 100 },
  bridge: { driver: "bridge", parent: "lan" },
  island: { driver: "bridge", bridge: "br-lan" },
  ovs: { driver: "ovs", parent: "lan", vlan: 100 },
  "ovs tunnel": { driver: "ovs", placement: "own", tunnel: "vxlan" },
} as const;

/** While it carries traffic, in phases; at once, because nothing of it is made anew; refused. */
const CHANGES: Readonly<
  Record<string, Readonly<Partial<Record<keyof typeof WAYS, "phases" | "at once" | "refused">>>>
> = {
  '{"mtu":1400}': { vlan: "phases", bridge: "phases", island: "phases", ovs: "phases", "ovs tunnel": "phases" },
  '{"description":"x"}': { vlan: "at once", bridge: "at once", island: "at once", ovs: "at once" },
  '{"stp":true,"forwardDelay":4}': { vlan: "at once", bridge: "at once", "ovs tunnel": "at once" },
  '{"trunks":["7"]}': { ovs: "at once" },
  '{"hosts":["*"]}': { vlan: "at once", bridge: "at once", ovs: "at once" },
  '{"vlan":101}': { vlan: "refused", ovs: "refused" },
  '{"outerVlan":9}': { vlan: "refused" },
  '{"parent":"wan"}': { vlan: "refused", bridge: "refused", ovs: "refused" },
  '{"bridge":"br-other"}': { vlan: "refused", island: "refused" },
  '{"tunnel":"gre"}': { "ovs tunnel": "refused" },
  '{"vni":7777}': { "ovs tunnel": "refused" },
  '{"driver":"bridge","vlan":null}': { vlan: "refused" },
  '{"driver":"vlan","vlan":100}': { bridge: "refused" },
  '{"driver":"vxlan","parent":null,"vlan":null,"placement":null,"gateway":null}': { vlan: "refused" },
};

for (const [text, ways] of Object.entries(CHANGES)) {
  for (const [way, expected] of Object.entries(ways)) {
    test(`${way}: ${text}: ${expected}`, async () => {
      const lab = await labWith(WAYS[way as keyof typeof WAYS]);
      const before = await lab.control.find("network", "net", ADMIN);
      const fields = JSON.parse(text) as object;
      const whole = Object.entries({ ...before?.spec, ...fields }).filter(([, value]) => value !== null);
      const put = () => lab.put("net", parsed(Object.fromEntries(whole)));
      if (expected === "refused") {
        await refuses(lab, "in-use", /network migrate/, put);
        assert.deepEqual(await lab.control.find("network", "net", ADMIN), before, "nothing has changed");
        return;
      }
      await put();
      const phase = (await lab.control.find("conversion", before?.spec.vrf ?? "", ADMIN))?.spec.phase;
      assert.equal(phase, expected === "phases" ? "narrow" : undefined);
    });
  }
}
