// Bridges that have the host's own addresses, because the device that had them is a port: the host is reached by them
// as it was by the device, and nothing of that is Weft's to judge. What workloads on them send to the host is: a frame
// of theirs is told by its port, which only the hooks of the bridge see. Connections are not tracked there, so an
// answer is what cannot begin anything.
import { takeOverOn } from "../../model/physical.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { declared } from "../kinds/tables.ts";
import type { World } from "../world/world.ts";
import { chain } from "./tableParts.ts";

/** Whether the network's bridge on this host is one of them. */
export function isBridgeOfHost({ self }: Pick<World, "self">, { spec }: Network): boolean {
  return takeOverOn(self.spec, spec) !== undefined;
}

/** Whether the host is out of reach of the network's endpoints there. */
export function isGuarded(world: Pick<World, "self">, vrf: Vrf, network: Network): boolean {
  return !vrf.spec.hostAccess && isBridgeOfHost(world, network);
}

/** Of `bridge weft` in the host's namespace; empty without need. */
export function guardChains(isNeeded: boolean): string {
  if (!isNeeded) return "";
  const toHost = ["type filter hook input priority filter; policy accept;", "iifname @guarded goto answers"];
  return declared("guarded") + chain("answers", ANSWERS) + chain("to_host", toHost);
}

/** Without ARP and ND there are no answers. */
const ANSWERS = [
  "ether type arp accept",
  "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
  "icmpv6 type { echo-reply, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
  "icmp type { echo-reply, destination-unreachable, time-exceeded, parameter-problem } accept",
  "tcp flags & (syn | ack) != syn accept",
  "drop",
];
