// Where a VRF is on a host: in a namespace of its own, or, for the one VRF that is placed there, in the host's.
import { isOnHost } from "../../model/carrying.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { Ns } from "../kinds/kind.ts";
import { type World, ownEndpoints } from "./world.ts";

type Placed = { readonly name: string; readonly spec: Pick<Vrf["spec"], "placement"> };

/** Whether it is the VRF in the hosts' own namespace. */
export function isInHost({ spec }: Pick<Placed, "spec">): boolean {
  return spec.placement === "host";
}

/** The namespace that has the objects of a VRF. */
export function nsOf(vrf: Placed): Ns {
  return isInHost(vrf) ? "host" : `vrf:${vrf.name}`;
}

/** The same by name; of a VRF that is not known, the namespace that it would have for itself. */
export function nsOfNamed(vrfs: readonly Placed[], name: string): Ns {
  return nsOf(vrfs.find((vrf) => vrf.name === name) ?? { name, spec: {} });
}

/**
 * The networks of a VRF that this host has devices of: all, because it routes between them; in the host's own
 * namespace only those with endpoints here or that name this host, because the host's routes and addresses are there.
 */
export function networksOn(world: World, vrf: Vrf): readonly Network[] {
  const networks = world.networks.get(vrf.name) ?? [];
  if (!isInHost(vrf)) return networks;
  return networks.filter(({ name, spec }) => isOnHost(spec, world.self) || ownEndpoints(world, name).length > 0);
}
