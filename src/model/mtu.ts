// How large packets of a network may be, by what its hosts have.
import { bridgeOfOthers } from "./bridges.ts";
import { encapsulationOf, tunnelMtu } from "./driver.ts";
import { type TunnelWay, tunnelEnd } from "./multicast.ts";
import { factsOf, parentOn } from "./physical.ts";
import type { Host, NetworkSpec, PhysicalNetwork } from "./resource.ts";

/** Of a bridge or VLAN of which no host has said what its device carries. */
export const ETHERNET_MTU = 1500;

type Way = TunnelWay & Pick<NetworkSpec, "driver" | "tunnel" | "parent" | "bridge">;
type Parents = { get(name: string): PhysicalNetwork | undefined };

/**
 * Largest packet of a network that this host carries to other hosts; undefined if it has no device that does. It is
 * never above that of the device: the kernel refuses that (ERANGE).
 */
export function mtuOn(way: Way, host: Host["spec"], parents: Parents): number | undefined {
  const { parent } = way;
  const tunnel = encapsulationOf(way);
  if (tunnel !== undefined) {
    const end = tunnelEnd(way, host);
    return end === undefined ? undefined : tunnelMtu(tunnel, end);
  }
  const bridge = bridgeOfOthers(way);
  if (bridge !== undefined) return factsOf(host, bridge)?.mtu;
  // A bridge of Open vSwitch that is there: its administrator alone knows where it leads.
  if (parent === undefined) return undefined;
  const own = parentOn(host, parent)?.mtu;
  const most = parents.get(parent)?.spec.mtu;
  return own === undefined || most === undefined ? own : Math.min(own, most);
}

/** What all of these hosts carry. */
export function leastMtu(way: Way, hosts: Iterable<Host>, parents: Parents): number | undefined {
  let least: number | undefined;
  for (const { spec } of hosts) {
    const own = mtuOn(way, spec, parents);
    if (own !== undefined) least = Math.min(own, least ?? own);
  }
  return least;
}
