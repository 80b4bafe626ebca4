// Netlink's envelope: messages with a 16-byte header, attributes as type-length-value, all padded to four bytes. Writes
// several messages into one reusable buffer and walks over received ones without copying. Knows nothing of what they
// mean.
//
//   | length u32 | type u16 | flags u16 | seq u32 | port u32 |  fixed part  | len u16 | type u16 | value … | …
import { type Ip, formatIp, ipFromBytes, ipOf } from "../../model/address.ts";
import { EINVAL, Refused, refusalOf } from "../errno.ts";
import { NLA_F_NESTED, NLA_TYPE_MASK, NLM_F_ACK } from "./constants.ts";

const HEADER = 16;

/** One buffer, many messages. The fixed part of a message is written with u8/u16/u32, its attributes with attr…(). */
export class MessageWriter {
  readonly bytes: Buffer;
  length = 0;
  /** Messages since reset(), and the sequence numbers of the first and the last. */
  count = 0;
  firstSeq = 0;
  lastSeq = 0;
  #start = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  reset(): void {
    this.length = 0;
    this.count = 0;
  }

  /** Begins a message, which ends where the next one begins, or the batch. */
  begin(type: number, flags: number, seq: number): void {
    if (this.count === 0) this.firstSeq = seq;
    else this.finish();
    this.lastSeq = seq;
    this.#start = this.length;
    this.count++;
    this.u32(0);
    this.u16(type);
    this.u16(flags);
    this.u32(seq);
    this.u32(0);
  }

  /** Ends the last message; gives how many bytes all take. */
  finish(): number {
    this.bytes.writeUInt32LE(this.length - this.#start, this.#start);
    return this.length;
  }

  /** Asks for an acknowledgement of the last message. */
  askForAck(): void {
    const at = this.#start + 6;
    this.bytes.writeUInt16LE(this.bytes.readUInt16LE(at) | NLM_F_ACK, at);
  }

  u8(value: number): void {
    this.bytes[this.length++] = value;
  }

  u8s(first: number, second: number, third: number, fourth: number): void {
    this.u8(first);
    this.u8(second);
    this.u8(third);
    this.u8(fourth);
  }

  u16(value: number): void {
    this.bytes[this.length++] = value;
    this.bytes[this.length++] = value >>> 8;
  }

  u32(value: number): void {
    this.u16(value);
    this.u16(value >>> 16);
  }

  attrU8(type: number, value: number): void {
    this.#attr(type, 1);
    this.u8(value);
    this.#pad();
  }

  attrU16(type: number, value: number): void {
    this.#attr(type, 2);
    this.u16(value);
    this.#pad();
  }

  attrU32(type: number, value: number): void {
    this.#attr(type, 4);
    this.u32(value);
  }

  /** Eight bytes of a whole number. */
  attrU64(type: number, value: number): void {
    this.#attr(type, 8);
    this.length = this.bytes.writeBigUInt64LE(BigInt(value), this.length);
  }

  /** A structure that `inside` writes. */
  attr(type: number, inside: () => void): void {
    const start = this.length;
    this.#attr(type, 0);
    inside();
    this.#close(start);
  }

  /** Zero-terminated. */
  attrText(type: number, text: string): void {
    const start = this.length;
    this.#attr(type, 0);
    this.#write(text);
    this.u8(0);
    this.#close(start);
  }

  attrBytes(type: number, bytes: Buffer): void {
    this.#attr(type, bytes.length);
    this.length += bytes.copy(this.bytes, this.length);
    this.#pad();
  }

  /** Part of a message as it is. */
  raw(bytes: Buffer): void {
    this.length += bytes.copy(this.bytes, this.length);
    this.#pad();
  }

  attrMac(type: number, mac: string): void {
    this.#attr(type, 6);
    this.mac(mac);
    this.#pad();
  }

  attrIp(type: number, ip: Ip): void {
    this.#attr(type, ip.family === 4 ? 4 : 16);
    this.ip(ip);
  }

  /** Six bytes; canonical text. */
  mac(text: string): void {
    for (let at = 0; at < 17; at += 3) this.u8((digitAt(text, at) << 4) | digitAt(text, at + 1));
  }

  /** Four or sixteen bytes, in network byte order. */
  ip({ family, value }: Ip): void {
    if (family === 4) {
      const number = Number(value);
      for (let shift = 24; shift >= 0; shift -= 8) this.u8(number >>> shift);
    } else {
      this.length = this.bytes.writeBigUInt64BE(value >> 64n, this.length);
      this.length = this.bytes.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, this.length);
    }
  }

  /** As many bytes as `size`: the text, cut if need be, and zeros; at least one. */
  text(text: string, size: number): void {
    const end = this.length + size;
    const last = end - 1;
    this.#write(text);
    if (this.length > last) this.length = last;
    while (this.length < end) this.bytes[this.length++] = 0;
  }

  /** Names are ASCII, nearly always: for a dozen letters a call into C++ takes longer than the letters. */
  #write(text: string): void {
    const start = this.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      this.bytes[this.length++] = code;
      if (code < 128) continue;
      this.length = start + this.bytes.write(text, start);
      return;
    }
  }

  /** Attributes written by `inside` become the value of this one. */
  nest(type: number, inside: () => void): void {
    this.attr(type | NLA_F_NESTED, inside);
  }

  #attr(type: number, size: number): void {
    this.u16(size + 4);
    this.u16(type);
  }

  /** The size of the attribute that began there, which is whole. */
  #close(start: number): void {
    const size = this.length - start;
    this.bytes[start] = size;
    this.bytes[start + 1] = size >>> 8;
    this.#pad();
  }

  #pad(): void {
    while ((this.length & 3) !== 0) this.bytes[this.length++] = 0;
  }
}

/** The value of a lower-case hexadecimal digit. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

/** A part of a buffer. */
export type Span = { readonly bytes: Buffer; readonly start: number; readonly end: number };
/** The whole of one. */
export function spanOf(bytes: Buffer): Span {
  return { bytes, start: 0, end: bytes.length };
}

/** Where one received message lies in its buffer; `start` is behind the header. */
export type Received = Span & { readonly type: number; readonly flags: number; readonly seq: number };

export function eachMessage(bytes: Buffer, length: number, visit: (message: Received) => void): void {
  for (let at = 0; at + HEADER <= length; ) {
    const size = bytes.readUInt32LE(at);
    if (size < HEADER || at + size > length) return;
    visit({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      seq: bytes.readUInt32LE(at + 8),
      bytes,
      start: at + HEADER,
      end: at + size,
    });
    at += (size + 3) & ~3;
  }
}

/** Every attribute between two offsets: its type without flags, and where its value begins and ends. */
export function eachAttribute(
  bytes: Buffer,
  from: number,
  to: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  for (let at = from; at + 4 <= to; ) {
    const size = bytes.readUInt16LE(at);
    if (size < 4 || at + size > to) return;
    visit(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, at + 4, at + size);
    at += (size + 3) & ~3;
  }
}

/** What attributes are called in a record, and how the value of each is read; of one with attributes in it, those. */
export type Layout<T> = { readonly [type: number]: Member<T> | Layout<T> };
type Member<T> = { [K in keyof T]-?: readonly [K, (bytes: Buffer, start: number, end: number) => T[K]] }[keyof T];

/** Puts the attributes of a span, less its `fixed` first bytes, into a record; those without a name are left out. */
export function fill<T>(into: T, layout: Layout<T>, { bytes, start, end }: Span, fixed = 0): T {
  eachAttribute(bytes, start + fixed, end, (type, from, to) => {
    const member = layout[type];
    if (member === undefined) return;
    if (!isMember(member)) fill(into, member, { bytes, start: from, end: to });
    else into[member[0]] = member[1](bytes, from, to);
  });
  return into;
}

function isMember<T>(member: Member<T> | Layout<T>): member is Member<T> {
  return Array.isArray(member);
}

export const u8At = (bytes: Buffer, start: number): number => bytes[start] ?? 0;
export const flagAt = (bytes: Buffer, start: number): boolean => bytes[start] !== 0;
export const u16At = (bytes: Buffer, start: number): number => bytes.readUInt16LE(start);
export const u32At = (bytes: Buffer, start: number): number => bytes.readUInt32LE(start);
export const i32At = (bytes: Buffer, start: number): number => bytes.readInt32LE(start);
export const u64At = (bytes: Buffer, start: number): number => Number(bytes.readBigUInt64LE(start));

/** A copy: the buffer is the next dump's. */
export function copyAt(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}

/** Without the terminating zero. */
export function textAt(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("utf8", start, end > start && bytes[end - 1] === 0 ? end - 1 : end);
}

/** Empty if it is not one: tunnels have shorter addresses, and longer ones. */
export function macAt(bytes: Buffer, start: number, end: number): string {
  if (end - start !== 6) return "";
  const hex = bytes.toString("hex", start, end);
  return [0, 2, 4, 6, 8, 10].map((at) => hex.slice(at, at + 2)).join(":");
}

/** Canonical text of a 4- or 16-byte address. */
export function ipTextAt(bytes: Buffer, start: number, end: number): string {
  return end - start === 4
    ? `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`
    : formatIp(ipFromBytes(bytes.subarray(start, end)));
}

/** The address of an object; objects carry canonical text, so anything else is refused as the kernel would. */
export function ipIn(text: string): Ip {
  const ip = ipOf(text);
  if (ip === undefined) throw new Refused(refusalOf(EINVAL, `"${text}" is not an address`));
  return ip;
}
