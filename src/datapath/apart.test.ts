// What would share a device is built once, for the first by name; the other has nothing in the kernel, and nobody is on
// a segment that is another's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../model/device.ts";
import { type Kind, type Resource, type ResourceOf, type Snapshot, snapshotOf } from "../model/resource.ts";
import { compile } from "./compile.ts";

const make = <K extends Kind>(kind: K, name: string, spec: ResourceOf<K>["spec"]) =>
  ({ kind, name, uid: name, revision: 1, spec }) as unknown as ResourceOf<K>;

/** Of one VRF, and one bridge's name. */
function twins(): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const name = `a-network-of-mine-${i.toString(36)}`;
    const other = seen.get(deviceName("wb", name));
    if (other !== undefined) return other < name ? [other, name] : [name, other];
    seen.set(deviceName("wb", name), name);
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
