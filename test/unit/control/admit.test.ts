// What the server makes of networks and VRFs, by looking at the resources that come of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reason } from "../../../src/model/fault.ts";
import type { NetworkInput } from "../../../src/model/input.ts";
import { blocksOf, openLab, refuses, v4, vrfNames } from "./lab.ts";

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
    kept: false,
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
  await lab.control.write({ verb: "put", kind: "vrf", name: "tenant", spec: { vni: 7000 } });
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
    verb: "put",
    kind: "vrf",
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
  await lab.control.write({ verb: "put", kind: "vrf", name: "dcos", spec: { vtepSubnets: ["44.128.0.0/30"] } });
  await lab.put("dcos", { ...v4("9.0.0.0/8", 24), vrf: "dcos" });
  for (const n of [1, 2, 3]) await lab.join(n);
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4", "h2 4"]);
  assert.deepEqual(
    (await lab.control.conditions()).map(({ object, host }) => [object, host]),
    [["vrf/dcos", "h3"]],
  );
});

test("VTEPs of IPv6 alone: addresses of that family, and MACs with their low 24 bits", async () => {
  const lab = await openLab();
  await lab.control.write({ verb: "put", kind: "vrf", name: "six", spec: { vtepSubnets: ["fd01:a::/64"] } });
  await lab.put("six", { ...v4("fd09::/48", 64), vrf: "six" });
  for (const n of [1, 2]) await lab.join(n);
  assert.deepEqual(
    (await lab.snapshot()).vteps.map(({ spec }) => spec),
    [1, 2].map((n) => ({ vrf: "six", host: `h${n}`, ip6: `fd01:a::${n}`, mac: `70:b3:d5:00:00:0${n}` })),
  );
  assert.deepEqual(Object.keys(await blocksOf(lab, "six")), ["h1 6", "h2 6"]);
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
  await lab.control.write({ verb: "put", kind: "vrf", name: "open1", spec: { hostAccess: true } });
  await lab.put("open", { ...v4("10.200.0.0/16"), vrf: "open1" });
  await lab.control.write({ verb: "put", kind: "vrf", name: "open2", spec: { hostAccess: true } });
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
    [
      "prefix-invalid",
      /no room for endpoints in 3 slices.*choose 28 or less/,
      { ...v4("10.1.0.0/16", 29), slices: ["a", "b", "c"].map((name) => ({ name, bridge: name })) },
    ],
    [
      "prefix-invalid",
      /no room for endpoints.*choose a larger subnet/,
      { ...v4("10.1.0.0/30", 30), slices: ["a", "b"].map((name) => ({ name, bridge: name })) },
    ],
    ["prefix-invalid", /0 slices do not divide/, { ...v4("10.1.0.0/16", 24), slices: [] }],
    ["name-invalid", /cannot be a slice's name/, { ...v4("10.1.0.0/16", 24), slices: [{ name: "a b", bridge: "a" }] }],
    ["name-invalid", /cannot be a slice's bridge/, { ...v4("10.1.0.0/16", 24), slices: [{ name: "a", bridge: "-" }] }],
    ["address-outside", /gateway 10.1.0.0 is not/, { subnets: [{ cidr: "10.1.0.0/16", gateway: "10.1.0.0" }] }],
    ["address-outside", /gateway fd00::1 is not/, { subnets: [{ cidr: "10.1.0.0/16", gateway: "fd00::1" }] }],
    [
      "request-invalid",
      /a local network has no strategy/,
      { ...v4("10.1.0.0/16", 24), strategy: "next" },
      "spec.strategy",
    ],
    ["request-invalid", /a local network has no sticky/, { ...v4("10.1.0.0/16", 24), sticky: false }, "spec.sticky"],
    ["request-invalid", /a local network has no quotas/, { ...v4("10.1.0.0/16", 24), quotas: [] }, "spec.quotas"],
    ["request-invalid", /only a reservation has a tenant/, { ...v4("10.1.0.0/16"), tenant: "m" }, "spec.tenant"],
    [
      "request-invalid",
      /only a reservation has pieces/,
      { ...v4("10.1.0.0/16"), ranges: [{ name: "a", type: "ip4", first: "10.1.0.9", size: 1, from: "b" }] },
      "spec.ranges[0].from",
    ],
    ["request-invalid", /expected a value, got nothing/, {}, "spec.subnets"],
    ["request-invalid", /expected at least one/, { subnets: [], ipam: "local" }, "spec.subnets"],
    ["request-invalid", /expected at least one/, { subnets: [], ranges: [] }, "spec.subnets"],
    ["mtu-invalid", /IPv6 needs 1280/, { ...v4("fd00:1::/64"), mtu: 1279 }, "spec.mtu"],
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
    ["overlap", /host "h1" \(underlay address 192.168.0.1\)/, v4("192.168.0.0/24")],
    ["overlap", /host "h1" \(172.17.0.0\/16\): the host has that address or route/, v4("172.17.5.0/24")],
    ["overlap", /host "h1" \(172.17.0.0\/16\)/, v4("172.16.0.0/12")],
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
  for (const [reason, text, spec, where] of cases)
    await refuses(lab, [reason, where], text, () => lab.put("blue", spec));
  await lab.put("six", { ...v4("fd00:1::/64"), mtu: 1280 });
  await lab.put("four", { ...v4("10.99.0.0/16"), mtu: 576 });
  for (const name of ["host", "bridge", "default", "none"])
    await refuses(lab, "name-reserved", /choose a name other than/, () => lab.put(name, v4("10.1.0.0/16")));
  for (const name of ["", "-a", "a b", "a/b", "ä", ".", "a".repeat(254)])
    await refuses(lab, "name-invalid", /cannot be the name/, () => lab.put(name, v4("10.1.0.0/16")));
  assert.equal((await lab.put("a".repeat(253), { ...v4("10.1.0.0/16"), vrf: "a", mtu: 1450 })).spec.mtu, 1450);
});

test("a VRF that is wrong is refused", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("green", { ...v4("10.0.0.0/9", 24), vrf: "shared" });
  const put =
    (spec: object, name = "tenant") =>
    () =>
      lab.control.write({ verb: "put", kind: "vrf", name, spec });
  await refuses(lab, ["vni-taken", "spec.vni"], /belongs to vrf\/shared/, put({ vni: 4096 }));
  await refuses(lab, "vni-invalid", /1 to 16777214/, put({ vni: 0 }));
  await refuses(lab, "vni-invalid", /1 to 16777214/, put({ vni: 16_777_215 }));
  await refuses(lab, ["prefix-invalid", "spec.vtepSubnets[0]"], /24 bits/, put({ vtepSubnets: ["44.0.0.0/7"] }));
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
    ["subnets", v4("fd00:7::/64")],
    ["gateway", { subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.9" }, { cidr: "fd00:7::/64" }] }],
    ["vrf", { ...free, vrf: "other" }],
    ["ipam", v4("10.7.0.0/16", 24)],
  ];
  for (const [field, spec] of attempts) {
    const text = new RegExp(`\`${field}\` of network "blue" cannot change: endpoints use`);
    const fault = await refuses(lab, "in-use", text, () => lab.put("blue", spec));
    assert.deepEqual(fault.detail.blockers, ["web.eth0"]);
  }
  await refuses(lab, "in-use", /has endpoints.*\[web.eth0\]/, () =>
    lab.control.write({ verb: "delete", kind: "network", name: "blue" }),
  );
  // What its endpoints stand on is still there when it grows; the gateway is one of those things.
  await lab.put("near", { ...v4("10.4.0.0/16"), vrf: "blue" });
  await refuses(lab, "overlap", /overlaps network "near"/, () =>
    lab.put("blue", { ...free, subnets: [{ cidr: "10.4.0.0/14" }, { cidr: "fd00:7::/64" }] }),
  );
  await lab.control.write({ verb: "delete", kind: "network", name: "near" });
  const grown = { ...free, subnets: [{ cidr: "10.6.0.0/15" }, { cidr: "fd00:7::/48" }] };
  for (const cidr of ["10.6.0.0/15", "10.6.0.0/15"])
    assert.deepEqual((await lab.put("blue", grown)).spec.subnets, [
      { cidr, gateway: "10.7.0.1" },
      { cidr: "fd00:7::/48", gateway: "fd00:7::1" },
    ]);
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
