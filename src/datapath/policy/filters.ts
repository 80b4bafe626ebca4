// What a port may send: IP and ARP frames with its own MAC and addresses (in frames, ARP and neighbour discovery); no
// answers of a DHCP server, nothing that only routers send, no storms. Everything else is dropped: a filter that looks
// for what is forbidden is blind to what it cannot read, such as behind a VLAN tag. The rules are the same for every
// network; what differs is in elements of sets and in bits of the port's mark (spoofing.ts).
import type { Network } from "../../model/resource.ts";
import { type TwoTunnels, closingChains } from "./closing.ts";
import { learningOf } from "./learning.ts";
import { type Policy, compilePolicy } from "./groups.ts";
import { outsideChain, outsideLine, outsideSets } from "./outside.ts";
import { declared } from "../kinds/tables.ts";
import {
  ANY_IP,
  ANY_MAC,
  DHCP_SERVER,
  DROP_REASONS,
  KNOWN,
  FROM_PORT_OF_OURS,
  NOT_FROM_PORT,
  OUTSIDE_REASON,
  PROFILE_BITS,
  ROUTER,
  STORM,
  STORMS,
  TAGS,
  TO_PORT_OF_OURS,
  chain,
  has,
  lacks,
} from "./tableParts.ts";

/** Of what is sent at once and cut into packets later (GSO), each counts as one: so their bytes count as well. */
const STORM_BYTES = "4 mbytes/second burst 4 mbytes";

/** To many at once: 1 is broadcast, 2 multicast. */
const MANY = "meta pkttype 1-2 jump storm";

/** Asked where the address was not: an address that is bound is bound to the frame's MAC. */
const OWN_MAC = `${lacks(ANY_MAC)} iifname . @ll,48,48 != @macs goto drop_2`;

/**
 * The table `bridge weft` of a VRF; in the host's own namespace there are bridges of others, whose frames pass as they
 * are. What may come from its port goes on to its groups, where there are any. If anything
 * may come from anywhere, all that is hooked is what bounds learning.
 */
export function bridgeTable(
  policy: Policy,
  networks: readonly Network[],
  place: "host" | "own" = "own",
  tunnels: readonly TwoTunnels[] = [],
): string {
  const isFiltered = policy.profiles.size > 0;
  const closing = closingChains(tunnels, networks);
  if (!isFiltered && networks.length > 0 && networks.every(isOpen))
    return SETS + outsideSets(networks) + DROPS + learningOf(networks, true).chains + closing;
  const learning = learningOf(networks, false, place);
  // A mark ends with the judgement. In the host's own namespace it would mean something else, and a tunnel looks up
  // its way anew for each packet that has one (ip_tunnel_dst_cache_usable).
  const accept = learning.readsMark ? "accept" : "meta mark set 0 accept";
  const pass = (then: string, when = "") =>
    isFiltered ? [`${when}${has(PROFILE_BITS)} goto ${then}`, `${when}${accept}`] : [`${when}${accept}`];
  const filters =
    STORMS_CHAIN + fromV4(pass) + discovery(accept) + fromV6(pass) + outsideChain(networks) + fromPort(accept);
  return (
    SETS +
    DROPS +
    compilePolicy(policy, accept, place) +
    filters +
    hooked(place, [...outsideLine(networks), ...learning.elsewhere]) +
    learning.chains +
    closing +
    (place === "host" && learning.readsMark ? JUDGED : "") +
    (place === "host" && isFiltered ? ARRIVING : "")
  );
}

function isOpen({ spec: { spoofing = {} } }: Network): boolean {
  // Of any MAC is any address.
  const { mac, dhcpServer, routerAdvertisements, broadcasts, tags } = spoofing;
  return [mac, dhcpServer, routerAdvertisements, broadcasts, tags].every((may) => may === true);
}

const SETS =
  ["ports", "macs", "bound4", "bound6", "floods"].map(declared).join("") +
  `set drops { type ifname . mark; size 65535; flags dynamic; counter; }
set storms { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }
set storm_bytes { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }
`;

const DROPS =
  // Without a chain that all share: the kernel follows no more than sixteen from one to the next.
  Object.keys(DROP_REASONS)
    .filter((reason) => Number(reason) !== OUTSIDE_REASON)
    .map((reason) =>
      chain(`drop_${reason}`, [`meta mark set ${reason}`, "update @drops { iifname . meta mark }", "drop"]),
    )
    .join("");

const STORMS_CHAIN = chain("storm", [
  // Of one link only (802.1Q, 8.6.3): for bridges, which workloads are not.
  "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 goto drop_9",
  `${lacks(STORMS)} update @storms { iifname limit rate over ${STORM} } goto drop_8`,
  `${lacks(STORMS)} update @storm_bytes { iifname limit rate over ${STORM_BYTES} } goto drop_8`,
]);

/** The lines with which a packet goes on to the groups' chain, if there are any. */
type Pass = (then: string, when?: string) => readonly string[];

/**
 * Nearly all is TCP from a bound address, and takes the shortest way. The rest is told by its protocol, behind whatever
 * options; what has none that can be found (a wrong length, a chain of headers that goes on in the next fragment) does
 * not pass, because its content is unknown.
 */
function fromV4(pass: Pass): string {
  const known = ["@nh,72,8 != 6 goto v4_own", ...pass("out4_tcp")];
  return (
    chain("v4_udp", [
      // An answer, from wherever: clients look at the port that it comes to.
      `@th,0,16 67 ${lacks(DHCP_SERVER)} goto drop_6`,
      `@th,16,16 68 ${lacks(DHCP_SERVER)} goto drop_6`,
      ...pass("out4"),
    ]) +
    // Redirects and advertisements of routers; queries of multicast routers, who get every group's packets.
    chain("v4_icmp", [`@th,0,8 { 5, 9 } ${lacks(ROUTER)} goto drop_7`, ...pass("out4")]) +
    chain("v4_igmp", [`@th,0,8 { 17, 48 } ${lacks(ROUTER)} goto drop_7`, ...pass("out4")]) +
    chain("v4_own", [
      "meta l4proto vmap { udp : goto v4_udp, icmp : goto v4_icmp, igmp : goto v4_igmp }",
      ...pass("out4", "meta l4proto >= 0 "),
      "goto drop_14",
    ]) +
    chain("v4_known", known) +
    chain("v4_bound", [MANY, ...known])
  );
}

function fromV6(pass: Pass): string {
  const known = ["@nh,48,8 != 6 goto v6_own", ...pass("out6_tcp")];
  // What does not show its ports or type is a fragment behind the first, or hides them.
  const visible = (field: string) => [
    ...pass("out6", `${field} >= 0 `),
    ...pass("out6", "frag frag-off != 0 "),
    "goto drop_14",
  ];
  return (
    chain("v6_udp", [
      `@th,0,16 547 ${lacks(DHCP_SERVER)} goto drop_6`,
      `@th,16,16 546 ${lacks(DHCP_SERVER)} goto drop_6`,
      ...visible("@th,16,16"),
    ]) +
    chain("v6_icmp", [
      // Discovery has no headers before it, and no fragments (RFC 6980).
      "@th,0,8 133-137 @nh,48,8 != 58 goto drop_5",
      `@th,0,8 { 130, 134, 137, 151 } ${lacks(ROUTER)} goto drop_7`,
      ...pass("out6", `${has(ANY_IP)} `),
      "@th,0,8 vmap { 133 : goto ask_router, 135 : goto solicit, 136 : goto advertise }",
      ...visible("@th,0,8"),
    ]) +
    chain("v6_own", [
      "@nh,48,8 vmap { 17 : goto v6_udp, 58 : goto v6_icmp }",
      // Headers that begin in a fragment may end in the next one, and padding stand where they seem to end.
      "frag nexthdr { 0, 43, 44, 51, 60, 135, 139, 140 } goto drop_14",
      "meta l4proto vmap { udp : goto v6_udp, icmpv6 : goto v6_icmp }",
      ...pass("out6", "meta l4proto >= 0 "),
      "goto drop_14",
    ]) +
    chain("v6_known", known) +
    chain("v6_bound", [MANY, ...known])
  );
}

/** What neighbour discovery says about addresses and MACs is the port's own, and there is nothing else beside. */
const discovery = (accept: string) =>
  chain("ask_router", [
    `ip6 length 8 ${accept}`,
    `ip6 length 16 @th,64,16 0x0101 iifname . @th,80,48 @macs ${accept}`,
    "goto drop_5",
  ]) +
  chain("solicit", [
    // One option at most, and a source link-layer address only if it is its own; 14 is the nonce of RFC 7527.
    `ip6 length 24 ${accept}`,
    `ip6 length 32 @th,192,16 0x0101 iifname . @th,208,48 @macs ${accept}`,
    `ip6 length 32 @th,192,8 14 ${accept}`,
    "goto drop_5",
  ]) +
  chain("advertise_own", [
    `ip6 length 24 ${accept}`,
    `ip6 length 32 @th,192,16 0x0201 iifname . @th,208,48 @macs ${accept}`,
    "goto drop_5",
  ]) +
  chain("advertise", [
    "meta mark set iifname . ether saddr . @th,64,128 map @bound6 goto advertise_own",
    "goto drop_5",
  ]);

/** Marks of bound addresses, behind a tag or not. */
const BOUND4 = "meta mark set iifname . ether saddr . ip saddr map @bound4";
const BOUND6 = "meta mark set iifname . ether saddr . @nh,64,128 map @bound6";

const fromPort = (accept: string) =>
  chain("v4", [
    "@nh,0,4 != 4 goto drop_14",
    OWN_MAC,
    `${has(ANY_IP)} goto v4_own`,
    // A DHCP client before it has an address.
    "ip saddr 0.0.0.0 udp sport 68 udp dport 67 goto v4_own",
    "goto drop_3",
  ]) +
  chain("arp4", [
    OWN_MAC,
    // Of Ethernet and IPv4; a request or an answer.
    "@nh,0,48 != 0x000108000604 goto drop_4",
    "@nh,48,16 != { 1, 2 } goto drop_4",
    // The sender's address is its own, or the packet is a probe for an address that it is about to use. A probe for
    // another's address would be a conflict for its owner, which may be probing at the same time (RFC 5227, 2.1.1).
    `${lacks(ANY_MAC)} iifname . @nh,64,48 != @macs goto drop_4`,
    `${has(ANY_IP)} ${accept}`,
    `meta protocol arp meta mark set iifname . arp saddr ether . arp saddr ip map @bound4 ${accept}`,
    "meta protocol arp arp saddr ip 0.0.0.0 arp operation request " +
      `meta mark set iifname . arp saddr ether . arp daddr ip map @bound4 ${accept}`,
    "goto drop_4",
  ]) +
  chain("v6", [
    "@nh,0,4 != 6 goto drop_14",
    OWN_MAC,
    `${has(ANY_IP)} goto v6_own`,
    // Before it has an address: whether the address is in use, and which groups it listens to. Such a question about
    // another's address keeps its owner from using it (RFC 4862, 5.4.3).
    "ip6 saddr :: @nh,48,8 58 @th,0,8 135 meta mark set iifname . ether saddr . @th,64,128 map @bound6 goto solicit",
    "ip6 saddr :: @nh,48,8 58 @th,0,8 135 goto drop_5",
    `ip6 saddr :: meta l4proto icmpv6 @th,0,8 { 131, 143 } ${accept}`,
    "goto drop_3",
  ]) +
  // The kernel keeps the outermost tag beside the frame: what is behind it is where it always is, but for the type.
  chain("tagged", [
    MANY,
    `meta protocol ip @nh,0,4 4 ${BOUND4} goto v4_known`,
    `meta protocol ip6 @nh,0,4 6 ${BOUND6} goto v6_known`,
    "meta protocol vmap { ip : goto v4, ip6 : goto v6, arp : goto arp4 }",
    "goto drop_9",
  ]);

/**
 * Where each frame comes in. Marks are the VRF's, but in the host's own namespace only on frames of our ports.
 * `elsewhere`: lines for what comes from no port of an endpoint.
 */
function hooked(place: "host" | "own", elsewhere: readonly string[]): string {
  const others = `${place === "host" ? "" : "meta mark set 0 "}accept`;
  return (
    (elsewhere.length === 0 ? "" : chain("from_elsewhere", [...elsewhere, others])) +
    chain("prerouting", [
      "type filter hook prerouting priority -300; policy accept;",
      `${NOT_FROM_PORT} ${elsewhere.length === 0 ? others : "goto from_elsewhere"}`,
      "meta mark set 0",
      // Nearly all: from a bound address, of which one look-up says all there is to know. The type in the frame itself,
      // which behind a tag is the tag's, and the version.
      `meta protocol ip @ll,96,20 0x08004 ${BOUND4} goto v4_bound`,
      `meta protocol ip6 @ll,96,20 0x86dd6 ${BOUND6} goto v6_bound`,
      "meta mark set iifname map @ports",
      `${lacks(KNOWN)} goto drop_1`,
      `${has(TAGS)} ether type { 8021q, 8021ad } goto tagged`,
      MANY,
      "ether type vmap { ip : goto v4, ip6 : goto v6, arp : goto arp4 }",
      OWN_MAC,
      "goto drop_9",
    ])
  );
}

/**
 * The host's own namespace gives meanings of its own to marks, by rules of routing and in other programs' tables, and
 * a tunnel's packets keep the mark of what is in them. So a frame has its mark only while it is judged: before hooks of
 * IP see it (br_netfilter), it is gone. Here, because what bounds learning reads it after the judgement.
 */
const JUDGED = chain("judged", [
  "type filter hook prerouting priority -1; policy accept;",
  `${FROM_PORT_OF_OURS} meta mark set 0`,
]);

/** Nor does a mark that comes from elsewhere mean anything at our ports. */
const ARRIVING = chain("arriving", [
  "type filter hook forward priority 300; policy accept;",
  `${NOT_FROM_PORT} ${TO_PORT_OF_OURS} meta mark set 0`,
]);
