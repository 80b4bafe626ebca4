// A network on a physical network: one L2 segment over its hosts, and whatever else is out there. One port of the
// bridge leads outside; frames to MACs that Weft does not know go there, and nowhere else. Where an endpoint is,
// entries say that no frame moves: behind its port if it is here, behind the port to the outside if it is on another
// host. ARP and ND cross as they are, because machines outside ask and answer as well. The gateway is one of those
// machines, and no host has it.
import { bridgeOfOthers, bridgeOn } from "../../model/bridges.ts";
import { allHostAddresses, hostAddressesOf, hostMac } from "../../model/carrying.ts";
import { networkBridge } from "../../model/device.ts";
import { DRIVERS, isPhysical } from "../../model/driver.ts";
import { parentOn, whyUnfitFor } from "../../model/physical.ts";
import type { Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { KernelObject } from "../kinds.ts";
import { floodElements } from "../policy/learning.ts";
import { islandElements } from "../policy/islands.ts";
import { outsideElements, outsidePort } from "../policy/outside.ts";
import { physicalDriverOf } from "../tunnel/drivers.ts";
import { macsOf } from "../world/layout.ts";
import { networksOn, nsOf } from "../world/placement.ts";
import { type World, worldOf } from "../world/world.ts";
import { hasVirtualMac } from "./endpoint.ts";

/** The port to the outside, and what is known to be behind it; all of it without a bridge. */
export function compilePhysical(world: World, vrf: Vrf, network: Network, mtu: number): KernelObject[] {
  const ns = nsOf(vrf);
  const bridge = networkBridge(network);
  const driver = physicalDriverOf(network);
  const endpoints = world.endpoints.get(network.name) ?? [];
  const hasVirtualMacs = endpoints.some(({ spec }) => hasVirtualMac(spec));
  const wanted = { host: world.self.name, ns, network, bridge, mtu, link: linkOf(world, network), hasVirtualMacs };
  const objects = driver?.port(wanted) ?? [];
  const port = outsidePort(world, network);
  if (driver === undefined || port === undefined || objects.length === 0) return [...objects];
  const elsewhere = endpoints.filter(({ spec }) => spec.host !== world.self.name).map(({ spec }) => spec.mac);
  const macs = network.spec.isolated === true ? [...elsewhere, ...otherHosts(world, network)] : elsewhere;
  return [
    ...outsideElements(world, vrf, network),
    ...islandElements(world, vrf, network, { port, elsewhere: macs }),
    ...objects,
    ...(driver.hasForeignPort(network) ? [] : macs).map(
      (mac): KernelObject => ({ kind: "bridge-fdb", ns, dev: port, mac }),
    ),
    ...floodElements(vrf, macsOf(network), port, macs),
  ];
}

/** MACs of other hosts that have addresses of their own in the network. */
function otherHosts({ self }: World, { spec }: Network): readonly string[] {
  const hosts = [...new Set(allHostAddresses(spec).map(({ host }) => host))].filter((host) => host !== self.name);
  return hosts.sort().map((host) => hostMac(hostAddressesOf(spec, host)[0] ?? ""));
}

/** The host's device that leads to the network's parent, or the bridge of others, if it is there and fit. */
function linkOf({ self }: World, { spec }: Network) {
  if (bridgeOfOthers(spec) !== undefined) return bridgeOn(spec, self.spec);
  if (spec.parent === undefined || whyUnfitFor(self.spec, spec) !== undefined) return undefined;
  return parentOn(self.spec, spec.parent);
}

/** Devices of the host's own that are ports of Weft's bridges, or of its bridges of Open vSwitch, on this host. */
export function enslavedDevices(snapshot: Snapshot, host: string): readonly string[] {
  const world = worldOf(snapshot, host);
  if (world === undefined) return [];
  const networks = world.vrfs
    .flatMap((vrf) => networksOn(world, vrf))
    .filter(({ spec }) => isPhysical(spec) && DRIVERS[spec.driver].takesDevice === true)
    .filter(({ spec }) => bridgeOfOthers(spec) === undefined);
  return [...new Set(networks.flatMap((network) => linkOf(world, network)?.name ?? []))].sort();
}
