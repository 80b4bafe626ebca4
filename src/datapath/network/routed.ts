// Routed networks of a VRF: hosts route between their blocks, over one tunnel device for all of them.
//
// The life of a packet from 9.0.1.2 on h1 to 9.0.2.3 on h2 (blocks 9.0.1.0/24 and 9.0.2.0/24) with VXLAN:
//   workload   default via 9.0.1.1                         the bridge's address, on h1
//   VRF on h1  ip route     9.0.2.0/24 via 44.128.0.2 dev vtep1024 onlink      h2's VTEP address
//              ip neigh     44.128.0.2 lladdr 70:b3:d5:80:00:02 dev vtep1024   its MAC, so no ARP
//              bridge fdb   70:b3:d5:80:00:02 dev vtep1024 dst 172.31.77.12    the host behind that MAC
//   underlay   UDP to h2's tunnel port, VNI of the VRF
//   VRF on h2  9.0.2.0/24 is on its bridge
// Neighbour maps address to (inner) MAC, FDB maps (inner) MAC to (outer) address. So a peer costs one FDB
// entry per VRF, a neighbour per VTEP address and a route per block, for any number of endpoints; nothing is flooded.
import { BITS, familyOf } from "../../model/address.ts";
import type { Network, Vrf, Vtep, VtepSpec } from "../../model/resource.ts";
import { mustCidr } from "../world/layout.ts";
import { nsOf } from "../world/placement.ts";
import { type Way, deviceOf, waysOf } from "../world/ways.ts";
import { type World, vrfMtu } from "../world/world.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { TUNNELS, peerOf } from "../tunnel/drivers.ts";
import type { RoutedPeer } from "../tunnel/tunnel.ts";

/** The VRF's tunnels, and the route to each peer's blocks. Empty while this host has no VTEP of the VRF. */
export function compileRouted(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject[] {
  const own = world.vteps.get(vrf.name)?.find((vtep) => vtep.spec.host === world.self.name);
  if (own === undefined) return [];
  const locals = networks.filter(({ spec }) => spec.ipam === "local");
  // Each tunnel with the networks whose packets take it; none take the one that a conversion only receives by.
  const tunnels = new Map<string, { readonly way: Way; readonly networks: Network[] }>();
  for (const network of locals) {
    for (const [i, way] of waysOf(world, vrf, network).entries()) {
      const key = `${way.network.spec.driver} ${deviceOf(way)}`;
      const tunnel = tunnels.get(key) ?? { way, networks: [] };
      tunnels.set(key, tunnel);
      if (i === 0) tunnel.networks.push(network);
    }
  }
  return [...tunnels.values()].flatMap(({ way, networks: its }) => compileTunnel(world, { way, vtep: own }, its));
}

/** By host. */
function peersOf(world: World, vrf: Vrf): ReadonlyMap<string, RoutedPeer> {
  const peers = new Map<string, RoutedPeer>();
  for (const { spec } of world.vteps.get(vrf.name) ?? []) {
    const peer = peerOf(world, spec.host);
    if (peer !== undefined) peers.set(spec.host, { ...peer, ips: ipsOf(spec), mac: spec.mac });
  }
  return peers;
}

type Ends = { readonly way: Way; readonly vtep: Vtep };

function compileTunnel(world: World, { way, vtep }: Ends, networks: readonly Network[]): KernelObject[] {
  const { vrf } = way;
  const { driver } = way.network.spec;
  const ns = nsOf(vrf);
  const peers = peersOf(world, vrf);
  const { objects, deviceTo } = TUNNELS[driver].routed({
    ns,
    name: deviceOf(way),
    vni: vrf.spec.vni,
    local: world.self.spec.underlay,
    port: vrf.spec.tunnelPort,
    mac: vtep.spec.mac,
    mtu: vrfMtu(world, vrf, driver),
    alias: alias("vrf", vrf.name),
    addresses: addressesOf(vrf, vtep),
    peers: [...peers.values()],
  });
  // By a tunnel that is only for what comes in, nothing leaves: not even what leads to the VTEPs of peers.
  const own = networks.length > 0 ? objects : objects.filter(({ kind }) => kind !== "route");
  const routes = networks.flatMap(({ name }) =>
    (world.blocks.get(name) ?? []).flatMap(({ spec: { host, cidr: dst } }): KernelObject[] => {
      const peer = peers.get(host);
      const via = peer?.ips.find((ip) => familyOf(ip) === familyOf(dst));
      if (peer === undefined || via === undefined) return [];
      return [{ kind: "route", ns, dst, via, dev: deviceTo(peer), onlink: true }];
    }),
  );
  return [...own, ...routes];
}

function ipsOf({ ip, ip6 }: VtepSpec): readonly string[] {
  return [ip, ip6].filter((text) => text !== undefined);
}

/** With the VTEP subnet's length, so that replies to any VTEP have a route. */
function addressesOf(vrf: Vrf, { spec }: Vtep): string[] {
  return ipsOf(spec).map((ip) => {
    const length = vrf.spec.vtepSubnets.map(mustCidr).find(({ family }) => family === familyOf(ip))?.length;
    return `${ip}/${length ?? BITS[familyOf(ip)]}`;
  });
}
