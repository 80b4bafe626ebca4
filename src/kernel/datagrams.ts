// Datagrams over IPv6 to a port at which nothing listens. The kernel there drops one whose checksum is wrong, and
// refuses any other with an ICMPv6 error, whose own checksum it writes itself (icmpv6_push_pending_frames()). So a
// refusal tells of the datagram's checksum alone, and not of how the other host sends. Nothing here waits.
import type { Ip } from "../model/address.ts";
import { SystemError } from "./errno.ts";
import type { ChecksumBy } from "./kernel.ts";
import * as libc from "./libc.ts";
import * as k from "./netlink/constants.ts";
import { socketAddress } from "./socketAddress.ts";

/** Of the discard protocol (RFC 863). */
const PORT = 9;
const SOURCE_PORT = 49_152;
const HEADER = 8;

export type Datagrams = {
  /** False if the kernel did not take it. */
  readonly send: (to: Ip, payload: Uint8Array, by: ChecksumBy) => boolean;
  readonly close: () => void;
};

/** In the namespace of the calling thread. */
export function openDatagrams(): Datagrams {
  const opened: number[] = [];
  const close = () => {
    for (const fd of opened.splice(0)) libc.close(fd);
  };
  const open = (type: number, protocol: number) => {
    const fd = libc.socket(k.AF_INET6, type, protocol);
    opened.push(fd);
    return fd;
  };
  try {
    // The kernel leaves the checksum to a device that can write it (CHECKSUM_PARTIAL in __ip6_append_data()).
    const device = open(k.SOCK_DGRAM_CLOEXEC, 0);
    // And writes that of a raw socket at once (rawv6_push_pending_frames()).
    const kernel = open(k.SOCK_RAW_CLOEXEC, k.IPPROTO_UDP);
    libc.setsockopt(kernel, k.SOL_IPV6, k.IPV6_CHECKSUM, 6);
    // It is not read: copies of what peers send must not wait there.
    libc.attachFilter(kernel, [[k.BPF_RET, 0, 0, 0]]);
    return {
      send: (to, payload, by) =>
        by === "device" ? sent(device, to, PORT, payload) : sent(kernel, to, 0, withHeader(payload)),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** A raw socket's address has no port. */
function sent(fd: number, to: Ip, port: number, bytes: Uint8Array): boolean {
  try {
    libc.sendTo(fd, bytes, socketAddress(to, port));
    return true;
  } catch (error) {
    // No device, no route, no room: lost on the way.
    if (error instanceof SystemError) return false;
    throw error;
  }
}

function withHeader(payload: Uint8Array): Buffer {
  const datagram = Buffer.alloc(HEADER + payload.length);
  datagram.writeUInt16BE(SOURCE_PORT, 0);
  datagram.writeUInt16BE(PORT, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  datagram.set(payload, HEADER);
  return datagram;
}
