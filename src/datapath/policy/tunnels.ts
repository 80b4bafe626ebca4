// Which packets may enter a tunnel: those of hosts that share a VRF, from their underlay addresses to this host's own,
// and nothing else. A tunnel has no secret; it recognises a peer by its source address. So packets that could have any
// source, or another host's, must not reach it.
import { familyOf } from "../../model/address.ts";
import { DRIVERS, DRIVER_NAMES, type Driver } from "../../model/driver.ts";
import { PATHS_VNI } from "../../model/paths.ts";
import { tunnelEnd } from "../../model/multicast.ts";
import type { NetworkSpec, Vrf } from "../../model/resource.ts";
import { UPLINK_HOST_PREFIX } from "../../model/uplink.ts";
import { usesUplink } from "../network/uplink.ts";
import { type Channel, TUNNELS, channelsOf, vnisOf } from "../tunnel/drivers.ts";
import type { Used } from "../tunnel/tunnel.ts";
import type { HostBridges } from "./hostBridges.ts";
import { IP, chain, oneOf } from "./tableParts.ts";
import { networksOn } from "../world/placement.ts";
import { waysByGroup } from "../world/ways.ts";
import { type World, tunnelTo } from "../world/world.ts";

/**
 * Chains of the host's table.
 *
 * Tunnels are not tracked: each flow would take two entries of the host's connection tracking, because the answers of
 * a tunnel come from another port, and every packet two look-ups. Both are said in one chain, as early as it gets,
 * because every packet of every tunnel pays for each hook.
 */
export function compileTunnels(world: World, bridges?: HostBridges): string {
  const used = usedByDriver(world);
  const toTunnels = [...used].map(([driver, its]) => TUNNELS[driver].underlay.to(its));
  const groups = groupsMay(world);
  const hasUplinks = world.vrfs.some((vrf) => usesUplink(vrf, world.networks.get(vrf.name) ?? []));
  return (
    (hasUplinks || bridges !== undefined ? noTunnels(used) : "") +
    chain("tunnels_in", [
      "type filter hook prerouting priority raw; policy accept;",
      // A member's address says nothing about what comes from a workload: it may send under any.
      ...(hasUplinks ? [`iifname "${UPLINK_HOST_PREFIX}-*" goto no_tunnels`] : []),
      ...(bridges === undefined ? [] : [`${bridges.from} fib daddr type local goto no_tunnels`]),
      ...(bridges === undefined || groups.length === 0
        ? []
        : [`${bridges.from} fib daddr type multicast goto no_tunnels`]),
      ...[...used].flatMap(([driver, its]) => its.ports.flatMap((port) => membersMay(world, { driver, port }, its))),
      ...groups,
      // Any other broadcast or multicast would reach the tunnel's socket as well. Not what the host forwards: that is
      // not Weft's.
      ...toTunnels.map((packets) => `${packets} fib daddr type != unicast drop`),
    ]) +
    chain("tunnels_out", [
      "type filter hook output priority raw; policy accept;",
      ...toTunnels.map((packets) => `${packets} notrack`),
    ])
  );
}

type UsedByDriver = ReadonlyMap<Driver, Used>;

/** Drivers of all VRFs that this host carries, with their ports and VNIs in order. */
export function usedByDriver(world: World): UsedByDriver {
  const byDriver = Map.groupBy(
    world.vrfs.flatMap((vrf) => channelsOf(world, vrf)),
    ({ driver }) => driver,
  );
  return new Map(
    DRIVER_NAMES.flatMap((driver) => {
      const its = byDriver.get(driver);
      if (its === undefined) return [];
      const vnis = [PATHS_VNI, ...world.vrfs.flatMap((vrf) => vnisOf(world, vrf, driver))];
      return [[driver, { ports: inOrder(its.map(({ port }) => port)), vnis: inOrder(vnis) }]];
    }),
  );
}

function inOrder(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/**
 * Hosts of the VRFs that have this channel, from their underlay addresses to this host's. Other hosts of the cluster
 * may try whether they could (`weft host preflight`), in a VNI that no network has.
 */
function membersMay(world: World, channel: Channel, { vnis }: Used): string[] {
  const peers = peersOn(world, channel);
  const others = [...world.hosts.keys()]
    .map((host) => tunnelTo(world, host))
    .filter((address) => address !== undefined)
    .filter((address) => !peers.has(address));
  const { to, trials } = TUNNELS[channel.driver].underlay;
  const packets = to({ ports: [channel.port], vnis });
  const tried = trials === undefined ? [] : mayCome(world, `${packets} ${trials}`, others);
  return [...mayCome(world, packets, [...peers]), ...tried];
}

/** Underlay addresses of hosts with which this one shares a VRF that has the channel. */
function peersOn(world: World, { driver, port }: Channel): ReadonlySet<string> {
  const peers = new Set<string>();
  for (const vrf of world.vrfs) {
    if (!channelsOf(world, vrf).some((one) => one.driver === driver && one.port === port)) continue;
    for (const host of world.carriers.get(vrf.name) ?? []) {
      const address = tunnelTo(world, host.name);
      if (address !== undefined) peers.add(address);
    }
  }
  return peers;
}

function mayCome({ self }: World, packets: string, from: readonly string[]): string[] {
  const { underlay } = self.spec;
  const ip = IP[familyOf(underlay)];
  const ends = `${ip} saddr ${setOf(from)} ${ip} daddr ${underlay}`;
  // A frame to many may carry the address of one (RFC 1122, 3.3.6).
  return from.length === 0 ? [] : [`${packets} ${ends} meta pkttype host notrack accept`];
}

/** Packets of networks with a group: to the group, and to this host's address that the tunnel crosses by. */
function groupsMay(world: World): string[] {
  const allowed = world.vrfs.flatMap((vrf) =>
    networksOn(world, vrf)
      .flatMap((network) => waysByGroup(world, vrf, network))
      .flatMap(({ spec }) => {
        const end = tunnelEnd(spec, world.self.spec);
        if (spec.group === undefined || end === undefined) return [];
        const packets = TUNNELS[spec.driver].underlay.to({ ports: [vrf.spec.tunnelPort], vnis: [] });
        const ip = IP[familyOf(spec.group)];
        const peers = peersOn(world, { driver: spec.driver, port: vrf.spec.tunnelPort });
        return sendersTo(world, vrf, spec).map((senders) => ({
          from: `${packets} ${ip} saddr ${setOf(senders)} ${ip}`,
          group: spec.group ?? "",
          // As peers they may send to the host's underlay address in any case (membersMay).
          addresses:
            end.underlay === world.self.spec.underlay && senders.every((one) => peers.has(one)) ? [] : [end.underlay],
        }));
      }),
  );
  const bySender = [...Map.groupBy(allowed, ({ from }) => from)].sort(([a], [b]) => (a < b ? -1 : 1));
  return bySender.flatMap(([from, its]) => [
    `${from} daddr ${setOf(its.map(({ group }) => group))} meta pkttype multicast notrack accept`,
    ...toSome(
      from,
      its.flatMap(({ addresses }) => addresses),
    ),
  ]);
}

/** Members of a network's group, and machines of others that may send to it. */
function sendersTo(world: World, vrf: Vrf, spec: NetworkSpec): (readonly string[])[] {
  const members = [...(world.carriers.get(vrf.name) ?? [])].flatMap((host) => tunnelTo(world, host.name, spec) ?? []);
  return [members, spec.outsiders ?? []].filter((from) => from.length > 0);
}

function toSome(from: string, addresses: readonly string[]): string[] {
  return addresses.length === 0 ? [] : [`${from} daddr ${setOf(addresses)} meta pkttype host notrack accept`];
}

function setOf(addresses: readonly string[]): string {
  return oneOf([...new Set(addresses)].sort());
}

/**
 * What comes out of a VRF reaches no tunnel, here or elsewhere: behind the host's masquerade it would look like the
 * host's own. Nor may it come from a tunnel's port, because the answer would go there, from a host that may send to it.
 */
export function noTunnels(used: UsedByDriver): string {
  return chain("no_tunnels", [
    ...dropsToTunnels(used),
    ...[...used].flatMap(([driver, its]) => {
      const { from } = TUNNELS[driver].underlay;
      return from === undefined ? [] : [`${from(its)} drop`];
    }),
    // Connection tracking has put fragments together before this; one that is still alone does not tell its port.
    "ip protocol udp ip frag-off & 0x1fff != 0 drop",
    "frag frag-off != 0 meta l4proto udp drop",
  ]);
}

/** Of what a VRF sends out; its own namespace has the same lines. */
export function dropsToTunnels(used: UsedByDriver): string[] {
  const withPorts = [...used].filter(([driver]) => DRIVERS[driver].hasPort);
  const packets = withPorts.map(([driver, its]) => TUNNELS[driver].underlay.to(its));
  // Whatever Weft uses, and any key: hosts may have tunnels of others, which a workload's packets must not look like.
  return [...packets, "meta l4proto gre"].map((which) => `${which} drop`);
}

/**
 * The longest run of ports above 1023 without a tunnel's. Masquerade may choose of these: what is sent back to a
 * tunnel's port is not tracked, and taken for a tunnel's.
 */
export function portsBesideTunnels(world: World): string {
  const ports = inOrder([...usedByDriver(world).values()].flatMap((used) => used.ports));
  const edges = [1023, ...ports.filter((port) => port > 1023), 65_536];
  const runs = edges.slice(1).map((end, i): [number, number] => [(edges[i] ?? 0) + 1, end - 1]);
  const [first, last] = runs.reduce((best, run) => (run[1] - run[0] > best[1] - best[0] ? run : best));
  return `${first}-${last}`;
}
