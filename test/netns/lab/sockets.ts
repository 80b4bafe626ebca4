// Pings and streams between namespaces by sockets of the test's own process: a socket belongs to the namespace in which
// it was made. Starting a program takes 10 ms on a machine, and 200 in a guest.
import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { SystemError } from "../../../src/kernel/errno.ts";
import * as libc from "../../../src/kernel/libc.ts";
import * as frames from "./frames.ts";

const AF = { 4: 2, 6: 10 } as const;
const STREAM_CLOEXEC = 1 | 0o2000000;
const RAW_CLOEXEC = 3 | 0o2000000;
/** Protocol, and types of request and answer. */
const ECHO = { 4: { protocol: 1, asks: 8, answers: 0 }, 6: { protocol: 58, asks: 128, answers: 129 } } as const;
/** IP_MTU_DISCOVER, and IPV6_MTU_DISCOVER and IPV6_DONTFRAG: nothing is cut, and what would have to be is not sent. */
const UNCUT = {
  4: [[0, 10, 2]],
  6: [
    [41, 23, 2],
    [41, 62, 1],
  ],
} as const;
const inbox = Buffer.allocUnsafe(70_000);
let ids = process.pid;

/** Runs what makes a socket in a namespace; nothing is awaited in between. */
export function within<T>(netns: string, make: () => T): T {
  const home = libc.open("/proc/thread-self/ns/net");
  const there = libc.open(`/run/netns/${netns}`);
  try {
    libc.setns(there);
    return make();
  } finally {
    libc.setns(home);
    libc.close(there);
    libc.close(home);
  }
}

type Echo = { readonly count?: number; readonly waitMs?: number; readonly uncut?: number };

/**
 * Whether all echo requests come back, the last within `waitMs`. `uncut`: bytes of the whole packet, which must not be
 * fragmented. What cannot be sent, or is answered by an error, does not come back.
 */
export async function echoes(
  netns: string,
  to: string,
  { count = 1, waitMs = 1000, uncut }: Echo = {},
): Promise<boolean> {
  const family = to.includes(":") ? 6 : 4;
  const { protocol, asks } = ECHO[family];
  const fd = within(netns, () => libc.socket(AF[family], RAW_CLOEXEC, protocol));
  const id = ++ids & 0xffff;
  const missing = new Set<number>();
  try {
    if (uncut !== undefined) for (const [level, name, value] of UNCUT[family]) libc.setsockopt(fd, level, name, value);
    for (let n = 0; n < count; n++) {
      if (n > 0) await setTimeout(20);
      libc.sendTo(fd, request(asks, id, n, (uncut ?? 84) - (family === 4 ? 28 : 48)), addressOf(family, to));
      missing.add(n);
    }
    const deadline = performance.now() + waitMs;
    for (;;) {
      for (let length = libc.recvNow(fd, inbox); length >= 0; length = libc.recvNow(fd, inbox))
        missing.delete(answerIn(family, inbox.subarray(0, length), id));
      if (missing.size === 0) return true;
      if (performance.now() > deadline) return false;
      await setTimeout(2);
    }
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    libc.close(fd);
  }
}

function request(type: number, id: number, sequence: number, bytes: number): Buffer {
  const body = Buffer.alloc(8 + bytes);
  body[0] = type;
  body.writeUInt16BE(id, 4);
  body.writeUInt16BE(sequence, 6);
  // Over IPv6 the kernel writes it again.
  body.writeUInt16BE(frames.checksum(body), 2);
  return body;
}

/** The number of the request that a packet answers; -1 if it is none of ours. */
function answerIn(family: 4 | 6, packet: Buffer, id: number): number {
  const body = family === 4 ? packet.subarray(4 * ((packet[0] ?? 0) & 15)) : packet;
  return body.length >= 8 && body[0] === ECHO[family].answers && body.readUInt16BE(4) === id
    ? body.readUInt16BE(6)
    : -1;
}

/** A struct sockaddr_in or sockaddr_in6, without port. */
function addressOf(family: 4 | 6, text: string): Buffer {
  const address = Buffer.alloc(family === 4 ? 16 : 28);
  address.writeUInt16LE(AF[family], 0);
  frames.address(text).copy(address, family === 4 ? 4 : 8);
  return address;
}

export type Stream = { readonly from: string; readonly to: string; readonly address: string; readonly bytes: number };

/** Sends bytes by TCP, and gives Mbit/s as they arrive. `look` runs when all are there and the connection still is. */
export async function stream({ from, to, address, bytes }: Stream, look?: () => Promise<void>): Promise<number> {
  const server = createServer();
  within(to, () => server.listen(0));
  const { port } = server.address() as { readonly port: number };
  const fd = within(from, () => libc.socket(AF[address.includes(":") ? 6 : 4], STREAM_CLOEXEC, 0));
  const client = new Socket({ fd });
  const accepted = once(server, "connection", { signal: AbortSignal.timeout(20_000) });
  try {
    client.connect(port, address);
    client.on("error", () => undefined);
    const [served] = (await accepted) as [Socket];
    let left = bytes;
    const all = new Promise<void>((resolve, reject) => {
      served.on("error", reject).on("close", () => reject(new Error(`${left} of ${bytes} bytes are missing`)));
      served.setTimeout(20_000, () => served.destroy());
      served.on("data", (chunk) => {
        left -= chunk.length;
        if (left <= 0) resolve();
      });
    });
    const startedMs = performance.now();
    client.write(Buffer.alloc(bytes));
    await all;
    const ms = performance.now() - startedMs;
    await look?.();
    served.destroy();
    return (8 * bytes) / ms / 1000;
  } finally {
    client.destroy();
    server.close();
  }
}

type End = { readonly netns: string; readonly addresses: readonly string[] };

/** Whether a TCP connection is there within a second, to the first address of the other, and something comes back. */
export async function connects(from: End, to: End): Promise<boolean> {
  const [address = ""] = to.addresses;
  const server = createServer((served) => served.on("error", () => undefined).end("here"));
  within(to.netns, () => server.listen(0));
  const { port } = server.address() as { readonly port: number };
  const fd = within(from.netns, () => libc.socket(AF[address.includes(":") ? 6 : 4], STREAM_CLOEXEC, 0));
  const client = new Socket({ fd });
  try {
    client.connect(port, address);
    await once(client, "data", { signal: AbortSignal.timeout(1000) });
    return true;
  } catch {
    return false;
  } finally {
    client.destroy();
    server.close();
  }
}
