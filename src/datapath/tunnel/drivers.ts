// The table of tunnel drivers, and which of them a host uses.
import {
  DRIVER_NAMES,
  type Driver,
  type PhysicalDriverName,
  type TunnelDriverName,
  encapsulationOf,
  isPhysical,
} from "../../model/driver.ts";
import type { TunnelWay } from "../../model/multicast.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { type Way, portOf, waysOf } from "../world/ways.ts";
import { type World, tunnelTo } from "../world/world.ts";
import { bridge } from "./bridge.ts";
import { gre } from "./gre.ts";
import { ovsOnPhysical, ovsTunnel } from "./ovs.ts";
import type { PhysicalDriver } from "./physical.ts";
import type { Peer, TunnelDriver } from "./tunnel.ts";
import { vlan } from "./vlan.ts";
import { vxlan } from "./vxlan.ts";

const ROWS: Readonly<Record<TunnelDriverName, TunnelDriver>> = { vxlan, gre };
/** To be asked for drivers of ways (waysIn), which have a row. */
export const TUNNELS = ROWS as Readonly<Record<Driver, TunnelDriver>>;
const PHYSICAL: Readonly<Record<PhysicalDriverName, PhysicalDriver>> = { vlan, bridge, ovs: ovsOnPhysical };

/** Of a network whose frames cross a physical one; undefined of others. */
export function physicalDriverOf({ spec }: Network): PhysicalDriver | undefined {
  const { driver } = spec;
  return isPhysical(spec) && driver in PHYSICAL ? PHYSICAL[driver as PhysicalDriverName] : undefined;
}

/** Of a switched network whose frames cross in packets on the underlay. */
export function tunnelDriverOf({ spec: { driver } }: Network): Pick<TunnelDriver, "switched"> {
  return driver === "ovs" ? ovsTunnel : TUNNELS[driver];
}

/** What firewalls between two hosts open or close as one: a driver, and its port where it has one (else 0). */
export type Channel = { readonly driver: Driver; readonly port: number };

/**
 * The channels of a VRF: one for each driver of its networks, and more while a conversion changes them. In the order of
 * the drivers' rows: texts of tables must not depend on that of the networks.
 */
export function channelsOf(world: World, vrf: Vrf): readonly Channel[] {
  return channelsIn(waysIn(world, vrf));
}

/** Those that probes can take: a port is Open vSwitch's, or it is Weft's. */
export function probedChannelsOf(world: World, vrf: Vrf): readonly Channel[] {
  return channelsIn(waysIn(world, vrf).filter(({ network }) => network.spec.driver !== "ovs"));
}

function channelsIn(ways: readonly Way[]): readonly Channel[] {
  const channels = new Map<string, Channel>();
  for (const way of ways) {
    const driver = encapsulationOf(way.network.spec);
    if (driver === undefined) continue;
    const port = portOf(way);
    channels.set(`${driver} ${port}`, { driver, port });
  }
  const rank = ({ driver, port }: Channel) => DRIVER_NAMES.indexOf(driver) * 65_536 + port;
  return [...channels.values()].sort((a, b) => rank(a) - rank(b));
}

/** All ways of a VRF's networks. One on a physical network has none: its frames are in no packets. */
export function waysIn(world: World, vrf: Vrf): readonly Way[] {
  const networks = (world.networks.get(vrf.name) ?? []).filter(({ spec }) => !isPhysical(spec));
  return networks.flatMap((network) => waysOf(world, vrf, network));
}

/** The VNIs of a VRF's tunnels of a driver: of its routed networks, and of each switched one. */
export function vnisOf(world: World, vrf: Vrf, driver: Driver): readonly number[] {
  const vnis = waysIn(world, vrf)
    .filter(({ network }) => encapsulationOf(network.spec) === driver)
    .flatMap(({ network: { spec }, vrf: its }) => (spec.ipam === "local" ? its.spec.vni : (spec.vni ?? [])));
  return [...new Set(vnis)];
}

/** A host as the other end of a tunnel; undefined if none can lead there. `way`: of a network, as for tunnelTo(). */
export function peerOf(world: World, host: string, way: TunnelWay = {}): Peer | undefined {
  const dst = tunnelTo(world, host, way);
  return dst === undefined ? undefined : { dst, order: world.hosts.get(host)?.spec.order ?? 0 };
}
