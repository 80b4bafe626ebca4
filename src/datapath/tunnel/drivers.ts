// The table of tunnel drivers, and which of them a host uses.
import { DRIVERS, type Driver } from "../../model/driver.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { World } from "../world/world.ts";
import type { TunnelDriver } from "./tunnel.ts";
import { vxlan } from "./vxlan.ts";

export const TUNNELS: Readonly<Record<Driver, TunnelDriver>> = { vxlan };

/** What firewalls between two hosts open or close as one: a driver, and its port where it has one (else 0). */
export type Channel = { readonly driver: Driver; readonly port: number };

export function driversOf(networks: readonly Network[]): readonly Driver[] {
  return [...new Set(networks.map(({ spec }) => spec.driver))];
}

/** The channels of a VRF: one for each driver of its networks. */
export function channelsOf(world: World, vrf: Vrf): readonly Channel[] {
  return driversOf(world.networks.get(vrf.name) ?? []).map((driver) => ({
    driver,
    port: DRIVERS[driver].hasPort ? vrf.spec.tunnelPort : 0,
  }));
}
