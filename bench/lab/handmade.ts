// The same networks made by hand, with `ip` and `bridge` and nothing else: what an operator would type, with the
// settings that Weft uses (VXLAN device born in a namespace of its own, its socket in the host's; learning off; MTU
// 1450), on hosts of their own.
import { type Cluster, must } from "../../test/netns/lab/cluster.ts";
import { addNamespace, bridge, inside, ip, pathOf } from "./lab.ts";

export type Pair = { readonly from: string; readonly to: string; readonly address: string };
type Side = {
  readonly n: number;
  readonly host: string;
  readonly underlay: string;
  readonly overlay: string;
  readonly workload: string;
};

const MTU = 1450;

/** Two hosts on the same wire that have nothing of Weft's. */
const BARE = { 1: "h8", 2: "h9" } as const;

export async function addBareHosts(cluster: Cluster): Promise<void> {
  for (const host of Object.values(BARE)) await cluster.addHost(host);
}

async function sidesOf(cluster: Cluster, kind: string): Promise<readonly [Side, Side]> {
  const side = async (n: 1 | 2): Promise<Side> => ({
    n,
    host: cluster.netnsOf(BARE[n]),
    underlay: cluster.underlayOf(BARE[n]),
    overlay: await addNamespace(cluster, `${kind}${n}`),
    workload: await addNamespace(cluster, `${kind}-w${n}`),
  });
  return [await side(1), await side(2)];
}

/** Each side with its peer. */
function facing([one, two]: readonly [Side, Side]): readonly (readonly [Side, Side])[] {
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

/** Bridge and port, and the VXLAN device from the host's namespace. */
async function segment({ host, underlay, n, overlay, workload }: Side, vni: number, address: string): Promise<void> {
  await ip(overlay, [`link add br0 mtu ${MTU} address 02:00:00:00:ff:0${n} type bridge`, "link set br0 mtu 1450 up"]);
  await ip(overlay, [
    `link add port mtu ${MTU} numtxqueues 1 numrxqueues 1 type veth ` +
      `peer name eth0 mtu ${MTU} address ${workloadMac(n)} numtxqueues 1 numrxqueues 1 netns ${workload}`,
    "link set port master br0 up",
  ]);
  await ip(workload, ["link set eth0 up", `address add ${address} dev eth0`]);
  const device = `link add vx0 netns ${overlay} mtu ${MTU} address ${vtepMac(n)}`;
  await ip(host, [`${device} type vxlan id ${vni} local ${underlay} dstport 4789 nolearning`]);
}

/** One segment over both hosts: static FDB entries, neighbours answered from the bridge. */
export async function handmadeSwitched(cluster: Cluster): Promise<Pair> {
  const sides = await sidesOf(cluster, "sw");
  for (const [side, peer] of facing(sides)) {
    await segment(side, 7_000_001, `10.98.0.${side.n}/24`);
    await ip(side.overlay, ["link set vx0 master br0 up"]);
    await bridge(side.overlay, [
      "link set dev vx0 learning off neigh_suppress on",
      `fdb append 00:00:00:00:00:00 dev vx0 dst ${peer.underlay}`,
      `fdb replace ${workloadMac(peer.n)} dev vx0 dst ${peer.underlay} self permanent`,
      `fdb replace ${workloadMac(peer.n)} dev vx0 master static`,
    ]);
    await ip(side.overlay, [`neighbour replace 10.98.0.${peer.n} lladdr ${workloadMac(peer.n)} dev br0 nud permanent`]);
  }
  return { from: pathOf(sides[0].workload), to: pathOf(sides[1].workload), address: "10.98.0.2" };
}

/** A subnet per host, routed through the tunnel: one route, one neighbour and one FDB entry per peer. */
export async function handmadeRouted(cluster: Cluster): Promise<Pair> {
  const sides = await sidesOf(cluster, "rt");
  for (const [side, peer] of facing(sides)) {
    await segment(side, 7_000_002, `10.97.${side.n}.2/24`);
    const sysctls = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"];
    await must(...inside(pathOf(side.overlay), ["sysctl", "-q", "-w", ...sysctls]));
    await ip(side.overlay, [
      `address add 10.97.${side.n}.1/24 dev br0`,
      `address add 10.96.0.${side.n}/32 dev vx0`,
      "link set vx0 up",
      `neighbour replace 10.96.0.${peer.n} lladdr ${vtepMac(peer.n)} dev vx0 nud permanent`,
      `route add 10.97.${peer.n}.0/24 via 10.96.0.${peer.n} dev vx0 onlink`,
    ]);
    await bridge(side.overlay, [`fdb replace ${vtepMac(peer.n)} dev vx0 dst ${peer.underlay} self permanent`]);
    await ip(side.workload, [`route add default via 10.97.${side.n}.1`]);
  }
  return { from: pathOf(sides[0].workload), to: pathOf(sides[1].workload), address: "10.97.2.2" };
}
