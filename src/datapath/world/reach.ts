// Chooses the interface of a workload through which a destination is routed. The kernel chooses a route by destination
// alone, and an interface may send only from its own addresses (spoofing.ts). So traffic to a network in which the
// workload has an address must leave by the interface with that address. Pure; the order of interfaces does not matter.
import { type Family, cidrAround, contains, formatCidr, interfaceOf, ipOf } from "../../model/address.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { EndpointSpec, Network, Vrf } from "../../model/resource.ts";
import { type EndpointLayout, layoutOf, mustCidr, segmentsOf } from "./layout.ts";
import { type World, ownBlocks } from "./world.ts";

type Named = Pick<EndpointSpec, "ifname" | "defaultRoute">;

/** Whether an interface has its workload's default route: the first by name, unless an attach says otherwise. */
export function isWayOut({ ifname, defaultRoute }: Named, beside: readonly Named[]): boolean {
  return defaultRoute ?? !beside.some((other) => other.defaultRoute !== false && other.ifname < ifname);
}

/** Whether the routes of an interface depend on the other interfaces: true unless it has the default route. */
export function isAnyFurther(interfaces: readonly Named[], except: string): boolean {
  return interfaces.some((one) => one.ifname !== except && !isWayOut(one, interfaces));
}

/**
 * What is routed through the gateway of a further interface: those of its VRF's subnets that it leads to (`carrier`),
 * except those on the link, which need no gateway (the kernel would refuse a second route to them).
 */
export function reach(
  world: World,
  vrf: Vrf,
  { spec, layout }: { readonly spec: EndpointSpec; readonly layout: EndpointLayout },
  family: Family,
): readonly string[] {
  const onLink = new Set(layout.addresses.map(networkOf));
  const others = (world.interfaces.get(spec.netns) ?? []).filter(({ ifname }) => ifname !== spec.ifname);
  return subnetsOf(world, vrf, family).filter(
    (dst) => !onLink.has(dst) && carrier(world, dst, [...others, spec]) === spec,
  );
}

/**
 * The one interface that leads to a destination: among those with an address in it, or else among those with a gateway
 * in its VRF. The interface with the default route is preferred, because that route covers it already; then the first
 * by name.
 */
function carrier(world: World, dst: string, all: readonly EndpointSpec[]): EndpointSpec | undefined {
  const cidr = mustCidr(dst);
  const isInside = (address: string) => {
    const ip = ipOf(address);
    return ip !== undefined && contains(cidr, ip);
  };
  const inVrf = all.filter((spec) =>
    vrfNetworks(world, spec).some((network) => prefixesOf(network.spec).includes(dst)),
  );
  const owners = inVrf.filter(({ addresses }) => addresses.some(isInside));
  const able = owners.length > 0 ? owners : inVrf.filter((spec) => hasGateway(world, spec, cidr.family));
  return able.find((spec) => isWayOut(spec, all)) ?? able.toSorted((a, b) => (a.ifname < b.ifname ? -1 : 1))[0];
}

/** All networks of the VRF that an interface is in. */
function vrfNetworks(world: World, { network }: EndpointSpec): readonly Network[] {
  for (const networks of world.networks.values()) if (networks.some(({ name }) => name === network)) return networks;
  return [];
}

function hasGateway(world: World, spec: EndpointSpec, family: Family): boolean {
  const network = vrfNetworks(world, spec).find(({ name }) => name === spec.network);
  const vrf = world.snapshot.vrfs.find(({ name }) => name === network?.spec.vrf);
  if (network === undefined || vrf === undefined) return false;
  const layout = layoutOf(segmentsOf(vrf, network, world.self, ownBlocks(world, network.name)), spec);
  return layout?.gateways.some((gateway) => gateway.family === family) === true;
}

function networkOf(address: string): string {
  const spread = interfaceOf(address);
  return spread === undefined ? address : formatCidr(cidrAround(spread.ip, spread.length));
}

/** All prefixes of a VRF, of one family. */
export function subnetsOf(world: World, vrf: Vrf, family: Family): readonly string[] {
  return (world.networks.get(vrf.name) ?? [])
    .flatMap((network) => prefixesOf(network.spec))
    .filter((cidr) => mustCidr(cidr).family === family);
}
