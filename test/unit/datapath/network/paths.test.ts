// The ways to peers as values: which there are, how large a packet goes there, and where it is sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import { PATHS_NS, pathsOf } from "../../../../src/datapath/network/paths.ts";
import { worldOf } from "../../../../src/datapath/world/world.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

/** A VRF of this port, with networks of these MTUs (none: the tunnel's) and an endpoint on each of the hosts. */
function tenant(
  name: string,
  tunnelPort: number,
  on: readonly string[],
  mtus: readonly (number | undefined)[] = [undefined],
) {
  const vrf = { index: 1, vni: 4096, tunnelPort, vtepSubnets: [], vtepMacOui: "70:b3:d5", hostAccess: false };
  const networks = mtus.map((mtu, i) =>
    make("network", `${name}${i}`, {
      driver: "vxlan",
      ipam: "global",
      vrf: name,
      vni: 7,
      subnets: [{ cidr: "10.7.0.0/16" }],
      masquerade: false,
      enabled: true,
      ...(mtu === undefined ? {} : { mtu }),
    }),
  );
  const endpoints = on.map((host) =>
    make("endpoint", `${name}-${host}.eth0`, {
      network: `${name}0`,
      host,
      owner: `${name}-${host}`,
      ifname: "eth0",
      netns: `/run/netns/${name}-${host}`,
      mac: "02:00:00:00:00:01",
      addresses: ["10.7.0.2"],
    }),
  );
  return [make("vrf", name, vrf), ...networks, ...endpoints];
}

const HOSTS = [
  make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 9000, order: 1 }),
  make("host", "h2", { underlay: "192.0.2.2", underlayMtu: 1500, order: 0x1234_5678 }),
  make("host", "h3", { underlay: "192.0.2.3", underlayMtu: 9000, order: 3 }),
  make("host", "s1", { underlay: "2001:db8::1", underlayMtu: 9000, order: 4 }),
];

const snapshot = (...tenants: readonly (readonly Resource[])[]) => snapshotOf("c", 1, [...HOSTS, ...tenants.flat()]);

/** As `HOST PORT SIZE ADDRESS`. */
function paths(...tenants: readonly (readonly Resource[])[]): string[] {
  const world = worldOf(snapshot(...tenants), "h1") ?? assert.fail();
  return pathsOf(world)
    .map(({ host, port, size, to }) => `${host} ${port} ${size} ${to}`)
    .sort();
}

test("one way to each host of a VRF, over the VRF's port; none to itself, none to where no tunnel leads", () => {
  assert.deepEqual(
    paths(tenant("a", 4789, ["h1", "h2", "s1"]), tenant("b", 8472, ["h1", "h3"]), tenant("c", 500, ["h2"])),
    ["h2 4789 1450 fd00:7765:7061:12b5::1234:5678", "h3 8472 8950 fd00:7765:7061:2118::3", "s1 4789 1450 undefined"],
  );
  const world = worldOf(snapshot(tenant("a", 4789, ["h1", "h2"])), "h1") ?? assert.fail();
  assert.deepEqual(
    pathsOf(world).map(({ ends }) => ends),
    ["192.0.2.1 192.0.2.2"],
  );
});

test("of two VRFs of one port the larger packets count, and of a VRF's networks the largest that it sends", () => {
  const [large, small] = [tenant("a", 4789, ["h1", "h3"]), tenant("b", 4789, ["h1", "h3", "h2"])];
  for (const both of [
    [large, small],
    [small, large],
  ])
    assert.deepEqual(paths(...both), [
      "h2 4789 1450 fd00:7765:7061:12b5::1234:5678",
      "h3 4789 8950 fd00:7765:7061:12b5::3",
    ]);
  const sizeOf = (...mtus: readonly (number | undefined)[]) =>
    paths(tenant("a", 4789, ["h1", "h3"], mtus))[0]?.split(" ")[2];
  assert.equal(sizeOf(1400), "1400");
  assert.equal(sizeOf(1300, 1400, 1350), "1400");
  assert.equal(sizeOf(1300, undefined), "8950");
  assert.equal(sizeOf(65_000), "8950");
});

test("the namespace has a tunnel per port that leads somewhere, and is not there without one", () => {
  const tunnels = (...tenants: readonly (readonly Resource[])[]) =>
    [...compile(snapshot(...tenants), "h1").values()].flatMap((one) =>
      one.ns === PATHS_NS && one.kind !== "sysctl" ? [one.kind === "vxlan" ? `${one.name} ${one.mtu}` : one.kind] : [],
    );
  assert.deepEqual(tunnels(tenant("a", 4789, ["h1", "s1"])), []);
  assert.deepEqual(tunnels(tenant("a", 4789, ["h1"])), []);
  assert.deepEqual(tunnels(tenant("a", 4789, ["h1", "s1"]), tenant("b", 8472, ["h1", "h2"])).toSorted(), [
    "address",
    "fdb",
    "neighbour",
    "netns",
    "path8472 8950",
  ]);
});
