// Which routes the interfaces of one workload have, for every combination of networks that they are in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";

const SUBNETS: Readonly<Record<string, readonly [string, string]>> = {
  a: ["9.0.0.0/8", "fd09::/48"],
  b: ["10.8.0.0/16", "fd08::/48"],
  c: ["10.9.0.0/16", "fd0a::/48"],
  // Switched, and one in another VRF with a subnet of the first.
  s: ["10.7.0.0/16", "fd07::/64"],
  o: ["10.8.0.0/16", "fd08::/48"],
};
const ADDRESSES: Readonly<Record<string, readonly [string, string]>> = {
  a: ["9.0.0.", "fd09::"],
  b: ["10.8.0.", "fd08::"],
  c: ["10.9.0.", "fd0a::"],
  s: ["10.7.0.", "fd07::"],
  o: ["10.8.0.", "fd08::"],
};

function resource(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as unknown as Resource;
}

const vrf = (name: string, index: number) =>
  resource("vrf", name, {
    index,
    vni: 100 + index,
    tunnelPort: 4789,
    vtepSubnets: ["44.0.0.0/20"],
    vtepMacOui: "70:b3:d5",
  });

function networkOf(name: string, host: string): Resource[] {
  const [four, six] = SUBNETS[name] ?? assert.fail();
  const common = { driver: "vxlan", vrf: name === "o" ? "other" : "one", masquerade: true, enabled: true };
  if (name === "s") {
    const subnets = [
      { cidr: four, gateway: "10.7.0.1" },
      { cidr: six, gateway: "fd07::1" },
    ];
    return [resource("network", name, { ...common, ipam: "global", vni: 7, subnets })];
  }
  const subnets = [
    { cidr: four, hostPrefix: 24 },
    { cidr: six, hostPrefix: 64 },
  ];
  return [
    resource("network", name, { ...common, ipam: "local", subnets }),
    resource("block", `${name}.4`, { network: name, host, cidr: `${ADDRESSES[name]?.[0]}0/24` }),
    resource("block", `${name}.6`, { network: name, host, cidr: `${ADDRESSES[name]?.[1]}/64` }),
  ];
}

/**
 * Routes of a workload whose interfaces (eth0, eth1, …) are in these networks, as `DESTINATION INTERFACE`. Blocks of
 * the network `away` are another host's.
 */
function routes(
  family: 4 | 6,
  interfaces: readonly string[],
  more: Readonly<Record<string, object>> = {},
  away = "",
): string[] {
  const endpoints = interfaces.map((network, i) => {
    const addresses = (ADDRESSES[network] ?? []).map((start) => `${start}${i + 2}`);
    const mac = `02:00:00:00:00:0${i}`;
    const spec = { network, host: "h1", owner: "w", ifname: `eth${i}`, netns: "/run/netns/w", mac, addresses };
    return resource("endpoint", `w.eth${i}`, { ...spec, ...more[`eth${i}`] });
  });
  const rest = [
    vrf("one", 0),
    vrf("other", 1),
    resource("host", "h1", { underlay: "172.31.77.11", underlayMtu: 1500, order: 0 }),
    ...Object.keys(SUBNETS).flatMap((name) => networkOf(name, name === away ? "h2" : "h1")),
  ];
  const both = [[...rest, ...endpoints], [...rest, ...endpoints].toReversed()].map((resources) =>
    [...compile(snapshotOf("test", 1, resources), "h1").values()]
      .flatMap((one) => (one.kind === "route" && one.ns === "/run/netns/w" ? [`${one.dst} ${one.dev}`] : []))
      .filter((line) => line.includes(":") === (family === 6))
      .sort(),
  );
  assert.deepEqual(both[0], both[1], "in any order");
  return both[0] ?? [];
}

for (const family of [4, 6] as const) {
  const all = family === 4 ? "0.0.0.0/0" : "::/0";
  const [a, b, c] = ["a", "b", "c"].map((name) => SUBNETS[name]?.[family === 4 ? 0 : 1]);

  test(`IPv${family}: what leads to the first interface's network does not leave by a further one`, () => {
    assert.deepEqual(routes(family, ["a", "b"]), [`${all} eth0`, `${b} eth1`].sort());
    assert.deepEqual(routes(family, ["b", "a"]), [`${all} eth0`, `${a} eth1`].sort());
    assert.deepEqual(routes(family, ["s", "a"]), [`${all} eth0`, `${a} eth1`].sort());
    assert.deepEqual(routes(family, ["a", "s"]), [`${all} eth0`]);
  });

  test(`IPv${family}: twice in one local network: the first interface has all of it`, () => {
    assert.deepEqual(routes(family, ["a", "a"]), [`${all} eth0`]);
    assert.deepEqual(routes(family, ["a", "b", "b"]), [`${all} eth0`, `${b} eth1`].sort());
  });

  test(`IPv${family}: of three interfaces, each leads to its own network, none to another's`, () => {
    assert.deepEqual(routes(family, ["a", "b", "c"]), [`${all} eth0`, `${b} eth1`, `${c} eth2`].sort());
    assert.deepEqual(routes(family, ["o", "a", "c"]), [`${all} eth0`, ...rest(["a eth1", "c eth2", "s eth1"])].sort());
  });

  test(`IPv${family}: no default route: the rest of the VRF goes through the first by name`, () => {
    const off = { eth0: { defaultRoute: false }, eth1: { defaultRoute: false } };
    assert.deepEqual(routes(family, ["a", "b"], off), rest(["a eth0", "b eth1", "c eth0", "s eth0"]));
    assert.deepEqual(
      routes(family, ["a", "b"], { eth0: { defaultRoute: false } }),
      [`${all} eth1`, `${a} eth0`].sort(),
    );
  });

  test(`IPv${family}: an interface whose block is another host's by now leads nowhere, and others lead for it`, () => {
    const off = { eth0: { defaultRoute: false }, eth1: { defaultRoute: false } };
    assert.deepEqual(routes(family, ["b", "a"], off, "b"), rest(["a eth1", "c eth1", "s eth1"]));
  });

  test(`IPv${family}: an endpoint of another host at the same path is another workload's`, () => {
    assert.deepEqual(routes(family, ["a", "b"], { eth0: { host: "h2" } }), [`${all} eth1`]);
  });

  test(`IPv${family}: two VRFs with one subnet: one interface has the route, because the kernel has one`, () => {
    const off = { eth0: { defaultRoute: false }, eth1: { defaultRoute: false } };
    const got = routes(family, ["b", "o"], off);
    assert.equal(new Set(got.map((line) => line.split(" ")[0])).size, got.length, got.join());
  });

  /** Lines of `NETWORK INTERFACE` as routes. */
  function rest(lines: readonly string[]): string[] {
    return lines
      .map((line) => line.split(" "))
      .map(([name = "", dev]) => `${SUBNETS[name]?.[family === 4 ? 0 : 1]} ${dev}`)
      .sort();
  }
}
