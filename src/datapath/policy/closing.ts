// Two tunnels as ports of one bridge, while a conversion goes from one to the other. Entries of the bridge say which of
// them a unicast frame takes; what goes to all must take one of them, else it would arrive twice. The kernel's flags of
// ports cannot be exchanged in one step, but the elements of a set can: with flags, 9 of 1,250 broadcasts arrived twice
// or 275 not at all, with the set none of either.
//
// The bridge floods one frame to both tunnels, and hooks see each copy by itself: if each asked the set, the elements
// could be exchanged between two copies of one frame, which then left by both or by neither. So the set is asked once,
// before the flood, by one look-up, and the copies carry the answer in the frame's priority. The numbers mean nothing
// to a queueing discipline (none has them as a class, and their lower four bits are 0).
import type { Network, Vrf } from "../../model/resource.ts";
import { hasDevicePerPeer } from "../../model/driver.ts";
import { macsOf } from "../world/layout.ts";
import { nsOf } from "../world/placement.ts";
import { type Way, deviceOf, waysOf } from "../world/ways.ts";
import type { World } from "../world/world.ts";
import { declared, portNumber } from "../kinds/tables.ts";
import type { ObjectOf } from "../kinds.ts";
import { TARGET_HEARD } from "./learning.ts";
import { chain } from "./tableParts.ts";

const TARGET = "oifname . @ll,0,48";
const TO_MANY = "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00";
const TO_ONE = "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00";
/** Priorities, in the words of nft: which of the two is closed to a frame. */
const FIRST_CLOSED = "0:10";
const SECOND_CLOSED = "0:20";

/** The two tunnels of a network, in an order that does not change when the host sends by the other one. */
export type TwoTunnels = readonly [first: Way, second: Way];

/** Of switched networks of these. */
export function twoTunnels(world: World, vrf: Vrf, networks: readonly Network[]): readonly TwoTunnels[] {
  return networks.flatMap((network) => {
    const [one, other] = network.spec.ipam === "global" ? waysOf(world, vrf, network) : [];
    if (one === undefined || other === undefined) return [];
    return [isBefore(one, other) ? ([one, other] as const) : ([other, one] as const)];
  });
}

/** By the port first: if that changes, it changes for all networks of the VRF, and all go over at once. */
function isBefore(one: Way, other: Way): boolean {
  const by = one.vrf.spec.tunnelPort - other.vrf.spec.tunnelPort;
  return by === 0 ? deviceOf(one) < deviceOf(other) : by < 0;
}

/** `networks`: all of the table. */
export function closingChains(tunnels: readonly TwoTunnels[], networks: readonly Network[]): string {
  if (tunnels.length === 0) return "";
  const floods = networks.some((network) => macsOf(network) === "flooded");
  const choice = [
    ...(floods ? [] : [`${TO_ONE} accept`]),
    // Masked to nothing, the frame's beginning is the name of a tunnel: a key that no field of a frame gives.
    ...tunnels.map(
      ([first]) => `@ll,0,128 & 0x0 | ${portNumber(deviceOf(first))} @closed meta priority set ${FIRST_CLOSED} accept`,
    ),
    `meta priority set ${SECOND_CLOSED}`,
  ];
  return (
    declared("closed") +
    chain("choice", ["type filter hook prerouting priority -310; policy accept;", ...choice]) +
    // What comes from the bridge's namespace itself (a gateway's ARP and ND) is copied before any hook sees it: each
    // copy asks. Those protocols ask again.
    chain("own_choice", ["type filter hook output priority -310; policy accept;", ...choice]) +
    chain("other_way", [
      `${TO_MANY} drop`,
      // A frame to an unknown MAC goes to all as well.
      ...(floods
        ? ["meta priority set 0:0", "oifname != @floods accept", `${TARGET} @macs accept`, `${TARGET_HEARD} accept`]
        : []),
      floods ? "drop" : "accept",
    ]) +
    chain("closing", [
      "type filter hook postrouting priority -310; policy accept;",
      ...(floods ? [] : [`${TO_ONE} accept`]),
      ...tunnels.flatMap(([first, second]) => [
        `oifname "${portsOf(first)}" meta priority ${FIRST_CLOSED} goto other_way`,
        `oifname "${portsOf(second)}" meta priority ${SECOND_CLOSED} goto other_way`,
      ]),
      `meta priority { ${FIRST_CLOSED}, ${SECOND_CLOSED} } meta priority set 0:0`,
    ])
  );
}

function portsOf(way: Way): string {
  return hasDevicePerPeer(way.network.spec.driver) ? `${deviceOf(way)}-*` : deviceOf(way);
}

/** Of a way that this host does not send by: its ports, and its name where that is no port. */
export function closedElements(vrf: Vrf, way: Way, ports: readonly string[]): readonly ObjectOf<"element">[] {
  return [...new Set([deviceOf(way), ...ports])].map((key) => ({ kind: "element", ns: nsOf(vrf), set: "closed", key }));
}
