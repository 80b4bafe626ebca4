// Trial packets: what a preflight sends from host to host, in the form of tunnel packets, by raw sockets. So a trial
// passes every firewall that lets a tunnel pass, and no other, also where no tunnel exists yet and where the kernel's
// tunnel has the port already. The VNI is that of path probes, which no network has: kernels drop the packets, and raw
// sockets get a copy. Nothing here waits.
//
//   UDP   IP | UDP to the tunnel port | VXLAN header | Ethernet header of a local experiment | payload
//   GRE   IP | GRE header with key    |              | Ethernet header of a local experiment | payload
//   ICMP  IP | echo request           | payload        the kernel of the peer answers by itself
import { type Ip, familyOf, ipOf } from "../model/address.ts";
import { SystemError } from "./errno.ts";
import type { TrialChannel, Trials, TrialSeen } from "./kernel.ts";
import * as libc from "./libc.ts";
import * as k from "./netlink/constants.ts";
import { ipTextAt } from "./netlink/wire.ts";

/** Begins the payload; a socket's filter lets nothing else through. */
const MARK = Buffer.from("weft-try");
const PAYLOAD_AT = { udp: 8 + 8 + 14, gre: 8 + 14, ping: 8 } as const;
const KEY = 0xffff_ffff;
/** For local experiments (IEEE 802, clause 9.2.3). */
const ETHERTYPE = 0x88b5;
const MAC = Buffer.from("0a5b00000000", "hex");
/** Sources do not matter: answers come to the tunnel port, too. */
const SOURCE_PORT = 49_152;
const QUEUE_BYTES = 1024 * 1024;
const inbox = Buffer.alloc(65_536);
const sender = Buffer.alloc(28);

/** From an address of the host, over these channels, in the namespace of the calling thread. Throws SystemError. */
export function trialsFrom(local: string, channels: readonly TrialChannel[]): Trials {
  const family = familyOf(local);
  const sockets: Socket[] = [];
  const close = () => {
    for (const { fd } of sockets.splice(0)) libc.close(fd);
  };
  try {
    for (const channel of channels) sockets.push(openSocket(channel, family, local));
  } catch (error) {
    close();
    throw error;
  }
  return {
    send: (channel, to, payload, size) => {
      const socket = sockets.find((one) => one.channel === channel);
      return socket !== undefined && send(socket, to, payload, size);
    },
    receive: () => {
      for (const socket of sockets) {
        const seen = receive(socket);
        if (seen !== undefined) return seen;
      }
      return undefined;
    },
    close,
  };
}

type Socket = { readonly channel: TrialChannel; readonly fd: number; readonly family: 4 | 6 };

function protocolOf({ kind }: TrialChannel, family: 4 | 6): number {
  if (kind === "udp") return k.IPPROTO_UDP;
  if (kind === "gre") return k.IPPROTO_GRE;
  return family === 4 ? k.IPPROTO_ICMP : k.IPPROTO_ICMPV6;
}

function openSocket(channel: TrialChannel, family: 4 | 6, local: string): Socket {
  const fd = libc.socket(family === 4 ? k.AF_INET : k.AF_INET6, k.SOCK_RAW_CLOEXEC, protocolOf(channel, family));
  try {
    libc.attachFilter(fd, filterFor(channel, family));
    libc.setsockopt(fd, k.SOL_SOCKET, k.SO_RCVBUFFORCE, QUEUE_BYTES);
    // Never in pieces, and whatever the kernel has learned about the way.
    if (family === 4) libc.setsockopt(fd, k.SOL_IP, k.IP_MTU_DISCOVER, k.IP_PMTUDISC_PROBE);
    else libc.setsockopt(fd, k.SOL_IPV6, k.IPV6_MTU_DISCOVER, k.IP_PMTUDISC_PROBE);
    // UDP over IPv6 needs a checksum (RFC 8200, 8.1), which the kernel writes at this place.
    if (family === 6 && channel.kind === "udp") libc.setsockopt(fd, k.SOL_IPV6, k.IPV6_CHECKSUM, 6);
    libc.bind(fd, socketAddress(local));
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return { channel, fd, family };
}

/**
 * Lets packets with the mark through, of UDP those to the channel's port. A filter sees an IPv4 packet from its IP
 * header on, an IPv6 packet from the header behind.
 */
function filterFor(channel: TrialChannel, family: 4 | 6): readonly libc.FilterLine[] {
  const at = PAYLOAD_AT[channel.kind];
  const [first, second] = [MARK.readUInt32BE(0), MARK.readUInt32BE(4)];
  const load = family === 4 ? k.BPF_LD | k.BPF_IND : k.BPF_LD | k.BPF_ABS;
  const start: libc.FilterLine = family === 4 ? [k.BPF_LDX | k.BPF_B | k.BPF_MSH, 0, 0, 0] : [k.BPF_LDX, 0, 0, 0];
  const checks: readonly (readonly [width: number, offset: number, value: number])[] = [
    ...(channel.kind === "udp" ? [[k.BPF_H, 2, channel.port] as const] : []),
    [k.BPF_W, at, first],
    [k.BPF_W, at + 4, second],
  ];
  const lines = checks.flatMap(([width, offset, value], i): libc.FilterLine[] => {
    const behind = 2 * (checks.length - i - 1);
    return [
      [load | width, 0, 0, offset],
      [k.BPF_JMP | k.BPF_JEQ, 0, behind + 1, value],
    ];
  });
  return [start, ...lines, [k.BPF_RET, 0, 0, 0xffff], [k.BPF_RET, 0, 0, 0]];
}

/** Padded to an IP packet of `size` bytes. False if the kernel did not take it. */
function send({ channel, fd, family }: Socket, to: string, payload: Uint8Array, size: number): boolean {
  const at = PAYLOAD_AT[channel.kind];
  const message = Buffer.alloc(Math.max(size - IP_HEADER[family], at + MARK.length + payload.length));
  writeHeaders(message, channel, family);
  message.set(MARK, at);
  message.set(payload, at + MARK.length);
  if (channel.kind === "ping" && family === 4) message.writeUInt16BE(checksum(message), 2);
  try {
    libc.sendTo(fd, message, socketAddress(to));
    return true;
  } catch (error) {
    // Larger than the device, no route, no room: it does not pass.
    if (error instanceof SystemError) return false;
    throw error;
  }
}

const IP_HEADER = { 4: 20, 6: 40 } as const;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;

function writeHeaders(message: Buffer, channel: TrialChannel, family: 4 | 6): void {
  if (channel.kind === "ping") {
    message[0] = ECHO_REQUEST[family];
    return;
  }
  if (channel.kind === "udp") {
    message.writeUInt16BE(SOURCE_PORT, 0);
    message.writeUInt16BE(channel.port, 2);
    message.writeUInt16BE(message.length, 4);
    // VXLAN with a VNI (RFC 7348, 5).
    message[8] = 0x08;
    message.writeUInt32BE((KEY << 8) >>> 0, 12);
  } else {
    // With a key, of Ethernet frames (RFC 2890).
    message.writeUInt16BE(0x2000, 0);
    message.writeUInt16BE(0x6558, 2);
    message.writeUInt32BE(KEY, 4);
  }
  const frame = PAYLOAD_AT[channel.kind] - 14;
  MAC.copy(message, frame);
  MAC.copy(message, frame + 6);
  message.writeUInt16BE(ETHERTYPE, frame + 12);
}

function receive({ channel, fd, family }: Socket): TrialSeen | undefined {
  for (;;) {
    const length = libc.recvFrom(fd, inbox, sender);
    if (length < 0) return undefined;
    const start = family === 4 ? ((inbox[0] ?? 0) & 0xf) * 4 : 0;
    const at = start + PAYLOAD_AT[channel.kind] + MARK.length;
    if (length < at) continue;
    if (channel.kind === "ping" && inbox[start] !== ECHO_REPLY[family]) continue;
    const from = family === 4 ? ipTextAt(sender, 4, 8) : ipTextAt(sender, 8, 24);
    return { channel, from, payload: Buffer.from(inbox.subarray(at, length)) };
  }
}

/** Of the Internet (RFC 1071); the field itself is still 0. */
function checksum(message: Buffer): number {
  let sum = 0;
  for (let i = 0; i < message.length; i += 2) sum += ((message[i] ?? 0) << 8) | (message[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** struct sockaddr_in or sockaddr_in6, without port. */
function socketAddress(text: string): Buffer {
  const ip = ipOf(text);
  if (ip === undefined) throw new TypeError(`${text} is no address`);
  return ip.family === 4 ? inetAddress(ip) : inet6Address(ip);
}

function inetAddress({ value }: Ip): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(k.AF_INET);
  address.writeUInt32BE(Number(value), 4);
  return address;
}

function inet6Address({ value }: Ip): Buffer {
  const address = Buffer.alloc(28);
  address.writeUInt16LE(k.AF_INET6);
  address.writeBigUInt64BE(value >> 64n, 8);
  address.writeBigUInt64BE(BigInt.asUintN(64, value), 16);
  return address;
}
