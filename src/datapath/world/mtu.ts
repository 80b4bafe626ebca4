// The one place that knows how many bytes a tunnel adds. A number that is in one place can be wrong only once.
import type { Family } from "../../model/address.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { type World, familyOf } from "./world.ts";

/** Outer IP, UDP, VXLAN and inner Ethernet headers (RFC 7348). */
const VXLAN_OVERHEAD = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const;

/** Largest inner packet that crosses an underlay of this MTU in one piece. */
export function vxlanMtu(underlayMtu: number, underlayFamily: Family): number {
  return underlayMtu - VXLAN_OVERHEAD[underlayFamily];
}

/** What a VRF's tunnel carries: the least underlay MTU among the hosts that carry the VRF, less the overhead. */
export function vrfMtu(world: World, vrf: Vrf): number {
  let least = world.self.spec.underlayMtu;
  for (const host of world.members.get(vrf.name) ?? []) least = Math.min(least, host.spec.underlayMtu);
  return vxlanMtu(least, familyOf(world.self.spec.underlay) ?? 4);
}

/** What users asked for, never more than the tunnel carries. */
export function networkMtu(world: World, vrf: Vrf, network: Network): number {
  return Math.min(network.spec.mtu ?? Number.POSITIVE_INFINITY, vrfMtu(world, vrf));
}
