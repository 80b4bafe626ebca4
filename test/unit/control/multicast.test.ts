// Networks with multicast peers: what is admitted, what follows from what, and what a user is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { derivedGroup, groupBaseOf, groupMac, GROUP_BASE, tunnelEnd } from "../../../src/model/multicast.ts";
import type { HostClaim, NetworkInput } from "../../../src/model/input.ts";
import { type Lab, openLab, refuses, reportOf, v4 } from "./lab.ts";

const many = (more: Partial<NetworkInput> = {}): NetworkInput => ({
  ...v4("10.7.0.0/16"),
  peers: "multicast",
  ...more,
});
const conditions = async (lab: Lab, reason: string) =>
  (await lab.control.status()).conditions.filter((one) => one.reason === reason);

test("a group follows from the VNI, in the family of the hosts' underlay, or is the one that is given", async () => {
  const lab = await openLab();
  await lab.join(1);
  assert.equal((await lab.put("a", many({ vni: 236 }))).spec.group, "239.0.0.236");
  const chosen = (await lab.put("b", many({ ttl: 5 }))).spec;
  assert.deepEqual(
    { group: chosen.group, ttl: chosen.ttl },
    { group: derivedGroup(GROUP_BASE, 4, chosen.vni ?? 0), ttl: 5 },
  );
  assert.equal((await lab.put("c", many({ group: "239.1.2.3" }))).spec.group, "239.1.2.3");
  const six = await openLab();
  await six.join(1, { underlay: "2001:db8::1" });
  assert.equal((await six.put("a", many({ vni: 0x123456 }))).spec.group, "ff05::12:3456");
  // It stays a list that can be applied again.
  const { spec } = await lab.put("a", { ...many(), peers: "unicast" });
  assert.deepEqual([spec.peers, spec.group], [undefined, undefined]);
});

test("groups of all VNIs differ, and no two of the first 2^23 are one on Ethernet", () => {
  const texts = [1, 2, 255, 256, 65_535, 65_536, 0x7f_ffff, 0x80_0001, 0xff_fffe];
  for (const family of [4, 6] as const) {
    const groups = texts.map((vni) => derivedGroup(GROUP_BASE, family, vni));
    assert.equal(new Set(groups).size, texts.length);
    const distinct = family === 4 ? texts.filter((vni) => vni < 0x80_0000) : texts;
    assert.equal(new Set(distinct.map((vni) => groupMac(derivedGroup(GROUP_BASE, family, vni)))).size, distinct.length);
  }
  assert.equal(groupMac("239.0.0.236"), groupMac("239.128.0.236"));
  assert.notEqual(groupMac("ff05::236"), groupMac("ff05::1:236"));
  assert.deepEqual(groupBaseOf(["239.192.0.0"], "x"), { 4: "239.192.0.0", 6: "ff05::" });
  assert.throws(() => groupBaseOf(["239.192.0.0", "239.193.0.0"], "x"), /two bases of one family/);
  assert.throws(() => derivedGroup({ 4: "239.255.0.0", 6: "ff05::" }, 4, 0xff_0000), /cannot be the group/);
});

const REFUSED: readonly (readonly [string, Partial<NetworkInput>, Parameters<typeof refuses>[1], RegExp])[] = [
  ["a group that is none", { group: "10.1.1.1" }, ["address-invalid", "spec.group"], /no multicast group/],
  ["no address", { group: "239.1" }, ["address-invalid", "spec.group"], /not an IP address/],
  ["a group of one link", { group: "224.0.0.5" }, ["address-invalid", "spec.group"], /stay on one link/],
  ["an IPv6 group of one link", { group: "ff02::5" }, ["address-invalid", "spec.group"], /stay on one link/],
  ["a reserved scope", { group: "ff0f::5" }, ["address-invalid", "spec.group"], /stay on one link/],
  ["another family", { group: "ff05::5" }, ["family-wrong", "spec.group"], /IPv6, and no host has an underlay/],
  ["a local network", { ...v4("10.9.0.0/16", 24) }, ["request-invalid", "spec.peers"], /local network cannot/],
  ["no name of a device", { underlayDevice: "a/b" }, ["name-invalid", "spec.underlayDevice"], /cannot be the name/],
  [
    "a command for a device",
    { underlayDevice: "a;reboot" },
    ["name-invalid", "spec.underlayDevice"],
    /cannot be the name/,
  ],
  ["an outsider that is none", { outsiders: ["x"] }, ["address-invalid", "spec.outsiders[0]"], /no address or network/],
  ["anybody", { outsiders: ["10.0.0.1", "0.0.0.0/0"] }, ["address-invalid", "spec.outsiders[1]"], /any address/],
  ["half of all", { outsiders: ["0.0.0.0/1"] }, ["address-invalid", "spec.outsiders[0]"], /wider than a \/8/],
  ["more than a /8", { outsiders: ["10.0.0.0/7"] }, ["address-invalid", "spec.outsiders[0]"], /wider than a \/8/],
  [
    "three times a /8",
    { outsiders: ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.1"] },
    ["address-invalid", "spec.outsiders"],
    /more than 2 times a \/8/,
  ],
  ["host bits", { outsiders: ["10.0.0.1/24"] }, ["address-invalid", "spec.outsiders[0]"], /host bits/],
  ["another family's", { outsiders: ["2001:db8::1"] }, ["address-invalid", "spec.outsiders[0]"], /group is IPv4/],
  [
    "a group without peers",
    { peers: "unicast", group: "239.1.1.1" },
    ["request-invalid", "spec.group"],
    /only a network/,
  ],
  ["a TTL without peers", { peers: "unicast", ttl: 5 }, ["request-invalid", "spec.ttl"], /only a network/],
];

for (const [what, more, reason, text] of REFUSED)
  test(`refused: ${what}`, async () => {
    const lab = await openLab();
    await lab.join(1);
    await refuses(lab, reason, text, () => lab.put("a", many(more)));
  });

test("outsiders are kept canonical, and what is in another is left out", async () => {
  const lab = await openLab();
  await lab.join(1);
  const outsiders = ["172.29.0.7", "172.29.1.0/24", "172.29.1.9/32", "172.29.0.7"];
  assert.deepEqual((await lab.put("a", many({ outsiders }))).spec.outsiders, ["172.29.0.7", "172.29.1.0/24"]);
  const wide = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8", "10.1.0.0/16"];
  assert.deepEqual((await lab.put("a", many({ outsiders: wide }))).spec.outsiders, wide.slice(0, 4));
});

test("the MTU has to fit through the device, not through the underlay", async () => {
  const lab = await openLab();
  await lab.join(1, { devices: [{ name: "eth2", mtu: 9000, addresses: ["172.29.0.1"] }] });
  await lab.put("a", many({ underlayDevice: "eth2", mtu: 8950 }));
  await refuses(lab, "mtu-invalid", /8950 inside a tunnel/, () =>
    lab.put("a", many({ underlayDevice: "eth2", mtu: 8951 })),
  );
});

test("an agent that starts takes back nothing of devices that networks may name", async () => {
  const lab = await openLab();
  const [eth1, eth2] = ["eth1", "eth2"].map((name, i) => ({ name, mtu: 1500, addresses: [`172.29.${i}.1`] }));
  assert(eth1 !== undefined && eth2 !== undefined);
  const token = await lab.join(1);
  const host = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const after = async (claim: Partial<HostClaim>) => {
    await lab.control.join({ ...host, ...claim }, token);
    return (await lab.snapshot()).hosts[0]?.spec.devices?.map(({ name, mtu }) => `${name} ${mtu}`);
  };
  assert.deepEqual(await after({ devices: [eth2] }), ["eth2 1500"]);
  const { revision } = await lab.snapshot();
  assert.deepEqual(await after({ moreDevices: true }), ["eth2 1500"]);
  assert.equal((await lab.snapshot()).revision, revision, "no host has to hear of it");
  assert.deepEqual(await after({ moreDevices: true, devices: [eth1] }), ["eth1 1500", "eth2 1500"]);
  assert.deepEqual(await after({ moreDevices: true, devices: [{ ...eth2, mtu: 9000 }] }), ["eth1 1500", "eth2 9000"]);
  assert.deepEqual(await after({ devices: [eth1] }), ["eth1 1500"]);
  assert.deepEqual(await after({}), undefined);
});

test("groups that are one on Ethernet are told, and hosts that cannot be in theirs", async () => {
  const lab = await openLab();
  await lab.join(1, { underlayDevice: "eth0" });
  await lab.put("a", many({ group: "239.0.0.236" }));
  await lab.put("b", many({ group: "239.128.0.236", underlayDevice: "eth2" }));
  const shared = await conditions(lab, "group-shared");
  assert.deepEqual(shared.map(({ object }) => object).sort(), ["network/a", "network/b"]);
  assert.match(shared[0]?.message ?? "", /239\.0\.0\.236 .*"b" \(239\.128\.0\.236\)/);
  assert.deepEqual(await conditions(lab, "device-missing"), []);
  await lab.attach("a", "h1", "x");
  await lab.attach("b", "h1", "y");
  const [missing, ...more] = await conditions(lab, "device-missing");
  assert.deepEqual([missing?.object, missing?.host, more], ["network/b", "h1", []]);
});

test("with endpoints the group may change, and what the tunnel's device is made of may not", async () => {
  const lab = await openLab();
  await lab.join(1, { underlayDevice: "eth0" });
  await lab.put("a", v4("10.7.0.0/16"));
  await lab.attach("a", "h1", "x");
  /** Puts, and lets the host go through the phases. */
  const convert = async (spec: NetworkInput) => {
    await lab.put("a", spec);
    for (let phases = 0; ; phases++) {
      const conversion = await lab.control.find("conversion", "a", { role: "admin" });
      if (conversion === undefined) return assert.equal(phases, 2);
      const { name, revision } = conversion;
      await lab.control.write({ verb: "advance-conversion", name, revision, hosts: ["h1"] });
    }
  };
  await convert(many({ ttl: 3 }));
  await convert(many({ group: "239.9.9.9", outsiders: ["192.168.0.77"] }));
  await refuses(lab, "in-use", /underlayDevice/, () => lab.put("a", many({ underlayDevice: "eth2" })));
  await convert(v4("10.7.0.0/16"));
});

test("a group that hosts do not deliver is told by pairs, with the way out", async () => {
  const lab = await openLab();
  for (const n of [1, 2, 3]) await lab.join(n, { underlayDevice: "eth0" });
  await lab.put("a", many({ group: "239.0.0.9" }));
  const seen = (host: string, state: "proven" | "failed" | "unknown") => ({ host, state, sinceMs: 0 });
  const told = (host: string, ...named: readonly ReturnType<typeof seen>[]) => {
    const proven = named.filter(({ state }) => state === "proven").length;
    const groups = [{ network: "a", peers: named.length, proven, named }];
    return lab.control.report(reportOf(host, { paths: { peers: 0, proven: 0, named: [] }, groups }));
  };
  await told("h1", seen("h2", "proven"), seen("h3", "failed"));
  await told("h2", seen("h1", "proven"), seen("h3", "unknown"));
  await told("h3", seen("h1", "proven"), seen("h2", "proven"));
  const { groups = [] } = await lab.control.status();
  assert.deepEqual(
    groups.map(({ network, pairs }) => [network, pairs]),
    [["a", 3]],
  );
  assert.deepEqual(
    groups[0]?.unproven.map(({ hosts, state }) => [hosts.join("-"), state]),
    [
      ["h1-h3", "failed"],
      ["h2-h3", "unknown"],
    ],
  );
  const [condition] = await conditions(lab, "group-undelivered");
  assert.match(condition?.message ?? "", /group 239\.0\.0\.9 of network "a" between h1 – h3: .*--peers unicast\)$/);
});

test("a group may be reached by the device of a physical network, whatever each host calls it", async () => {
  const lab = await openLab();
  const facts = (name: string, n: number) => ({ name, mtu: 9000, addresses: [`172.29.0.${n}`] });
  await lab.join(1, { physical: [{ name: "encap", device: "eth2" }], devices: [facts("eth2", 1)] });
  await refuses(lab, ["physical-unknown", "spec.parent"], /encap/, () => lab.put("a", many({ parent: "encap" })));
  await lab.control.write({ verb: "put", kind: "physicalnetwork", name: "encap", spec: {} });
  const { spec } = await lab.put("a", many({ vni: 236, parent: "encap", mtu: 8950 }));
  assert.deepEqual([spec.parent, spec.group], ["encap", "239.0.0.236"]);
  const host = { underlay: "192.168.0.2", underlayMtu: 1500, underlayDevice: "eth0", devices: [facts("ens7", 2)] };
  assert.deepEqual(tunnelEnd(spec, { ...host, physical: [{ name: "encap", device: "ens7" }] }), {
    underlay: "172.29.0.2",
    underlayMtu: 9000,
    device: "ens7",
  });
  assert.equal(tunnelEnd(spec, host), undefined);
  // Taken over: the bridge has the addresses now, and no larger packets than its own.
  const moved = {
    name: "ens7",
    mtu: 9000,
    onBridge: ["fd29::2", "172.29.0.2"],
    ownBridge: { name: "wb-a", mtu: 1500 },
  };
  assert.deepEqual(tunnelEnd(spec, { ...host, devices: [moved], physical: [{ name: "encap", device: "ens7" }] }), {
    underlay: "172.29.0.2",
    underlayMtu: 1500,
    device: "wb-a",
  });
  await refuses(lab, ["request-invalid", "spec.underlayDevice"], /both/, () =>
    lab.put("a", many({ vni: 236, parent: "encap", underlayDevice: "eth2" })),
  );
  await refuses(lab, ["request-invalid", "spec.vlan"], /no vlan/, () =>
    lab.put("a", many({ parent: "encap", vlan: 5 })),
  );
  await refuses(lab, ["request-invalid", "spec.parent"], /no parent/, () =>
    lab.put("a", many({ peers: "unicast", parent: "encap" })),
  );
});
