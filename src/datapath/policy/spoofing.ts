// What belongs to a port: its MAC and addresses, as elements of sets, and what its network allows, as bits of its mark.
// The rules that use them are in filters.ts. A port without a mark carries nothing, so an endpoint is closed until its
// elements are there.
import { familyOf, formatIp, macValue, slaacIp } from "../../model/address.ts";
import { groupsOf } from "../../model/group.ts";
import type { Endpoint, EndpointSpec, Network, Vrf } from "../../model/resource.ts";
import { floodElements } from "./learning.ts";
import { portName } from "../state/names.ts";
import { insideElements } from "./outside.ts";
import { isGuarded } from "./bridgesOfHost.ts";
import { type Policy, policyOf, profileOf, membersSet } from "./groups.ts";
import type { KernelObject, ObjectOf } from "../kinds.ts";
import {
  ANY_IP,
  ANY_MAC,
  DHCP_SERVER,
  KNOWN,
  NO_PROFILE,
  PROFILE_BITS,
  ROUTER,
  STORMS,
  TAGS,
  hex,
} from "./tableParts.ts";
import { nsOf } from "../world/placement.ts";
import { macsOf } from "../world/layout.ts";
import type { World } from "../world/world.ts";

/** The elements of one endpoint of this host: without them its port carries nothing. */
export function endpointElements(world: World, vrf: Vrf, network: Network, endpoint: Endpoint): ObjectOf<"element">[] {
  const ns = nsOf(vrf);
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
    ...floodElements(vrf, macsOf(network), port, []),
    ...insideElements(world, vrf, network, spec),
    ...(isGuarded(world, vrf, network) ? [element("guarded", port)] : []),
    ...pairs.map(({ ip, mac }) => element(ip.includes(":") ? "bound6" : "bound4", `${port} . ${mac} . ${ip}`, mark)),
  ];
}

/** Whether the element names rules that the tables do not have yet. */
export function lacksProfile(object: KernelObject): boolean {
  if (object.kind !== "element" || object.value === undefined) return false;
  return (Number.parseInt(object.value, 16) & PROFILE_BITS) === NO_PROFILE;
}

function markOf(policy: Policy, network: Network, spec: EndpointSpec): number {
  const { mac, ip, dhcpServer, routerAdvertisements, broadcasts, tags } = network.spec.spoofing ?? {};
  return (
    KNOWN |
    profileOf(policy, network, spec) |
    (mac === true ? ANY_MAC | ANY_IP : 0) |
    // The addresses of a range of MACs are unknown.
    (ip === true || spec.addresses.length === 0 ? ANY_IP : 0) |
    (dhcpServer === true ? DHCP_SERVER : 0) |
    (routerAdvertisements === true ? ROUTER : 0) |
    (broadcasts === true ? STORMS : 0) |
    (tags === true ? TAGS : 0)
  );
}

/** Each once, its own and those it may also have. */
export function addressesOf({ addresses, allowedAddresses = [] }: EndpointSpec): readonly string[] {
  return allowedAddresses.length === 0
    ? addresses
    : [...new Set([...addresses, ...allowedAddresses.map(({ address }) => address)])];
}

/** The addresses from which an endpoint may send, each with the MAC that belongs to it. */
function boundOf({ mac, addresses, allowedAddresses = [] }: EndpointSpec) {
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
  const ns = nsOf(vrf);
  return groupsOf(network.spec, spec)
    .filter((group) => peers.includes(group))
    .flatMap((group) =>
      addresses.map((key) => ({ kind: "element", ns, set: membersSet(group, familyOf(key)), key }) as const),
    );
}
