// Routed networks of a VRF: hosts route between their blocks, over one VXLAN device for all of them.
//
// The life of a packet from 9.0.1.2 on h1 to 9.0.2.3 on h2 (blocks 9.0.1.0/24 and 9.0.2.0/24):
//   workload   default via 9.0.1.1                         the bridge's address, on h1
//   VRF on h1  ip route     9.0.2.0/24 via 44.128.0.2 dev vtep1024 onlink      h2's VTEP address
//              ip neigh     44.128.0.2 lladdr 70:b3:d5:80:00:02 dev vtep1024   its MAC, so that nobody asks
//              bridge fdb   70:b3:d5:80:00:02 dev vtep1024 dst 172.31.77.12    the host behind that MAC
//   underlay   UDP to h2's tunnel port, VNI of the VRF
//   VRF on h2  9.0.2.0/24 is on its bridge
// Neighbour maps address to (inner) MAC, FDB maps (inner) MAC to (outer) address. So a peer costs one neighbour and one
// FDB entry per VRF and one route per network, whatever the number of endpoints, and no frame is ever flooded.
import { interfaceOf } from "../../model/address.ts";
import type { Network, Vrf, Vtep } from "../../model/resource.ts";
import { cidrFamily } from "./endpoint.ts";
import { mustCidr } from "../world/layout.ts";
import { vrfMtu } from "../world/mtu.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import type { Ns } from "../kinds/kind.ts";
import { type World, tunnelTo } from "../world/world.ts";

export function routedDevice(vrf: Vrf): string {
  return vrf.spec.vtepName ?? `wx${vrf.spec.vni}`;
}

/** The VRF's tunnel device, and the way to each peer's blocks. Nothing while this host has no VTEP of the VRF. */
export function compileRouted(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject[] {
  const ns: Ns = `vrf:${vrf.name}`;
  const dev = routedDevice(vrf);
  const vteps = world.vteps.get(vrf.name) ?? [];
  const own = vteps.find((vtep) => vtep.spec.host === world.self.name);
  if (own === undefined) return [];
  const objects: KernelObject[] = [
    {
      kind: "vxlan",
      ns,
      name: dev,
      vni: vrf.spec.vni,
      local: world.self.spec.underlay,
      port: vrf.spec.tunnelPort,
      mac: own.spec.mac,
      mtu: vrfMtu(world, vrf),
      alias: alias("vrf", vrf.name),
    },
    ...addressesOf(vrf, own).map((cidr): KernelObject => ({ kind: "address", ns, dev, cidr })),
  ];
  for (const vtep of vteps) {
    const dst = tunnelTo(world, vtep.spec.host);
    if (dst === undefined) continue;
    objects.push({ kind: "fdb", ns, dev, mac: vtep.spec.mac, dst });
    for (const ip of [vtep.spec.ip, vtep.spec.ip6]) {
      if (ip !== undefined) objects.push({ kind: "neighbour", ns, dev, ip, mac: vtep.spec.mac });
    }
  }
  const peers = new Map(
    vteps.filter((vtep) => tunnelTo(world, vtep.spec.host) !== undefined).map((vtep) => [vtep.spec.host, vtep]),
  );
  for (const network of networks) objects.push(...routesOf(world, network, peers, ns, dev));
  return objects;
}

function routesOf(
  world: World,
  network: Network,
  peers: ReadonlyMap<string, Vtep>,
  ns: Ns,
  dev: string,
): KernelObject[] {
  return (world.blocks.get(network.name) ?? []).flatMap((block): KernelObject[] => {
    const peer = peers.get(block.spec.host);
    const via = cidrFamily(block.spec.cidr) === 4 ? peer?.spec.ip : peer?.spec.ip6;
    return via === undefined ? [] : [{ kind: "route", ns, dst: block.spec.cidr, via, dev, onlink: true }];
  });
}

/** With the VTEP subnet's length, so that replies to any VTEP have a route. */
function addressesOf(vrf: Vrf, vtep: Vtep): string[] {
  return [vtep.spec.ip, vtep.spec.ip6]
    .filter((ip) => ip !== undefined)
    .map((ip) => {
      const length = vrf.spec.vtepSubnets
        .map(mustCidr)
        .find((cidr) => interfaceOf(`${ip}/${cidr.length}`)?.ip.family === cidr.family)?.length;
      return `${ip}/${length ?? (ip.includes(":") ? 128 : 32)}`;
    });
}
