// What may pass between a VRF and its host's namespace, through the uplink. Packets that leave a VRF look as if their
// host had sent them, so by default they reach the outside and neither the host's own sockets nor other hosts, nor what
// a cloud gives to its machines alone. `hostAccess` opens a VRF; what the host's administrator publishes (DNAT, as
// kube-proxy and CNI's portmap make it) is open to all. Sets carry what grows, so there are as many rules as ever.
import { ipOf } from "../../model/address.ts";
import type { Vrf } from "../../model/resource.ts";
import { UPLINK_HOST_PREFIX, UPLINK_RANGES, uplinkHostDevice } from "../../model/uplink.ts";
import { NO_TUNNEL_FROM_VRFS, portsBesideTunnels } from "./tunnels.ts";
import { usesUplink } from "../network/uplink.ts";
import { FAMILIES, IP, chain, oneOf } from "./tableParts.ts";
import { type World } from "../world/world.ts";

const FROM_VRFS = `iifname "${UPLINK_HOST_PREFIX}-*"`;
const TO_VRFS = `oifname "${UPLINK_HOST_PREFIX}-*"`;
const NOT_TO_VRFS = `oifname != "${UPLINK_HOST_PREFIX}-*"`;

/**
 * Answers, and what the host's administrator publishes. Not errors that tell of a flow: where they come from a workload
 * it has written them, and the kernel looks for the flow and not whether the error is true.
 */
const ASKED = ["ct state established accept", "ct status dnat accept"];
/** An error that tells of no flow: a host with open VRFs would believe what it says of the way to any other. */
const MADE_UP = "ct state invalid meta l4proto { icmp, icmpv6 } drop";

/**
 * Link-local addresses are never forwarded (RFC 3927, 7); clouds give credentials of the machine there, and at the
 * second address.
 */
const MACHINES_ALONE = { 4: "169.254.0.0/16", 6: "fd00:ec2::254" };

const REJECT = "reject with icmpx admin-prohibited";

/** Chains of the host's `inet weft`; none without an uplink. `management`: where the server is. */
export function compileUplinkFilter(world: World, management: readonly string[]): string {
  const vrfs = world.vrfs.filter((vrf) => usesUplink(vrf, world.networks.get(vrf.name) ?? []));
  if (vrfs.length === 0) return "";
  const open = opened(vrfs);
  return (
    chain("forward", [
      "type filter hook forward priority filter - 10; policy accept;",
      `${FROM_VRFS} goto from_vrfs`,
      `${TO_VRFS} goto to_vrfs`,
    ]) +
    chain("to_vrfs", ["ct state related accept", ...ASKED, "drop"]) +
    chain("from_vrfs", [
      // Once more behind the host's own address translation.
      NO_TUNNEL_FROM_VRFS,
      MADE_UP,
      ...ASKED,
      `${TO_VRFS} drop`,
      // An inner source that nothing hides: the host's own network could neither answer it nor tell whose it is.
      ...FAMILIES.map((family) => `${IP[family]} saddr != ${UPLINK_RANGES[family]} ${REJECT}`),
      ...open,
      ...resolvers(world, vrfs),
      ...closedTo(world, management),
    ]) +
    chain("input", ["type filter hook input priority filter - 10; policy accept;", `${FROM_VRFS} goto at_host`]) +
    chain("at_host", [
      NO_TUNNEL_FROM_VRFS,
      MADE_UP,
      ...ASKED,
      ...open,
      // The two ends of an uplink find each other, and an administrator sees whether they do.
      "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
      `ip daddr ${UPLINK_RANGES[4]} icmp type echo-request accept`,
      `ip6 daddr ${UPLINK_RANGES[6]} icmpv6 type echo-request accept`,
      ...resolvers(world, vrfs),
      REJECT,
    ]) +
    masquerades(world)
  );
}

/**
 * A connection that a publication leads elsewhere comes from the host, also back into a VRF: else its answers would not
 * pass by here, and to the VRF that it came from its source would be one of the VRF's own addresses.
 */
function masquerades(world: World): string {
  const hidden = [
    ...FAMILIES.map((family) => `${IP[family]} saddr ${UPLINK_RANGES[family]} ${NOT_TO_VRFS}`),
    `${FROM_VRFS} ct status dnat`,
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

function closedTo(world: World, management: readonly string[]): string[] {
  const addresses = [...world.hosts.values()].map(({ spec }) => spec.underlay);
  const all = [...new Set([...addresses, ...management])].sort();
  return FAMILIES.map((family) => {
    const closed = [MACHINES_ALONE[family], ...all.filter((address) => ipOf(address)?.family === family)];
    return `${IP[family]} daddr ${oneOf(closed)} ${REJECT}`;
  });
}

/** A network whose name server is a host's means that its workloads may ask it. */
function resolvers(world: World, vrfs: readonly Vrf[]): string[] {
  const asked = vrfs.flatMap(({ name }) =>
    (world.networks.get(name) ?? []).flatMap(({ spec }) =>
      [...(spec.dns ?? []), ...(spec.ranges ?? []).flatMap(({ dns }) => dns ?? [])].map((server) => ({
        family: ipOf(server)?.family,
        key: `"${uplinkHostDevice(name)}" . ${server}`,
      })),
    ),
  );
  return FAMILIES.flatMap((family) => {
    const keys = [...new Set(asked.filter((one) => one.family === family).map(({ key }) => key))].sort();
    const which = `iifname . ${IP[family]} daddr ${oneOf(keys)}`;
    return keys.length === 0 ? [] : [`${which} meta l4proto { tcp, udp } th dport 53 accept`];
  });
}
