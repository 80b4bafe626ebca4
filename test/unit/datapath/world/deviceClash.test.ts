// What would share a device is built once, for the first by name; the other has nothing in the kernel, and nobody is on
// a segment that is another's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../../../../src/model/device.ts";
import {
  type Kind,
  type Resource,
  type ResourceOf,
  type Snapshot,
  snapshotOf,
} from "../../../../src/model/resource.ts";
import { clashingNetworks } from "../../../../src/datapath/world/deviceClash.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import { portName } from "../../../../src/datapath/state/names.ts";

const make = <K extends Kind>(kind: K, name: string, spec: ResourceOf<K>["spec"]) =>
  ({ kind, name, uid: name, revision: 1, spec }) as unknown as ResourceOf<K>;

/** Two names of networks that have one bridge, in order. */
function twins(prefix = "wb"): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const name = `a-network-of-mine-${i.toString(36)}`;
    const other = seen.get(deviceName(prefix, name));
    if (other !== undefined) return other < name ? [other, name] : [name, other];
    seen.set(deviceName(prefix, name), name);
  }
}

function network(name: string, n: number): readonly Resource[] {
  const owner = `w${n}`;
  return [
    make("network", name, {
      driver: "vxlan",
      ipam: "global",
      vrf: "v",
      vni: 7 + n,
      subnets: [{ cidr: `10.${n}.0.0/16`, gateway: `10.${n}.0.1` }],
      masquerade: false,
      enabled: true,
    }),
    make("endpoint", `${owner}.eth0`, {
      network: name,
      host: "h1",
      owner,
      ifname: "eth0",
      netns: `/run/netns/${owner}`,
      mac: `02:00:0a:0${n}:00:09`,
      addresses: [`10.${n}.0.9`],
    }),
  ];
}

function snapshot(...resources: readonly Resource[]): Snapshot {
  return snapshotOf("c", 1, [
    make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
    make("vrf", "v", {
      index: 1,
      vni: 4096,
      tunnelPort: 4789,
      vtepSubnets: ["198.18.0.0/20"],
      vtepMacOui: "70:b3:d5",
      hostAccess: false,
    }),
    ...resources,
  ]);
}

test("of two networks with one bridge, the first by name is built, in any order", () => {
  const [a, b] = twins();
  const [first, second] = [network(a, 1), network(b, 2)];
  const objects = [...compile(snapshot(...first, ...second), "h1").values()];
  const bridges = objects.filter((object) => object.kind === "bridge");
  assert.deepEqual(
    bridges.map(({ alias }) => alias),
    [`weft:network:${a}`],
  );
  const ports = objects.filter((object) => object.kind === "veth").map(({ alias }) => alias);
  assert.deepEqual(ports, ["weft:endpoint:w1.eth0"], "and nobody else is on it");
  assert.deepEqual(
    objects.filter((object) => object.kind === "vxlan").map(({ vni }) => vni),
    [8],
  );
  assert.deepEqual([...compile(snapshot(...second, ...first), "h1").values()].length, objects.length);
});

/** Two endpoints that have one port: their names were searched for. */
const [FIRST, SECOND] = ["005dkltgglh", "10cnunyz09c"] as const;

function endpoint(owner: string, n: number, more: object = {}): Resource {
  return make("endpoint", `${owner}.eth0`, {
    network: "n",
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: `02:00:0a:01:00:0${n}`,
    addresses: [`10.1.0.${n}`],
    ...more,
  });
}

test("of two endpoints with one port, the first by name has it, in any order and network; others keep theirs", () => {
  assert.equal(portName(`${FIRST}.eth0`), portName(`${SECOND}.eth0`));
  const other = [...network("n", 1).slice(0, 1), ...network("m", 2)];
  const ports = (...endpoints: readonly Resource[]) =>
    [endpoints, endpoints.toReversed()].map((some) =>
      [...compile(snapshot(...other, ...some), "h1").values()]
        .flatMap((object) => (object.kind === "veth" ? [object.alias.replace("weft:endpoint:", "")] : []))
        .sort(),
    );
  const both = (...names: readonly string[]) => [names, names].map((list) => list.map((name) => `${name}.eth0`).sort());
  const [first, second] = [endpoint(FIRST, 3), endpoint(SECOND, 4)];
  assert.deepEqual(ports(first), both("w2", FIRST));
  assert.deepEqual(ports(second), both("w2", SECOND));
  assert.deepEqual(ports(first, second, endpoint("plain", 5)), both("plain", "w2", FIRST));
  const apart = { network: "m", addresses: ["10.2.0.4"] };
  assert.deepEqual(ports(first, endpoint(SECOND, 4, apart)), both("w2", FIRST));
  assert.deepEqual(ports(endpoint(FIRST, 3, { ...apart, addresses: ["10.2.0.3"] }), second), both("w2", FIRST));
  // On another host it is nobody's neighbour.
  assert.deepEqual(ports(endpoint(FIRST, 3, { host: "h2" }), second), both("w2", SECOND));
});

test("nothing of what has no port of its own is in the tables, nor on its network's segment", () => {
  const [first, second] = [endpoint(FIRST, 3), endpoint(SECOND, 4)];
  const keys = [...compile(snapshot(...network("n", 1).slice(0, 1), first, second), "h1").keys()];
  assert.deepEqual(
    keys.filter((key) => key.includes("10.1.0.4") || key.includes("02:00:0a:01:00:04")),
    [],
  );
  assert(keys.some((key) => key.includes("10.1.0.3")));
});

test("a network of which any bridge is another's is not built: slices are bridges each", () => {
  const sliced = (name: string, ...bridges: readonly string[]) =>
    ({
      name,
      spec: { slices: bridges.map((bridge) => ({ name: bridge, bridge })) },
    }) as unknown as ResourceOf<"network">;
  const [a, b] = twins("m");
  const crowded = (...networks: readonly ResourceOf<"network">[]) => [...clashingNetworks(networks)];
  assert.deepEqual(crowded(sliced(a, "m"), sliced(b, "m")), [b]);
  assert.deepEqual(crowded(sliced(b, "m"), sliced(a, "m")), [b]);
  assert.deepEqual(crowded(sliced(b, "x", "m"), sliced(a, "m", "y")), [b], "one of its bridges is enough");
  assert.deepEqual(crowded(sliced(a, "x"), sliced(b, "m")), []);
});
