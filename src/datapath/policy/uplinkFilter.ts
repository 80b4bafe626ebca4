// What may pass between a VRF and its host's namespace, through the uplink. Packets that leave a VRF look as if their
// host had sent them, so by default they reach the outside and neither the host's own sockets nor other hosts, nor what
// a cloud gives to its machines alone. `hostAccess` opens a VRF; what the host's administrator publishes (DNAT, as
// kube-proxy and CNI's portmap make it) is open to all. Sets carry what grows, so there are as many rules as ever.
import { ipOf } from "../../model/address.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { UPLINK_HOST_PREFIX, UPLINK_RANGES, uplinkHostDevice } from "../../model/uplink.ts";
import type { HostBridges } from "./hostBridges.ts";
import { portsBesideTunnels } from "./tunnels.ts";
import { usesUplink } from "../network/uplink.ts";
import { ASKED, FAMILIES, IP, MADE_UP, NO_TUNNEL_FROM_VRFS, REJECT, chain, oneOf } from "./tableParts.ts";
import { type World } from "../world/world.ts";

const FROM_VRFS = `iifname "${UPLINK_HOST_PREFIX}-*"`;
const TO_VRFS = `oifname "${UPLINK_HOST_PREFIX}-*"`;
const NOT_TO_VRFS = `oifname != "${UPLINK_HOST_PREFIX}-*"`;

/**
 * Link-local addresses are never forwarded (RFC 3927, 7); clouds give credentials of the machine there, and at the
 * second address.
 */
const MACHINES_ALONE = { 4: "169.254.0.0/16", 6: "fd00:ec2::254" };

/**
 * Chains of the host's `inet weft`; none without an uplink, and without bridges of ours in the host's namespace.
 * `management`: where the server is.
 */
export function compileUplinkFilter(world: World, management: readonly string[], bridges?: HostBridges): string {
  const vrfs = world.vrfs.filter((vrf) => usesUplink(vrf, world.networks.get(vrf.name) ?? []));
  const hasUplinks = vrfs.length > 0;
  if (!hasUplinks && bridges === undefined) return "";
  return (
    chain("forward", [
      "type filter hook forward priority filter - 10; policy accept;",
      ...(bridges?.forward ?? []),
      ...(hasUplinks ? [`${FROM_VRFS} goto from_vrfs`, `${TO_VRFS} goto to_vrfs`] : []),
      ...(bridges === undefined ? [] : [`${bridges.from} goto from_bridges`]),
    ]) +
    (hasUplinks ? ofUplinks(world, vrfs, management) : "") +
    chain("input", [
      "type filter hook input priority filter - 10; policy accept;",
      ...(hasUplinks ? [`${FROM_VRFS} goto at_host`] : []),
      ...(bridges?.input ?? []),
    ]) +
    (hasUplinks ? atHost(world, vrfs) : "") +
    (bridges?.chains ?? "") +
    masquerades(world, hasUplinks, bridges)
  );
}

/** What passes between uplinks and the rest of the host's namespace. */
function ofUplinks(world: World, vrfs: readonly Vrf[], management: readonly string[]): string {
  return (
    chain("to_vrfs", ["ct state related accept", ...ASKED, "drop"]) +
    chain("from_vrfs", [
      // Once more behind the host's own address translation.
      NO_TUNNEL_FROM_VRFS,
      MADE_UP,
      ...ASKED,
      `${TO_VRFS} drop`,
      // An inner source that nothing hides: the host's own network could neither answer it nor tell whose it is.
      ...FAMILIES.map((family) => `${IP[family]} saddr != ${UPLINK_RANGES[family]} ${REJECT}`),
      ...opened(vrfs),
      ...resolvers(world, vrfs, uplinkOf).map((which) => `${which} accept`),
      ...closedTo(world, management),
    ])
  );
}

/** What comes out of uplinks for the host itself. */
function atHost(world: World, vrfs: readonly Vrf[]): string {
  return chain("at_host", [
    NO_TUNNEL_FROM_VRFS,
    MADE_UP,
    ...ASKED,
    ...opened(vrfs),
    // The two ends of an uplink find each other, and an administrator sees whether they do.
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
    `ip daddr ${UPLINK_RANGES[4]} icmp type echo-request accept`,
    `ip6 daddr ${UPLINK_RANGES[6]} icmpv6 type echo-request accept`,
    ...resolvers(world, vrfs, uplinkOf).map((which) => `${which} accept`),
    REJECT,
  ]);
}

const uplinkOf = (vrf: Vrf) => [`"${uplinkHostDevice(vrf.name)}"`];

/**
 * A connection that a publication leads elsewhere comes from the host, also back into a VRF: else its answers would not
 * pass by here, and to the VRF that it came from its source would be one of the VRF's own addresses.
 */
function masquerades(world: World, hasUplinks: boolean, bridges: HostBridges | undefined): string {
  const hidden = [
    ...(hasUplinks
      ? [
          ...FAMILIES.map((family) => `${IP[family]} saddr ${UPLINK_RANGES[family]} ${NOT_TO_VRFS}`),
          `${FROM_VRFS} ct status dnat`,
        ]
      : []),
    ...(bridges?.hidden ?? []),
  ];
  return chain("postrouting", [
    "type nat hook postrouting priority srcnat; policy accept;",
    // At random, or a workload would choose which of the host's ports are its own, and get what others send there.
    ...hidden.map((which) => `${which} meta l4proto udp masquerade to :${portsBesideTunnels(world)} fully-random`),
    ...hidden.map((which) => `${which} masquerade fully-random`),
  ]);
}

function opened(vrfs: readonly Vrf[]): string[] {
  const names = vrfs.filter(({ spec }) => spec.hostAccess).map(({ name }) => `"${uplinkHostDevice(name)}"`);
  return names.length === 0 ? [] : [`iifname ${oneOf(names.sort())} accept`];
}

export function closedTo(world: World, management: readonly string[]): string[] {
  const addresses = [...world.hosts.values()].flatMap(({ spec: { underlay, devices = [] } }) => [
    underlay,
    ...devices.flatMap(({ addresses = [] }) => addresses),
  ]);
  const all = [...new Set([...addresses, ...management])].sort();
  return FAMILIES.map((family) => {
    const closed = [MACHINES_ALONE[family], ...all.filter((address) => ipOf(address)?.family === family)];
    return `${IP[family]} daddr ${oneOf(closed)} ${REJECT}`;
  });
}

/**
 * A network whose name server is a host's means that its workloads may ask it. `devicesOf`: where the packets of a
 * network come from.
 */
export function resolvers(
  world: World,
  vrfs: readonly Vrf[],
  devicesOf: (vrf: Vrf, network: Network) => readonly string[],
): string[] {
  const asked = vrfs.flatMap((vrf) =>
    (world.networks.get(vrf.name) ?? []).flatMap((network) =>
      [...(network.spec.dns ?? []), ...(network.spec.ranges ?? []).flatMap(({ dns }) => dns ?? [])].flatMap((server) =>
        devicesOf(vrf, network).map((device) => ({ family: ipOf(server)?.family, key: `${device} . ${server}` })),
      ),
    ),
  );
  return FAMILIES.flatMap((family) => {
    const keys = [...new Set(asked.filter((one) => one.family === family).map(({ key }) => key))].sort();
    const which = `iifname . ${IP[family]} daddr ${oneOf(keys)}`;
    return keys.length === 0 ? [] : [`${which} meta l4proto { tcp, udp } th dport 53`];
  });
}
