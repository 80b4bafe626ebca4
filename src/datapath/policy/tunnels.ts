// Which packets may enter a tunnel: those of hosts that share a VRF, from their underlay addresses to this host's own,
// and nothing else. A tunnel has no secret; it recognises a peer by its source address. So packets that could have any
// source, or another host's, must not reach it.
import { familyOf } from "../../model/address.ts";
import type { Driver } from "../../model/driver.ts";
import { UPLINK_HOST_PREFIX } from "../../model/uplink.ts";
import { usesUplink } from "../network/uplink.ts";
import { type Channel, TUNNELS, channelsOf } from "../tunnel/drivers.ts";
import { IP, chain, oneOf } from "./tableParts.ts";
import { type World, tunnelTo } from "../world/world.ts";

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
  const used = portsByDriver(world);
  const toTunnels = [...used].map(([driver, ports]) => TUNNELS[driver].underlay.to(ports));
  const hasUplinks = world.vrfs.some((vrf) => usesUplink(vrf, world.networks.get(vrf.name) ?? []));
  return (
    (hasUplinks ? noTunnels(used) : "") +
    chain("tunnels_in", [
      "type filter hook prerouting priority raw; policy accept;",
      // A member's address says nothing about what comes from a workload: it may send under any.
      ...(hasUplinks ? [`iifname "${UPLINK_HOST_PREFIX}-*" goto no_tunnels`] : []),
      ...[...used].flatMap(([driver, ports]) => ports.flatMap((port) => membersMay(world, { driver, port }))),
      // A broadcast or multicast would reach the tunnel's socket as well. Not what the host forwards: that is not
      // Weft's.
      ...toTunnels.map((packets) => `${packets} fib daddr type != unicast drop`),
    ]) +
    chain("tunnels_out", [
      "type filter hook output priority raw; policy accept;",
      ...toTunnels.map((packets) => `${packets} notrack`),
    ])
  );
}

type UsedPorts = ReadonlyMap<Driver, readonly number[]>;

/** Drivers of all VRFs that this host carries, with their ports in order. */
export function portsByDriver(world: World): UsedPorts {
  const channels = world.vrfs.flatMap((vrf) => channelsOf(world, vrf));
  return new Map(
    [...Map.groupBy(channels, ({ driver }) => driver)].map(([driver, its]) => [
      driver,
      [...new Set(its.map(({ port }) => port))].sort((a, b) => a - b),
    ]),
  );
}

/** Hosts of the VRFs that have this channel, from their underlay addresses to this host's. */
function membersMay(world: World, { driver, port }: Channel): string[] {
  const peers = new Set<string>();
  for (const vrf of world.vrfs) {
    if (!channelsOf(world, vrf).some((one) => one.driver === driver && one.port === port)) continue;
    for (const host of world.carriers.get(vrf.name) ?? []) {
      const address = tunnelTo(world, host.name);
      if (address !== undefined) peers.add(address);
    }
  }
  const { underlay } = world.self.spec;
  const ip = IP[familyOf(underlay)];
  const from = `${ip} saddr ${oneOf([...peers].sort())} ${ip} daddr ${underlay}`;
  // A frame to many may carry the address of one (RFC 1122, 3.3.6).
  const packets = TUNNELS[driver].underlay.to([port]);
  return peers.size === 0 ? [] : [`${packets} ${from} meta pkttype host notrack accept`];
}

/**
 * What comes out of a VRF reaches no tunnel, here or elsewhere: behind the host's masquerade it would look like the
 * host's own. Nor may it come from a tunnel's port, because the answer would go there, from a host that may send to it.
 */
function noTunnels(used: UsedPorts): string {
  return chain("no_tunnels", [
    ...dropsToTunnels(used),
    ...[...used].flatMap(([driver, ports]) => {
      const { from } = TUNNELS[driver].underlay;
      return from === undefined ? [] : [`${from(ports)} drop`];
    }),
    // Connection tracking has put fragments together before this; one that is still alone does not tell its port.
    "ip protocol udp ip frag-off & 0x1fff != 0 drop",
    "frag frag-off != 0 meta l4proto udp drop",
  ]);
}

/** Of what a VRF sends out; its own namespace has the same lines. */
export function dropsToTunnels(used: UsedPorts): string[] {
  const packets = [...used].map(([driver, ports]) => TUNNELS[driver].underlay.to(ports));
  // Whatever Weft uses: hosts may have tunnels of others, which a workload's packets must not look like.
  return [...new Set([...packets, "meta l4proto gre"])].map((which) => `${which} drop`);
}

/**
 * The longest run of ports above 1023 without a tunnel's. Masquerade may choose of these: what is sent back to a
 * tunnel's port is not tracked, and taken for a tunnel's.
 */
export function portsBesideTunnels(world: World): string {
  const ports = [...portsByDriver(world).values()].flat().sort((a, b) => a - b);
  const edges = [1023, ...ports.filter((port) => port > 1023), 65_536];
  const runs = edges.slice(1).map((end, i): [number, number] => [(edges[i] ?? 0) + 1, end - 1]);
  const [first, last] = runs.reduce((best, run) => (run[1] - run[0] > best[1] - best[0] ? run : best));
  return `${first}-${last}`;
}
