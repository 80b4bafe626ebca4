// What is bound to a port, as elements: its own MAC and addresses and those that it may also have, and what its network
// allows, as bits of its mark. Whether the kernel keeps a port to it is test/netns/hostile.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spoofing } from "../../../../src/model/group.ts";
import { type EndpointSpec, type Resource, type ResourceOf, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import { endpointElements, lacksProfile, membershipOf } from "../../../../src/datapath/policy/spoofing.ts";
import type { ObjectOf } from "../../../../src/datapath/kinds.ts";
import { worldOf } from "../../../../src/datapath/world/world.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

const VRF = make("vrf", "blue", {
  index: 1,
  vni: 4096,
  tunnelPort: 4789,
  vtepSubnets: [],
  vtepMacOui: "70:b3:d5",
  hostAccess: false,
}) as ResourceOf<"vrf">;

function network(more: object = {}, name = "blue"): ResourceOf<"network"> {
  const subnets = [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }];
  const common = { driver: "vxlan", ipam: "global", vrf: "blue", subnets, masquerade: false, enabled: true };
  return make("network", name, { ...common, vni: name === "blue" ? 7 : 8, ...more }) as ResourceOf<"network">;
}

const OWN = { mac: "02:00:0a:07:00:02", addresses: ["10.7.0.2", "fd07::2"] };

function endpoint(owner: string, more: Partial<EndpointSpec> = {}): ResourceOf<"endpoint"> {
  const place = { network: "blue", host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}` };
  return make("endpoint", `${owner}.eth0`, { ...place, ...OWN, ...more }) as ResourceOf<"endpoint">;
}

const PORT = portName("a.eth0");

function host(name: string, order: number): Resource {
  return make("host", name, { underlay: `192.0.2.${order}`, underlayMtu: 1500, order });
}

/** Elements of h1's tables as `SET KEY` or `SET KEY : VALUE`, with P for the port of endpoint `a`. */
function elements(...resources: readonly Resource[]): string[] {
  const state = compile(snapshotOf("c", 1, [host("h1", 1), host("h2", 2), VRF, ...resources]), "h1");
  return [...state.values()]
    .flatMap((one) => (one.kind === "element" ? [one] : []))
    .map(({ ns, set, key, value }) => {
      assert.equal(ns, "vrf:blue");
      return `${set} ${key.replace(PORT, "P")}${value === undefined ? "" : ` : ${value}`}`;
    })
    .sort();
}

test("an endpoint has its MAC, its addresses and the link-local one that its MAC makes, all with one mark", () => {
  assert.deepEqual(elements(network(), endpoint("a"), endpoint("far", { host: "h2" })), [
    "bound4 P . 02:00:0a:07:00:02 . 10.7.0.2 : 40000000",
    "bound6 P . 02:00:0a:07:00:02 . fd07::2 : 40000000",
    "bound6 P . 02:00:0a:07:00:02 . fe80::aff:fe07:2 : 40000000",
    "macs P . 02:00:0a:07:00:02",
    "ports P : 40000000",
  ]);
});

test("allowed addresses go with its own MAC, or with the one that is said; each pair once", () => {
  const allowedAddresses = [
    { address: "10.7.0.99" },
    { address: "10.7.0.98", mac: "00:00:5e:00:01:33" },
    { address: "10.7.0.99", mac: "00:00:5e:00:01:33" },
    { address: "fd07::99", mac: OWN.mac },
    { address: "10.7.0.2" },
  ];
  assert.deepEqual(elements(network(), endpoint("a", { allowedAddresses })), [
    "bound4 P . 00:00:5e:00:01:33 . 10.7.0.98 : 40000000",
    "bound4 P . 00:00:5e:00:01:33 . 10.7.0.99 : 40000000",
    "bound4 P . 02:00:0a:07:00:02 . 10.7.0.2 : 40000000",
    "bound4 P . 02:00:0a:07:00:02 . 10.7.0.99 : 40000000",
    "bound6 P . 02:00:0a:07:00:02 . fd07::2 : 40000000",
    "bound6 P . 02:00:0a:07:00:02 . fd07::99 : 40000000",
    "bound6 P . 02:00:0a:07:00:02 . fe80::aff:fe07:2 : 40000000",
    "macs P . 00:00:5e:00:01:33",
    "macs P . 02:00:0a:07:00:02",
    "ports P : 40000000",
  ]);
});

test("what a network allows is a bit of the mark each; a MAC of anybody's is any address, too", () => {
  const cases: readonly (readonly [Spoofing, string])[] = [
    [{}, "40000000"],
    [{ mac: true }, "43000000"],
    [{ ip: true }, "42000000"],
    [{ dhcpServer: true }, "44000000"],
    [{ routerAdvertisements: true }, "48000000"],
    [{ broadcasts: true }, "50000000"],
    [{ tags: true }, "c0000000"],
    [{ mac: true, ip: true, dhcpServer: true, routerAdvertisements: true, broadcasts: true, tags: true }, "df000000"],
    [
      { mac: false, ip: false, dhcpServer: false, routerAdvertisements: false, broadcasts: false, tags: false },
      "40000000",
    ],
  ];
  for (const [spoofing, mark] of cases) {
    const found = elements(network({ spoofing }), endpoint("a"));
    assert.deepEqual(
      found.filter((line) => line.includes(" : ")).map((line) => line.slice(-8)),
      Array.from({ length: 4 }, () => mark),
      JSON.stringify(spoofing),
    );
  }
  // Of an endpoint without addresses nobody knows which it has.
  assert.deepEqual(
    elements(
      network({ ranges: [{ name: "f", type: "ether", mac: OWN.mac, size: 4 }] }),
      endpoint("a", { addresses: [], range: "f" }),
    ),
    ["bound6 P . 02:00:0a:07:00:02 . fe80::aff:fe07:2 : 42000000", "macs P . 02:00:0a:07:00:02", "ports P : 42000000"],
  );
});

test("an attach gives the kernel each element once, also where an allowed address is its own", () => {
  const world = worldOf(snapshotOf("c", 1, [host("h1", 1), VRF, network()]), "h1") ?? assert.fail();
  for (const allowedAddresses of [
    [{ address: "10.7.0.2" }],
    [{ address: "fd07::9" }, { address: "fd07::9", mac: OWN.mac }],
  ]) {
    const list = endpointElements(world, VRF, network(), endpoint("a", { allowedAddresses }));
    const keys = list.map(({ set, key }) => `${set} ${key}`);
    assert.deepEqual(keys, [...new Set(keys)]);
  }
});

const group = (name: string, rules: readonly object[]) => make("securitygroup", name, { rules });
const from = (name: string) => ({ direction: "in", action: "allow", protocol: "all", peer: { group: name } });

test("members of the groups that rules here ask for, from all hosts and networks of the VRF, each address once", () => {
  const asked = [from("app"), from("lb"), from("nobody")];
  const allowedAddresses = [{ address: "10.7.0.3" }, { address: "fd07::99" }];
  const found = elements(
    network(),
    network({ securityGroups: ["lb"] }, "green"),
    group("db", asked),
    group("app", []),
    group("lb", []),
    endpoint("a", { securityGroups: ["db"] }),
    endpoint("b", {
      host: "h2",
      mac: "02:00:0a:07:00:03",
      addresses: ["10.7.0.3", "fd07::3"],
      securityGroups: ["app", "db"],
      allowedAddresses,
    }),
    endpoint("c", { host: "h2", network: "green", mac: "02:00:0a:07:00:04", addresses: ["10.7.0.4"] }),
    endpoint("d", { host: "h2", mac: "02:00:0a:07:00:05", addresses: ["10.7.0.5"], securityGroups: ["other"] }),
  );
  assert.deepEqual(
    found.filter((line) => line.startsWith("members")),
    ["members4_app 10.7.0.3", "members4_lb 10.7.0.4", "members6_app fd07::3", "members6_app fd07::99"],
  );
  // Where no rule asks, nobody counts members.
  const quiet = elements(network(), group("db", []), endpoint("a", { securityGroups: ["db"] }));
  assert.deepEqual(
    quiet.filter((line) => line.startsWith("members")),
    [],
  );
  const only = { address: "10.7.0.99" };
  const single = endpoint("b", { securityGroups: ["db"], allowedAddresses: [only] });
  assert.deepEqual(
    membershipOf(VRF, network(), single, ["db"]).map(({ key }) => key),
    ["10.7.0.2", "fd07::2", "10.7.0.99"],
  );
  const ranges = [{ name: "r", type: "ip4", first: "10.7.0.0", size: 9, securityGroups: ["app"] }];
  assert.deepEqual(
    membershipOf(VRF, network({ ranges }), endpoint("b", { range: "r" }), ["app"]).map(({ set }) => set),
    ["members4_app", "members6_app"],
  );
  const b = endpoint("b", { securityGroups: ["app", "db"] });
  assert.deepEqual(membershipOf(VRF, network(), b, []), []);
  assert.deepEqual(membershipOf(VRF, network(), b, ["db"]), [
    { kind: "element", ns: "vrf:blue", set: "members4_db", key: "10.7.0.2" },
    { kind: "element", ns: "vrf:blue", set: "members6_db", key: "fd07::2" },
  ]);
});

test("a mark whose rules the tables do not have yet is told from all others", () => {
  const element = (more: Partial<ObjectOf<"element">>): ObjectOf<"element"> => ({
    kind: "element",
    ns: "vrf:blue",
    set: "ports",
    key: "wp1",
    ...more,
  });
  assert.equal(lacksProfile(element({ value: "40fffffe" })), true);
  assert.equal(lacksProfile(element({ value: "c0fffffe" })), true);
  assert.equal(lacksProfile(element({ value: "40ffffff" })), false);
  assert.equal(lacksProfile(element({ value: "40000000" })), false);
  assert.equal(lacksProfile(element({})), false);
  assert.equal(lacksProfile({ kind: "netns", ns: "vrf:blue" }), false);
});
