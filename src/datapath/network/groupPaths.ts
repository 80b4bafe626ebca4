// The way to all members of a network's group at once, made so that it can be tried: an echo request to all nodes, in a
// frame of the path probes' VNI, sent to the group and to the tunnel's port. It takes the way of a broadcast (group,
// TTL, device, firewalls, and the other host's membership, which its kernel keeps); each kernel that gets it answers by
// the tunnel that proves the path between the two (paths.ts), also while the agent there is away.
import { ipOf, macValue } from "../../model/address.ts";
import type { Driver } from "../../model/driver.ts";
import { tunnelEnd } from "../../model/multicast.ts";
import { PATHS_VNI } from "../../model/paths.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { networksOn } from "../world/placement.ts";
import { networkMtu } from "../world/ways.ts";
import { type World, tunnelTo } from "../world/world.ts";
import { pathEnd } from "./paths.ts";

/** From this host to the members of one network's group. */
export type GroupPath = {
  readonly network: string;
  readonly driver: Driver;
  readonly group: string;
  readonly port: number;
  readonly device: string;
  readonly local: string;
  readonly ttl: number;
  /** The largest packet of an endpoint. */
  readonly size: number;
  /** This host's own in the namespace of paths. */
  readonly ip: string;
  readonly mac: string;
  /** Other hosts in the group, with the address there that answers. */
  readonly peers: readonly { readonly host: string; readonly ip: string }[];
};

/** Of a group that is crossed without a TTL of its own. */
const DEFAULT_TTL = 1;

export function groupPathsOf(world: World): readonly GroupPath[] {
  return world.vrfs.flatMap((vrf) =>
    networksOn(world, vrf).flatMap((network) => groupPathOf(world, vrf, network) ?? []),
  );
}

function groupPathOf(world: World, vrf: Vrf, network: Network): GroupPath | undefined {
  const { driver, group, ttl = DEFAULT_TTL } = network.spec;
  const end = tunnelEnd(network.spec, world.self.spec);
  if (group === undefined || end?.device === undefined) return undefined;
  const port = vrf.spec.tunnelPort;
  const peers = [...(world.carriers.get(vrf.name) ?? [])].flatMap((host) => {
    const isMember = tunnelTo(world, host.name, network.spec) !== undefined && tunnelTo(world, host.name) !== undefined;
    return isMember ? [{ host: host.name, ip: pathEnd({ driver, port }, host).ip }] : [];
  });
  const way = { group, port, device: end.device, local: end.underlay, ttl };
  const own = pathEnd({ driver, port }, world.self);
  return { network: network.name, driver, ...way, ...own, size: networkMtu(world, vrf, network), peers };
}

const VXLAN_HEADER = 8;
const ETHERNET_HEADER = 14;
const IP6_HEADER = 40;
const ICMP_HEADER = 8;
/** Of IPv6 and ICMPv6. */
export const ECHO_HEADERS = IP6_HEADER + ICMP_HEADER;
const ALL_NODES = "ff02::1";
const ALL_NODES_MAC = "33:33:00:00:00:01";
const ICMPV6 = 58;
const ECHO_REQUEST = 128;

/** A VXLAN packet (RFC 7348) with an echo request of this payload to all nodes of the probes' segment. */
export function groupProbe({ ip, mac }: Pick<GroupPath, "ip" | "mac">, payload: Uint8Array): Buffer {
  const packet = Buffer.alloc(VXLAN_HEADER + ETHERNET_HEADER + ECHO_HEADERS + payload.length);
  packet[0] = 0x08;
  packet.writeUIntBE(PATHS_VNI, 4, 3);
  const frame = packet.subarray(VXLAN_HEADER);
  macBytes(ALL_NODES_MAC).copy(frame);
  macBytes(mac).copy(frame, 6);
  frame.writeUInt16BE(0x86dd, 12);
  const header = frame.subarray(ETHERNET_HEADER);
  header[0] = 0x60;
  header.writeUInt16BE(ICMP_HEADER + payload.length, 4);
  header[6] = ICMPV6;
  header[7] = 64;
  ipBytes(ip).copy(header, 8);
  ipBytes(ALL_NODES).copy(header, 24);
  const message = header.subarray(IP6_HEADER);
  message[0] = ECHO_REQUEST;
  message.set(payload, ICMP_HEADER);
  message.writeUInt16BE(checksum(header), 2);
  return packet;
}

/** Of the message behind an IPv6 header, with the pseudo-header (RFC 8200 8.1). */
function checksum(packet: Buffer): number {
  let sum = packet.readUInt16BE(4) + ICMPV6;
  for (let at = 8; at < packet.length; at += 2) sum += ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function macBytes(mac: string): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(Number(macValue(mac)), 0, 6);
  return bytes;
}

function ipBytes(text: string): Buffer {
  const value = ipOf(text)?.value ?? 0n;
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64BE(value >> 64n);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 8);
  return bytes;
}
