// Networks and ports that would share a device with another of their VRF. Admission refuses that
// (control/admit/network/devices.ts), and so does the agent's attach. But older resources may exist, and two networks
// must not be put on one segment. So of two, only the first by name is built.
import { bridgesOf } from "../../model/device.ts";
import type { Network } from "../../model/resource.ts";
import { portName } from "../state/names.ts";
import { type World, ownEndpoints } from "./world.ts";

/** Networks of a VRF that have no devices, because another network has them; by name. */
export function clashingNetworks(networks: readonly Network[]): ReadonlySet<string> {
  const taken = new Set<string>();
  const out = new Set<string>();
  for (const network of networks.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const bridges = bridgesOf(network);
    if (bridges.some((bridge) => taken.has(bridge))) out.add(network.name);
    else for (const bridge of bridges) taken.add(bridge);
  }
  return out;
}

/** The networks that are built, and the world with only the endpoints that are built. */
export function withoutClashes(world: World, networks: readonly Network[]): readonly [World, readonly Network[]] {
  const out = clashingNetworks(networks);
  const others = clashingEndpoints(world, networks);
  if (out.size === 0 && others.size === 0) return [world, networks];
  const endpoints = new Map(world.endpoints);
  for (const { name } of networks) {
    const all = out.has(name) ? [] : (world.endpoints.get(name) ?? []);
    endpoints.set(
      name,
      all.filter((endpoint) => !others.has(endpoint.name)),
    );
  }
  return [{ ...world, endpoints }, networks.filter(({ name }) => !out.has(name))];
}

/** Endpoints of this host whose port would be another endpoint's, by name. */
function clashingEndpoints(world: World, networks: readonly Network[]): ReadonlySet<string> {
  const owners = new Map<string, string>();
  const out = new Set<string>();
  for (const network of networks) {
    for (const { name } of ownEndpoints(world, network.name)) {
      const port = portName(name);
      const other = owners.get(port);
      if (other === undefined || name < other) owners.set(port, name);
      if (other !== undefined) out.add(name < other ? other : name);
    }
  }
  return out;
}
