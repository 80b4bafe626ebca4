// What fits through a VRF's tunnels, and so what its networks' interfaces have as MTU.
import { type Driver, tunnelMtu } from "../../model/driver.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { World } from "./world.ts";

/** What a VRF's tunnel carries: the least underlay MTU among the hosts that carry the VRF, less the overhead. */
export function vrfMtu(world: World, vrf: Vrf, driver: Driver): number {
  const { underlay, underlayMtu } = world.self.spec;
  let least = underlayMtu;
  for (const host of world.members.get(vrf.name) ?? []) least = Math.min(least, host.spec.underlayMtu);
  return tunnelMtu(driver, { underlay, underlayMtu: least });
}

/** The network's own MTU, never more than the tunnel carries. */
export function networkMtu(world: World, vrf: Vrf, { spec }: Network): number {
  return Math.min(spec.mtu ?? Number.POSITIVE_INFINITY, vrfMtu(world, vrf, spec.driver));
}
