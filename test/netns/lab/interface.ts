// A workload's interface in the hands of a test: frames in, frames out, without the workload's own stack. Packet
// sockets belong to the namespace in which they were made, so the test's process has one in each and never waits for
// another process.
import { SystemError } from "../../../src/kernel/errno.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { must } from "./cluster.ts";
import { within } from "./sockets.ts";

const AF_PACKET = 17;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const ETH_P_ALL = 0x0300; // In network byte order.
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const ENOBUFS = 105;
const inbox = Buffer.allocUnsafe(70_000);

export class Interface {
  readonly #fd: number;
  /** Frames that came since the last look, as text with one character per byte. */
  #seen: string[] = [];

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * All interfaces of a namespace, or one of them; only of one can frames be sent. `isCutLater`: what is sent is for
   * the kernel to finish (sendCut(), sendOpen()), and nothing is received.
   */
  static async in(netns: string, name?: string, { isCutLater = false } = {}): Promise<Interface> {
    const index =
      name === undefined ? 0 : Number((await must("ip", "-n", netns, "-o", "link", "show", name)).split(":", 1)[0]);
    const fd = within(netns, () => libc.socket(AF_PACKET, SOCK_RAW_CLOEXEC, ETH_P_ALL));
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
    if (isCutLater) libc.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
    if (index > 0) {
      const address = Buffer.alloc(20);
      address.writeUInt16LE(AF_PACKET, 0);
      address.writeUInt16LE(ETH_P_ALL, 2);
      address.writeInt32LE(index, 4);
      libc.bind(fd, address);
    }
    return new Interface(fd);
  }

  /** Whether it went out: a flood may fill the queue. */
  send(frame: Buffer): boolean {
    try {
      libc.send(this.#fd, frame, frame.length);
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.errno === ENOBUFS) return false;
      throw error;
    }
  }

  /** One large datagram of UDP over IPv4 that becomes several of so many bytes, at the last moment or never. */
  sendCut(frame: Buffer, bytes: number): boolean {
    // struct virtio_net_hdr: the checksum is still to be made (1), UDP to be cut (5), headers, size, checksum's place.
    const head = Buffer.from([1, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (const [i, value] of [42, bytes, 34, 6].entries()) head.writeUInt16LE(value, 2 + 2 * i);
    return this.send(Buffer.concat([head, frame]));
  }

  /** With a checksum over all from `start` on that is still to be written, there. */
  sendOpen(frame: Buffer, start: number): boolean {
    return this.send(Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, start, 0, 0, 0]), frame]));
  }

  /** Whether a frame with this text came since forget(). */
  has(tag: string): boolean {
    this.#drain();
    return this.#seen.some((frame) => frame.includes(tag));
  }

  count(tag: string): number {
    return this.framesWith(tag).length;
  }

  /** As text, with one character per byte. */
  framesWith(tag: string): readonly string[] {
    this.#drain();
    return this.#seen.filter((frame) => frame.includes(tag));
  }

  forget(): void {
    this.#drain();
    this.#seen = [];
  }

  #drain(): void {
    for (let length = libc.recvNow(this.#fd, inbox); length >= 0; length = libc.recvNow(this.#fd, inbox))
      this.#seen.push(inbox.toString("latin1", 0, length));
  }

  close(): void {
    libc.close(this.#fd);
  }
}

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_GGRO = 0x2b;
const ETHTOOL_STXCSUM = 0x17;

/** `ethtool -K … tx`: off, and checksums that are still open are written as packets go in, as a network card does. */
export function setChecksums(netns: string, device: string, tx: "on" | "off"): void {
  ethtool(netns, device, ETHTOOL_STXCSUM, tx === "on" ? 1 : 0);
}

export function checksums(netns: string, device: string): "on" | "off" {
  return ethtool(netns, device, ETHTOOL_GTXCSUM, 0) === 1 ? "on" : "off";
}

/** Whether a device puts packets together again (GRO). */
export function gathers(netns: string, device: string): "on" | "off" {
  return ethtool(netns, device, ETHTOOL_GGRO, 0) === 1 ? "on" : "off";
}

function ethtool(netns: string, device: string, command: number, value: number): number {
  const fd = within(netns, () => libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0));
  try {
    return libc.ethtool(fd, device, command, value);
  } finally {
    libc.close(fd);
  }
}
