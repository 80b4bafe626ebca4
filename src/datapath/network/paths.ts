// The way to each peer, made so that it can be tried: a namespace of the agent's own with a tunnel per channel (driver
// and port). What the agent sends there takes the same way between the two hosts as workloads' packets (port, source
// address, firewalls on both sides), and the peer's kernel answers it, also while the agent there is away.
//
//   namespace _paths     path4789, VNI 16777215        fd00:7765:7061:12b5::<order of this host>
//   neighbour, FDB       one of each per peer          its order -> its MAC -> its underlay address
//
// A host's order is its number in the cluster: short, and no two hosts have the same.
import { formatIp, formatMac } from "../../model/address.ts";
import { DRIVER_NAMES, type Driver, tunnelMtu } from "../../model/driver.ts";
import { IPV6_MTU_MIN } from "../../model/limits.ts";
import { PATHS_VNI } from "../../model/paths.ts";
import type { Host, Vrf } from "../../model/resource.ts";
import { type World, tunnelTo } from "../world/world.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { type Channel, TUNNELS, probedChannelsOf, waysIn } from "../tunnel/drivers.ts";
import type { RoutedPeer } from "../tunnel/tunnel.ts";
import { mtuOf } from "../world/ways.ts";

/** No VRF can have this name: VRF names begin with a letter or digit. */
export const PATHS_NS = "vrf:_paths";

/** The path to a peer over one channel. */
export type Path = Channel & {
  readonly host: string;
  /** This host's underlay address and the peer's; other addresses are another path. */
  readonly ends: string;
  /** The address to probe, in the namespace; absent if there can be no tunnel. */
  readonly to?: string;
  /** The largest packet that a workload sends there. */
  readonly size: number;
};

/** A host's own address and MAC in the namespace. */
export function pathEnd(channel: Channel, host: Host): { readonly ip: string; readonly mac: string } {
  return { ip: addressOf(channel, host), mac: macOf(host) };
}

/** The paths to all hosts that share a VRF with this one. */
export function pathsOf(world: World): readonly Path[] {
  const paths = new Map<string, Path>();
  for (const vrf of world.vrfs) {
    for (const { driver, port } of probedChannelsOf(world, vrf)) {
      const size = sizeIn(world, vrf, driver);
      for (const host of world.carriers.get(vrf.name) ?? []) {
        if (host === world.self) continue;
        const key = `${host.name} ${driver} ${port}`;
        const least = paths.get(key)?.size ?? 0;
        const way = tunnelTo(world, host.name) === undefined ? {} : { to: addressOf({ driver, port }, host) };
        const ends = `${world.self.spec.underlay} ${host.spec.underlay}`;
        paths.set(key, { host: host.name, driver, port, ends, size: Math.max(size, least), ...way });
      }
    }
  }
  return [...paths.values()];
}

/** The largest packet that the VRF's networks of a driver let their workloads send. */
function sizeIn(world: World, vrf: Vrf, driver: Driver): number {
  const ways = waysIn(world, vrf).filter(({ network }) => network.spec.driver === driver);
  return Math.max(...ways.map((way) => mtuOf(world, way)));
}

export function compilePaths(world: World): KernelObject[] {
  const paths = pathsOf(world).filter(({ to }) => to !== undefined);
  if (paths.length === 0) return [];
  const byChannel = Map.groupBy(paths, numberOf);
  return [
    { kind: "netns", ns: PATHS_NS },
    { kind: "sysctl", ns: PATHS_NS, key: "ipv6/conf/default/accept_dad", value: "0" },
    { kind: "sysctl", ns: PATHS_NS, key: "ipv6/conf/default/accept_ra", value: "0" },
    ...[...byChannel].flatMap(([number, its]) => compileChannel(world, number, its)),
  ];
}

function compileChannel({ self, hosts }: World, number: number, paths: readonly Path[]): readonly KernelObject[] {
  const [first] = paths;
  if (first === undefined) return [];
  const { driver, port } = first;
  const peers = paths.flatMap(({ host, to }): RoutedPeer[] => {
    const peer = hosts.get(host);
    if (peer === undefined || to === undefined) return [];
    return [{ ips: [to], mac: macOf(peer), dst: peer.spec.underlay, order: peer.spec.order }];
  });
  const { objects } = TUNNELS[driver].routed({
    ns: PATHS_NS,
    name: `path${number}`,
    vni: PATHS_VNI,
    local: self.spec.underlay,
    port,
    mac: macOf(self),
    // With less the link has no IPv6. If tunnels carry less, probes are smaller.
    mtu: Math.max(IPV6_MTU_MIN, tunnelMtu(driver, self.spec)),
    alias: alias("paths", String(number)),
    addresses: [`${addressOf(first, self)}/64`],
    peers,
  });
  return objects;
}

/** The same on all hosts: a driver counts by its place among the drivers. The port alone, of the first. */
function numberOf({ driver, port }: Channel): number {
  return DRIVER_NAMES.indexOf(driver) * 65_536 + port;
}

/** Known only in this namespace. */
function addressOf(channel: Channel, { spec }: Host): string {
  const value = (0xfd00_7765_7061n << 80n) + (BigInt(numberOf(channel)) << 64n) + BigInt(spec.order);
  return formatIp({ family: 6, value });
}

function macOf({ spec }: Host): string {
  return formatMac(0x0a5a_0000_0000n + BigInt(spec.order));
}
