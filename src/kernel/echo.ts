// Echo requests from one of Weft's namespaces, by a raw socket in it. The kernel at the other end answers by itself.
// This socket receives the answers, copies of peers' requests, and refusals of datagrams. Nothing here waits.
import { ipOf } from "../model/address.ts";
import { openDatagrams } from "./datagrams.ts";
import { SystemError } from "./errno.ts";
import type { Echo, EchoSeen } from "./kernel.ts";
import * as libc from "./libc.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { ipTextAt } from "./netlink/wire.ts";
import { socketAddress } from "./socketAddress.ts";

const IPPROTO_ICMPV6 = 58;
const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const UNREACHABLE = 1;
const PORT_UNREACHABLE = 4;
/** What an error repeats of a datagram before its payload: headers of IPv6 and UDP. */
const REPEATED = 40 + 8;
/** Peers' requests wait here until they are read: a second's worth of full packets of a large cluster. */
const QUEUE_BYTES = 1024 * 1024;
const HEADER = 8;
const inbox = Buffer.alloc(65_536);
const sender = Buffer.alloc(28);

/** Valid until it is closed, with the space. */
export function echoIn(namespaces: Namespaces, space: Space): Echo & { close(): void } {
  const fd = namespaces.within(space.fd, () => libc.socket(k.AF_INET6, k.SOCK_RAW_CLOEXEC, IPPROTO_ICMPV6));
  libc.setsockopt(fd, k.SOL_SOCKET, k.SO_RCVBUFFORCE, QUEUE_BYTES);
  const datagrams = namespaces.within(space.fd, openDatagrams);
  return {
    send: (to, payload) => send(fd, to, payload),
    sendDatagram(to, payload, by) {
      const ip = ipOf(to);
      return ip !== undefined && datagrams.send(ip, payload, by);
    },
    receive: () => receive(fd),
    close() {
      libc.close(fd);
      datagrams.close();
    },
  };
}

function send(fd: number, to: string, payload: Uint8Array): boolean {
  const ip = ipOf(to);
  if (ip === undefined) return false;
  const message = Buffer.alloc(HEADER + payload.length);
  message[0] = ECHO_REQUEST;
  message.set(payload, HEADER);
  try {
    libc.sendTo(fd, message, socketAddress(ip));
    return true;
  } catch (error) {
    // No device, no route, no room: counted as lost on the way.
    if (error instanceof SystemError) return false;
    throw error;
  }
}

function receive(fd: number): EchoSeen | undefined {
  for (;;) {
    const length = libc.recvFrom(fd, inbox, sender);
    if (length < 0) return undefined;
    const kind = length < HEADER ? undefined : kindOf(inbox);
    if (kind === undefined) continue;
    const payload = Buffer.from(inbox.subarray(kind === "refusal" ? HEADER + REPEATED : HEADER, length));
    return { kind, from: ipTextAt(sender, 8, 24), payload };
  }
}

function kindOf([type, code]: Uint8Array): EchoSeen["kind"] | undefined {
  if (type === ECHO_REQUEST) return "request";
  if (type === ECHO_REPLY) return "answer";
  return type === UNREACHABLE && code === PORT_UNREACHABLE ? "refusal" : undefined;
}
