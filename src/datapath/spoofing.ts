// What a port may send: its own MAC and addresses, in frames, ARP and neighbour discovery; no answers of a DHCP server,
// no router advertisements, no storms. The rules are the same for every network; what differs is in elements of sets
// and in bits of the port's mark. A port without a mark carries nothing: so an endpoint is cut off until its elements
// are there, by construction.
import { formatIp, macValue, slaacIp } from "../model/address.ts";
import { groupsOf } from "../model/group.ts";
import type { Endpoint, EndpointSpec, Network, Vrf } from "../model/resource.ts";
import { portName } from "./names.ts";
import { type Policy, compilePolicy, policyOf, profileOf, setId } from "./policy.ts";
import { declared } from "./sets.ts";
import { type KernelObject, type Ns, type ObjectOf } from "./state.ts";
import {
  ANY_IP,
  ANY_MAC,
  DHCP_SERVER,
  DROP_REASONS,
  KNOWN,
  NOT_FROM_PORT,
  NO_PROFILE,
  PROFILE_BITS,
  ROUTER,
  STORMS,
  chain,
  hex,
  has,
  lacks,
} from "./words.ts";
import type { World } from "./world.ts";

/** Broadcasts and multicasts of one port: ARP and discovery of a busy workload stay far below. */
const STORM = "rate over 2000/second burst 2000 packets";

/** To many at once: 1 is broadcast, 2 multicast. */
const MANY = "meta pkttype 1-2 jump storm";

/** Asked where the address was not: an address that is bound is bound to the frame's MAC. */
const OWN_MAC = `${lacks(ANY_MAC)} iifname . @ll,48,48 != @macs goto drop_2`;

/**
 * The table `bridge weft` of a VRF. What may come from its port goes on to its groups, where there are any. If anything
 * may come from anywhere, nothing is hooked, and only the sets are there, for the time when something is.
 */
export function bridgeTable(policy: Policy, networks: readonly Network[]): string {
  const isFiltered = policy.profiles.size > 0;
  if (!isFiltered && networks.length > 0 && networks.every(isOpen)) return SETS;
  const pass = (then: string) => (isFiltered ? [`${has(PROFILE_BITS)} goto ${then}`, "accept"] : ["accept"]);
  return (
    SETS +
    DROPS +
    compilePolicy(policy) +
    chain("storm", [`${lacks(STORMS)} update @storms { iifname limit ${STORM} } goto drop_8`]) +
    chain("v4_own", [`${lacks(DHCP_SERVER)} udp sport 67 goto drop_6`, ...pass("out4")]) +
    chain("v4_bound", [MANY, "@nh,72,8 != 6 goto v4_own", ...pass("out4_tcp")]) +
    chain("v6_own", [
      `${lacks(DHCP_SERVER)} udp sport 547 goto drop_6`,
      `${lacks(ROUTER)} icmpv6 type { 134, 137 } goto drop_7`,
      `${has(ANY_IP)} ${isFiltered ? "goto v6_any" : "accept"}`,
      "icmpv6 type 135 goto solicit",
      "icmpv6 type 136 goto advertise",
      ...pass("out6"),
    ]) +
    (isFiltered ? chain("v6_any", pass("out6")) : "") +
    chain("v6_bound", [MANY, "@nh,48,8 != 6 goto v6_own", ...pass("out6_tcp")]) +
    FROM_PORT
  );
}

function isOpen({ spec: { spoofing = {} } }: Network): boolean {
  // Of any MAC is any address.
  const { mac, dhcpServer, routerAdvertisements, broadcasts } = spoofing;
  return [mac, dhcpServer, routerAdvertisements, broadcasts].every((may) => may === true);
}

const SETS =
  ["ports", "macs", "bound4", "bound6"].map(declared).join("") +
  `set drops { type ifname . mark; size 65535; flags dynamic; counter; }
set storms { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }
`;

const DROPS =
  chain("tally", ["update @drops { iifname . meta mark }", "drop"]) +
  Object.keys(DROP_REASONS)
    .map((reason) => chain(`drop_${reason}`, [`meta mark set ${reason}`, "goto tally"]))
    .join("");

const FROM_PORT =
  chain("v4", [
    OWN_MAC,
    `${has(ANY_IP)} goto v4_own`,
    // A DHCP client before it has an address.
    "ip saddr 0.0.0.0 udp sport 68 udp dport 67 goto v4_own",
    "goto drop_3",
  ]) +
  chain("arp4", [
    OWN_MAC,
    // The sender's address is its own, or it asks whether anybody has an address (a probe).
    `${lacks(ANY_MAC)} iifname . @nh,64,48 != @macs goto drop_4`,
    `${has(ANY_IP)} accept`,
    "meta mark set iifname . arp saddr ether . arp saddr ip map @bound4 accept",
    "arp saddr ip 0.0.0.0 arp operation request accept",
    "goto drop_4",
  ]) +
  chain("solicit", [
    // One option at most, and a source link-layer address only if it is its own; 14 is the nonce of RFC 7527.
    "ip6 length 24 accept",
    "ip6 length 32 @th,192,16 0x0101 iifname . @th,208,48 @macs accept",
    "ip6 length 32 @th,192,8 14 accept",
    "goto drop_5",
  ]) +
  chain("advertise", [
    "meta mark set iifname . ether saddr . @th,64,128 map @bound6 goto advertise_own",
    "goto drop_5",
  ]) +
  chain("advertise_own", [
    "ip6 length 24 accept",
    "ip6 length 32 @th,192,16 0x0201 iifname . @th,208,48 @macs accept",
    "goto drop_5",
  ]) +
  chain("v6", [
    OWN_MAC,
    `${has(ANY_IP)} goto v6_own`,
    // Before it has an address: is somebody using it, and which groups it listens to.
    "ip6 saddr :: icmpv6 type 135 goto solicit",
    "ip6 saddr :: icmpv6 type { 131, 143 } accept",
    "goto drop_3",
  ]) +
  chain("prerouting", [
    "type filter hook prerouting priority -300; policy accept;",
    `${NOT_FROM_PORT} meta mark set 0 accept`,
    "meta mark set 0",
    // Nearly all: from a bound address, of which one look-up says all there is to know.
    "meta protocol ip meta mark set iifname . ether saddr . ip saddr map @bound4 goto v4_bound",
    "meta protocol ip6 meta mark set iifname . ether saddr . @nh,64,128 map @bound6 goto v6_bound",
    "meta mark set iifname map @ports",
    `${lacks(KNOWN)} goto drop_1`,
    MANY,
    "ether type vmap { ip : goto v4, ip6 : goto v6, arp : goto arp4 }",
    OWN_MAC,
    // Groups are about IP; what is not would pass them unseen.
    `meta mark & ${hex(PROFILE_BITS)} != 0 goto drop_9`,
  ]);

/** The elements of one endpoint of this host: without them its port carries nothing. */
export function endpointElements(world: World, vrf: Vrf, network: Network, endpoint: Endpoint): ObjectOf<"element">[] {
  const ns: Ns = `vrf:${vrf.name}`;
  const { spec } = endpoint;
  const port = portName(endpoint.name);
  const policy = policyOf(world, vrf.name);
  const mark = markOf(policy, network, spec);
  const element = (set: string, key: string, value?: number): ObjectOf<"element"> => ({
    kind: "element",
    ns,
    set,
    key,
    ...(value === undefined ? {} : { value: hex(value).slice(2) }),
  });
  const pairs = boundOf(spec);
  return [
    element("ports", port, mark),
    ...[...new Set(pairs.map(({ mac }) => mac))].map((mac) => element("macs", `${port} . ${mac}`)),
    ...pairs.map(({ ip, mac }) => element(ip.includes(":") ? "bound6" : "bound4", `${port} . ${mac} . ${ip}`, mark)),
  ];
}

/** Whether the element names rules that the tables do not have yet. */
export function lacksProfile(object: KernelObject): boolean {
  if (object.kind !== "element" || object.value === undefined) return false;
  return (Number.parseInt(object.value, 16) & PROFILE_BITS) === NO_PROFILE;
}

function markOf(policy: Policy, network: Network, spec: EndpointSpec): number {
  const { mac, ip, dhcpServer, routerAdvertisements, broadcasts } = network.spec.spoofing ?? {};
  return (
    KNOWN |
    profileOf(policy, network, spec) |
    (mac === true ? ANY_MAC | ANY_IP : 0) |
    // Of a range of MACs only, nobody knows the addresses.
    (ip === true || spec.addresses.length === 0 ? ANY_IP : 0) |
    (dhcpServer === true ? DHCP_SERVER : 0) |
    (routerAdvertisements === true ? ROUTER : 0) |
    (broadcasts === true ? STORMS : 0)
  );
}

/** Each once, its own and those it may also have. */
function addressesOf({ addresses, allowedAddresses = [] }: EndpointSpec): readonly string[] {
  return allowedAddresses.length === 0
    ? addresses
    : [...new Set([...addresses, ...allowedAddresses.map(({ address }) => address)])];
}

function boundOf({
  mac,
  addresses,
  allowedAddresses = [],
}: EndpointSpec): { readonly ip: string; readonly mac: string }[] {
  const pairs = [
    ...addresses.map((ip) => ({ ip, mac })),
    { ip: linkLocal(mac), mac },
    ...allowedAddresses.map((pair) => ({ ip: pair.address, mac: pair.mac ?? mac })),
  ];
  if (allowedAddresses.length === 0) return pairs;
  return [...new Map(pairs.map((pair) => [`${pair.ip} ${pair.mac}`, pair])).values()];
}

const LINK_LOCAL = 0xfe80n << 112n;

/** fe80:: with the MAC's EUI-64. */
function linkLocal(mac: string): string {
  return formatIp(slaacIp(LINK_LOCAL, macValue(mac)));
}

/** Addresses of the members of groups that the VRF's rules ask for, wherever they are. */
export function memberElements(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject[] {
  const { peers } = policyOf(world, vrf.name);
  if (peers.length === 0) return [];
  return networks.flatMap((network) =>
    (world.endpoints.get(network.name) ?? []).flatMap((endpoint) => membershipOf(vrf, network, endpoint, peers)),
  );
}

/** One endpoint's addresses in the sets of those of its groups that are asked for. */
export function membershipOf(
  vrf: Vrf,
  network: Network,
  { spec }: Endpoint,
  peers: readonly string[],
): ObjectOf<"element">[] {
  if (peers.length === 0) return [];
  const addresses = addressesOf(spec);
  return groupsOf(network.spec, spec)
    .filter((group) => peers.includes(group))
    .flatMap((group) =>
      addresses.map((key): ObjectOf<"element"> => {
        const family = key.includes(":") ? 6 : 4;
        return { kind: "element", ns: `vrf:${vrf.name}`, set: `members${family}_${setId(group)}`, key };
      }),
    );
}
