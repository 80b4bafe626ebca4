// Every field that may be said is kept as it was said, and nothing is there that nobody said: the whole spec of each
// kind of resource, written with all of its fields, with none, and written again as it was read.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { Kind, NetworkSpec } from "../../../src/model/resource.ts";
import { ADMIN, type Lab, openLab, v4 } from "./lab.ts";

const LIMIT = { average: 1_000_000, peak: 2_000_000, burst: 64_000 };
const SHAPING = ["inbound", "outbound"] as const;
const RULES = [{ direction: "in", action: "allow", protocol: "tcp", ports: [22] }] as const;

async function labWithHost(): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1, { shaping: SHAPING });
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: RULES } });
  return lab;
}
async function find(lab: Lab, kind: Kind, name: string): Promise<object> {
  return ((await lab.control.find(kind, name, ADMIN)) ?? assert.fail(`no ${kind} ${name}`)).spec;
}
/** What is read is written again, and changes nothing. */
async function isStable(lab: Lab, name: string): Promise<void> {
  const { spec } = (await lab.control.find("network", name, ADMIN)) ?? assert.fail();
  const { changes } = await lab.control.write({ verb: "put", kind: "network", name, spec });
  assert.deepEqual(changes, [], `${name} as it was read`);
}

const RANGE = {
  name: "a",
  type: "ip4-6-static",
  first: "10.7.0.16",
  first6: "fd00:7::10",
  prefixLength: 80,
  size: 8,
  mac: "02:11:00:00:00:10",
  gateway: "10.7.0.17",
  gateway6: "fd00:7::11",
  dns: ["10.7.0.53", "fd00:7::53"],
  mtu: 1380,
  qos: { inbound: LIMIT, outbound: "none" },
  securityGroups: ["web"],
} as const;
const SLAAC = {
  name: "s",
  type: "ip6",
  prefix: "fd00:8::/64",
  ula: "fd00:9::/64",
  mac: "02:22:00:00:00:10",
  size: 4,
} as const;

test("a global network", async () => {
  const lab = await labWithHost();
  const said = {
    driver: "vxlan",
    ipam: "global",
    vrf: "tenant",
    vni: 7000,
    subnets: [
      { cidr: "10.7.0.0/24", gateway: "10.7.0.9" },
      { cidr: "fd00:7::/64", gateway: "none" },
    ],
    ranges: [RANGE, SLAAC],
    quotas: [
      { tenant: "acme", leases: 3 },
      { tenant: "zen", leases: 1 },
    ],
    strategy: "random",
    sticky: true,
    quarantine: 7,
    dns: ["10.7.0.53"],
    mtu: 1400,
    qos: { inbound: LIMIT, outbound: LIMIT },
    masquerade: false,
    enabled: false,
    cni: "portmap",
    securityGroups: ["default", "web"],
    spoofing: { mac: false, ip: false },
    description: "of the tenant",
  } as const satisfies NetworkInput;
  assert.deepEqual((await lab.put("blue", said)).spec, said);
  await isStable(lab, "blue");
  for (const [cni, kept] of [
    [true, { cni: true }],
    [false, {}],
  ] as const) {
    const { cni: _, ...rest } = said;
    assert.deepEqual((await lab.put("blue", { ...said, cni })).spec, { ...rest, ...kept });
  }
  const bare = (await lab.put("blue", { subnets: said.subnets, vrf: "tenant" })).spec;
  const { driver, ipam, vrf, vni, subnets } = said;
  assert.deepEqual(bare, { driver, ipam, vrf, vni, subnets, masquerade: true, enabled: true });
});

test("a local network", async () => {
  const lab = await labWithHost();
  const said = {
    driver: "vxlan",
    ipam: "local",
    vrf: "tenant",
    subnets: [
      { cidr: "9.0.0.0/16", hostPrefix: 24 },
      { cidr: "fd09::/64", hostPrefix: 80 },
    ],
    quarantine: 7,
    dns: ["9.0.0.53"],
    mtu: 1400,
    slices: [
      { name: "mesos", bridge: "m" },
      { name: "docker", bridge: "d" },
    ],
    qos: { outbound: LIMIT },
    masquerade: false,
    enabled: true,
    cni: true,
    securityGroups: ["web"],
    spoofing: { mac: true, ip: false },
    description: "of the tenant",
  } as const satisfies NetworkInput;
  assert.deepEqual((await lab.put("near", said)).spec, said);
  await isStable(lab, "near");
});

test("a reservation", async () => {
  const lab = await labWithHost();
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/24" }], masquerade: false });
  const said = {
    driver: "vxlan",
    ipam: "global",
    vrf: "blue",
    subnets: [],
    reservedFrom: "blue",
    tenant: "acme",
    quotas: [{ tenant: "team", leases: 2 }],
    ranges: [
      { name: "one", type: "ip4", first: "10.7.0.16", size: 8, gateway: "10.7.0.17", dns: ["10.7.0.53"], mtu: 1300 },
    ],
    strategy: "next",
    sticky: true,
    quarantine: 9,
    qos: { outbound: LIMIT },
    masquerade: false,
    enabled: false,
    cni: true,
    description: "for the team",
  } as const satisfies NetworkInput;
  assert.deepEqual((await lab.put("part", said)).spec, said);
  await isStable(lab, "part");
  const { reservedFrom, ranges, driver, ipam, vrf, subnets } = said;
  assert.deepEqual((await lab.put("part", { reservedFrom, ranges, cni: false })).spec, {
    driver,
    ipam,
    vrf,
    subnets,
    reservedFrom,
    ranges,
    masquerade: false,
    enabled: true,
  });
});

test("a reservation that is found begins with its parent's way of giving leases, and has its tenant", async () => {
  const lab = await labWithHost();
  const reserve = async (from: string, name: string, more: object = {}) => {
    await lab.control.write({ verb: "reserve", network: from, request: { name, size: 2, ...more } });
    const { strategy, sticky, quarantine, tenant } = (await find(lab, "network", name)) as NetworkSpec;
    return [strategy, sticky, quarantine, tenant];
  };
  const how = { strategy: "next", sticky: true, quarantine: 5 } as const;
  await lab.put("blue", { ...v4("10.7.0.0/24"), ...how });
  await lab.put("plain", v4("10.8.0.0/24"));
  assert.deepEqual(await reserve("blue", "a", { tenant: "acme" }), ["next", true, 5, "acme"]);
  assert.deepEqual(await reserve("plain", "b"), [undefined, undefined, undefined, undefined]);
  // A further piece changes nothing of that, also when the parent has changed since.
  await lab.put("blue", v4("10.7.0.0/24"));
  assert.deepEqual(await reserve("blue", "a"), ["next", true, 5, "acme"]);
});

test("an endpoint, claimed, claimed again and patched", async () => {
  const lab = await labWithHost();
  await lab.put("blue", v4("10.7.0.0/24"));
  const said = {
    addresses: ["10.7.0.9"],
    mac: "02:11:00:00:00:01",
    workload: "web",
    joined: true,
    defaultRoute: false,
    qos: { inbound: LIMIT },
    tenant: "acme",
    securityGroups: ["web"],
    allowedAddresses: [{ address: "10.9.0.1" }, { address: "fd00::1", mac: "02:11:00:00:00:02" }],
  } as const;
  const who = { network: "blue", host: "h1", owner: "a", ifname: "eth0", netns: "/var/run/netns/a" };
  const made = await lab.attach("blue", "h1", "a", said);
  assert.deepEqual(made.spec, { ...who, ...said });
  assert.deepEqual(await lab.attach("blue", "h1", "a"), made, "what a later claim leaves out stays");
  const later = await lab.attach("blue", "h1", "a", { workload: "db", defaultRoute: true, joined: true });
  assert.deepEqual(later.spec, { ...who, ...said, workload: "db", defaultRoute: true });
  const bare = await lab.attach("blue", "h1", "b");
  assert.deepEqual(bare.spec, {
    ...who,
    owner: "b",
    netns: "/var/run/netns/b",
    addresses: ["10.7.0.2"],
    mac: "02:00:0a:07:00:02",
  });
  assert.deepEqual((await lab.attach("blue", "h1", "b", { joined: false })).spec, bare.spec);
  const patch = { qos: { outbound: LIMIT }, securityGroups: [], allowedAddresses: [{ address: "FD00::0:2" }] };
  await lab.control.write({ verb: "patch-endpoint", name: "b.eth0", patch });
  assert.deepEqual(await find(lab, "endpoint", "b.eth0"), {
    ...bare.spec,
    ...patch,
    allowedAddresses: [{ address: "fd00::2" }],
  });
});

test("an endpoint of a local network, whose host says so", async () => {
  const lab = await labWithHost();
  const slices = ["one", "two"].map((name) => ({ name, bridge: name }));
  await lab.put("near", { ...v4("9.0.0.0/16", 24), slices });
  const said = { addresses: ["9.0.0.130"], mac: "02:11:00:00:00:01", slice: "two", tenant: "acme", workload: "w" };
  const made = await lab.attach("near", "h1", "a", said);
  const who = { network: "near", host: "h1", owner: "a", ifname: "eth0", netns: "/var/run/netns/a" };
  assert.deepEqual(made.spec, { ...who, ...said });
  const moved = { addresses: ["9.0.0.5"], slice: "one", mac: "02:11:00:00:00:05" };
  assert.deepEqual((await lab.attach("near", "h1", "a", moved)).spec, { ...who, ...said, ...moved });
  assert.deepEqual((await lab.attach("near", "h1", "a", { addresses: ["9.0.0.6"] })).spec, {
    ...who,
    ...said,
    ...moved,
    addresses: ["9.0.0.6"],
  });
});

test("pools, VRFs, hosts, groups, holds, memberships, migrations", async () => {
  const lab = await labWithHost();
  const pool = {
    driver: "vxlan",
    ipam: "local",
    ids: { first: 3, last: 9 },
    globalSubnets: [{ cidr: "10.0.<id>.0/24", gateway: "none" }],
    localSubnets: [{ cidr: "9.<id>.0.0/16", hostPrefix: 24 }],
    reserved: ["9.4.0.0/16"],
    overflow: { cidr: "10.224.0.0/12", prefix: 20, hostPrefix: 24 },
    description: "of the site",
  } as const;
  await lab.control.write({ verb: "put", kind: "pool", name: "p", spec: pool });
  assert.deepEqual(await find(lab, "pool", "p"), pool);
  for (const [input, ipam] of [
    [{ localSubnets: pool.localSubnets }, "local"],
    [{ globalSubnets: pool.globalSubnets, localSubnets: pool.localSubnets }, "global"],
    [{ globalSubnets: pool.globalSubnets }, "global"],
  ] as const) {
    await lab.control.write({ verb: "put", kind: "pool", name: "q", spec: input });
    assert.deepEqual(await find(lab, "pool", "q"), {
      driver: "vxlan",
      ipam,
      ids: { first: 1, last: 255 },
      reserved: [],
      ...input,
    });
  }

  const dcos = { vtepMacOui: "70:B3:D5:00:00:00", vtepMtu: 1420, masters: ["192.168.9.1"], agents: [] };
  const vrf = {
    vni: 1024,
    tunnelPort: 64_000,
    vtepSubnets: ["44.128.0.0/20", "fd01:a::/64"],
    vtepMacOui: "02:b3:d5",
    vtepName: "vtep1024",
    hostAccess: true,
    kept: false,
    dcos,
  };
  await lab.control.write({ verb: "put", kind: "vrf", name: "dcos", spec: vrf });
  assert.deepEqual(await find(lab, "vrf", "dcos"), { index: 1, ...vrf });
  await lab.control.write({ verb: "put", kind: "vrf", name: "plain", spec: {} });
  assert.deepEqual(await find(lab, "vrf", "plain"), {
    index: 2,
    vni: 4096,
    tunnelPort: 4789,
    vtepSubnets: ["198.18.0.0/16"],
    vtepMacOui: "70:b3:d5",
    hostAccess: false,
    kept: true,
  });

  await lab.join(2, { underlay: "FD01::0:2", underlayMtu: 9000, slices: ["one"], shaping: ["inbound"] });
  const host = { underlay: "fd01::2", underlayMtu: 9000, slices: ["one"], shaping: ["inbound"], order: 2 };
  assert.deepEqual(await find(lab, "host", "h2"), host);
  for (const drained of [true, true, false, false]) {
    await lab.control.write({ verb: "drain", host: "h2", drained });
    assert.deepEqual(await find(lab, "host", "h2"), drained ? { ...host, drained } : host);
  }

  await lab.put("blue", v4("10.7.0.0/24"));
  const hold = { network: "blue", first: "10.7.0.4", last: "10.7.0.6", reason: "printers", owner: "ops" };
  await lab.control.write({ verb: "hold", request: { ...hold, expiresInSeconds: 60 } });
  assert.deepEqual(await find(lab, "hold", "blue:10.7.0.4"), { ...hold, expiresAtMs: lab.time.now + 60_000 });
  const { last: _, ...one } = { ...hold, first: "10.7.0.9" };
  await lab.control.write({ verb: "hold", request: one });
  assert.deepEqual(await find(lab, "hold", "blue:10.7.0.9"), { ...one, last: "10.7.0.9" });

  await lab.put("red", v4("10.8.0.0/24"));
  const claim = { network: "blue", workload: "web" };
  await lab.control.write({ verb: "join-network", claim });
  assert.deepEqual(await find(lab, "membership", "blue~web"), claim);
  const { spec } = await lab.attach("blue", "h1", "a", { workload: "web" });
  for (const only of [{ workload: "web" }, { endpoint: "a.eth0" }, {}]) {
    const { resource } = await lab.control.write({ verb: "migrate", request: { from: "blue", to: "red", ...only } });
    assert.ok(resource?.kind === "migration");
    assert.deepEqual(resource.spec, { from: "blue", to: "red", ...only, members: 1 });
    const move = { migration: resource.name, endpoint: "a.eth0", host: "h1", owner: "a", from: "blue", to: "red" };
    assert.deepEqual(await find(lab, "move", `${resource.name}~a.eth0`), {
      ...move,
      state: "pending",
      oldAddresses: spec.addresses,
    });
    await lab.control.write({ verb: "delete", kind: "migration", name: resource.name, force: true });
  }
});
