// MACs that Weft makes of addresses, where switches see those of many networks.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macBaseOf } from "../../../src/control/admit/address/derivedMac.ts";
import { formatMac } from "../../../src/model/address.ts";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { NetworkSpec } from "../../../src/model/resource.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

const base = (spec: Partial<NetworkSpec>) => macBaseOf(spec as NetworkSpec);

async function labWith(physical: string): Promise<Lab> {
  const lab = await openLab();
  await lab.control.write({ verb: "put", kind: "physicalnetwork", name: physical, spec: {} });
  for (const n of [1, 2])
    await lab.join(n, { physical: [{ name: physical, device: "eth1" }], devices: [{ name: "eth1", mtu: 1500 }] });
  return lab;
}

const onVlan = (vlan: number, more: Partial<NetworkInput> = {}): NetworkInput => ({
  driver: "vlan",
  parent: "lan",
  vlan,
  placement: "own",
  subnets: [{ cidr: "10.20.0.0/24" }],
  ...more,
});
const macIn = async (lab: Lab, network: string, owner: string, host = "h1") =>
  (await lab.attach(network, host, owner)).spec.mac;

test("networks of one range on two VLANs have no MAC in common, and one that is attached keeps its own", async () => {
  const lab = await labWith("lan");
  await lab.put("a", onVlan(100));
  await lab.put("b", onVlan(300));
  await lab.put("q", onVlan(100, { outerVlan: 7 }));
  await lab.put("flat", { driver: "bridge", parent: "lan", subnets: [{ cidr: "10.21.0.0/24" }] });
  assert.equal(await macIn(lab, "a", "one"), "02:64:0a:14:00:01");
  assert.equal(await macIn(lab, "b", "two"), "12:2c:0a:14:00:01");
  const [inner, flat] = [await macIn(lab, "q", "three"), await macIn(lab, "flat", "four")];
  assert.deepEqual([inner.slice(6), flat], ["0a:14:00:01", "02:00:0a:15:00:01"]);
  assert.notEqual(inner.slice(0, 5), "02:64");
  // As one that an earlier build attached.
  await lab.attach("a", "h1", "old", { mac: "02:00:0a:14:00:02" });
  assert.equal(await macIn(lab, "a", "old"), "02:00:0a:14:00:02");
});

test("no two VLANs have a MAC in common, nor two inside an outer one; all are locally administered", () => {
  const id = fc.integer({ min: 1, max: 4094 });
  fc.assert(
    fc.property(id, id, fc.option(id, { nil: undefined }), (a, b, outer) => {
      const of = (vlan: number) => base({ driver: "vlan", vlan, ...(outer === undefined ? {} : { outerVlan: outer }) });
      if (a !== b) assert.notEqual(of(a), of(b));
      assert.match(formatMac(of(a) + 0xffff_ffffn), /^[0-9a-f]2:[0-9a-f]{2}:ff:ff:ff:ff$/);
    }),
  );
  assert.equal(base({ driver: "vxlan", vni: 5 }), base({ driver: "bridge" }));
});

test("what is reserved of a network on a VLAN has the MACs that its endpoints would have", async () => {
  const lab = await labWith("lan");
  await lab.put("a", onVlan(100, { subnets: [{ cidr: "10.20.0.0/24" }, { cidr: "fd20::/64" }] }));
  await lab.put("six", onVlan(101, { subnets: [{ cidr: "fd21::/64" }] }));
  for (const [network, name] of [
    ["a", "part"],
    ["six", "part6"],
  ] as const)
    await lab.control.write({ verb: "reserve", network, request: { name, size: 4 } });
  const { addresses, mac } = (await lab.attach("part", "h1", "one")).spec;
  const last = Number(addresses[0]?.split(".")[3]);
  assert.equal(mac, `02:64:0a:14:00:${last.toString(16).padStart(2, "0")}`);
  assert.match(await macIn(lab, "part6", "two"), /^02:65:00:00:00:/);
});

test("islands whose addresses end alike get other MACs, and those that are asked for are refused", async () => {
  const lab = await labWith("farm");
  const island = (cidr: string): NetworkInput => ({
    driver: "bridge",
    parent: "farm",
    isolated: true,
    subnets: [{ cidr }],
  });
  const names = Array.from({ length: 8 }, (_, n) => `i${n}`);
  for (const [n, name] of names.entries()) await lab.put(name, island(`fd0${n}::/64`));
  const macs = new Set<string>();
  for (const name of names) macs.add(await macIn(lab, name, name));
  assert.equal(macs.size, names.length, [...macs].join());
  const [taken = ""] = macs;
  await refuses(lab, "address-taken", /beside it/, () => lab.attach("i1", "h1", "x", { mac: taken }));
  // Nor what another may send with.
  const virtual = "02:00:00:00:00:02";
  await lab.attach("i0", "h2", "v", { allowedAddresses: [{ address: "fd00::99", mac: virtual }] });
  assert.notEqual(await macIn(lab, "i1", "y"), virtual);
  assert.ok(await lab.control.find("endpoint", "y.eth0", ADMIN));
});
