// Stanzas as they were published: the recipe for VXLAN on public clouds, variants of it that OpenStack-Ansible users
// have, and ifupdown2. What the plan cannot hold is named with its line.
import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "./memoryFiles.ts";
import { rackspaceStanzas } from "../../netns/lab/recipe.ts";

/** The recipe, with the addresses that its page lost. */
const RECIPE = `auto eth2
iface eth2 inet static
    address 192.168.66.11
    netmask 255.255.255.0

${rackspaceStanzas("address 172.29.236.11", "netmask 255.255.252.0", "offload-sg off")}`;

const none = { addresses: [], routes: [], neighbours: [] };
const bridge = { kind: "bridge", ...none, stp: false, forwardDelay: 15 };
const vxlan = { kind: "vxlan", ...none, remotes: [], fdb: [], learning: true };
const nic = { kind: "nic", ...none };

test("the recipe of the page", () => {
  const { links, notes, problems } = read("ifupdown", { interfaces: RECIPE });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    "interfaces:21: offload-sg off: switches of the device itself stay as the host has them; Weft's own are " +
      "`offload` of the network",
  ]);
  assert.deepEqual(links, {
    "br-mgmt": { ...bridge, forwardDelay: 0, addresses: ['"172.29.236.11/22"'] },
    "encap-mgmt": {
      ...vxlan,
      master: "br-mgmt",
      vni: 236,
      group: "239.0.0.236",
      dev: "eth2",
      ttl: 5,
      port: 4789,
    },
    eth2: { ...nic, addresses: ['"192.168.66.11/24"'] },
  });
});

test("the page as it stands: a group without an address and a torn line are refused with their lines", () => {
  const text = RECIPE.replace("group 239.0.0.236 dev ", "group dev \n    ");
  const { problems } = read("ifupdown", { interfaces: text });
  assert.deepEqual(problems, ["interfaces:8: ip link add encap-mgmt type vxlan id 236 group dev: group has no value"]);
});

test("several VNIs on one group, no port, links that are never removed", () => {
  const text = `auto vxlan-mgmt
iface vxlan-mgmt inet manual
  pre-up ip link add vxlan-mgmt type vxlan id 2 group 239.0.0.16 ttl 4 dev eth2 || true
  up ip link set dev $IFACE up
auto vxlan-vlan
iface vxlan-vlan inet manual
  pre-up /sbin/ip link add $IFACE type vxlan id 5 dev eth3 group 239.0.0.16 ttl 4 2>/dev/null || true
  up ip link set up dev vxlan-vlan
iface br-vlan inet manual
  bridge-ports vxlan-vlan
  bridge-stp on
`;
  const { links, problems, notes } = read("ifupdown", { interfaces: text });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, []);
  const common = { ...vxlan, group: "239.0.0.16", ttl: 4, port: 8472 };
  assert.deepEqual(links, {
    "br-vlan": { ...bridge, stp: true },
    eth2: nic,
    eth3: nic,
    "vxlan-mgmt": { ...common, vni: 2, dev: "eth2" },
    "vxlan-vlan": { ...common, vni: 5, dev: "eth3", master: "br-vlan" },
  });
});

test("an address on the VXLAN device itself; one remote host instead of a group", () => {
  const text = `iface vxlan1 inet static
  address 10.1.0.2/24
  pre-up ip link add vxlan1 type vxlan id 1 dev eth3 remote 10.0.0.9 local 10.0.0.8 dstport 4789 srcport 0 0 nolearning
  up bridge fdb append 00:00:00:00:00:00 dev vxlan1 dst 10.0.0.10
  up ip route add 10.2.0.0/16 via 10.1.0.1 dev $IFACE metric 7
`;
  const { links, problems, notes } = read("ifupdown", { interfaces: text });
  assert.deepEqual([...problems, ...notes], []);
  assert.deepEqual(links["vxlan1"], {
    ...vxlan,
    addresses: ['"10.1.0.2/24"'],
    routes: ['{"to":"10.2.0.0/16","via":"10.1.0.1","metric":7}'],
    remotes: ['"10.0.0.10"', '"10.0.0.9"'],
    vni: 1,
    local: "10.0.0.8",
    dev: "eth3",
    port: 4789,
    learning: false,
  });
});

test("VLANs by their names, by their raw device, and by a command", () => {
  const text = `iface eth1.100 inet manual
iface br-vlan inet manual
  bridge_ports eth1.101
iface vlan102 inet manual
  vlan-raw-device eth1
iface outer inet manual
  pre-up ip link add link eth1 name outer mtu 1500 type vlan proto 802.1ad id 7
iface inner inet manual
  pre-up ip link add link outer name inner type vlan id 8 protocol 802.1Q
`;
  const { links, notes } = read("ifupdown", { interfaces: text });
  const vlan = { kind: "vlan", ...none, parent: "eth1", outer: false };
  assert.deepEqual(notes, []);
  assert.deepEqual(links["eth1.100"], { ...vlan, id: 100 });
  assert.deepEqual(links["eth1.101"], { ...vlan, id: 101, master: "br-vlan" });
  assert.deepEqual(links["vlan102"], { ...vlan, id: 102 });
  assert.deepEqual(links["outer"], { ...vlan, id: 7, outer: true, mtu: 1500 });
  assert.deepEqual(links["inner"], { ...vlan, id: 8, parent: "outer" });
});

test("ifupdown2: head-end list, group, VLAN, and its own default port", () => {
  const text = `auto vx10
iface vx10
    vxlan-id 10
    vxlan-local-tunnelip 10.0.0.1
    vxlan-remoteip 10.0.0.2
    vxlan-remoteip 10.0.0.3
    vxlan-learning off
    bridge-access 10
auto vx11
iface vx11
    vxlan-id 11
    vxlan-mcastgrp 239.0.0.11
    vxlan-physdev eth2
    vxlan-ttl 5
    vxlan-port 8472
iface eth1.5
    vlan-raw-device eth1
    vlan-id 5
    vlan-protocol 802.1ad
iface br
    bridge-ports vx10
    bridge-vlan-aware yes
    address 10.10.0.1/24
    address fd00::1/64
    hwaddress 02:00:00:00:00:0a
`;
  const { links, notes, problems } = read("ifupdown", { interfaces: text });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    "interfaces:8: bridge-access 10: this option is not read",
    "interfaces:22: bridge-vlan-aware yes: this option is not read",
  ]);
  assert.deepEqual(links["vx10"], {
    ...vxlan,
    master: "br",
    vni: 10,
    port: 4789,
    learning: false,
    local: "10.0.0.1",
    remotes: ['"10.0.0.2"', '"10.0.0.3"'],
  });
  assert.deepEqual(links["vx11"], { ...vxlan, vni: 11, port: 8472, group: "239.0.0.11", dev: "eth2", ttl: 5 });
  assert.deepEqual(links["eth1.5"], { kind: "vlan", ...none, parent: "eth1", id: 5, outer: true });
  assert.deepEqual(links["br"], {
    ...bridge,
    addresses: ['"10.10.0.1/24"', '"fd00::1/64"'],
    mac: "02:00:00:00:00:0a",
  });
});

test("includes: files, patterns and folders, once round is enough", () => {
  const files = {
    "/etc/network/interfaces": "source interfaces.d/*\nsource-directory more\nsource /etc/network/single\n",
    "/etc/network/interfaces.d/a": "iface a inet manual\n",
    "/etc/network/interfaces.d/.hidden": "iface hidden inet manual\n",
    "/etc/network/more/b": "iface b inet manual\n",
    "/etc/network/more/b.bak": "iface bak inet manual\n",
    "/etc/network/single": "iface c inet manual\n",
  };
  const { links, problems } = read("ifupdown", files);
  assert.deepEqual(problems, []);
  assert.deepEqual(Object.keys(links), ["a", "b", "c"]);
  const circle = read("ifupdown", { "/a": "source /a\n" });
  assert.match(circle.problems.join(), /\/a:1: \/a: files include each other too deeply/);
});

test("what is not read is named with its line", () => {
  const text = `mapping eth*
  script /bin/x
iface eth0 inet dhcp
iface eth1 inet static
  address 10.0.0.1
  up iptables -A INPUT -j DROP
  up ip link add a type dummy; reboot
  up ip link add b type bareudp
  down touch /x
  dns-nameservers 10.0.0.53
iface br inet manual
  bridge_ports regex eth.*
iface t0 inet tunnel
  tunnel-mode gre
`;
  const { notes, problems } = read("ifupdown", { i: text });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    "i:1: mapping eth*: a mapping and its lines are not read",
    "i:3: iface eth0 inet dhcp: addresses by dhcp are not read",
    "i:5: address 10.0.0.1: it has no prefix length, so it is not read",
    "i:6: iptables -A INPUT -j DROP: this command is not read",
    "i:7: ip link add a type dummy; reboot: only plain commands of ip and bridge are read",
    "i:8: ip link add b type bareudp: devices of type bareudp are not read",
    "i:9: down touch /x: this command is not read",
    "i:10: dns-nameservers 10.0.0.53: this option is not read",
    "i:12: bridge_ports regex eth.*: only ports that are named are read",
    "i:13: iface t0 inet tunnel: addresses by tunnel are not read",
    "i:14: tunnel-mode gre: only gretap and ip6gretap are read",
  ]);
});

test("wrong values are problems, each with its line", () => {
  const text = `iface x inet manual
  pre-up ip link add x type vxlan id 16777216 group 10.1.1.1 dev eth2 ttl 300
  pre-up ip link add y type vxlan id 0 dstport 70000
  pre-up ip link add link eth1 name v type vlan id 4095
  pre-up ip link add link eth1 name w type vlan id abc
  pre-up ip link add g type vxlan id 5 group 239.0.0.5
  pre-up ip link add h type vxlan id 6 group ff05::6 local 10.0.0.1 dev eth2
  up ip link set x mtu 12
iface x inet manual
  bridge_ports none
iface name-that-is-too-long inet manual
stray
  address 10.0.0.1/40
`;
  const { problems } = read("ifupdown", { i: text });
  assert.deepEqual(problems, [
    "i:2: id 16777216: it must be a whole number from 1 to 16777215",
    "i:2: group 10.1.1.1: this is not a multicast address",
    "i:2: ttl 300: it must be a whole number from 1 to 255",
    "i:3: id 0: it must be a whole number from 1 to 16777215",
    "i:3: dstport 70000: it must be a whole number from 1 to 65535",
    "i:4: id 4095: it must be a whole number from 1 to 4094",
    "i:5: id abc: it must be a whole number from 1 to 4094",
    "i:8: mtu 12: it must be a whole number from 68 to 65535",
    "i:10: x: it is a bridge here, and a vxlan elsewhere",
    "i:11: name-that-is-too-long: this cannot be the name of a device",
    "i:6: g group 239.0.0.5: a group needs the device that its packets leave by (dev)",
    "i:7: h: its addresses are of IPv4 and of IPv6",
  ]);
});
