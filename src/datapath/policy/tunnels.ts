// Who may send to a tunnel: hosts that share a VRF, from their underlay addresses to this host's own, and nothing else.
// A tunnel has no secret; what it is told by is a source address, so nothing that could have any source, or another
// host's, may come near it.
import { UPLINK_HOST_PREFIX, usesUplink } from "../network/uplink.ts";
import { chain } from "./words.ts";
import { type World, familyOf, tunnelTo } from "../world/world.ts";

/** Goes before all that lets something out of a VRF, and only where VRFs have a way out. */
export const NO_TUNNEL_FROM_VRFS = "jump no_tunnels";

/**
 * Chains of the host's table.
 *
 * Tunnels are not tracked: each flow would take two entries of the host's connection tracking, because the answers of
 * a tunnel come from another port, and every packet two look-ups. Both are said in one chain, as early as it gets,
 * because every packet of every tunnel pays for each hook.
 */
export function compileTunnels(world: World): string {
  const ports = tunnelPorts(world);
  const isTunnel = `udp dport ${oneOf(ports)}`;
  const hasUplinks = world.vrfs.some((vrf) => usesUplink(vrf, world.networks.get(vrf.name) ?? []));
  return (
    (hasUplinks ? noTunnels(ports) : "") +
    chain("tunnels_in", [
      "type filter hook prerouting priority raw; policy accept;",
      // A member's address says nothing about what comes from a workload: it may send under any.
      ...(hasUplinks ? [`iifname "${UPLINK_HOST_PREFIX}-*" goto no_tunnels`] : []),
      ...ports.flatMap((port) => membersMay(world, port)),
      // A broadcast or multicast would reach the tunnel's socket as well. Not what the host forwards: somebody else's.
      `${isTunnel} fib daddr type != unicast drop`,
    ]) +
    chain("tunnels_out", ["type filter hook output priority raw; policy accept;", `${isTunnel} notrack`])
  );
}

/** Of all VRFs that this host carries, in order. */
function tunnelPorts(world: World): readonly number[] {
  return [...new Set(world.vrfs.map((vrf) => vrf.spec.tunnelPort))].sort((a, b) => a - b);
}

function oneOf(values: readonly number[]): string {
  return values.length === 1 ? `${values[0]}` : `{ ${values.join(", ")} }`;
}

/** Hosts of the VRFs that have this port, from their underlay addresses to this host's. */
function membersMay(world: World, port: number): string[] {
  const peers = new Set<string>();
  for (const vrf of world.vrfs) {
    if (vrf.spec.tunnelPort !== port) continue;
    for (const host of world.members.get(vrf.name) ?? []) {
      const address = tunnelTo(world, host.name);
      if (address !== undefined) peers.add(address);
    }
  }
  const { underlay } = world.self.spec;
  const ip = familyOf(underlay) === 4 ? "ip" : "ip6";
  const from = `${ip} saddr { ${[...peers].sort().join(", ")} } ${ip} daddr ${underlay}`;
  // A frame to many may carry the address of one (RFC 1122, 3.3.6).
  return peers.size === 0 ? [] : [`udp dport ${port} ${from} meta pkttype host notrack accept`];
}

/**
 * What comes out of a VRF reaches no tunnel, here or elsewhere: behind the host's masquerade it would look like the
 * host's own. Nor may it come from a tunnel's port, because the answer would go there, from a host that may send to it.
 */
function noTunnels(ports: readonly number[]): string {
  return chain("no_tunnels", [
    ...toNoTunnel(ports),
    `udp sport ${oneOf(ports)} drop`,
    // Connection tracking has put fragments together before this; one that is still alone does not tell its port.
    "ip protocol udp ip frag-off & 0x1fff != 0 drop",
    "frag frag-off != 0 meta l4proto udp drop",
  ]);
}

function toNoTunnel(ports: readonly number[]): string[] {
  return [`udp dport ${oneOf(ports)} drop`, "meta l4proto gre drop"];
}

/** The same where a VRF's own namespace sends out. */
export function dropsToTunnels(world: World): readonly string[] {
  return toNoTunnel(tunnelPorts(world));
}

/**
 * The longest run of ports above 1023 without a tunnel's. Masquerade may choose of these: what is sent back to a
 * tunnel's port is not tracked, and taken for a tunnel's.
 */
export function portsBesideTunnels(world: World): string {
  const edges = [1023, ...tunnelPorts(world).filter((port) => port > 1023), 65_536];
  const runs = edges.slice(1).map((end, i): [number, number] => [(edges[i] ?? 0) + 1, end - 1]);
  const [first, last] = runs.reduce((best, run) => (run[1] - run[0] > best[1] - best[0] ? run : best));
  return `${first}-${last}`;
}
