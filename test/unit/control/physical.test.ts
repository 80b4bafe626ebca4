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
    [0, /vlan-invalid.*spec\.vlan: expected at least 1, got 0/],
    [4095, /vlan-invalid.*expected at most 4094, got 4095/],
    [5000, /vlan-invalid.*got 5000/],
    ["abc", /request-invalid.*spec\.vlan: expected a whole number, got "abc"/],
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
    'mtu-invalid h3: network "a" has MTU 1500, but physical network "lan" and the device of host "h3" carry 1400; ' +
      "weft network edit a --mtu 1400",
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

const PLUGGED = "the network is plugged in there when a bridge of this name fits, or choose another (--bridge)";

test("an endpoint needs a device on its host; one that is not there yet is told of", async () => {
  const lab = await labWith(["100-199"], eth1, {}, { physical: eth1.physical ?? [] });
  await lab.put("a", onLan());
  await lab.attach("a", "h1", "one");
  await refuses(lab, ["device-unfit", "host"], /no device of it leads to physical network "lan"/, () =>
    lab.attach("a", "h2", "two"),
  );
  await lab.attach("a", "h3", "three");
  assert.deepEqual(await told(lab), [
    'device-missing h3: network "a" has no way out of host "h3": there is no device eth1; name its device: ' +
      "weft host set h3 --physical lan=DEVICE",
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

test("with permission a device that the host uses becomes a port of a plain bridge, and of nothing else", async () => {
  const own = { name: "eth1", mtu: 1500, mac: "02:00:00:00:00:01", addresses: ["192.0.2.9"], leadsToServer: true };
  const lab = await labWith(["100-199"], { ...eth1, devices: [own] });
  const plain = (more: Partial<NetworkInput> = {}) => lab.put("a", onLan({ driver: "bridge", ...more }));
  const lost = /eth1 would lose 192\.0\.2\.9, its connection to the server; with --take-over these go onto the bridge/;
  await refuses(lab, "device-unfit", lost, () => plain());
  const leave = (takeOver: boolean) =>
    lab.control.write({
      verb: "set-host",
      host: "h1",
      settings: { physical: [{ name: "lan", device: "eth1", ...(takeOver ? { takeOver } : {}) }] },
    });
  await leave(true);
  await refuses(lab, "device-unfit", /would lose 192\.0\.2\.9, its connection to the server \(at/, () =>
    plain({ isolated: true }),
  );
  await refuses(lab, "device-unfit", /would lose/, () => plain({ driver: "ovs" }));
  await plain();
  await lab.attach("a", "h1", "one");
  assert.deepEqual(await told(lab), []);
  await leave(false);
  assert.match((await told(lab)).join(), /^device-unfit h1: .*weft host set h1 --physical lan=eth1 --take-over$/);
  const leased = await labWith(undefined, {
    physical: [{ name: "lan", device: "eth1", takeOver: true }],
    devices: [{ ...own, leased: ["192.0.2.9"] }],
  });
  await refuses(leased, "device-unfit", /has 192\.0\.2\.9 by a lease \(DHCP\).*fixed address/, () =>
    leased.put("a", onLan({ driver: "bridge" })),
  );
});

test("a device that is Weft's, or leads nowhere, leads to no physical network", async () => {
  const lab = await labWith(["100-199"], eth1);
  const where = ["device-unfit", "physical[0].device"] as const;
  await refuses(lab, where, /device lo cannot lead.*loopback/s, () => setHost(lab, "h1", "lan=lo"));
  for (const own of ["wb-office", "wbi-lan", "wp0123456789a", "wx5", "default"])
    await refuses(lab, where, /gives such names to devices of its own/, () => setHost(lab, "h1", `lan=${own}`));
  const mgmt = { subnets: [{ cidr: "10.98.0.0/24" }], placement: "host", bridge: "br-mgmt", takeOver: true } as const;
  await lab.put("mgmt", mgmt);
  await refuses(lab, where, /it is that of network "mgmt"/, () => setHost(lab, "h1", "lan=br-mgmt"));
  await setHost(lab, "h1", "lan=eth7");
});

test("no endpoint gets an address that a host of the segment has, and such a host joins again", async () => {
  const devices = [{ name: "eth1", mtu: 1500, addresses: ["10.9.0.2"], onBridge: ["10.9.0.3"] }];
  const lab = await labWith(["100-199"], { ...eth1, devices });
  const put = (name: string, cidr: string) => lab.put(name, onLan({ subnets: [{ cidr }] }));
  await put("a", "10.9.0.0/29");
  const given = async (network: string, name: string) => (await lab.attach(network, "h1", name)).spec.addresses.join();
  assert.deepEqual([await given("a", "one"), await given("a", "two")], ["10.9.0.1", "10.9.0.4"]);
  // What somebody has already, a host that comes later does not take away.
  const token = await lab.join(2, { ...eth1, devices: [{ name: "eth1", mtu: 1500, addresses: ["10.9.0.1"] }] });
  const { underlay } = await claimOf(lab, 2);
  await put("b", `${underlay.slice(0, underlay.lastIndexOf("."))}.0/24`);
  await lab.control.join({ ...(await claimOf(lab, 2)), ...eth1 }, token);
  const all = await Promise.all(["x", "y", "z"].map((name) => given("b", name)));
  assert.ok(!all.includes(underlay));
  await lab.control.write({ verb: "delete", kind: "host", name: "h2" });
});

test("workloads may not send tags where a VLAN of the physical network is another network's", async () => {
  const lab = await labWith(["100-199"], eth1);
  const open = onLan({ driver: "bridge", spoofing: { tags: true } });
  await lab.put("a", open);
  await refuses(lab, ["vlan-taken", "spec.parent"], /workloads of network "a" may send tags.*"v" is on one/s, () =>
    lab.put("v", onLan()),
  );
  await lab.put("a", { ...open, spoofing: {} });
  await lab.put("v", onLan());
  await refuses(lab, ["vlan-taken", "spec.spoofing"], /workloads of network "a" may send tags/, () =>
    lab.put("a", open),
  );
  await lab.control.write({ verb: "delete", kind: "network", name: "v" });
  await lab.put("a", open);
});

test("a physical network stays while networks are on it, unless by force", async () => {
  const lab = await labWith(["100-199"], eth1);
  await lab.put("a", onLan());
  await lab.attach("a", "h1", "one");
  const remove = (force: boolean) => lab.control.write({ verb: "delete", kind: "physicalnetwork", name: "lan", force });
  await refuses(lab, "in-use", /physical network "lan" has networks/, () => remove(false));
  await refuses(lab, "in-use", /`vlan` of network "a" cannot change/, async () =>
    lab.put("a", { ...(await lab.control.find("network", "a", ADMIN))?.spec, vlan: 150 } as NetworkInput),
  );
  await remove(true);
  const { networks, endpoints, physicalNetworks } = await lab.snapshot();
  assert.deepEqual([networks, endpoints, physicalNetworks], [[], [], []]);
});

test("islands share a physical network or a bridge; any other network is alone there", async () => {
  const lab = await labWith(["100-199"], eth1, eth1);
  const bridged = (more: Partial<NetworkInput> = {}) => onLan({ driver: "bridge", ...more });
  const island = (more: Partial<NetworkInput> = {}) => bridged({ isolated: true, ...more });
  await lab.put("a", island());
  assert.equal((await lab.put("b", island())).spec.isolated, true);
  await refuses(lab, "vlan-taken", /belong to network\/(a|b)/, () => lab.put("c", bridged()));
  await refuses(lab, "vlan-taken", /devices of physical network "lan" are those of network "(a|b)"/, () =>
    lab.put("c", onLan({ driver: "ovs" })),
  );
  await lab.put("v", onLan());
  const { parent: _, ...alone } = bridged();
  await lab.put("p", { ...alone, bridge: "br0" });
  for (const isolated of [true, false])
    await refuses(lab, ["vlan-taken", "spec.bridge"], /bridge br0 has network "p"/, () =>
      lab.put("q", { ...alone, bridge: "br0", isolated, subnets: [{ cidr: "10.250.0.0/24" }] }),
    );
  const cases: readonly (readonly [Partial<NetworkInput>, RegExp])[] = [
    [{ bridge: "br1" }, /either a parent or a bridge/],
    [{ spoofing: { mac: true } }, /cannot have any MAC/],
    [
      { subnets: [{ cidr: "10.251.0.0/24", gateway: "10.251.0.1" }] },
      /cannot have gateway 10\.251\.0\.1.*--gateway none/,
    ],
    [{ stp: true }, /no spanning tree.*--no-stp/],
    [{ forwardDelay: 4 }, /no spanning tree.*--forward-delay auto/],
    [{ driver: "vlan" }, /driver vlan cannot be an island/],
    [{ driver: "vxlan", parent: undefined } as never, /driver vxlan cannot be an island/],
  ];
  for (const [more, text] of cases) await refuses(lab, "request-invalid", text, () => lab.put("c", island(more)));
  // A bridge knows one place of a MAC.
  const mac = "02:00:00:00:00:07";
  await lab.attach("a", "h1", "one", { mac });
  await refuses(lab, ["address-taken", "mac"], /endpoint "one\.eth0" of network "a" beside it/, () =>
    lab.attach("b", "h2", "two", { mac }),
  );
  await lab.detach("one.eth0");
  await lab.attach("b", "h2", "two", { mac });
  // Nor one that an endpoint may have besides its own.
  const allowedAddresses = [{ address: "10.9.9.9", mac }];
  const beside =
    /MAC 02:00:00:00:00:0[78] is taken in network "a": endpoint "(two|four)\.eth0" of network "b" beside it/;
  await refuses(lab, "address-taken", beside, () => lab.attach("a", "h1", "three", { allowedAddresses }));
  await lab.attach("a", "h1", "three");
  const patch = { allowedAddresses };
  await refuses(lab, "address-taken", beside, () =>
    lab.control.write({ verb: "patch-endpoint", name: "three.eth0", patch }),
  );
  const virtual = "02:00:00:00:00:08";
  await lab.attach("b", "h2", "four", { allowedAddresses: [{ address: "10.9.9.8", mac: virtual }] });
  await refuses(lab, "address-taken", beside, () => lab.attach("a", "h1", "five", { mac: virtual }));
});

test("a bridge of others is refused where it is set otherwise, and told of where it is missing", async () => {
  const br0 = (mtu: number, bridge: object | undefined, more: object = {}): Partial<HostClaim> => ({
    devices: [{ name: "br0", mtu, ...(bridge && { bridge: { forwardDelay: 15, ...bridge } }), ...more }],
  });
  const lab = await labWith(undefined);
  const tokens: string[] = [];
  for (const claim of [br0(1500, {}), br0(9000, { stp: true }), {}, br0(1500, undefined)])
    tokens.push(await lab.join(tokens.length + 1, claim));
  const tell = async (n: number, claim: Partial<HostClaim>) =>
    lab.control.join({ ...(await claimOf(lab, n)), ...claim }, tokens[n - 1] ?? "");
  const plain: NetworkInput = { driver: "bridge", bridge: "br0", subnets: [{ cidr: "10.77.0.0/24" }] };
  const put = (more: Partial<NetworkInput> = {}) => lab.put("a", { ...plain, ...more });
  await refuses(lab, ["device-unfit", "spec.bridge"], /device br0 of host "h4" is no bridge of Linux/, put);
  await tell(4, br0(1500, {}));
  await refuses(lab, "device-unfit", /br0 of host "h1" does not run the spanning tree protocol/, () =>
    put({ stp: true }),
  );
  await refuses(lab, "device-unfit", /br0 of host "h1" has a forward delay of 15 seconds.* asks for 4/, () =>
    put({ forwardDelay: 4 }),
  );
  await refuses(lab, ["mtu-invalid", "spec.mtu"], /does not fit through the bridge br0/, () => put({ mtu: 1501 }));
  assert.equal((await put()).spec.bridge, "br0");
  await refuses(lab, ["device-unfit", "spec.bridge"], /does not run the spanning tree/, () => put({ stp: true }));
  for (const n of [1, 2, 3, 4]) await lab.attach("a", `h${n}`, `e${n}`);
  assert.deepEqual(await told(lab), [
    'device-missing h3: network "a" has no way out of host "h3": there is no bridge br0; ' + PLUGGED,
  ]);
  await tell(3, br0(1500, { vlanFiltering: true }));
  await tell(2, br0(9000, {}, { master: "bond0" }));
  assert.deepEqual(await told(lab), [
    'device-unfit h2: network "a" has no way out of host "h2": bridge br0 of host "h2" is a port of bond0; ' + PLUGGED,
    'device-unfit h3: network "a" has no way out of host "h3": bridge br0 of host "h3" has its ports in VLANs ' +
      "(vlan_filtering 1), and frames of the network have no tag; " +
      PLUGGED,
  ]);
  await refuses(lab, ["device-unfit", "host"], /br0 of host "h3" has its ports in VLANs/, () =>
    lab.attach("a", "h3", "more"),
  );
});
