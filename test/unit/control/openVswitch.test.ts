// Networks by Open vSwitch: which fields go together, what each refusal says, and which networks would be one segment.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import { parsePut } from "../../../src/model/parse.ts";
import { type Lab, openLab, refuses } from "./lab.ts";

let subnets = 0;
/** A network by Open vSwitch with addresses of its own, as the API takes it. */
const byOvs = (more: Partial<NetworkInput> = {}): NetworkInput =>
  parsePut("network", {
    spec: {
      driver: "ovs",
      placement: "own",
      subnets: [{ cidr: `10.${(subnets = (subnets + 1) % 256)}.0.0/24` }],
      ...more,
    },
  });

async function labWith(): Promise<Lab> {
  const lab = await openLab();
  const spec = parsePut("physicalnetwork", { spec: { vlans: ["100-101"] } });
  await lab.control.write({ verb: "put", kind: "physicalnetwork", name: "dc", spec });
  await lab.join(1, {
    physical: [{ name: "dc", device: "eth1" }],
    devices: [{ name: "eth1", mtu: 1500, addresses: [] }],
  });
  return lab;
}

test("without more it is tunnels of VXLAN; with a parent or a bridge there is no tunnel", async () => {
  const lab = await labWith();
  const wayOf = async (name: string, more?: Partial<NetworkInput>) => {
    const { tunnel, parent, bridge, vlan, trunks, masquerade } = (await lab.put(name, byOvs(more))).spec;
    return { tunnel, parent, bridge, vlan, trunks, masquerade };
  };
  const none = { parent: undefined, bridge: undefined, vlan: undefined, trunks: undefined };
  assert.deepEqual(await wayOf("a"), { ...none, tunnel: "vxlan", masquerade: true });
  assert.deepEqual(await wayOf("b", { tunnel: "gre" }), { ...none, tunnel: "gre", masquerade: true });
  const outside = { ...none, tunnel: "none", masquerade: false };
  assert.deepEqual(await wayOf("c", { parent: "dc" }), { ...outside, parent: "dc", vlan: 100 });
  assert.deepEqual(await wayOf("d", { bridge: "br-int", vlan: 7, trunks: ["30-40,35-50", "9"] }), {
    ...outside,
    bridge: "br-int",
    vlan: 7,
    trunks: ["9", "30-50"],
  });
});

const REFUSED: readonly (readonly [what: string, more: object, where: string, why: RegExp])[] = [
  ["a VLAN 0", { bridge: "br0", vlan: 0 }, "spec.vlan", /vlan/],
  ["a VLAN 4095", { bridge: "br0", vlan: 4095 }, "spec.vlan", /vlan/],
  ["a trunk of 0", { bridge: "br0", trunks: ["0"] }, "spec.trunks[0]", /0 is the tag of frames without a VLAN/],
  ["a trunk of 4095", { bridge: "br0", trunks: ["7", "4000-4095"] }, "spec.trunks[1]", /4095 is reserved/],
  ["a trunk of words", { bridge: "br0", trunks: ["all"] }, "spec.trunks[0]", /"all" is not a VLAN id/],
  ["no tunnel and nothing else", { tunnel: "none" }, "spec.tunnel", /neither a parent nor a bridge/],
  ["a tunnel on a physical network", { tunnel: "vxlan", parent: "dc" }, "spec.parent", /cross the hosts' underlay/],
  ["a parent and a bridge", { parent: "dc", bridge: "br0" }, "spec.bridge", /either a parent or a bridge/],
  ["a bridge of 16 characters", { bridge: "a234567890123456" }, "spec.bridge", /15 characters/],
  ["a bridge of a physical network", { bridge: "wop-dc", vlan: 100 }, "spec.bridge", /segment of another/],
  ["a bridge of another's tunnels", { bridge: "wob4096" }, "spec.bridge", /segment of another/],
  ["an outer VLAN", { parent: "dc", outerVlan: 7 }, "spec.outerVlan", /its ports have one tag/],
  ["an unknown parent", { parent: "nowhere" }, "spec.parent", /nowhere/],
  [
    "blocks",
    { subnets: [{ cidr: "10.0.0.0/16", hostPrefix: 24 }] },
    "spec.ipam",
    /a local network cannot have driver ovs/,
  ],
  ["masquerade behind a bridge", { bridge: "br0", masquerade: true }, "spec.masquerade", /does not masquerade/],
  ["fields of it without it", { driver: "vxlan", tunnel: "gre" }, "spec.tunnel", /it is for Open vSwitch/],
];
for (const [what, more, where, why] of REFUSED)
  test(`refused: ${what}`, async () => {
    const lab = await labWith();
    await assert.rejects(
      async () => lab.put("a", byOvs(more as Partial<NetworkInput>)),
      (error) => {
        assert(error instanceof Error && why.test(error.message), String(error));
        assert(error.message.includes(where), error.message);
        return true;
      },
    );
  });

test("two networks on one bridge, or on one physical network, are two segments", async () => {
  const lab = await labWith();
  await lab.put("a", byOvs({ bridge: "br-int" }));
  await refuses(
    lab,
    ["vlan-taken", "spec.vlan"],
    /the frames without a tag on bridge br-int belong to network "a"/,
    () => lab.put("b", byOvs({ bridge: "br-int" })),
  );
  await lab.put("b", byOvs({ bridge: "br-int", vlan: 5, trunks: ["20-30"] }));
  await refuses(lab, ["vlan-taken", "spec.vlan"], /VLAN 25 on bridge br-int belongs to network "b"/, () =>
    lab.put("c", byOvs({ bridge: "br-int", vlan: 25 })),
  );
  await refuses(lab, ["vlan-taken", "spec.trunks"], /VLAN 5 /, () =>
    lab.put("c", byOvs({ bridge: "br-int", vlan: 6, trunks: ["1-9"] })),
  );
  await lab.put("c", byOvs({ bridge: "br-other", vlan: 5 }));
  await lab.put("d", byOvs({ parent: "dc", vlan: 50, trunks: ["60-69"] }));
  await refuses(lab, ["vlan-taken", "spec.vlan"], /VLAN 65 on physical network "dc" belongs to network "d"/, () =>
    lab.put("e", byOvs({ parent: "dc", vlan: 65 })),
  );
  // Of another driver on it, too.
  await refuses(lab, ["vlan-taken", "spec.vlan"], /VLAN 65 /, () =>
    lab.put("e", { ...byOvs({ parent: "dc", vlan: 65 }), driver: "vlan" }),
  );
  await lab.put("e", byOvs({ parent: "dc", vlan: 70 }));
});

test("a UDP port is of Open vSwitch's tunnels, or of others", async () => {
  const lab = await labWith();
  const vrf = (tunnelPort: number) =>
    lab.control.write({ verb: "put", kind: "vrf", name: "red", spec: parsePut("vrf", { spec: { tunnelPort } }) });
  await lab.put("a", byOvs());
  await refuses(lab, ["in-use", "spec.tunnelPort"], /UDP port 4790.*network "a" uses it/, () => vrf(4790));
  await lab.control.write({ verb: "delete", kind: "network", name: "a" });
  await vrf(4790);
  await refuses(lab, ["in-use", "spec.tunnelPort"], /UDP port 4790.*VRF "red" uses it/, () => lab.put("a", byOvs()));
  // Nor while hosts still have the port.
  await lab.put("n", { vrf: "red", subnets: [{ cidr: "10.240.0.0/24" }] });
  await lab.attach("n", "h1", "one");
  await vrf(4789);
  await refuses(lab, ["in-use", "spec.tunnelPort"], /the conversion of VRF "red" uses it/, () => lab.put("a", byOvs()));
  await lab.put("a", byOvs({ tunnel: "gre" }));
});

test("another tunnel port of its VRF is not waited for by hosts: no packet of Open vSwitch has it", async () => {
  const lab = await labWith();
  await lab.put("a", byOvs());
  await lab.attach("a", "h1", "w");
  const spec = parsePut("vrf", { spec: { tunnelPort: 8472 } });
  await lab.control.write({ verb: "put", kind: "vrf", name: "a", spec });
  const { vrfs, conversions } = await lab.snapshot();
  assert.deepEqual([vrfs.find(({ name }) => name === "a")?.spec.tunnelPort, conversions], [8472, []]);
  // With one that has it, they follow.
  await lab.put("b", { subnets: [{ cidr: "10.201.0.0/24" }], vrf: "a" });
  await lab.attach("b", "h1", "v");
  await lab.control.write({
    verb: "put",
    kind: "vrf",
    name: "a",
    spec: parsePut("vrf", { spec: { tunnelPort: 4789 } }),
  });
  assert.equal((await lab.snapshot()).conversions.length, 1);
});

test("how frames cross does not change while there are endpoints", async () => {
  const lab = await labWith();
  await lab.put("a", byOvs({ bridge: "br-int", vlan: 5 }));
  await lab.attach("a", "h1", "w");
  await refuses(lab, ["in-use", undefined], /`bridge` of network "a" cannot change/, () =>
    lab.put("a", byOvs({ bridge: "br-other", vlan: 5, subnets: [{ cidr: "10.200.0.0/24" }] })),
  );
});
