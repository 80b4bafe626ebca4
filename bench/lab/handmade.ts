// The same networks made by hand, on hosts of their own: what an operator would type, with the settings that Weft uses
// (tunnel devices born in a namespace of their own, their sockets in the host's; Weft's MTUs). With guards() on, the
// filters that an operator would write for the same promise: a port sends from its own MAC and address only, answers
// nobody as DHCP server or router, and floods nothing; nothing comes from outside with an address from inside; a tunnel
// takes packets from its peers only; and frames to MACs that nobody was heard from are limited where they go to all.
import { execFileSync } from "node:child_process";
import { type Cluster, must } from "../../test/netns/lab/cluster.ts";
import { addNamespace, bridge, inside, ip, pathOf } from "./lab.ts";
import type { Plugged } from "./plugged.ts";

export type Pair = { readonly from: string; readonly to: string; readonly address: string };
/** `guards` loads the filters on both hosts, or takes them away. */
export type Handmade = Pair & { readonly guards: (isOn: boolean) => void };

type Side = {
  readonly n: number;
  readonly host: string;
  readonly underlay: string;
  /** Where the bridge is: a namespace of its own, or the host's. */
  readonly overlay: string;
  readonly workload: string;
  readonly bridge: string;
  readonly port: string;
  readonly address: string;
  /** The port of its bridge that leads to a physical network, if one does. */
  readonly outside?: string;
  /** The port of its bridge that learns, and gets the frames to unknown MACs, if one does. */
  readonly floods?: string;
};
type Sides = readonly [Side, Side];

/** Two hosts on the same wire that have nothing of Weft's. */
export const BARE = ["h8", "h9"] as const;

let made = 0;

/** With a port that leads outside they are in the hosts' own namespace. */
async function sidesOf(cluster: Cluster, subnet: (n: number) => string, outside?: string): Promise<Sides> {
  const number = ++made;
  const side = async (n: 1 | 2): Promise<Side> => {
    const host = cluster.netnsOf(BARE[n - 1] ?? "");
    return {
      n,
      host,
      underlay: cluster.underlayOf(BARE[n - 1] ?? ""),
      overlay: outside !== undefined ? host : await addNamespace(cluster, `hand${number}-${n}`),
      workload: await addNamespace(cluster, `hand${number}-w${n}`),
      bridge: `br${number}`,
      port: `port${number}`,
      address: subnet(n),
      ...(outside === undefined ? {} : { outside }),
    };
  };
  return [await side(1), await side(2)];
}

/** Each side with its peer. */
function facing([one, two]: Sides): readonly (readonly [Side, Side])[] {
  return [
    [one, two],
    [two, one],
  ];
}

function workloadMac(n: number): string {
  return `02:00:00:00:00:0${n}`;
}

function vtepMac(n: number): string {
  return `70:b3:d5:00:00:0${n}`;
}

/** Bridge, port and workload. */
async function segment(side: Side, mtu: number): Promise<void> {
  const { overlay, n, workload, address } = side;
  await ip(overlay, [
    `link add ${side.bridge} mtu ${mtu} address 02:00:00:00:ff:0${n} type bridge`,
    `link set ${side.bridge} mtu ${mtu} up`,
    `link add ${side.port} mtu ${mtu} numtxqueues 1 numrxqueues 1 type veth ` +
      `peer name eth0 mtu ${mtu} address ${workloadMac(n)} numtxqueues 1 numrxqueues 1 netns ${workload}`,
    `link set ${side.port} master ${side.bridge} up`,
  ]);
  await ip(workload, ["link set eth0 up", `address add ${address}/24 dev eth0`]);
}

/** A VXLAN device of the side's namespace, whose socket is in the host's. */
async function vxlan({ host, overlay, n }: Side, words: string): Promise<void> {
  const device = `link add vx0 netns ${overlay} mtu 1450 address ${vtepMac(n)}`;
  await ip(host, [`${device} type vxlan dstport 4789 ${words}`]);
}

/** One segment over both hosts: static FDB entries, neighbours answered from the bridge. */
export async function handmadeSwitched(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.98.0.${n}`);
  for (const [side, peer] of facing(sides)) {
    await segment(side, 1450);
    await vxlan(side, `id 7000001 local ${side.underlay} nolearning`);
    await ip(side.overlay, [`link set vx0 master ${side.bridge} up`]);
    await bridge(side.overlay, [
      "link set dev vx0 learning off neigh_suppress on",
      `fdb append 00:00:00:00:00:00 dev vx0 dst ${peer.underlay}`,
      `fdb replace ${workloadMac(peer.n)} dev vx0 dst ${peer.underlay} self permanent`,
      `fdb replace ${workloadMac(peer.n)} dev vx0 master static`,
    ]);
    const neighbour = `lladdr ${workloadMac(peer.n)} dev ${side.bridge} nud permanent`;
    await ip(side.overlay, [`neighbour replace ${peer.address} ${neighbour}`]);
  }
  return handmade(sides, VXLAN);
}

/** A subnet per host, routed through the tunnel: one route, one neighbour and one FDB entry per peer. */
export async function handmadeRouted(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.97.${n}.2`);
  for (const [side, peer] of facing(sides)) {
    await segment(side, 1450);
    await vxlan(side, `id 7000002 local ${side.underlay} nolearning`);
    const sysctls = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"];
    await must(...inside(pathOf(side.overlay), ["sysctl", "-q", "-w", ...sysctls]));
    await ip(side.overlay, [
      `address add 10.97.${side.n}.1/24 dev ${side.bridge}`,
      `address add 10.96.0.${side.n}/32 dev vx0`,
      "link set vx0 up",
      `neighbour replace 10.96.0.${peer.n} lladdr ${vtepMac(peer.n)} dev vx0 nud permanent`,
      `route add 10.97.${peer.n}.0/24 via 10.96.0.${peer.n} dev vx0 onlink`,
    ]);
    await bridge(side.overlay, [`fdb replace ${vtepMac(peer.n)} dev vx0 dst ${peer.underlay} self permanent`]);
    await ip(side.workload, [`route add default via 10.97.${side.n}.1`]);
  }
  return handmade(sides, VXLAN);
}

/** Frames to all go to a group of the underlay; the bridge and the device learn. */
export async function handmadeMulticast(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.99.0.${n}`);
  for (const side of sides) {
    await segment(side, 1450);
    await vxlan(side, `id 7000003 local ${side.underlay} group 239.99.0.3 dev eth0 ttl 1`);
    await ip(side.overlay, [`link set vx0 master ${side.bridge} up`]);
  }
  return handmade([flooding(sides[0]), flooding(sides[1])], VXLAN);
}

const flooding = (side: Side): Side => ({ ...side, floods: "vx0" });

/** A GRE device to the peer as a port that does not learn. */
export async function handmadeGre(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.100.0.${n}`);
  for (const [side, peer] of facing(sides)) {
    await segment(side, 1458);
    const ends = `local ${side.underlay} remote ${peer.underlay} key 7000004 ttl 64 nopmtudisc ignore-df`;
    await ip(side.host, [`link add gt0 mtu 1458 type gretap ${ends}`, `link set gt0 netns ${side.overlay}`]);
    await ip(side.overlay, [`link set gt0 master ${side.bridge} up`]);
    await bridge(side.overlay, [
      "link set dev gt0 learning off",
      `fdb replace ${workloadMac(peer.n)} dev gt0 master static`,
    ]);
  }
  return handmade(sides, "meta l4proto gre");
}

/** The hosts' device as a port of a bridge in their own namespace. */
export async function handmadeBridge(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.101.0.${n}`, "lan0");
  for (const side of sides) {
    await segment(side, 1500);
    await ip(side.overlay, [`link set lan0 master ${side.bridge} up`]);
  }
  return handmade(sides);
}

/** A VLAN device on the hosts' device as a port of a bridge in their own namespace. */
export async function handmadeVlan(cluster: Cluster): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.102.0.${n}`, "lan0.702");
  for (const side of sides) {
    await segment(side, 1500);
    await ip(side.overlay, [
      "link add link lan0 name lan0.702 type vlan id 702",
      `link set lan0.702 master ${side.bridge} up`,
    ]);
  }
  return handmade(sides);
}

/** A VLAN of Open vSwitch, which has the hosts' device; an internal port of it is a port of a Linux bridge. */
export async function handmadeOvs(cluster: Plugged): Promise<Handmade> {
  const sides = await sidesOf(cluster, (n) => `10.103.0.${n}`, "in0");
  for (const side of sides) {
    await segment(side, 1500);
    const ovs = cluster.ovsOf(BARE[side.n - 1] ?? "");
    ovs.vsctl("add-br", "sw0", "--", "add-port", "sw0", "lan1");
    ovs.vsctl("add-port", "sw0", "in0", "tag=703", "--", "set", "interface", "in0", "type=internal");
    await ip(side.overlay, [`link set in0 master ${side.bridge} up`]);
  }
  return handmade(sides);
}

const VXLAN = "udp dport 4789";

/** `tunnel`: what the packets of the tunnel are, in nft's words. */
function handmade(sides: Sides, tunnel?: string): Handmade {
  const load = (netns: string, text: string) =>
    execFileSync("nsenter", [`--net=${pathOf(netns)}`, "nft", "-f", "-"], { input: text });
  const guards = (isOn: boolean) => {
    for (const [side, peer] of facing(sides)) {
      const [bridge, inet] = [`bridge guard${side.bridge}`, `inet guard${side.bridge}`];
      load(side.overlay, isOn ? portGuard(bridge, side) : `add table ${bridge}; delete table ${bridge}`);
      if (tunnel === undefined) continue;
      load(side.host, isOn ? tunnelGuard(inet, tunnel, peer) : `add table ${inet}; delete table ${inet}`);
    }
  };
  return { from: pathOf(sides[0].workload), to: pathOf(sides[1].workload), address: sides[1].address, guards };
}

/** What nearly all packets pass comes first. `outside`: the port that leads to a physical network. */
function portGuard(table: string, { port, n, address, outside, floods }: Side): string {
  const [own, mac] = [`"${port}" . ${workloadMac(n)} . ${address}`, workloadMac(n)];
  const notFromOutside =
    outside === undefined
      ? ""
      : `chain outside {
          meta pkttype { broadcast, multicast } limit rate over 2000/second burst 2000 packets drop
          ether saddr @inside_macs drop
          ether type ip ip saddr @inside drop
          ether type arp arp saddr ip @inside drop
          accept
        }`;
  const notToAll =
    floods === undefined
      ? ""
      : `set heard { type ether_addr; size 65536; flags dynamic,timeout; }
        chain flooded {
          type filter hook forward priority filter; policy accept;
          oifname != "${floods}" accept
          ether daddr @heard accept
          meta pkttype { broadcast, multicast } accept
          limit rate over 2000/second burst 2000 packets drop
        }`;
  return `table ${table} {
    set own { typeof iifname . ether saddr . ip saddr; elements = { ${own} } }
    set own_arp { typeof iifname . arp saddr ether . arp saddr ip; elements = { ${own} } }
    set inside_macs { type ether_addr; elements = { ${mac} } }
    set inside { type ipv4_addr; elements = { ${address} } }
    ${notFromOutside}
    ${notToAll}
    chain sent {
      type filter hook prerouting priority dstnat; policy accept;
      ${outside === undefined ? "" : `iifname "${outside}" goto outside`}
      ${floods === undefined ? "" : `iifname "${floods}" update @heard { ether saddr timeout 5m } accept`}
      iifname != "${port}" accept
      meta pkttype { broadcast, multicast } limit rate over 2000/second burst 2000 packets drop
      ether type ip iifname . ether saddr . ip saddr @own goto own_ip
      ether type arp iifname . arp saddr ether . arp saddr ip @own_arp accept
      drop
    }
    chain own_ip {
      ip protocol tcp accept
      udp sport 67 drop
      icmp type { redirect, router-advertisement } drop
      accept
    }
  }`;
}

function tunnelGuard(table: string, tunnel: string, peer: Side): string {
  return `table ${table} {
    chain received {
      type filter hook prerouting priority raw; policy accept;
      ${tunnel} ip saddr ${peer.underlay} notrack accept
      ${tunnel} drop
    }
    chain sent {
      type filter hook output priority raw; policy accept;
      ${tunnel} notrack
    }
  }`;
}
