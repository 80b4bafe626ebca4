// Networks of the scenarios as scripts: what Weft would make on a host, without what follows the endpoints.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { exportNetwork } from "../../../src/formats/export.ts";
import { FORMATS } from "../../../src/formats/formats.ts";
import { type Resource, type Snapshot, snapshotOf } from "../../../src/model/resource.ts";

/** The first snapshot of a scenario. */
function snapshotIn(name: string): Snapshot {
  const text = readFileSync(join(import.meta.dirname, "../../scenarios", `${name}.txt`), "utf8");
  const [, part = ""] = /== snapshot\n([\s\S]*?)\n== /.exec(text) ?? [];
  const resources = (parse(part) as readonly Resource[]).map((one) => ({ ...one, uid: "u", revision: 5 }));
  return snapshotOf("c", 5, resources);
}

function lines(scenario: string, network: string, host: string, more: object = {}): readonly string[] {
  const before = snapshotIn(scenario);
  const networks = before.networks.map((one) => ({ ...one, spec: { ...one.spec, ...more } }));
  const snapshot = { ...before, networks };
  const found = snapshot.networks.find(({ name }) => name === network) ?? assert.fail(network);
  const { files } = exportNetwork(snapshot, found, host, "iproute2");
  const [, body = ""] = (files[0]?.text ?? "").split("  exit 0\nfi\n");
  return body.split("\n").filter((line) => /^(ip|bridge|ethtool) /.test(line));
}

test("a VLAN inside an outer one", () => {
  assert.deepEqual(lines("vlan", "inner", "h2"), [
    "ip link add link eno2 name wo-lan-7 mtu 2000 type vlan protocol 802.1ad id 7",
    "ip link set wo-lan-7 up",
    "ip link add link wo-lan-7 name wv-inner mtu 1400 type vlan id 5",
    "ip link set wv-inner up",
    "ip link add name wb-inner address 0a:5c:60:07:65:6f mtu 1400 type bridge stp_state 0 forward_delay 1500",
    "ip link set wv-inner master wb-inner",
    "ip link set wb-inner up",
  ]);
});

test("multicast: the group, its device and its TTL; no entries for peers", () => {
  assert.deepEqual(lines("multicast", "mgmt", "h1"), [
    "ip link add name wx236 mtu 8900 type vxlan id 236 group 239.0.0.236 dev eth2 local 172.29.0.1 ttl 5 dstport 4789",
    "ip link set wx236 up",
    "ip link add name wb-mgmt address 0a:57:00:00:00:ec mtu 8900 type bridge stp_state 0 forward_delay 1500",
    "ip link set wx236 master wb-mgmt",
    "ip link set wb-mgmt up",
  ]);
});

test("a host's device that a shell would not take as a name is in no file", () => {
  const before = snapshotIn("vlan");
  for (const format of FORMATS) {
    for (const device of ["$(id)", "a;reboot", "-x", "a b", "a\nb"]) {
      const hosts = before.hosts.map((one) => ({
        ...one,
        spec: { ...one.spec, physical: [{ name: "lan", device }], devices: [{ name: device, mtu: 1500 }] },
      }));
      const network = before.networks.find(({ name }) => name === "inner") ?? assert.fail();
      assert.throws(() => exportNetwork({ ...before, hosts }, network, "h2", format), /cannot be written as/, device);
    }
  }
});

test("a routed network: peers, and routes to its own blocks, not to those of the VRF's other network", () => {
  const own = lines("routed", "dcos", "h1");
  assert.deepEqual(own.slice(0, 9), [
    "ip link add name vtep1024 address 70:b3:d5:80:00:01 mtu 1450 type vxlan id 1024 local 172.31.77.11 dstport 4789 " +
      "nolearning",
    "bridge fdb append 70:b3:d5:80:00:02 dev vtep1024 dst 172.31.77.12 self permanent",
    "bridge fdb append 70:b3:d5:80:00:03 dev vtep1024 dst 172.31.77.13 self permanent",
    "ip link set vtep1024 up",
    "ip address replace 44.128.0.1/20 dev vtep1024",
    "ip neigh replace 44.128.0.2 lladdr 70:b3:d5:80:00:02 dev vtep1024 nud permanent",
    "ip neigh replace 44.128.0.3 lladdr 70:b3:d5:80:00:03 dev vtep1024 nud permanent",
    "ip route replace 9.0.1.0/24 via 44.128.0.2 dev vtep1024 onlink",
    "ip route replace 9.0.2.0/24 via 44.128.0.3 dev vtep1024 onlink",
  ]);
  assert.deepEqual(
    own.filter((line) => line.startsWith("ip address replace 9.")),
    ["ip address replace 9.0.0.1/25 dev m-dcos", "ip address replace 9.0.0.129/25 dev d-dcos"],
  );
  assert.ok(own.every((line) => !line.includes("192.168.")));
});

test("the kernel writes checksums: said of the tunnels alone, and only if the network says so", () => {
  const said = (more: object) => lines("gre", "lan", "h1", more).filter((line) => line.startsWith("ethtool"));
  assert.deepEqual([said({}), said({ offload: "on" })], [[], []]);
  assert.deepEqual(said({ offload: "off" }), [
    "ethtool -K gt7-2 tx-checksum-ip-generic off",
    "ethtool -K gt7-10 tx-checksum-ip-generic off",
  ]);
});

test("GRE: tunnels that are isolated from each other in the bridge", () => {
  const ports = lines("gre", "lan", "h1").filter((line) => line.includes("isolated"));
  assert.ok(ports.length > 0 && ports.every((line) => /^bridge link set dev gt\d+-\d+ isolated on$/.test(line)));
});

test("a host that a network does not name, and a driver that no file can say, are refused", () => {
  assert.throws(() => lines("vlan", "hosted", "h2"), /host "h2" has no part of network "hosted"/);
  const [network] = snapshotIn("ovs").networks.filter(({ spec }) => spec.driver === "ovs");
  assert.ok(network !== undefined);
  assert.throws(() => lines("ovs", network.name, "h1"), /cannot be written as iproute2.*the driver ovs does/);
});
