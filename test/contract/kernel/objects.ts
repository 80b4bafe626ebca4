// Objects for the tests of the kernel port: small networks as a compiler would want them, in one VRF and one host.
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { Bridge, Ifb, Veth, Vxlan } from "../../../src/datapath/kinds/links.ts";
import { FLOOD_MAC, type Tbf } from "../../../src/datapath/kinds/entries.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { nftDigest } from "../../../src/datapath/kinds/tables.ts";
import { wholeTicks } from "../../../src/datapath/network/shaping.ts";
import type { Workload } from "./world.ts";

export const NS = "vrf:blue";
export const NETNS: KernelObject = { kind: "netns", ns: NS };

const SYSCTLS: readonly KernelObject[] = (
  [
    ["ipv4/ip_forward", "1"],
    ["ipv6/conf/all/forwarding", "1"],
    ["ipv4/conf/all/rp_filter", "0"],
    ["ipv6/conf/default/accept_dad", "0"],
    ["bridge/bridge-nf-call-iptables", "0"],
    ["bridge/bridge-nf-call-ip6tables", "0"],
    ["bridge/bridge-nf-call-arptables", "0"],
  ] as const
).map(([key, value]) => ({ kind: "sysctl", ns: NS, key, value }));

/** A table with a set that has elements, counters, and a rule that depends on `port`. */
export function table(port = 4789, ns: Ns = NS): ObjectOf<"nft"> {
  const body = `set members { type ipv4_addr; flags interval; elements = { 10.7.0.0/16, 192.0.2.1 }; }
chain forward {
  type filter hook forward priority filter; policy accept;
  ip saddr @members udp dport ${port} counter accept
}
`;
  return { kind: "nft", ns, digest: nftDigest(body), body };
}

/** Tables with a bridge part, as a compiler makes them for a VRF; `rule` is a port number that a rule depends on. */
export function policyTables(rule = 22, members: readonly string[] = ["a"]): ObjectOf<"nft"> {
  const sets = members.map((name) => `set members4_${name} { type ipv4_addr; }\n`).join("");
  const body = `chain output_${rule} {
  type filter hook output priority filter; policy accept;
  meta mark set ${rule}
}
`;
  const bridge = `${sets}set drops { type ifname . mark; size 1024; flags dynamic; counter; }
set sent_tcp4 { typeof @nh,96,32 . @nh,128,32 . @nh,160,16 . @nh,176,16; size 1024; flags dynamic,timeout; }
chain denied {
  update @drops { oifname . meta mark }
  drop
}
chain rules_${rule} {
  ip saddr @members4_${members[0]} tcp dport { ${rule}, 8000-8080 } accept
}
chain filtering {
  type filter hook postrouting priority 0; policy accept;
  meta mark 1 jump rules_${rule}
}
map ports { type ifname : mark; }
map bound4 { type ifname . ether_addr . ipv4_addr : mark; }
map bound6 { typeof iifname . ether saddr . @nh,64,128 : meta mark; }
set macs { typeof iifname . @ll,48,48; }
chain prerouting {
  type filter hook prerouting priority -300; policy accept;
  meta mark set iifname map @ports
}
`;
  return { kind: "nft", ns: NS, digest: nftDigest(body, bridge), body, bridge };
}

export function element(set: string, key: string, value?: string): ObjectOf<"element"> {
  return { kind: "element", ns: NS, set, key, ...(value === undefined ? {} : { value }) };
}

export function bridge(name = "wb7", ns: Ns = NS): Bridge {
  return { kind: "bridge", ns, name, mtu: 1450, mac: "02:00:0a:07:00:01", alias: `weft:network:${name}` };
}

export function tunnel(vni = 7, master?: string): Vxlan {
  return {
    kind: "vxlan",
    ns: NS,
    name: `wx${vni}`,
    mtu: 1450,
    mac: "70:b3:d5:01:00:01",
    alias: "weft:network:blue",
    vni,
    local: "192.0.2.1",
    port: 4789,
    ...(master === undefined ? {} : { master }),
  };
}

/** The port of the n-th endpoint; in the workload it is `eth<n>`. */
export function port(workload: Workload, n = 0, master = "wb7"): Veth {
  const tail = `${hex(n >> 8)}:${hex(n & 255)}`;
  return {
    kind: "veth",
    ns: NS,
    name: `wp${n}`,
    mtu: 1450,
    mac: `fe:00:0a:07:${tail}`,
    alias: `weft:endpoint:web${n}.eth${n}`,
    master,
    peer: { ns: workload, name: `eth${n}`, mtu: 1450, mac: `02:00:0a:07:${tail}` },
  };
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

export function uplink(): Veth {
  return {
    kind: "veth",
    ns: NS,
    name: "uplink",
    mtu: 1500,
    mac: "0a:59:00:02:00:00",
    alias: "weft:uplink:blue",
    peer: { ns: "host", name: "wu-blue", mtu: 1500, mac: "0a:59:00:01:00:00" },
  };
}

/** The device that shapes what the n-th endpoint sends. */
export function shaper(n = 0): Ifb {
  return { kind: "ifb", ns: NS, name: `wq${n}`, mtu: 1450, mac: `fe:00:0a:07:01:0${n}`, alias: `weft:shaper:web${n}` };
}

/** A queue; rate in bytes per second. */
export function tbf(dev: string, rate: number, ns: Ns = NS): Tbf {
  return { kind: "tbf", ns, dev, rate, burst: wholeTicks(rate, 20_001), limit: 100_000 };
}

export function redirect(dev = "wp0", to = "wq0", ns: Ns = NS): ObjectOf<"redirect"> {
  return { kind: "redirect", ns, dev, to };
}

/** What limits the first endpoint of a network in both directions. */
export function limits(rate = 2_500_000): KernelObject[] {
  return [tbf("wp0", rate), shaper(), tbf("wq0", rate + 1), redirect()];
}

export function address(dev: string, cidr: string, ns: Ns = NS): ObjectOf<"address"> {
  return { kind: "address", ns, dev, cidr };
}

export function route(dst: string, dev: string, via?: string, ns: Ns = NS): ObjectOf<"route"> {
  return { kind: "route", ns, dst, dev, onlink: false, ...(via === undefined ? {} : { via }) };
}

export function neighbour(ip: string, mac: string, dev = "wb7"): ObjectOf<"neighbour"> {
  return { kind: "neighbour", ns: NS, dev, ip, mac };
}

export function hop(ip: string, dev = "virbr0"): ObjectOf<"hop"> {
  return { kind: "hop", ns: "host", dev, ip };
}

export function fdb(mac: string, dst: string, dev = "wx7"): ObjectOf<"fdb"> {
  return { kind: "fdb", ns: NS, dev, mac, dst };
}

export function bridgeFdb(mac: string, dev = "wx7"): ObjectOf<"bridge-fdb"> {
  return { kind: "bridge-fdb", ns: NS, dev, mac };
}

/** A segment over all hosts, with one endpoint here, one on another host, and two other hosts to flood to. */
export function switchedNetwork(workload: Workload): KernelObject[] {
  const remote = "02:00:0a:07:00:09";
  return [
    NETNS,
    ...SYSCTLS,
    table(),
    bridge(),
    tunnel(7, "wb7"),
    port(workload),
    address("wb7", "10.7.0.1/16"),
    address("wb7", "fd00:7::1/64"),
    address("eth0", "10.7.0.5/16", workload),
    address("eth0", "fd00:7::5/64", workload),
    neighbour("10.7.0.9", remote),
    neighbour("fd00:7::9", remote),
    fdb(remote, "192.0.2.2"),
    bridgeFdb(remote),
    bridgeFdb(port(workload).peer.mac, "wp0"),
    fdb(FLOOD_MAC, "192.0.2.2"),
    fdb(FLOOD_MAC, "192.0.2.3"),
    route("0.0.0.0/0", "eth0", "10.7.0.1", workload),
    route("::/0", "eth0", "fd00:7::1", workload),
  ];
}

/** A block of a routed network, two other hosts behind VTEP addresses, a way out; tunnel over IPv6. */
export function routedNetwork(workload: Workload): KernelObject[] {
  const peers = [2, 3].flatMap((n): KernelObject[] => [
    neighbour(`44.128.0.${n}`, `70:b3:d5:80:00:0${n}`, "wx7"),
    neighbour(`fd44::${n}`, `70:b3:d5:80:00:0${n}`, "wx7"),
    fdb(`70:b3:d5:80:00:0${n}`, `2001:db8::${n}`),
    { ...route(`10.7.${n}.0/24`, "wx7", `44.128.0.${n}`), onlink: true, src: "10.7.1.1" },
    { ...route(`fd00:7:${n}::/48`, "wx7", `fd44::${n}`), onlink: true },
  ]);
  return [
    NETNS,
    ...SYSCTLS,
    table(),
    bridge(),
    { ...tunnel(), local: "2001:db8::1" },
    port(workload),
    uplink(),
    { kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" },
    address("wb7", "10.7.1.1/24"),
    address("wb7", "fd00:7:1::1/64"),
    address("wx7", "44.128.0.1/20"),
    address("wx7", "fd44::1/64"),
    address("eth0", "10.7.1.2/24", workload),
    address("uplink", "169.254.64.2/30"),
    address("wu-blue", "169.254.64.1/30", "host"),
    ...peers,
    route("0.0.0.0/0", "eth0", "10.7.1.1", workload),
    route("0.0.0.0/0", "uplink", "169.254.64.1"),
    route("10.7.0.0/16", "wu-blue", "169.254.64.2", "host"),
  ];
}
