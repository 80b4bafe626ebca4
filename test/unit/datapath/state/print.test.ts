// Every kind of object, as the line that would add, change or remove it by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { printOp, printOps } from "../../../../src/datapath/state/print.ts";
import { type KernelObject, OBJECT_KINDS, type ObjectOf, kindOf } from "../../../../src/datapath/kinds.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import { netnsFile } from "../../../../src/datapath/kinds/namespaces.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import { EXAMPLES } from "../../../contract/kernel/examples.ts";
import { printState } from "./printState.ts";

const NS: Ns = "vrf:blue";
const LINK = { ns: NS, mtu: 1450, mac: "02:00:00:00:00:01", alias: "weft:x:y" } as const;
const BRIDGE: ObjectOf<"bridge"> = { kind: "bridge", ...LINK, name: "wb-lan" };
const TUNNEL: ObjectOf<"vxlan"> = {
  kind: "vxlan",
  ...LINK,
  name: "wx7",
  vni: 7,
  local: "192.0.2.1",
  port: 4789,
  master: "wb-lan",
};
const PORT: ObjectOf<"veth"> = {
  kind: "veth",
  ...LINK,
  name: "wp1",
  master: "wb-lan",
  peer: { ns: "/run/netns/web", name: "eth0", mtu: 1450, mac: "02:00:00:00:00:02" },
};
const SHAPER: ObjectOf<"ifb"> = { kind: "ifb", ...LINK, name: "wq1" };
const LIMIT: ObjectOf<"tbf"> = { kind: "tbf", ns: NS, dev: "wp1", rate: 1000, burst: 2000, limit: 3000 };
const REDIRECT: ObjectOf<"redirect"> = { kind: "redirect", ns: NS, dev: "wp1", to: "wq1" };
const MEMBER: ObjectOf<"element"> = { kind: "element", ns: NS, set: "macs", key: "wp1 . 02:00:00:00:00:02" };
const MARK: ObjectOf<"element"> = { ...MEMBER, set: "ports", key: "wp1", value: "40000000" };
const ROUTE: ObjectOf<"route"> = { kind: "route", ns: NS, dst: "10.1.0.0/24", dev: "wx9", onlink: false };
const SYSCTL: ObjectOf<"sysctl"> = { kind: "sysctl", ns: NS, key: "ipv4/conf/all/rp_filter", value: "0" };

const added = (object: KernelObject) => printOp({ op: "add", object });
const removed = (object: KernelObject) => printOp({ op: "remove", object });
const changed = <T extends KernelObject>(from: T, more: Partial<T>) =>
  printOp({ op: "set", from, object: { ...from, ...more } });

test("what is removed is named by what tells it from others", () => {
  const cases: readonly (readonly [KernelObject, string])[] = [
    [{ kind: "netns", ns: NS }, "ip netns delete weft-blue"],
    [SYSCTL, "# ip netns exec weft-blue sysctl net.ipv4.conf.all.rp_filter stays as it is"],
    [{ kind: "nft", ns: NS, digest: "", body: "" }, "ip netns exec weft-blue nft delete table inet weft"],
    [{ kind: "nft", ns: "host", digest: "", body: "" }, "nft delete table inet weft"],
    [MEMBER, "ip netns exec weft-blue nft delete element bridge weft macs { wp1 . 0x020000000002 }"],
    [MARK, "ip netns exec weft-blue nft delete element bridge weft ports { wp1 : 0x40000000 }"],
    [BRIDGE, "ip -n weft-blue link delete wb-lan"],
    [TUNNEL, "ip -n weft-blue link delete wx7"],
    [PORT, "ip -n weft-blue link delete wp1"],
    [SHAPER, "ip -n weft-blue link delete wq1"],
    [LIMIT, "tc -n weft-blue qdisc delete dev wp1 root"],
    [REDIRECT, "tc -n weft-blue qdisc delete dev wp1 ingress"],
    [
      { kind: "address", ns: "/proc/9/ns/net", dev: "eth0", cidr: "10.1.0.2/24" },
      "ip -n /proc/9/ns/net address delete 10.1.0.2/24 dev eth0",
    ],
    [ROUTE, "ip -n weft-blue route delete 10.1.0.0/24 dev wx9 proto 87 metric 1024"],
    [{ ...ROUTE, metric: 0 }, "ip -n weft-blue route delete 10.1.0.0/24 dev wx9 proto 87 metric 0"],
    [
      { kind: "neighbour", ns: "host", dev: "wu-blue", ip: "10.1.0.2", mac: LINK.mac },
      "ip neigh delete 10.1.0.2 dev wu-blue",
    ],
    [
      { kind: "fdb", ns: NS, dev: "wx7", mac: LINK.mac, dst: "192.0.2.2" },
      "bridge -n weft-blue fdb delete 02:00:00:00:00:01 dev wx7 dst 192.0.2.2 self",
    ],
    [
      { kind: "bridge-fdb", ns: NS, dev: "wp1", mac: LINK.mac },
      "bridge -n weft-blue fdb delete 02:00:00:00:00:01 dev wp1 master",
    ],
  ];
  for (const [object, line] of cases) assert.deepEqual(removed(object), [line]);
});

test("a link is changed field by field, and its far end in the workload's namespace", () => {
  const at = "ip -n weft-blue link set";
  assert.deepEqual(changed(BRIDGE, {}), []);
  assert.deepEqual(changed(BRIDGE, { mtu: 1400, mac: "02:00:00:00:00:09", alias: "weft:x:z" }), [
    `${at} wb-lan mtu 1400`,
    `${at} wb-lan address 02:00:00:00:00:09`,
    `${at} wb-lan alias weft:x:z`,
  ]);
  assert.deepEqual(changed(BRIDGE, { forgets: true }), [`${at} wb-lan type bridge ageing_time 30000`]);
  assert.deepEqual(changed(PORT, { master: "wb-new" }), [`${at} wp1 master wb-new`]);
  assert.deepEqual(changed(PORT, { macs: "flooded" }), [
    `${at} wp1 type bridge_slave learning on flood on`,
    `${at} wp1 type bridge_slave group_fwd_mask 0`,
  ]);
  assert.deepEqual(changed(PORT, { macs: "learned" }), [`${at} wp1 type bridge_slave learning on flood off`]);
  assert.deepEqual(changed(PORT, { mtu: 1400, peer: { ...PORT.peer, mtu: 1400, mac: "02:00:00:00:00:09" } }), [
    `${at} wp1 mtu 1400`,
    "ip -n web link set eth0 mtu 1400",
    "ip -n web link set eth0 address 02:00:00:00:00:09",
  ]);
  const { master: _, ...alone } = PORT;
  const checksums = (tx: string) => `ip netns exec weft-blue ethtool -K wp1 tx ${tx}`;
  const made: ObjectOf<"veth"> = { ...alone, makesChecksums: true };
  assert.deepEqual(changed<ObjectOf<"veth">>(alone, { makesChecksums: true }), [checksums("off")]);
  assert.deepEqual(printOp({ op: "set", from: made, object: alone }), [checksums("on")]);
  assert.deepEqual(
    added(made).filter((line) => !added(alone).includes(line)),
    [checksums("off")],
  );
  assert.deepEqual(changed<ObjectOf<"veth">>(alone, { master: "wb-lan" }).slice(0, 2), [
    `${at} wp1 master wb-lan`,
    `${at} wp1 type bridge_slave learning off flood off`,
  ]);
  assert.deepEqual(changed(TUNNEL, { mtu: 1400 }), [`${at} wx7 mtu 1400`]);
  assert.deepEqual(changed(TUNNEL, { macs: "learned" }), [`${at} wx7 type bridge_slave learning on flood off`]);
  assert.deepEqual(changed(TUNNEL, { floodsArp: true }), ["bridge -n weft-blue link set dev wx7 neigh_suppress off"]);
  assert.deepEqual(changed({ ...TUNNEL, floodsArp: true as const }, { mtu: 1400 }), [`${at} wx7 mtu 1400`]);
  assert.deepEqual(changed(SHAPER, { mtu: 1400 }), [`${at} wq1 mtu 1400`]);
});

test("what is no link is replaced by the words that add it", () => {
  assert.deepEqual(changed(MARK, { value: "41000000" }), [
    "ip netns exec weft-blue nft delete element bridge weft ports { wp1 : 0x40000000 }",
    "ip netns exec weft-blue nft add element bridge weft ports { wp1 : 0x41000000 }",
  ]);
  assert.deepEqual(changed(ROUTE, { via: "10.0.0.1", onlink: true, src: "10.0.0.2" }), [
    "ip -n weft-blue route replace 10.1.0.0/24 via 10.0.0.1 dev wx9 onlink src 10.0.0.2 proto 87 metric 1024",
  ]);
  assert.deepEqual(changed(LIMIT, { rate: 2000, peak: { rate: 3000, burst: 1500 } }), [
    "tc -n weft-blue qdisc change dev wp1 root handle 7766: tbf rate 16000bit burst 2000 limit 3000" +
      " peakrate 24000bit mtu 1500",
  ]);
  assert.deepEqual(changed(REDIRECT, { to: "wq2" }), [
    "tc -n weft-blue qdisc delete dev wp1 ingress",
    "tc -n weft-blue qdisc add dev wp1 ingress",
    "tc -n weft-blue filter add dev wp1 parent ffff: protocol all prio 87" +
      " u32 match u32 0 0 action mirred egress redirect dev wq2",
  ]);
  assert.deepEqual(changed(SYSCTL, { value: "1" }), added({ ...SYSCTL, value: "1" }));
});

test("what is added stands in its own namespace: the host's has no name, a workload's its name or path", () => {
  const cases: readonly (readonly [Ns, string])[] = [
    ["host", "ip address add 10.1.0.2/24 dev eth0"],
    ["vrf:blue", "ip -n weft-blue address add 10.1.0.2/24 dev eth0"],
    ["/run/netns/web", "ip -n web address add 10.1.0.2/24 dev eth0"],
    ["/proc/9/ns/net", "ip -n /proc/9/ns/net address add 10.1.0.2/24 dev eth0"],
  ];
  for (const [ns, line] of cases)
    assert.deepEqual(added({ kind: "address", ns, dev: "eth0", cidr: "10.1.0.2/24" }), [line]);
  assert.deepEqual(added({ kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" }), [
    "sysctl -w net.ipv4.ip_forward=1",
  ]);
  assert.deepEqual(added({ ...TUNNEL, ns: "host" })[0]?.startsWith("ip link add wx7 address "), true);
  assert.deepEqual(added({ ...LIMIT, ns: "host" }), [
    "tc qdisc add dev wp1 root handle 7766: tbf rate 8000bit burst 2000 limit 3000",
  ]);
  assert.deepEqual(added({ kind: "bridge-fdb", ns: "host", dev: "wp1", mac: LINK.mac }), [
    "bridge fdb replace 02:00:00:00:00:01 dev wp1 master static sticky",
  ]);
  assert.deepEqual(added({ kind: "nft", ns: "host", digest: "", body: "chain a {\n}\n" }), [
    "nft -f - <<< 'table inet weft {",
    "  chain a {",
    "  }",
    "}'",
  ]);
  assert.deepEqual(added({ kind: "nft", ns: NS, digest: "", body: "a\n", bridge: "b\n" }), [
    "ip netns exec weft-blue nft -f - <<< 'table inet weft {",
    "  a",
    "}",
    "table bridge weft {",
    "  b",
    "}'",
  ]);
});

test("a state is printed from the ground up, whatever the order of its objects", () => {
  const objects: readonly KernelObject[] = [
    ROUTE,
    { kind: "bridge-fdb", ns: NS, dev: "wp1", mac: LINK.mac },
    { kind: "fdb", ns: NS, dev: "wx7", mac: LINK.mac, dst: "192.0.2.2" },
    { kind: "neighbour", ns: NS, dev: "wx7", ip: "10.1.0.2", mac: LINK.mac },
    { kind: "address", ns: NS, dev: "wb-lan", cidr: "10.1.0.1/24" },
    { kind: "address", ns: NS, dev: "wb-lan", cidr: "10.0.0.1/24" },
    REDIRECT,
    LIMIT,
    SHAPER,
    PORT,
    TUNNEL,
    BRIDGE,
    MEMBER,
    { kind: "nft", ns: NS, digest: "", body: "x" },
    SYSCTL,
    { kind: "netns", ns: NS },
  ];
  const lines = printState(stateOf(objects));
  const [, , , , second, first, ...others] = objects;
  const inOrder = [...objects.slice(0, 4), second, first, ...others].filter((one) => one !== undefined).toReversed();
  assert.deepEqual(lines, printOps(inOrder.map((object) => ({ op: "add", object }))).flat());
  assert.deepEqual(printState(stateOf(objects.toReversed())), lines);
});

test("names of namespaces begin as the agent's setting says, and are those that it makes", () => {
  const prefixed = (object: KernelObject) => printOps([{ op: "add", object }], "h1-");
  const ns: Ns = `vrf:${"v".repeat(62)}`;
  assert.deepEqual(prefixed({ kind: "netns", ns: NS }), ["ip netns add h1-blue"]);
  assert.deepEqual(prefixed({ kind: "address", ns: NS, dev: "wb-lan", cidr: "10.1.0.1/24" }), [
    "ip -n h1-blue address add 10.1.0.1/24 dev wb-lan",
  ]);
  assert.deepEqual(added({ kind: "netns", ns }), [`ip netns add ${netnsFile("weft-", ns.slice(4))}`]);
  assert.equal(printState(stateOf([{ kind: "netns", ns: NS }]), "h1-")[0], "ip netns add h1-blue");
});

test("each table of a namespace is removed as what it is, and replaced without its old rules", () => {
  const both: ObjectOf<"nft"> = { kind: "nft", ns: NS, digest: "a", body: "a\n", bridge: "b\n" };
  const { bridge: _, ...one } = both;
  const inside = "ip netns exec weft-blue nft";
  assert.deepEqual(removed(both), [`${inside} delete table inet weft`, `${inside} delete table bridge weft`]);
  const tables = ["table inet weft {", "  a", "}", "table bridge weft {", "  b", "}'"];
  assert.deepEqual(changed(both, {}), [
    `${inside} -f - <<< 'flush table inet weft`,
    "flush table bridge weft",
    ...tables,
  ]);
  assert.deepEqual(printOp({ op: "set", from: one, object: both }), [
    `${inside} -f - <<< 'flush table inet weft`,
    ...tables,
  ]);
  assert.deepEqual(printOp({ op: "set", from: both, object: one }).slice(0, 2), [
    `${inside} -f - <<< 'flush table inet weft`,
    "delete table bridge weft",
  ]);
});

test("a port that leaves its bridge is taken out of it", () => {
  const { master: _, ...alone } = PORT;
  assert.deepEqual(printOp({ op: "set", from: PORT, object: alone }), ["ip -n weft-blue link set wp1 nomaster"]);
});

test("the table of kinds is in the order of their layers, and each kind has examples of its own", () => {
  const first = OBJECT_KINDS.map((kind) => EXAMPLES.find(({ is }) => is.kind === kind) ?? assert.fail(kind));
  const layers = first.map(({ is }) => kindOf(is).layer);
  assert.deepEqual(
    layers,
    layers.toSorted((a, b) => a - b),
  );
});
