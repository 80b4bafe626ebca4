// What the server makes of writes, by looking at the resources that come of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reason } from "../model/fault.ts";
import type { NetworkInput } from "../model/input.ts";
import { ADMIN, JOIN_TOKEN, type Lab, openLab, refuses } from "./lab.ts";

const v4 = (cidr: string, hostPrefix?: number): NetworkInput => ({
  subnets: [hostPrefix === undefined ? { cidr } : { cidr, hostPrefix }],
});
const blocksOf = async (lab: Lab, network = "dcos") =>
  Object.fromEntries(
    (await lab.snapshot()).blocks
      .filter((b) => b.spec.network === network)
      .map((b) => [`${b.spec.host} ${b.name.at(-1)}`, b.spec.cidr]),
  );
const vrfNames = async (lab: Lab) => (await lab.snapshot()).vrfs.map((vrf) => vrf.name).sort();

test("a network gets its defaults, and a VRF of its own that goes with it", async () => {
  const lab = await openLab();
  const blue = await lab.put("blue", v4("10.7.0.0/16"));
  assert.deepEqual(blue.spec, {
    driver: "vxlan",
    ipam: "global",
    vrf: "blue",
    vni: 4096,
    subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.1" }],
    masquerade: true,
    enabled: true,
  });
  const [vrf] = (await lab.snapshot()).vrfs;
  assert.deepEqual(vrf?.spec, {
    index: 1,
    vni: 4097,
    tunnelPort: 4789,
    vtepSubnets: ["198.18.0.0/16"],
    vtepMacOui: "70:b3:d5",
    hostAccess: false,
  });
  assert.equal(blue.revision, 1);
  const green = await lab.put("green", {
    subnets: [
      { cidr: "10.7.0.0/16", hostPrefix: 24 },
      { cidr: "fd00:7::/64", hostPrefix: 80 },
    ],
  });
  assert.deepEqual([green.spec.ipam, green.spec.vni], ["local", undefined]);
  assert.deepEqual((await lab.snapshot()).vrfs.find((each) => each.name === "green")?.spec.vtepSubnets, [
    "198.18.0.0/16",
    "fd00:7765:6674::/64",
  ]);
  await lab.control.write({ verb: "delete", kind: "network", name: "blue" });
  assert.deepEqual(await vrfNames(lab), ["green"]);
  // Its VNI, index and name are free again, and it is another network.
  const again = await lab.put("blue", v4("10.7.0.0/16"));
  assert.equal(again.spec.vni, 4096);
  assert.notEqual(again.uid, blue.uid);
});

test("a VRF that was put stays, one made on demand goes with its last network", async () => {
  const lab = await openLab();
  await lab.control.write({ verb: "put-vrf", name: "tenant", spec: { vni: 7000 } });
  await lab.put("a", { ...v4("10.1.0.0/16"), vrf: "tenant" });
  await lab.put("b", { ...v4("10.1.0.0/16"), vrf: "shared" });
  await lab.put("c", { ...v4("10.2.0.0/16"), vrf: "shared" });
  for (const name of ["a", "b"]) await lab.control.write({ verb: "delete", kind: "network", name });
  assert.deepEqual(await vrfNames(lab), ["shared", "tenant"]);
  await lab.control.write({ verb: "delete", kind: "network", name: "c" });
  assert.deepEqual(await vrfNames(lab), ["tenant"]);
  await lab.control.write({ verb: "delete", kind: "vrf", name: "tenant" });
  assert.deepEqual(await vrfNames(lab), []);
});

test("DC/OS 2.x sample: three nodes get what they get there", async () => {
  const lab = await openLab();
  await lab.control.write({
    verb: "put-vrf",
    name: "dcos",
    spec: {
      vni: 1024,
      vtepSubnets: ["44.128.0.0/20", "fd01:a::/64"],
      vtepMacOui: "70:B3:D5",
      vtepName: "vtep1024",
      hostAccess: true,
    },
  });
  const slices = [
    { name: "mesos", bridge: "m" },
    { name: "docker", bridge: "d" },
  ];
  await lab.put("dcos", { ...v4("9.0.0.0/8", 24), vrf: "dcos", slices });
  await lab.put("dcos6", { ...v4("fd01:b::/64", 80), vrf: "dcos", slices });
  for (const n of [2, 4, 3]) await lab.join(n);
  assert.deepEqual(await blocksOf(lab), { "h2 4": "9.0.0.0/24", "h4 4": "9.0.1.0/24", "h3 4": "9.0.2.0/24" });
  assert.deepEqual(await blocksOf(lab, "dcos6"), {
    "h2 6": "fd01:b::/80",
    "h4 6": "fd01:b:0:0:1::/80",
    "h3 6": "fd01:b:0:0:2::/80",
  });
  const vteps = (await lab.snapshot()).vteps.map(({ spec }) => [spec.host, spec.ip, spec.ip6, spec.mac]);
  assert.deepEqual(vteps, [
    ["h2", "44.128.0.1", "fd01:a::1", "70:b3:d5:80:00:01"],
    ["h4", "44.128.0.2", "fd01:a::2", "70:b3:d5:80:00:02"],
    ["h3", "44.128.0.3", "fd01:a::3", "70:b3:d5:80:00:03"],
  ]);
});

test("DC/OS: joining, leaving, joining again gives the lowest that is free", async () => {
  const lab = await openLab();
  await lab.put("dcos", v4("9.0.0.0/8", 24));
  for (const n of [1, 2, 3]) await lab.join(n);
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  await lab.join(4);
  assert.deepEqual(await blocksOf(lab), { "h2 4": "9.0.1.0/24", "h3 4": "9.0.2.0/24", "h4 4": "9.0.0.0/24" });
  assert.equal((await lab.snapshot()).vteps.find((vtep) => vtep.spec.host === "h4")?.spec.ip, "198.18.0.1");
  // The order of registration is not reused.
  assert.equal((await lab.snapshot()).hosts.find((host) => host.name === "h4")?.spec.order, 4);
});

test("a full subnet is skipped for that host, is seen, and heals when a host goes", async () => {
  const lab = await openLab();
  await lab.put("dcos", v4("9.0.0.0/24", 24));
  await lab.put("other", { ...v4("9.1.0.0/16", 24), vrf: "dcos" });
  for (const n of [1, 2]) await lab.join(n);
  assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/24" });
  assert.deepEqual(await blocksOf(lab, "other"), { "h1 4": "9.1.0.0/24", "h2 4": "9.1.1.0/24" });
  assert.deepEqual(
    (await lab.control.conditions()).map(({ reason, object, host }) => [reason, object, host]),
    [["exhausted", "network/dcos", "h2"]],
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.deepEqual(await blocksOf(lab), { "h2 4": "9.0.0.0/24" });
  assert.deepEqual(await lab.control.conditions(), []);
});

test("DC/OS: a VTEP subnet of /30 has two hosts; the third is seen waiting, without a block", async () => {
  const lab = await openLab();
  await lab.control.write({ verb: "put-vrf", name: "dcos", spec: { vtepSubnets: ["44.128.0.0/30"] } });
  await lab.put("dcos", { ...v4("9.0.0.0/8", 24), vrf: "dcos" });
  for (const n of [1, 2, 3]) await lab.join(n);
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4", "h2 4"]);
  assert.deepEqual(
    (await lab.control.conditions()).map(({ object, host }) => [object, host]),
    [["vrf/dcos", "h3"]],
  );
});

test("a new network gives blocks to every host in the order in which they joined", async () => {
  const lab = await openLab();
  for (const n of [3, 1, 2]) await lab.join(n);
  await lab.put("dcos", v4("9.0.0.0/8", 24));
  assert.deepEqual(await blocksOf(lab), { "h3 4": "9.0.0.0/24", "h1 4": "9.0.1.0/24", "h2 4": "9.0.2.0/24" });
});

test("DC/OS: a disabled network gives no blocks until it is enabled, and takes none away", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("dcos", { ...v4("9.0.0.0/8", 24), enabled: false });
  assert.deepEqual([await blocksOf(lab), (await lab.snapshot()).vteps], [{}, []]);
  await lab.put("dcos", v4("9.0.0.0/8", 24));
  assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/24" });
  await lab.put("dcos", { ...v4("9.0.0.0/8", 24), enabled: false });
  await lab.join(2);
  assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/24" });
  await refuses(lab, "network-disabled", /disabled.*enable it/, () =>
    lab.attach("dcos", "h1", "web", { addresses: ["9.0.0.2"] }),
  );
});

test("DC/OS M13: IPv6 added later reaches hosts that were there", async () => {
  const lab = await openLab();
  await lab.put("dcos", v4("9.0.0.0/8", 24));
  await lab.join(1);
  assert.equal((await lab.snapshot()).vteps[0]?.spec.ip6, undefined);
  await lab.attach("dcos", "h1", "web", { addresses: ["9.0.0.2"] });
  await lab.put("dcos", {
    subnets: [
      { cidr: "9.0.0.0/8", hostPrefix: 24 },
      { cidr: "fd04::/64", hostPrefix: 80 },
    ],
  });
  assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/24", "h1 6": "fd04::/80" });
  const [vtep] = (await lab.snapshot()).vteps;
  assert.deepEqual(
    [vtep?.spec.ip, vtep?.spec.ip6, vtep?.spec.mac],
    ["198.18.0.1", "fd00:7765:6674::1", "70:b3:d5:12:00:01"],
  );
});

test("default VTEP subnets step out of the way of the VRF's networks and of hosts", async () => {
  const lab = await openLab();
  await lab.join(1, { hostPrefixes: ["198.19.0.0/24", "0.0.0.0/0"] });
  await lab.put("dcos", v4("198.18.0.0/16", 24));
  assert.deepEqual((await lab.snapshot()).vrfs[0]?.spec.vtepSubnets, ["100.64.0.0/16"]);
});

test("a network that is wrong is refused: what, where, why, what to do", async () => {
  const lab = await openLab();
  await lab.join(1, { hostPrefixes: ["172.17.0.0/16", "0.0.0.0/0", "128.0.0.0/1"] });
  await lab.put("green", { ...v4("10.0.0.0/9"), vrf: "shared" });
  await lab.control.write({ verb: "put-vrf", name: "open1", spec: { hostAccess: true } });
  await lab.put("open", { ...v4("10.200.0.0/16"), vrf: "open1" });
  await lab.control.write({ verb: "put-vrf", name: "open2", spec: { hostAccess: true } });
  const cases: readonly (readonly [Reason, RegExp, NetworkInput, string?])[] = [
    [
      "cidr-invalid",
      /"10.1.0.5\/16" is not a network: host bits are set.*did you mean 10.1.0.0\/16/,
      v4("10.1.0.5/16"),
      "spec.subnets[0].cidr",
    ],
    ["cidr-invalid", /not a network.*write it like/, v4("10.1/16"), "spec.subnets[0].cidr"],
    ["cidr-invalid", /not ordinary unicast/, v4("0.0.0.0/0")],
    ["cidr-invalid", /not ordinary unicast/, v4("239.0.0.0/16")],
    ["overlap", /uplinks/, v4("169.254.64.0/24")],
    ["overlap", /uplinks/, v4("fd00:7765:6675:1::/64")],
    [
      "prefix-invalid",
      /\/15 block does not fit into 10.1.0.0\/16.*choose 16 or more/,
      v4("10.1.0.0/16", 15),
      "spec.subnets[0].hostPrefix",
    ],
    ["prefix-invalid", /no room for endpoints.*choose 30 or less/, v4("10.1.0.0/16", 31)],
    [
      "prefix-invalid",
      /no room for endpoints in 2 slices.*choose 29 or less/,
      {
        ...v4("10.1.0.0/16", 30),
        slices: [
          { name: "a", bridge: "a" },
          { name: "b", bridge: "b" },
        ],
      },
    ],
    ["prefix-invalid", /choose 126 or less/, v4("fd00:1::/64", 127)],
    ["prefix-invalid", /no room/, v4("10.1.0.0/31")],
    [
      "prefix-invalid",
      /3 slices do not divide/,
      { ...v4("10.1.0.0/16", 24), slices: ["a", "b", "c"].map((name) => ({ name, bridge: name })) },
    ],
    ["prefix-invalid", /no hostPrefix/, { ...v4("10.1.0.0/16"), ipam: "local" }],
    [
      "prefix-invalid",
      /fd00:1::\/64 has no hostPrefix/,
      { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }, { cidr: "fd00:1::/64" }] },
      "spec.subnets[1].hostPrefix",
    ],
    ["request-invalid", /has no blocks/, { ...v4("10.1.0.0/16", 24), ipam: "global" }],
    [
      "request-invalid",
      /second IPv4 subnet/,
      { subnets: [{ cidr: "10.1.0.0/16" }, { cidr: "10.2.0.0/16" }] },
      "spec.subnets[1]",
    ],
    [
      "request-invalid",
      /no gateway of its own/,
      { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24, gateway: "10.1.0.1" }] },
    ],
    [
      "request-invalid",
      /only local networks have slices/,
      { ...v4("10.1.0.0/16"), slices: [{ name: "a", bridge: "a" }] },
    ],
    [
      "name-taken",
      /two slices have the bridge/,
      {
        ...v4("10.1.0.0/16", 24),
        slices: [
          { name: "a", bridge: "m" },
          { name: "b", bridge: "m" },
        ],
      },
    ],
    [
      "address-outside",
      /gateway 10.2.0.1 is not a usable/,
      { subnets: [{ cidr: "10.1.0.0/16", gateway: "10.2.0.1" }] },
    ],
    [
      "address-outside",
      /gateway 10.1.255.255 is not a usable/,
      { subnets: [{ cidr: "10.1.0.0/16", gateway: "10.1.255.255" }] },
    ],
    [
      "overlap",
      /overlaps network "green" \(10.0.0.0\/9\): both would be in VRF "shared"/,
      { ...v4("10.1.0.0/16"), vrf: "shared" },
      "spec.subnets[0].cidr",
    ],
    ["overlap", /overlaps network "green"/, { ...v4("10.0.0.0/8"), vrf: "shared" }],
    ["overlap", /VTEP subnet 198.18.0.0\/16/, { ...v4("198.18.5.0/24"), vrf: "shared" }],
    ["overlap", /underlay address 192.168.0.1 of host "h1"/, v4("192.168.0.0/24")],
    ["overlap", /172.17.0.0\/16 of host "h1": the host has that address or route/, v4("172.17.5.0/24")],
    ["overlap", /172.17.0.0\/16 of host "h1"/, v4("172.16.0.0/12")],
    [
      "overlap",
      /network "open" .*hosts have access to both VRF "open2" and VRF "open1"/,
      { ...v4("10.200.1.0/24"), vrf: "open2" },
    ],
    ["vni-taken", /VNI 4096 belongs to network\/green/, { ...v4("10.1.0.0/16"), vni: 4096 }, "spec.vni"],
    ["vni-taken", /VNI 4097 belongs to vrf\/shared/, { ...v4("10.1.0.0/16"), vni: 4097 }],
    ["vni-taken", /VNI 4097/, { ...v4("10.1.0.0/16", 24), vni: 4097 }],
    ["vni-invalid", /routed networks use the VNI of their VRF/, { ...v4("10.201.0.0/16", 24), vni: 9, vrf: "shared" }],
    [
      "mtu-invalid",
      /host "h1" has an underlay MTU of 1500, which leaves 1450/,
      { ...v4("10.1.0.0/16"), mtu: 1451 },
      "spec.mtu",
    ],
    ["mtu-invalid", /too small for IPv6/, { ...v4("fd00:1::/64"), mtu: 1200 }],
    ["name-reserved", /"default" cannot be the name of a vrf/, { ...v4("10.1.0.0/16"), vrf: "default" }, "spec.vrf"],
  ];
  for (const [reason, text, spec, where] of cases) await refuses(lab, reason, text, () => lab.put("blue", spec), where);
  for (const name of ["host", "bridge", "default", "none"])
    await refuses(lab, "name-reserved", /choose a name other than/, () => lab.put(name, v4("10.1.0.0/16")));
  for (const name of ["", "-a", "a b", "a/b", "ä", ".", "a".repeat(254)])
    await refuses(lab, "name-invalid", /cannot be the name/, () => lab.put(name, v4("10.1.0.0/16")));
  assert.equal((await lab.put("a".repeat(253), { ...v4("10.1.0.0/16"), mtu: 1450 })).spec.mtu, 1450);
});

test("a VRF that is wrong is refused", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("green", { ...v4("10.0.0.0/9", 24), vrf: "shared" });
  const put =
    (spec: object, name = "tenant") =>
    () =>
      lab.control.write({ verb: "put-vrf", name, spec });
  await refuses(lab, "vni-taken", /belongs to vrf\/shared/, put({ vni: 4096 }), "spec.vni");
  await refuses(lab, "vni-invalid", /1 to 16777215/, put({ vni: 0 }));
  await refuses(lab, "prefix-invalid", /24 bits/, put({ vtepSubnets: ["44.0.0.0/7"] }), "spec.vtepSubnets[0]");
  await refuses(lab, "prefix-invalid", /no room for two hosts/, put({ vtepSubnets: ["44.0.0.0/31"] }));
  await refuses(lab, "overlap", /network "green"/, put({ vtepSubnets: ["10.1.0.0/24"] }, "shared"));
  await refuses(lab, "overlap", /underlay address/, put({ vtepSubnets: ["192.168.0.0/24"] }));
  await refuses(lab, "request-invalid", /second IPv4/, put({ vtepSubnets: ["44.0.0.0/24", "45.0.0.0/24"] }));
  await refuses(lab, "address-invalid", /beginning of a unicast MAC/, put({ vtepMacOui: "01:00:5e" }));
  await refuses(lab, "name-invalid", /name of a device/, put({ vtepName: "a/b" }));
  await refuses(lab, "in-use", /has networks.*\[green\]/, () =>
    lab.control.write({ verb: "delete", kind: "vrf", name: "shared" }),
  );
  // DC/OS: 44.0.0.0/8 is the largest that is taken.
  await put({ vtepSubnets: ["44.0.0.0/8"] })();
});

test("a network changes live: what endpoints do not stand on", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  const free = {
    subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd00:7::/64" }],
    mtu: 1400,
    masquerade: false,
    enabled: false,
    description: "x",
  };
  const changed = await lab.put("blue", free);
  assert.deepEqual(changed.spec.subnets, [
    { cidr: "10.7.0.0/16", gateway: "10.7.0.1" },
    { cidr: "fd00:7::/64", gateway: "fd00:7::1" },
  ]);
  assert.equal(changed.spec.vni, 4096);
  const attempts: readonly (readonly [string, NetworkInput])[] = [
    ["subnets", v4("10.8.0.0/16")],
    ["subnets", v4("10.7.0.0/17")],
    ["subnets", { subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.9" }, { cidr: "fd00:7::/64" }] }],
    ["vrf", { ...free, vrf: "other" }],
    ["vni", { ...free, vni: 99 }],
    ["ipam", v4("10.7.0.0/16", 24)],
  ];
  for (const [field, spec] of attempts) {
    const fault = await refuses(lab, "in-use", new RegExp(`the ${field} of network "blue" cannot change`), () =>
      lab.put("blue", spec),
    );
    assert.deepEqual(fault.detail.blockers, ["web.eth0"]);
  }
  await refuses(lab, "in-use", /has endpoints.*\[web.eth0\]/, () =>
    lab.control.write({ verb: "delete", kind: "network", name: "blue" }),
  );
  await lab.detach("web.eth0");
  assert.equal((await lab.put("blue", { ...v4("10.8.0.0/16"), vrf: "other", vni: 99 })).spec.vni, 99);
  assert.deepEqual(await vrfNames(lab), ["other"]);
});

test("without endpoints a subnet changes, and its blocks are carved anew in the same commit", async () => {
  const lab = await openLab();
  for (const n of [2, 1]) await lab.join(n);
  await lab.put("dcos", v4("9.0.0.0/8", 24));
  const { revision } = await lab.put("dcos", v4("11.0.0.0/8", 26));
  assert.deepEqual(await blocksOf(lab), { "h2 4": "11.0.0.0/26", "h1 4": "11.0.0.64/26" });
  assert.deepEqual(
    (await lab.snapshot()).blocks.map((block) => block.revision),
    [revision, revision],
  );
  await lab.put("dcos", v4("11.0.0.0/8"));
  assert.deepEqual([await blocksOf(lab), (await lab.snapshot()).vteps], [{}, []]);
});

test("force takes the endpoints along, in one commit", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  const { changes, revision } = await lab.control.write({ verb: "delete", kind: "network", name: "blue", force: true });
  assert.deepEqual(changes.map((change) => ("remove" in change ? change.remove : change.put.name)).sort(), [
    "endpoint/web.eth0",
    "network/blue",
    "vrf/blue",
  ]);
  assert.equal((await lab.snapshot()).revision, revision);
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  await refuses(lab, "in-use", /host "h1" has endpoints/, () =>
    lab.control.write({ verb: "delete", kind: "host", name: "h1" }),
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h1", force: true });
  assert.deepEqual((await lab.snapshot()).endpoints, []);
});

test("an endpoint of a global network gets address and MAC in its own commit", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/29" }, { cidr: "fd00:7::/64" }] });
  const web = await lab.attach("blue", "h1", "web");
  assert.deepEqual(
    [web.name, web.spec.addresses, web.spec.mac],
    ["web.eth0", ["10.7.0.2", "fd00:7::2"], "02:00:0a:07:00:02"],
  );
  // Again, after an answer that was lost: the same endpoint, no commit.
  assert.deepEqual(await lab.attach("blue", "h1", "web"), web);
  assert.equal((await lab.snapshot()).revision, web.revision);
  const moved = await lab.attach("blue", "h1", "web", { netns: "/proc/7/ns/net" });
  assert.deepEqual(
    [moved.uid, moved.spec.netns, moved.spec.addresses],
    [web.uid, "/proc/7/ns/net", web.spec.addresses],
  );
  await refuses(lab, "name-taken", /it is on host "h1"/, () => lab.attach("blue", "h2", "web"));
  await refuses(lab, "name-taken", /it has 10.7.0.2, fd00:7::2, not 10.7.0.5/, () =>
    lab.attach("blue", "h1", "web", { addresses: ["10.7.0.5"] }),
  );
  const db = await lab.attach("blue", "h2", "db", { addresses: ["10.7.0.6"], mac: "0A:00:00:00:00:01" });
  assert.deepEqual([db.spec.addresses, db.spec.mac], [["10.7.0.6", "fd00:7::3"], "0a:00:00:00:00:01"]);
  const wish = (more: object) => () => lab.attach("blue", "h1", "api", more);
  await refuses(lab, "address-taken", /endpoint "db.eth0" on host "h2" has it/, wish({ addresses: ["10.7.0.6"] }));
  await refuses(lab, "address-taken", /kept for the gateway/, wish({ addresses: ["10.7.0.1"] }));
  await refuses(lab, "address-taken", /kept for broadcast/, wish({ addresses: ["10.7.0.7"] }));
  await refuses(lab, "address-taken", /kept for the network itself/, wish({ addresses: ["fd00:7::"] }));
  await refuses(
    lab,
    "address-outside",
    /10.8.0.1 is outside network "blue".*choose from 10.7.0.0\/29 or fd00:7::\/64/,
    wish({ addresses: ["10.8.0.1"] }),
    "addresses[0]",
  );
  await refuses(lab, "address-invalid", /is not an IP address/, wish({ addresses: ["10.7.0.300"] }));
  await refuses(lab, "request-invalid", /second IPv4/, wish({ addresses: ["10.7.0.3", "10.7.0.4"] }));
  await refuses(lab, "address-taken", /MAC 0a:00:00:00:00:01 is taken/, wish({ mac: "0a:00:00:00:00:01" }));
  await refuses(lab, "address-taken", /the gateway has it/, wish({ mac: "02:00:0a:07:00:01" }));
  await refuses(lab, "address-invalid", /unicast MAC/, wish({ mac: "03:00:00:00:00:01" }));
  await refuses(lab, "request-invalid", /absolute path/, wish({ netns: "web" }));
  await refuses(lab, "name-invalid", /interface name/, wish({ ifname: "a-name-with-16-by" }));
  await refuses(lab, "network-unknown", /no network "blu"/, () => lab.attach("blu", "h1", "api"));
  await refuses(lab, "host-unknown", /no host "h9"/, () => lab.attach("blue", "h9", "api"));
  for (const owner of ["a", "b", "c"]) await lab.attach("blue", "h1", owner);
  await refuses(lab, "exhausted", /no free address: all 5 of 10.7.0.0\/29 are in use/, wish({}));
  await lab.detach("a.eth0");
  // In IPv4 nothing else is left, so quarantine does not count; in IPv6 there is.
  assert.deepEqual((await lab.attach("blue", "h2", "api")).spec.addresses, ["10.7.0.3", "fd00:7::7"]);
});

test("addresses with equal low bits still get different MACs", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("six", v4("fd00:6::/64"));
  const macs = await Promise.all(
    ["fd00:6::5", "fd00:6::1:0:5", "fd00:6::2:0:5"].map((ip, i) =>
      lab.attach("six", "h1", `w${i}`, { addresses: [ip] }),
    ),
  );
  assert.deepEqual(
    macs.map((endpoint) => endpoint.spec.mac),
    ["02:00:00:00:00:05", "06:00:00:00:00:05", "0e:00:00:00:00:05"],
  );
});

test("an endpoint of a local network is the agent's choice, within its block and slice", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("dcos", {
    ...v4("9.0.0.0/8", 24),
    slices: [
      { name: "mesos", bridge: "m" },
      { name: "docker", bridge: "d" },
    ],
  });
  const claim =
    (addresses: readonly string[] | undefined, more: object = {}, host = "h1") =>
    () =>
      lab.attach("dcos", host, "web", { ...(addresses === undefined ? {} : { addresses }), ...more });
  await refuses(
    lab,
    "address-outside",
    /9.0.1.2 is outside the part of network "dcos" that host "h1" has/,
    claim(["9.0.1.2"]),
  );
  await refuses(lab, "address-outside", /choose from 9.0.0.128\/25/, claim(["9.0.0.2"], { slice: "docker" }));
  await refuses(lab, "request-invalid", /no slice "lxc".*mesos, docker/, claim(["9.0.0.2"], { slice: "lxc" }));
  await refuses(lab, "request-invalid", /the host's agent assigns/, claim(undefined));
  await refuses(lab, "address-taken", /kept for the gateway/, claim(["9.0.0.129"], { slice: "docker" }));
  const web = await claim(["9.0.0.130"], { slice: "docker", mac: "02:42:00:00:00:01" })();
  assert.deepEqual([web.spec.slice, web.spec.mac], ["docker", "02:42:00:00:00:01"]);
  assert.deepEqual(await claim(["9.0.0.130"], { slice: "docker", mac: "02:42:00:00:00:01" })(), web);
  await refuses(lab, "address-taken", /endpoint "web.eth0" on host "h1"/, () =>
    lab.attach("dcos", "h1", "db", { addresses: ["9.0.0.130"], slice: "docker" }),
  );
  await refuses(lab, "address-taken", /MAC/, () =>
    lab.attach("dcos", "h1", "db", { addresses: ["9.0.0.131"], mac: "02:42:00:00:00:01" }),
  );
  // Another host's bridge is another segment.
  assert.equal(
    (await lab.attach("dcos", "h2", "db", { addresses: ["9.0.1.131"], mac: "02:42:00:00:00:01" })).spec.mac,
    "02:42:00:00:00:01",
  );
  const later = await claim(["9.0.0.140"], { slice: "docker" })();
  assert.deepEqual([later.uid, later.spec.addresses], [web.uid, ["9.0.0.140"]]);
  await lab.attach("dcos", "h1", "next", { addresses: ["9.0.0.130"] });
});

test("detaching: a host removes its own, an administrator asks for it", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  const by = (host: string) => ({ role: "host", host }) as const;
  const detach = (endpoint: string, viewer: { role: "admin" } | { role: "host"; host: string }) => () =>
    lab.control.write({ verb: "detach", endpoint, by: viewer });
  await refuses(
    lab,
    "forbidden",
    /host "h2" cannot change endpoint "web.eth0" of host "h1"/,
    detach("web.eth0", by("h2")),
  );
  await refuses(lab, "endpoint-unknown", /no endpoint "gone.eth0"/, detach("gone.eth0", ADMIN));
  assert.deepEqual((await detach("gone.eth0", by("h1"))()).changes, []);
  const { resource } = await detach("web.eth0", ADMIN)();
  assert.equal(resource?.kind === "endpoint" && resource.spec.detaching, true);
  assert.deepEqual((await detach("web.eth0", ADMIN)()).changes, []);
  // A repeated claim does not take the request back, and a new workload has to wait.
  assert.equal((await lab.attach("blue", "h1", "web")).spec.detaching, true);
  await refuses(lab, "name-taken", /being detached/, () => lab.attach("blue", "h1", "web", { netns: "/other" }));
  await detach("web.eth0", by("h1"))();
  assert.deepEqual((await lab.snapshot()).endpoints, []);
});

test("hosts: a name belongs to whoever has its token", async () => {
  const lab = await openLab();
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const { token } = await lab.control.join(claim, JOIN_TOKEN);
  await refuses(lab, "host-claimed", /host "h1" belongs to another agent.*delete the host first/, () =>
    lab.control.join(claim, JOIN_TOKEN),
  );
  await refuses(
    lab,
    "host-claimed",
    /192.168.0.1 belongs to host "h1"/,
    () => lab.control.join({ ...claim, host: "h2" }, JOIN_TOKEN),
    "underlay",
  );
  await refuses(lab, "host-claimed", /belongs to/, () =>
    lab.control.join({ ...claim, host: "h2", underlay: "192.168.0.2" }, token),
  );
  await refuses(lab, "token-wrong", /nobody has this token/, () => lab.control.join(claim, "guess"));
  const again = await lab.control.join(claim, token);
  assert.deepEqual([again.token, again.host.revision], [token, 1]);
  const moved = await lab.control.join({ ...claim, underlay: "192.168.0.9", underlayMtu: 9000 }, token);
  assert.deepEqual(
    [moved.host.uid, moved.host.spec],
    [again.host.uid, { underlay: "192.168.0.9", underlayMtu: 9000, order: 1 }],
  );
  await lab.control.join({ ...claim, host: "h2" }, JOIN_TOKEN);
  await lab.put("net", v4("10.0.0.0/8"));
  await refuses(lab, "overlap", /10.1.2.3 lies in network "net"/, () =>
    lab.control.join({ ...claim, host: "h3", underlay: "10.1.2.3" }, JOIN_TOKEN),
  );
  await refuses(lab, "address-invalid", /cannot be an underlay address/, () =>
    lab.control.join({ ...claim, host: "h3", underlay: "127.0.0.1" }, JOIN_TOKEN),
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  await refuses(lab, "host-deleted", /host "h1" was deleted at/, () => lab.control.join(claim, token));
  assert.notEqual((await lab.control.join({ ...claim, underlay: "192.168.0.9" }, JOIN_TOKEN)).token, token);
});

test("a join whose answer was lost can be repeated with the token the host proposed", async () => {
  const lab = await openLab();
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const mine = "made-by-the-host-0123456789abcdef0123";
  await lab.control.join(claim, JOIN_TOKEN, mine);
  assert.deepEqual((await lab.control.join(claim, JOIN_TOKEN, mine)).token, mine);
  assert.deepEqual(lab.control.identify(mine), { role: "host", host: "h1" });
  await refuses(lab, "host-claimed", /another agent/, () =>
    lab.control.join(claim, JOIN_TOKEN, "somebody-else-0123456789abcdef0123456"),
  );
});

test("hosts that come to stand in a network's way are conditions, not refusals", async () => {
  const lab = await openLab();
  await lab.put("blue", { ...v4("10.7.0.0/16"), mtu: 1450 });
  await lab.join(1, { hostPrefixes: ["10.7.5.0/24"], underlayMtu: 1400 });
  assert.deepEqual(
    (await lab.control.conditions()).map(({ reason, object, host }) => [reason, object, host]),
    [
      ["overlap", "network/blue", "h1"],
      ["mtu-invalid", "network/blue", "h1"],
    ],
  );
});

test("apply: all in one commit or nothing, and says which item is wrong", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("old", { ...v4("9.0.0.0/8", 24), vrf: "dcos" });
  const net = (name: string, spec: NetworkInput) =>
    ({ kind: "network", name, spec: { ...spec, vrf: "dcos" } }) as const;
  const vrf = { kind: "vrf", name: "dcos", spec: { vni: 1024 } } as const;
  const apply = (items: Parameters<typeof wrap>[0], pruneVrf?: string) => () =>
    lab.control.write({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
  const wrap = (items: readonly (ReturnType<typeof net> | typeof vrf)[]) => items;
  await refuses(
    lab,
    "overlap",
    /overlaps network "old"/,
    apply([net("a", v4("10.0.0.0/8", 24)), net("b", v4("9.1.0.0/16", 24))]),
    "resources[1].spec.subnets[0].cidr",
  );
  await refuses(
    lab,
    "request-invalid",
    /network\/a is listed twice/,
    apply([net("a", v4("10.0.0.0/8")), net("a", v4("11.0.0.0/8"))]),
    "resources[1].name",
  );
  // The new network takes the place of the one that goes.
  const { revision, changes } = await apply([vrf, net("new", v4("9.0.0.0/8", 24))], "dcos")();
  assert.deepEqual(await blocksOf(lab, "new"), { "h1 4": "9.0.0.0/24" });
  assert.deepEqual(
    (await lab.snapshot()).networks.map((network) => [network.name, network.revision]),
    [["new", revision]],
  );
  assert.equal((await lab.snapshot()).vrfs[0]?.spec.vni, 1024);
  assert.ok(changes.length >= 4);
  assert.deepEqual(
    (await apply([vrf, net("new", v4("9.0.0.0/8", 24))], "dcos")()).changes,
    [],
    "applying the same again changes nothing",
  );
  await lab.attach("new", "h1", "web", { addresses: ["9.0.0.2"] });
  await refuses(
    lab,
    "in-use",
    /"new" of VRF "dcos" cannot go: they are not listed, but have endpoints \[web.eth0\]/,
    apply([vrf], "dcos"),
  );
  const dry = await lab.control.write({ verb: "apply", items: [net("more", v4("11.0.0.0/8", 24))] }, { dryRun: true });
  assert.ok(dry.changes.length > 0);
  assert.equal((await lab.snapshot()).revision, dry.revision);
});

test("apply keeps a VRF made on demand when all its networks are replaced", async () => {
  const lab = await openLab();
  await lab.put("a", { ...v4("10.1.0.0/16", 24), vrf: "shared" });
  const [before] = (await lab.snapshot()).vrfs;
  await lab.control.write({
    verb: "apply",
    items: [{ kind: "network", name: "b", spec: { ...v4("10.1.0.0/16", 24), vrf: "shared" } }],
    pruneVrf: "shared",
  });
  assert.deepEqual((await lab.snapshot()).vrfs, [before]);
  await lab.control.write({ verb: "apply", items: [], pruneVrf: "shared" });
  assert.deepEqual(await vrfNames(lab), []);
});

test("a write for another revision than there is now is refused", async () => {
  const lab = await openLab();
  const put = (ifRevision: number | "any") => () =>
    lab.control.write({ verb: "put-network", name: "blue", spec: v4("10.7.0.0/16"), ifRevision });
  await refuses(lab, "revision-stale", /does not exist/, put("any"));
  await put(0)();
  await refuses(lab, "revision-stale", /is at revision 1: the write was to make it/, put(0));
  await refuses(lab, "revision-stale", /made for revision 7/, put(7));
  await put(1)();
  await refuses(lab, "revision-stale", /made for revision 9/, () =>
    lab.control.write({ verb: "delete", kind: "network", name: "blue", ifRevision: 9 }),
  );
});

test("apply is judged by what it comes to: networks may change places, with the range of one that goes", async () => {
  const lab = await openLab();
  await lab.join(1);
  const net = (name: string, cidr: string, hostPrefix?: number) =>
    ({ kind: "network", name, spec: { ...v4(cidr, hostPrefix), vrf: "dcos" } }) as const;
  const apply = (items: readonly ReturnType<typeof net>[], pruneVrf?: string) =>
    lab.control.write({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
  await apply([net("a", "10.1.0.0/16", 24), net("b", "10.2.0.0/16", 24), net("c", "10.3.0.0/16")]);
  // b takes what a had, a what c had, c what b had; half of it in another size.
  await apply([net("b", "10.1.0.0/16", 24), net("a", "10.3.0.0/16", 25), net("c", "10.2.0.0/17")]);
  const cidrs = (await lab.snapshot()).networks.map(({ name, spec }) => `${name} ${spec.subnets[0]?.cidr}`).sort();
  assert.deepEqual(cidrs, ["a 10.3.0.0/16", "b 10.1.0.0/16", "c 10.2.0.0/17"]);
  assert.deepEqual(await blocksOf(lab, "a"), { "h1 4": "10.3.0.0/25" });
  assert.deepEqual(await blocksOf(lab, "b"), { "h1 4": "10.1.0.0/24" });
  // In whatever order the items come, an end in which two meet is refused, and names the one that is in the way.
  await refuses(
    lab,
    "overlap",
    /overlaps network "a"/,
    () => apply([net("a", "10.1.0.0/16", 24), net("b", "10.1.128.0/17", 24)]),
    "resources[1].spec.subnets[0].cidr",
  );
  await refuses(lab, "overlap", /overlaps network "b"/, () => apply([net("a", "10.1.0.0/16", 24)]));
  // With endpoints a network stays where it is, and so nobody can take its place.
  await lab.attach("b", "h1", "web", { addresses: ["10.1.0.2"] });
  await refuses(lab, "in-use", /subnets of network "b" cannot change/, () =>
    apply([net("a", "10.1.0.0/16", 24), net("b", "10.3.0.0/16", 24)]),
  );
});
