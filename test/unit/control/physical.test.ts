// Physical networks: which VLAN a network gets, what is refused of VLANs and of hosts' devices, what is told of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePut } from "../../../src/model/parse.ts";
import { physicalOf } from "../../../src/model/physical.ts";
import type { HostClaim, NetworkInput } from "../../../src/model/input.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

let subnets = 0;
/** A network on `lan`, with addresses of its own. */
const onLan = (more: Partial<NetworkInput> = {}): NetworkInput => ({
  driver: "vlan",
  parent: "lan",
  subnets: [{ cidr: `10.${(subnets = (subnets + 1) % 256)}.0.0/24` }],
  ...more,
});
const putPhysical = (lab: Lab, name: string, spec: object) =>
  lab.control.write({ verb: "put", kind: "physicalnetwork", name, spec: parsePut("physicalnetwork", { spec }) });
const setHost = (lab: Lab, host: string, ...words: readonly string[]) =>
  lab.control.write({
    verb: "set-host",
    host,
    settings: {
      physical: words.map((word) => ({ name: word.split("=")[0] ?? "", device: word.split("=")[1] ?? "" })),
    },
  });
const eth1: Partial<HostClaim> = {
  physical: [{ name: "lan", device: "eth1" }],
  devices: [{ name: "eth1", mtu: 1500 }],
};
const told = async (lab: Lab) =>
  (await lab.control.conditions()).map(({ reason, host, message }) => `${reason} ${host}: ${message}`).toSorted();

async function labWith(vlans: readonly string[] | undefined, ...hosts: readonly Partial<HostClaim>[]): Promise<Lab> {
  const lab = await openLab();
  await putPhysical(lab, "lan", vlans === undefined ? {} : { vlans });
  for (const [i, more] of hosts.entries()) await lab.join(i + 1, more);
  return lab;
}

test("a network gets the VLAN it asks for, or the lowest free one of the range, and none gets it twice", async () => {
  const lab = await labWith(["100-101,300", "102"]);
  const vlanOf = async (name: string, more?: Partial<NetworkInput>) => (await lab.put(name, onLan(more))).spec.vlan;
  assert.equal(await vlanOf("a"), 100);
  assert.equal(await vlanOf("b", { vlan: 101 }), 101);
  assert.equal(await vlanOf("c", { vlan: 7 }), 7);
  assert.equal(await vlanOf("d"), 102);
  assert.equal(await vlanOf("e"), 300);
  await refuses(lab, ["exhausted", "spec.vlan"], /no VLAN of 100-102, 300 is free in physical network "lan"/, () =>
    vlanOf("f"),
  );
  await refuses(lab, ["vlan-taken", "spec.vlan"], /VLAN 7 of physical network "lan" belongs to network\/c/, () =>
    vlanOf("f", { vlan: 7 }),
  );
  // Inside an outer one they are others, and free again when the network goes.
  assert.equal(await vlanOf("f", { outerVlan: 7 }), 100);
  assert.equal(await vlanOf("g", { outerVlan: 7 }), 101);
  await lab.control.write({ verb: "delete", kind: "network", name: "a" });
  assert.equal(await vlanOf("h"), 100);
});

test("a network keeps its VLAN when it is put again, and so when what it had is beyond a new range", async () => {
  const lab = await labWith(["100-199"]);
  const { spec } = await lab.put("a", onLan());
  await putPhysical(lab, "lan", { vlans: ["500-599"] });
  const again = await lab.put("a", { driver: "vlan", parent: "lan", subnets: spec.subnets, description: "again" });
  assert.equal(again.spec.vlan, 100);
  assert.equal((await lab.put("b", onLan())).spec.vlan, 500);
});

test("outer VLANs have one namespace on each host", async () => {
  const lab = await labWith(["100-199"]);
  await lab.put("a", onLan({ outerVlan: 7, placement: "own" }));
  await refuses(lab, ["unsupported", "spec.outerVlan"], /network "a" has it in VRF "a"/, () =>
    lab.put("b", onLan({ outerVlan: 7 })),
  );
  await lab.put("b", onLan({ outerVlan: 7, placement: "own", vrf: "a" }));
  await lab.put("c", onLan({ outerVlan: 8 }));
});

test("ids that are none are refused before anything else", () => {
  const vlan = (id: unknown) => () => parsePut("network", { spec: { ...onLan(), vlan: id } });
  for (const [id, text] of [
    [0, /vlan-invalid.*spec\.vlan: expected a number >= 1, got 0/],
    [4095, /vlan-invalid.*expected a number <= 4094, got 4095/],
    [5000, /vlan-invalid.*got 5000/],
    ["abc", /request-invalid.*spec\.vlan: expected integer, got "abc"/],
  ] as const)
    assert.throws(
      vlan(id),
      (error) => text.test(`${(error as { reason?: string }).reason} ${String(error)}`),
      String(id),
    );
  const range = (text: string) => () => parsePut("physicalnetwork", { spec: { vlans: [text] } });
  for (const [text, why] of [
    ["0-9", /0 is the tag of frames without a VLAN/],
    ["4000-4095", /4095 is reserved/],
    ["9-5", /ends before it begins/],
    ["abc", /neither a number/],
    ["", /neither a number/],
    ["1-5000", /12 bits/],
  ] as const)
    assert.throws(range(text), why, text);
  assert.deepEqual(parsePut("physicalnetwork", { spec: { vlans: ["300,7", "8-9"] } }).vlans, ["7-9", "300"]);
});

test("what a VLAN cannot have is refused, and what only it can have is refused to others", async () => {
  const lab = await labWith(["100-199"]);
  const cases: readonly (readonly [Partial<NetworkInput>, Parameters<typeof refuses>[1], RegExp])[] = [
    [{ parent: "wan" }, ["physical-unknown", "spec.parent"], /there is no physical network "wan"/],
    [{ parent: undefined } as never, ["request-invalid", "spec.parent"], /has no parent/],
    [{ ipam: "local" }, ["unsupported", "spec.ipam"], /a local network cannot have driver vlan/],
    [{ masquerade: true }, ["unsupported", "spec.masquerade"], /gateway is a machine outside/],
    [{ driver: "vxlan" }, ["request-invalid", "spec.parent"], /driver vxlan has no parent/],
  ];
  for (const [more, expected, text] of cases) await refuses(lab, expected, text, () => lab.put("a", onLan(more)));
  const { spec } = await lab.put("a", onLan());
  assert.deepEqual([spec.masquerade, spec.subnets[0]?.gateway, spec.vni], [false, "none", undefined]);
  const outside = onLan({ subnets: [{ cidr: "10.99.0.0/24", gateway: "10.99.0.254" }] });
  assert.equal((await lab.put("b", outside)).spec.subnets[0]?.gateway, "10.99.0.254");
});

test("a range of a physical network may be what hosts have themselves", async () => {
  const lab = await labWith(["100-199"], { ...eth1, hostPrefixes: ["10.200.0.0/16"] });
  await lab.put("a", onLan({ subnets: [{ cidr: "10.200.0.0/16" }] }));
  assert.deepEqual(await told(lab), []);
});

test("the MTU is never above what the physical network and the devices that lead there carry", async () => {
  const lab = await labWith(["100-199"], eth1, { ...eth1, devices: [{ name: "eth1", mtu: 9000 }] });
  await refuses(lab, ["mtu-invalid", "spec.mtu"], /the device of host "h1" that leads there, carries 1500/, () =>
    lab.put("a", onLan({ mtu: 1501 })),
  );
  await lab.put("a", onLan({ mtu: 1500 }));
  await lab.join(3, { ...eth1, devices: [{ name: "eth1", mtu: 1400 }] });
  assert.deepEqual(await told(lab), [
    'mtu-invalid h3: network "a" has MTU 1500, but physical network "lan" and the device of host "h3" carry 1400',
  ]);
  await putPhysical(lab, "lan", { vlans: ["100-199"], mtu: 1300 });
  await refuses(lab, "mtu-invalid", /does not fit through the physical network "lan"/, () =>
    lab.put("b", onLan({ mtu: 1301 })),
  );
});

test("what the server was told of a host's devices counts, and what it was not told the agent says", async () => {
  const lab = await labWith(["100-199"], {
    physical: [
      { name: "lan", device: "eth1" },
      { name: "dmz", device: "eth2" },
    ],
  });
  const devices = async () =>
    physicalOf((await lab.control.find("host", "h1", ADMIN))?.spec ?? {}).map(
      ({ name, device }) => `${name}=${device}`,
    );
  await putPhysical(lab, "dmz", {});
  assert.deepEqual(await devices(), ["lan=eth1", "dmz=eth2"]);
  await setHost(lab, "h1", "lan=eth7");
  assert.deepEqual(await devices(), ["lan=eth7", "dmz=eth2"]);
  // A device has one physical network.
  await setHost(lab, "h1", "lan=eth2");
  assert.deepEqual(await devices(), ["lan=eth2"]);
  await setHost(lab, "h1", "lan=none");
  assert.deepEqual(await devices(), ["dmz=eth2"]);
  await refuses(lab, ["physical-unknown", "physical[0].name"], /"wan"/, () => setHost(lab, "h1", "wan=eth1"));
  await refuses(lab, "name-invalid", /"eth 1" cannot be the name/, () => setHost(lab, "h1", "lan=eth 1"));
  await refuses(lab, "device-unfit", /it carries "lan" already/, () => setHost(lab, "h1", "lan=eth1", "dmz=eth1"));
  await refuses(lab, "host-unknown", /"h9"/, () => setHost(lab, "h9", "lan=eth1"));
  await setHost(lab, "h1");
  assert.deepEqual(await devices(), ["lan=eth1", "dmz=eth2"]);
});

test("an endpoint needs a device on its host; one that is not there yet is told of", async () => {
  const lab = await labWith(["100-199"], eth1, {}, { physical: eth1.physical ?? [] });
  await lab.put("a", onLan());
  await lab.attach("a", "h1", "one");
  await refuses(lab, ["device-unfit", "host"], /no device of it leads to physical network "lan"/, () =>
    lab.attach("a", "h2", "two"),
  );
  await lab.attach("a", "h3", "three");
  assert.deepEqual(await told(lab), [
    'device-missing h3: network "a" has no way out of host "h3": there is no device eth1',
  ]);
  const token = await lab.join(4, { ...eth1, devices: [{ name: "eth1", mtu: 1500, down: true }] });
  await lab.attach("a", "h4", "four");
  assert.match((await told(lab)).join("\n"), /h4: .*: device eth1 is down \(ip link set eth1 up\)/);
  await lab.control.join({ ...(await claimOf(lab, 4)), ...eth1 }, token);
  assert.equal((await told(lab)).length, 1);
});

async function claimOf(lab: Lab, n: number): Promise<HostClaim> {
  const spec = (await lab.control.find("host", `h${n}`, ADMIN))?.spec ?? assert.fail();
  return { host: `h${n}`, underlay: spec.underlay, underlayMtu: spec.underlayMtu, hostPrefixes: [] };
}

test("a device that is a port of something else never carries a network", async () => {
  const bonded: Partial<HostClaim> = { ...eth1, devices: [{ name: "eth1", mtu: 1500, master: "bond0" }] };
  const lab = await labWith(["100-199"], eth1, bonded);
  await refuses(
    lab,
    ["device-unfit", "spec.parent"],
    /device eth1 of host "h2" is a port of bond0: give bond0 in its place/,
    () => lab.put("a", onLan()),
  );
  await setHost(lab, "h2", "lan=none");
  await lab.put("a", onLan());
  await setHost(lab, "h2");
  await refuses(lab, "device-unfit", /is a port of bond0/, () => lab.attach("a", "h2", "two"));
});

test("a plain bridge has what has no tag of a physical network, and never a device that the host uses", async () => {
  const own = {
    ...eth1,
    devices: [{ name: "eth1", mtu: 1500, addresses: ["192.0.2.5"], defaultRoutes: ["0.0.0.0/0 via 192.0.2.1"] }],
  };
  const lab = await labWith(["100-199"], own);
  const bridged = (more: Partial<NetworkInput> = {}) => onLan({ driver: "bridge", ...more });
  await refuses(
    lab,
    ["device-unfit", "spec.parent"],
    /eth1 of host "h1" is the host's own: .* lose 192\.0\.2\.5, the default route 0\.0\.0\.0\/0 via 192\.0\.2\.1/,
    () => lab.put("a", bridged()),
  );
  await lab.put("v", onLan());
  await setHost(lab, "h1", "lan=none");
  await lab.put("a", bridged());
  await refuses(
    lab,
    ["vlan-taken", "spec.parent"],
    /without a tag of physical network "lan" belong to network\/a/,
    () => lab.put("b", bridged()),
  );
  await refuses(lab, ["request-invalid", "spec.vlan"], /driver bridge has no VLAN/, () =>
    lab.put("b", bridged({ vlan: 9 })),
  );
  await refuses(lab, ["unsupported", "spec.placement"], /cannot be in a namespace of its own/, () =>
    lab.put("b", bridged({ placement: "own" })),
  );
  const { parent: _, ...alone } = bridged();
  assert.equal((await lab.put("b", alone)).spec.parent, undefined);
});

test("a physical network stays while networks are on it, unless by force", async () => {
  const lab = await labWith(["100-199"], eth1);
  await lab.put("a", onLan());
  await lab.attach("a", "h1", "one");
  const remove = (force: boolean) => lab.control.write({ verb: "delete", kind: "physicalnetwork", name: "lan", force });
  await refuses(lab, "in-use", /physical network "lan" has networks/, () => remove(false));
  await refuses(lab, "in-use", /the vlan of network "a" cannot change/, async () =>
    lab.put("a", { ...(await lab.control.find("network", "a", ADMIN))?.spec, vlan: 150 } as NetworkInput),
  );
  await remove(true);
  const { networks, endpoints, physicalNetworks } = await lab.snapshot();
  assert.deepEqual([networks, endpoints, physicalNetworks], [[], [], []]);
});
