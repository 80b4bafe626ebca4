// netplan's YAML as its own documentation writes it; what the plan cannot hold is named with its line.
import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "./memoryFiles.ts";

const none = { addresses: [], routes: [], neighbours: [] };
const nic = { kind: "nic", ...none };
const vxlan = { kind: "vxlan", ...none, remotes: [], fdb: [], learning: true };

test("a bridge on a VXLAN device with a group", () => {
  const text = `network:
  version: 2
  renderer: networkd
  ethernets:
    eth2:
      addresses: [192.168.66.11/24]
      routes:
        - {to: default, via: 192.168.66.1, on-link: true, metric: 100}
  tunnels:
    encap-mgmt:
      mode: vxlan
      id: 236
      link: eth2
      remote: 239.0.0.236
      ttl: 5
      port: 4789
      link-local: []
  bridges:
    br-mgmt:
      interfaces: [encap-mgmt]
      parameters:
        forward-delay: 4
      addresses:
        - 172.29.236.11/22
        - "fd00::11/64":
            label: x
      mtu: 1400
`;
  const { links, notes, problems } = read("netplan", { "a.yaml": text });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, ["a.yaml:25: fd00::11/64: labels and lifetimes are not read"]);
  assert.deepEqual(links, {
    "br-mgmt": {
      kind: "bridge",
      ...none,
      addresses: ['"172.29.236.11/22"', '"fd00::11/64"'],
      mtu: 1400,
      // The default of netplan, where there are any parameters.
      stp: true,
      forwardDelay: 4,
    },
    "encap-mgmt": { ...vxlan, vni: 236, group: "239.0.0.236", dev: "eth2", ttl: 5, port: 4789, master: "br-mgmt" },
    eth2: {
      ...nic,
      addresses: ['"192.168.66.11/24"'],
      routes: ['{"to":"0.0.0.0/0","via":"192.168.66.1","metric":100,"onlink":true}'],
    },
  });
});

test("GRE with one key, VLANs on each other, and several files", () => {
  const files = {
    "/n/a.yaml": `network:
  ethernets: {eth1: {dhcp4: false}}
  tunnels:
    g4: {mode: gretap, local: 10.0.0.1, remote: 10.0.0.2, key: 77}
    g6: {mode: ip6gretap, local: "fd00::1", remote: "fd00::2", keys: {input: 5, output: 5}}
  vlans:
    eth1.7: {id: 7, link: eth1}
`,
    "/n/b.yaml": `network:
  vlans: {inner: {id: 0x8, link: eth1.7}}
  ethernets: {eth1: {mtu: 1504}}
`,
  };
  const { links, problems } = read("netplan", files, ["/n"]);
  assert.deepEqual(problems, ["/n/b.yaml:2: id 0x8: it must be a whole number from 1 to 4094"]);
  assert.deepEqual(links["eth1"], { ...nic, mtu: 1504 });
  assert.deepEqual(links["eth1.7"], { kind: "vlan", ...none, parent: "eth1", id: 7, outer: false });
  assert.deepEqual(links["g4"], { kind: "gretap", ...none, local: "10.0.0.1", remote: "10.0.0.2", key: 77 });
  assert.deepEqual(links["g6"], { kind: "gretap", ...none, local: "fd00::1", remote: "fd00::2", key: 5 });
});

test("what is not read is named with its line", () => {
  const text = `network:
  version: 2
  renderer: NetworkManager
  bonds:
    bond0: {interfaces: [eth0]}
  ethernets:
    eth0:
      dhcp4: yes
      match: {macaddress: "00:00:00:00:00:01"}
      nameservers: {addresses: [10.0.0.53]}
  tunnels:
    wg0: {mode: wireguard}
  bridges:
    br0:
      parameters: {priority: 1, stp: no}
      routes: [{to: 10.0.0.0/8, via: 10.1.0.1, table: 5}]
other: 1
`;
  const { notes, problems } = read("netplan", { a: text });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    "a:3: renderer: NetworkManager: it is read as networkd's",
    "a:4: bonds: …: links of this kind are not read",
    "a:8: dhcp4: yes: addresses by DHCP are not read",
    "a:9: match: …: this key is not read",
    "a:10: nameservers: …: this key is not read",
    "a:12: mode: wireguard: only vxlan, gretap and ip6gretap are read",
    "a:15: priority: 1: this parameter is not read",
    "a:16: table: 5: a route with this key is not read",
    "a:17: other: 1: only `network` is read",
  ]);
});

test("YAML that is none, of another shape, or that multiplies", () => {
  const problems = (text: string) => read("netplan", { a: text }).problems;
  assert.match(problems("network: [").join(), /^a:1: this is not YAML: /);
  assert.deepEqual(problems("network: [1]"), ["a:1: a list: this must be a mapping"]);
  assert.deepEqual(problems("network: {bridges: {b: {interfaces: x, addresses: {}}}}"), [
    "a:1: x: this must be a list",
    "a:1: a mapping: this must be a list",
  ]);
  assert.deepEqual(problems("network: {tunnels: {t: {mode: vxlan, id: [1]}}}"), ["a:1: id: this must be one value"]);
  const bomb = ["a: &a {x: 1, y: 2}", ...Array.from({ length: 20 }, (_, i) => `a${i}: &a${i} {${many(i)}}`)].join("\n");
  assert.deepEqual(problems(bomb), []);
  const bridges = Array.from({ length: 400 }, (_, i) => `    b${i}: {addresses: *x}\n`).join("");
  const spread = `x: &x [${"1.1.1.1/32, ".repeat(400)}]\nnetwork:\n  bridges:\n${bridges}`;
  assert.match(problems(spread).join(), /its aliases multiply to too many values/);
  assert.deepEqual(problems("network: *none"), ["a:1: an alias: nothing has this anchor"]);
});

function many(i: number): string {
  const name = i === 0 ? "a" : `a${i - 1}`;
  return Array.from({ length: 10 }, (_, k) => `k${k}: *${name}`).join(", ");
}
