// Frames that come in from a physical network. Nobody vouches for them there: so they must not carry a MAC or address
// of an endpoint of this host, which cannot come from outside, and there is a limit for those to many. What they may
// reach, the groups of endpoints say, as of any peer (groups.ts): an endpoint's flows begin with its receiver's `in`
// rules.
import { hostAddressesOf, hostMac } from "../../model/carrying.ts";
import { bridgeOfOthers } from "../../model/bridges.ts";
import { isPhysical } from "../../model/driver.ts";
import { deviceFor, takeOverOn } from "../../model/physical.ts";
import type { Endpoint, Network, Vrf } from "../../model/resource.ts";
import type { ObjectOf } from "../kinds.ts";
import { islandChains, islandLines } from "./islands.ts";
import { declared } from "../kinds/tables.ts";
import { physicalDriverOf } from "../tunnel/drivers.ts";
import { nsOf } from "../world/placement.ts";
import type { World } from "../world/world.ts";
import { KNOWN, OUTSIDE_REASON, STORMS, TAGS, chain, hex, lacks } from "./tableParts.ts";

type Element = ObjectOf<"element">;

/** The port of the network's bridge that leads outside; undefined if it has none here. */
export function outsidePort({ self }: Pick<World, "self">, network: Network): string | undefined {
  const { parent } = network.spec;
  const device = parent === undefined ? bridgeOfOthers(network.spec) : deviceFor(self.spec, parent);
  return physicalDriverOf(network)?.name(network, device);
}

/** Where any workload may have any MAC, nothing can be said of those outside. */
function isLoose({ spec: { spoofing } }: Network): boolean {
  return spoofing?.mac === true;
}

/**
 * On a device that leads to a trunk, and has no VLAN device for the frame, all VLANs arrive: those of other networks.
 * VLAN 0 is no VLAN, but a priority.
 */
const OTHER_VLANS = `${lacks(TAGS)} ether type { 8021q, 8021ad } @ll,112,16 & 0x0fff != 0 drop`;

/** Says that frames of the port come from outside. */
export function outsideElements(world: World, vrf: Vrf, network: Network): readonly Element[] {
  const port = outsidePort(world, network);
  if (port === undefined) return [];
  const { spoofing = {}, trunks } = network.spec;
  const areTagsIts = spoofing.tags === true || trunks !== undefined;
  const mark = KNOWN | (spoofing.broadcasts === true ? STORMS : 0) | (areTagsIts ? TAGS : 0);
  // The host itself, too, may be on the segment.
  const own = hostAddressesOf(network.spec, world.self.name);
  const addresses = own.map((address) => address.slice(0, address.indexOf("/")));
  const [first] = own;
  const bridgeMac = takeOverOn(world.self.spec, network.spec)?.mac;
  return [
    { kind: "element", ns: nsOf(vrf), set: "outside", key: port, value: hex(mark).slice(2) },
    ...(first === undefined
      ? []
      : insideElements(world, vrf, network, { mac: bridgeMac ?? hostMac(first), addresses })),
  ];
}

/** What does not come from outside, because an endpoint of this host has it: not what several may have. */
export function insideElements(
  world: World,
  vrf: Vrf,
  network: Network,
  { mac, addresses }: Pick<Endpoint["spec"], "mac" | "addresses">,
): readonly Element[] {
  const port = outsidePort(world, network);
  if (port === undefined || isLoose(network)) return [];
  const element = (set: string, key: string): Element => ({ kind: "element", ns: nsOf(vrf), set, key });
  return [
    element("inside_macs", `${port} . ${mac}`),
    ...addresses.map((ip) => element(ip.includes(":") ? "inside6" : "inside4", `${port} . ${ip}`)),
  ];
}

/** Whether a VRF has networks to which frames come from outside. */
function hasOutside(networks: readonly Network[]): boolean {
  return networks.some(({ spec }) => isPhysical(spec));
}

/** The line that finds them among what comes from no port of an endpoint; none without need. */
export function outsideLine(networks: readonly Network[]): readonly string[] {
  return hasOutside(networks) ? ["meta mark set iifname map @outside goto outside"] : [];
}

/** The sets alone, where nothing is judged: their elements are there all the same. */
export function outsideSets(networks: readonly Network[]): string {
  return hasOutside(networks) ? ["outside", "inside_macs", "inside4", "inside6"].map(declared).join("") : "";
}

/** Its chain with sets; empty without need. */
export function outsideChain(networks: readonly Network[]): string {
  if (!hasOutside(networks)) return "";
  const drop = `goto drop_${OUTSIDE_REASON}`;
  return (
    outsideSets(networks) +
    islandChains(networks) +
    chain(`drop_${OUTSIDE_REASON}`, [
      `meta mark set ${OUTSIDE_REASON}`,
      "update @drops { iifname . meta mark }",
      "drop",
    ]) +
    chain("many_outside", [
      // Of one link only (802.1Q, 8.6.3): between the switch and this host's device.
      "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 drop",
      "goto storm",
    ]) +
    chain("outside", [
      ...islandLines(networks),
      OTHER_VLANS,
      "meta pkttype 1-2 jump many_outside",
      `iifname . ether saddr @inside_macs ${drop}`,
      "meta protocol ip iifname . ip saddr != @inside4 meta mark set 0 accept",
      `meta protocol ip ${drop}`,
      `meta protocol arp iifname . arp saddr ip @inside4 ${drop}`,
      `meta protocol ip6 iifname . @nh,64,128 @inside6 ${drop}`,
      // An advertisement for it.
      `meta protocol ip6 @nh,48,8 58 @th,0,8 136 iifname . @th,64,128 @inside6 ${drop}`,
      "meta mark set 0 accept",
    ])
  );
}
