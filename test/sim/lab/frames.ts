// Frames on their way through simulated kernels, as bytes for the tables: what routers make anew, and what tunnels wrap
// them in.
import assert from "node:assert/strict";
import { ipOf } from "../../../src/model/address.ts";
import type { Frame } from "./nft.ts";

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

export type Packet = {
  readonly from: string;
  readonly to: string;
  readonly sport: number;
  readonly dport: number;
  /** SYN, or the SYN-ACK that answers it. */
  readonly isAnswer: boolean;
  /** As many bytes as the sender's route and interface allow. */
  readonly isLarge?: boolean;
};

/** A packet in a frame, which each router makes anew. */
export class Moving {
  readonly packet: Packet;
  destination: string;
  /** The port by which it came to the bridge that it is on; none if the namespace sends it. */
  from = "";
  hops = 0;
  /** Bytes of the packet; 0: it fits everywhere. */
  size = 0;
  #source: string;
  #frame: Frame | undefined;
  #priority = 0;

  constructor(packet: Packet, source: string, destination: string) {
    this.packet = packet;
    this.#source = source;
    this.destination = destination;
  }

  get mark(): number {
    return this.#frame?.mark ?? 0;
  }

  set mark(mark: number) {
    if (this.#frame !== undefined) this.#frame.mark = mark;
  }

  get priority(): number {
    return this.#frame?.priority ?? this.#priority;
  }

  rewritten(source: string, destination: string): this {
    this.#source = source;
    this.destination = destination;
    this.from = "";
    return this;
  }

  /** Another of the same, for another port of the bridge. */
  copy(): Moving {
    const copy = new Moving(this.packet, this.#source, this.destination);
    copy.#priority = this.priority;
    return Object.assign(copy, { from: this.from, hops: this.hops, size: this.size });
  }

  at(iifname: string, oifname: string): Frame {
    const bytes = bytesOf(this.packet, this.#source, this.destination);
    return (this.#frame = { bytes, iifname, oifname, mark: this.mark, priority: this.priority });
  }
}

const SYN = 0x02;
const ACK = 0x10;

function bytesOf(packet: Packet, source: string, destination: string): Uint8Array {
  const tcp = [
    ...word(packet.sport),
    ...word(packet.dport),
    ...Array<number>(8).fill(0),
    0x50,
    SYN | (packet.isAnswer ? ACK : 0),
    ...Array<number>(6).fill(0),
  ];
  return ethernet(source, destination, ip(packet.from, packet.to, 6, tcp));
}

/** What VXLAN sends on the underlay. */
export function udpTo(from: string, to: string, port: number): Frame {
  return outer(ip(from, to, 17, [...word(50_000), ...word(port), ...word(8), 0, 0]));
}

/** What GRE sends there: a key, and Ethernet inside. */
export function greTo(from: string, to: string, key: number): Frame {
  return outer(ip(from, to, 47, [0x20, 0, 0x65, 0x58, ...bytesIn(BigInt(key), 4)]));
}

function outer(payload: readonly number[]): Frame {
  const bytes = ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", payload);
  return { bytes, iifname: "underlay", oifname: "", mark: 0, priority: 0 };
}

function ethernet(source: string, destination: string, payload: readonly number[]): Uint8Array {
  const mac = (text: string) => text.split(":").map((part) => Number.parseInt(part, 16));
  const type = payload[0] === 0x45 ? [8, 0] : [0x86, 0xdd];
  return Uint8Array.from([...mac(destination), ...mac(source), ...type, ...payload]);
}

function ip(from: string, to: string, protocol: number, payload: readonly number[]): number[] {
  const [source, destination] = [ipOf(from), ipOf(to)];
  assert(source !== undefined && destination !== undefined);
  if (source.family === 4)
    return [
      0x45,
      0,
      ...word(20 + payload.length),
      0,
      0,
      0x40,
      0,
      64,
      protocol,
      0,
      0,
      ...bytesIn(source.value, 4),
      ...bytesIn(destination.value, 4),
      ...payload,
    ];
  return [
    0x60,
    0,
    0,
    0,
    ...word(payload.length),
    protocol,
    64,
    ...bytesIn(source.value, 16),
    ...bytesIn(destination.value, 16),
    ...payload,
  ];
}

const word = (value: number) => [value >> 8, value & 255];

function bytesIn(value: bigint, length: number): number[] {
  return Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 255n));
}
