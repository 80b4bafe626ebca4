// The table of tunnel drivers, and which of them a host uses.
import { DRIVERS, DRIVER_NAMES, type Driver } from "../../model/driver.ts";
import type { TunnelWay } from "../../model/multicast.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { type World, tunnelTo } from "../world/world.ts";
import { gre } from "./gre.ts";
import type { Peer, TunnelDriver } from "./tunnel.ts";
import { vxlan } from "./vxlan.ts";

export const TUNNELS: Readonly<Record<Driver, TunnelDriver>> = { vxlan, gre };

/** What firewalls between two hosts open or close as one: a driver, and its port where it has one (else 0). */
export type Channel = { readonly driver: Driver; readonly port: number };

/** Those that networks have, in the order of their rows: texts of tables must not depend on that of the networks. */
export function driversOf(networks: readonly Network[]): readonly Driver[] {
  return DRIVER_NAMES.filter((driver) => networks.some(({ spec }) => spec.driver === driver));
}

/** The channels of a VRF: one for each driver of its networks. */
export function channelsOf(world: World, vrf: Vrf): readonly Channel[] {
  return driversOf(world.networks.get(vrf.name) ?? []).map((driver) => ({
    driver,
    port: DRIVERS[driver].hasPort ? vrf.spec.tunnelPort : 0,
  }));
}

/** The VNIs of a VRF's tunnels of a driver: of its routed networks, and of each switched one. */
export function vnisOf(world: World, vrf: Vrf, driver: Driver): readonly number[] {
  const networks = (world.networks.get(vrf.name) ?? []).filter(({ spec }) => spec.driver === driver);
  return networks.flatMap(({ spec }) => (spec.ipam === "local" ? vrf.spec.vni : (spec.vni ?? [])));
}

/** A host as the other end of a tunnel; undefined if none can lead there. `way`: of a network, as for tunnelTo(). */
export function peerOf(world: World, host: string, way: TunnelWay = {}): Peer | undefined {
  const dst = tunnelTo(world, host, way);
  return dst === undefined ? undefined : { dst, order: world.hosts.get(host)?.spec.order ?? 0 };
}
