// Who may send to which tunnel, as values; whether the kernel's tables do so is test/netns/tunnels.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

function host(order: number): Resource {
  return make("host", `h${order}`, { underlay: `192.0.2.${order}`, underlayMtu: 1500, order });
}

/** A VRF with its own port, a network, and an endpoint on each of these hosts. */
function tenant(name: string, index: number, tunnelPort: number, hosts: readonly number[]): Resource[] {
  const vrf = { index, vni: 4096 + index, tunnelPort, vtepSubnets: [], vtepMacOui: "70:b3:d5", hostAccess: false };
  const subnets = [{ cidr: `10.${index}.0.0/16` }];
  const network = { driver: "vxlan", ipam: "global", vrf: name, vni: index, subnets, masquerade: true, enabled: true };
  const endpoints = hosts.map((n) => {
    const owner = `${name}${n}`;
    const place = { network: name, host: `h${n}`, owner, ifname: "eth0", netns: `/run/netns/${owner}` };
    return make("endpoint", `${owner}.eth0`, {
      ...place,
      mac: `02:00:0a:0${index}:00:0${n}`,
      addresses: [`10.${index}.0.${n}`],
    });
  });
  return [make("vrf", name, vrf), make("network", name, network), ...endpoints];
}

function tableOf(tenants: readonly Resource[]): string {
  const table = compile(snapshotOf("c", 1, [host(1), host(2), host(3), ...tenants]), "h1").get("nft host");
  return table?.kind === "nft" ? table.body : "";
}

test("a host may send to the tunnel of a VRF that it shares, and not to that of another port", () => {
  const body = tableOf([...tenant("red", 1, 4789, [1, 2]), ...tenant("blue", 2, 8472, [1, 3])]);
  assert.deepEqual(body.match(/udp dport .* accept/g), [
    "udp dport 4789 ip saddr { 192.0.2.2 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    // A preflight.
    "udp dport 4789 @th,96,24 16777215 ip saddr { 192.0.2.3 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    "udp dport 8472 ip saddr { 192.0.2.3 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    "udp dport 8472 @th,96,24 16777215 ip saddr { 192.0.2.2 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
  ]);
  assert.match(body, /udp dport \{ 4789, 8472 \} fib daddr type != unicast drop/);
});

test("masquerade chooses no port of a tunnel, whose answers would be taken for a tunnel's", () => {
  const rangeOf = (...ports: readonly number[]) =>
    /masquerade to :(\d+-\d+)/.exec(tableOf(ports.flatMap((port, i) => tenant(`t${i}`, i + 1, port, [1]))))?.[1];
  assert.equal(rangeOf(4789), "4790-65535");
  for (const ports of [
    [4789, 20_000, 60_000],
    [60_000, 20_000, 4789],
    [20_000, 60_000, 4789],
  ])
    assert.equal(rangeOf(...ports), "20001-59999");
  assert.equal(rangeOf(4789, 40_000), "4790-39999");
  assert.equal(rangeOf(4789, 32_000), "32001-65535");
  assert.equal(rangeOf(60_000), "1024-59999");
  assert.equal(rangeOf(500), "1024-65535");
});

/** A tenant whose network has a group; `more` of its spec. */
function inGroup(name: string, index: number, hosts: readonly number[], more: object): Resource[] {
  return tenant(name, index, 4789, hosts).map((one) =>
    one.kind === "network" ? make("network", name, { ...one.spec, peers: "multicast", ...more }) : one,
  );
}
const at = (order: number): Resource =>
  make("host", `h${order}`, {
    underlay: `192.0.2.${order}`,
    underlayMtu: 1500,
    underlayDevice: "eth0",
    devices: order === 3 ? [] : [{ name: "eth2", mtu: 1500, addresses: [`198.51.100.${order}`] }],
    order,
  });
const groupLines = (...tenants: readonly Resource[]) => {
  const table = compile(snapshotOf("c", 1, [at(1), at(2), at(3), ...tenants]), "h1").get("nft host");
  return (table?.kind === "nft" ? table.body : "").match(/udp dport 4789 ip saddr .* accept/g);
};

test("to a group may send the hosts of its VRF, by their addresses there, and whom the network names", () => {
  const second = { group: "239.0.0.236", underlayDevice: "eth2", outsiders: ["198.51.100.77", "203.0.113.0/24"] };
  assert.deepEqual(groupLines(...inGroup("red", 1, [1, 2], { group: "239.0.0.1" })), [
    "udp dport 4789 ip saddr { 192.0.2.2 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    "udp dport 4789 ip saddr { 192.0.2.2 } ip daddr { 239.0.0.1 } meta pkttype multicast notrack accept",
  ]);
  const outside = "udp dport 4789 ip saddr { 198.51.100.77, 203.0.113.0/24 }";
  assert.deepEqual(groupLines(...inGroup("red", 1, [1, 2, 3], second)), [
    "udp dport 4789 ip saddr { 192.0.2.2, 192.0.2.3 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    "udp dport 4789 ip saddr { 198.51.100.2 } ip daddr { 239.0.0.236 } meta pkttype multicast notrack accept",
    "udp dport 4789 ip saddr { 198.51.100.2 } ip daddr { 198.51.100.1 } meta pkttype host notrack accept",
    `${outside} ip daddr { 239.0.0.236 } meta pkttype multicast notrack accept`,
    `${outside} ip daddr { 198.51.100.1 } meta pkttype host notrack accept`,
  ]);
});

test("who may send to a host as a peer is not said once more for a group", () => {
  const red = inGroup("red", 1, [1, 2], { group: "239.0.0.1", outsiders: ["203.0.113.9"] });
  assert.deepEqual(groupLines(...red, ...tenant("blue", 2, 4789, [1, 2, 3])), [
    "udp dport 4789 ip saddr { 192.0.2.2, 192.0.2.3 } ip daddr 192.0.2.1 meta pkttype host notrack accept",
    "udp dport 4789 ip saddr { 192.0.2.2 } ip daddr { 239.0.0.1 } meta pkttype multicast notrack accept",
    "udp dport 4789 ip saddr { 203.0.113.9 } ip daddr { 239.0.0.1 } meta pkttype multicast notrack accept",
    "udp dport 4789 ip saddr { 203.0.113.9 } ip daddr { 192.0.2.1 } meta pkttype host notrack accept",
  ]);
});

test("groups that this host is not in are closed", () => {
  const lines = groupLines(...inGroup("red", 1, [2, 3], { group: "239.0.0.1" }), ...tenant("blue", 2, 4789, [1, 2]));
  assert.deepEqual(
    lines?.filter((line) => line.includes("239.")),
    [],
  );
  const alone = groupLines(...inGroup("red", 1, [1], { group: "239.0.0.1" }));
  assert.equal(alone, null);
});

test("workloads reach no host by an address that tunnels cross by, and put nothing into a group", () => {
  const table = compile(
    snapshotOf("c", 1, [at(1), at(2), at(3), ...inGroup("red", 1, [1, 2], { group: "239.0.0.1" })]),
    "h1",
  );
  const body = table.get("nft host");
  assert(body?.kind === "nft");
  assert.match(body.body, /ip daddr \{ 169\.254\.0\.0\/16, .*192\.0\.2\.3, 198\.51\.100\.1, 198\.51\.100\.2 \} reject/);
  assert.match(body.body, /iifname "wu-\*" goto no_tunnels\n  udp dport 4789 ip saddr/);
  const placed = inGroup("red", 1, [1, 2], { group: "239.0.0.1", placement: "host" }).map((one) =>
    one.kind === "vrf" ? make("vrf", "red", { ...one.spec, placement: "host" }) : one,
  );
  const host = compile(snapshotOf("c", 1, [at(1), at(2), at(3), ...placed]), "h1").get("nft host");
  assert(host?.kind === "nft");
  const lines = host.body.split("\n").map((line) => line.trim());
  const gate = lines.findIndex((line) => /^iifname .* fib daddr type multicast goto no_tunnels$/.test(line));
  assert(gate > 0 && gate < lines.findIndex((line) => line.includes("239.0.0.1")), host.body);
});
