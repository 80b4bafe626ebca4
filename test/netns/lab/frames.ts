// Frames as bytes: what a test sends into a workload's interface, whatever that workload's own stack would have said.
// Checksums are right, because connection tracking looks at them.
import { type Ip, ipOf } from "../../../src/model/address.ts";

export type Ends = {
  readonly fromMac: string;
  readonly toMac: string;
  readonly from: string;
  readonly to: string;
};

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

export const FLAGS = { fin: 0x01, syn: 0x02, psh: 0x08, ack: 0x10 } as const;

/** Five words of header; SYN unless said otherwise. */
export function tcp(
  ends: Ends,
  port: number,
  tag: string,
  { sourcePort = 40_000, flags = FLAGS.syn }: { readonly sourcePort?: number; readonly flags?: number } = {},
): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(sourcePort, 0);
  head.writeUInt16BE(port, 2);
  head.writeUInt32BE(1, 4);
  head.writeUInt16BE(0x5000 | flags, 12);
  head.writeUInt16BE(1000, 14);
  return packet(ends, 6, summed(ends, 6, Buffer.concat([head, Buffer.from(tag)]), 16));
}

export function udp(ends: Ends, port: number, content: string | Buffer, sourcePort = 40_000): Buffer {
  const payload = Buffer.from(content);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(sourcePort, 0);
  head.writeUInt16BE(port, 2);
  head.writeUInt16BE(8 + payload.length, 4);
  return packet(ends, 17, summed(ends, 17, Buffer.concat([head, payload]), 6));
}

/** A frame of another network in a datagram for a tunnel's port (RFC 7348). */
export function vxlan(
  ends: Ends,
  vni: number,
  inner: Buffer,
  { port = 4789, sourcePort = 40_000 }: { readonly port?: number; readonly sourcePort?: number } = {},
): Buffer {
  const head = Buffer.from("0800000000000000", "hex");
  head.writeUIntBE(vni, 4, 3);
  return udp(ends, port, Buffer.concat([head, inner]), sourcePort);
}

/**
 * The same for another port, with a checksum that is still to be written: over that port and all behind it, into it,
 * where it is the tunnel's port. The one of UDP is said not to be there, so no masquerade changes it.
 */
export function vxlanBehindSum(ends: Ends, vni: number, inner: Buffer, port = 4789): Buffer {
  const frame = vxlan(ends, vni, Buffer.concat([inner, Buffer.alloc(2 + (inner.length % 2))]), { port: 5000 });
  frame.writeUInt16BE(0, 40);
  frame.writeUInt16BE(folded(0xffff - port + 0xffff - sumOf(frame.subarray(36))), frame.length - 2);
  return frame;
}

export function icmp(ends: Ends, type: number, content: string | Buffer): Buffer {
  const head = Buffer.alloc(8);
  head[0] = type;
  head.writeUInt16BE(7, 4);
  const body = Buffer.concat([head, Buffer.from(content)]);
  const isV6 = ends.to.includes(":");
  return packet(ends, isV6 ? 58 : 1, isV6 ? summed(ends, 58, body, 2) : withSum(body, body, 2));
}

/** A datagram in two fragments: the header of UDP in the first, the tag in the second. */
export function udpInPieces(ends: Ends, port: number, tag: string): readonly [Buffer, Buffer] {
  const isV6 = ends.to.includes(":");
  const whole = udp(ends, port, "-".repeat(8) + tag).subarray(isV6 ? 54 : 34);
  const [first, second] = [whole.subarray(0, 16), whole.subarray(16)];
  return isV6
    ? [packet(ends, 44, piece6(first, 0, true)), packet(ends, 44, piece6(second, 2, false))]
    : [packet(ends, 17, first, { fragment: 0x2000 }), packet(ends, 17, second, { fragment: 2 })];
}

/** RFC 8200, 4.5; an offset in units of eight bytes. */
function piece6(part: Buffer, offset: number, hasMore: boolean): Buffer {
  const head = Buffer.from([17, 0, 0, 0, 0, 0, 0, 9]);
  head.writeUInt16BE((offset << 3) | (hasMore ? 1 : 0), 2);
  return Buffer.concat([head, part]);
}

/** "Port unreachable", about a frame that came the other way. */
export function unreachable(ends: Ends, about: Buffer): Buffer {
  const isV6 = ends.to.includes(":");
  const head = Buffer.from(isV6 ? [1, 4, 0, 0, 0, 0, 0, 0] : [3, 3, 0, 0, 0, 0, 0, 0]);
  const body = Buffer.concat([head, about.subarray(14)]);
  return packet(ends, isV6 ? 58 : 1, isV6 ? summed(ends, 58, body, 2) : withSum(body, body, 2));
}

/** "Fragmentation needed", about a frame that came the other way. */
export function tooBig(ends: Ends, about: Buffer, mtu: number): Buffer {
  const head = Buffer.from([3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 255]);
  const body = Buffer.concat([head, about.subarray(14)]);
  return packet(ends, 1, withSum(body, body, 2));
}

/** Before it has an address, a host asks whether another has it (RFC 4862, 5.4.2). */
export function solicitation(fromMac: string, target: string): Buffer {
  const low = address(target).subarray(13);
  const to = `ff02::1:ff${low.toString("hex", 0, 1)}:${low.toString("hex", 1)}`;
  const toMac = ["33", "33", "ff", ...(low.toString("hex").match(/../g) ?? [])].join(":");
  const ends = { fromMac, toMac, from: "::", to };
  const body = Buffer.concat([Buffer.from("8700000000000000", "hex"), address(target)]);
  return packet(ends, 58, summed(ends, 58, body, 2), { hops: 255 });
}

/** A header of IPv4 with an option (NOP four times) between it and the ports. */
export function withOptions(frame: Buffer): Buffer {
  const head = Buffer.concat([frame.subarray(14, 34), Buffer.from([1, 1, 1, 1])]);
  head[0] = 0x46;
  head.writeUInt16BE(head.readUInt16BE(2) + 4, 2);
  head.writeUInt16BE(0, 10);
  return Buffer.concat([frame.subarray(0, 14), withSum(head, head, 10), frame.subarray(34)]);
}

/** Counts the header of an IPv4 frame anew, in place: somebody wrote into it. */
export function fixSum(frame: Buffer): void {
  frame.writeUInt16BE(0, 24);
  const head = frame.subarray(14, 34);
  withSum(head, head, 10).copy(frame, 14);
}

/** Any protocol without a header that anybody checks. */
export function raw(ends: Ends, protocol: number, tag: string): Buffer {
  return packet(ends, protocol, Buffer.concat([Buffer.alloc(8, 1), Buffer.from(tag)]));
}

/** A header of IP, and nothing behind it. */
export function empty(ends: Ends, protocol: number): Buffer {
  return packet(ends, protocol, Buffer.alloc(0));
}

/** `claims` is the sender's MAC inside; a tag goes behind it, where Ethernet pads. */
export function arp(ends: Ends, operation: 1 | 2, tag: string, claims = ends.fromMac): Buffer {
  const head = Buffer.from("0001080006040000", "hex");
  head.writeUInt16BE(operation, 6);
  const sender = Buffer.concat([macBytes(claims), address(ends.from)]);
  const target = Buffer.concat([Buffer.alloc(6), address(ends.to)]);
  return Buffer.concat([ethernet(ends, 0x0806), head, sender, target, Buffer.from(tag.padEnd(18))]);
}

/** A neighbour advertisement: this target is at this MAC. */
export function advertisement(ends: Ends, target: string, mac: string): Buffer {
  const head = Buffer.from("8800000020000000", "hex");
  const option = Buffer.concat([Buffer.from("0201", "hex"), macBytes(mac)]);
  return packet(ends, 58, summed(ends, 58, Buffer.concat([head, address(target), option]), 2), { hops: 255 });
}

/** A router advertisement with a lifetime, and nothing else. */
export function routerAdvertisement(ends: Ends): Buffer {
  return packet(ends, 58, summed(ends, 58, Buffer.from("86000000400007080000000000000000", "hex"), 2), { hops: 255 });
}

/** With tags of VLANs behind the addresses, the outermost first: type and number of each. */
export function tagged(frame: Buffer, ...tags: readonly (readonly [type: number, vlan: number])[]): Buffer {
  const heads = tags.map(([type, vlan]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(vlan, 2);
    return head;
  });
  return Buffer.concat([frame.subarray(0, 12), ...heads, frame.subarray(12)]);
}

/** A membership message (RFC 2236), with a tag behind. */
export function igmp(ends: Ends, type: number, tag: string): Buffer {
  const body = Buffer.concat([Buffer.from([type, 100, 0, 0, 0, 0, 0, 0]), Buffer.from(tag)]);
  return packet(ends, 2, withSum(body, body, 2), { hops: 1 });
}

/** With another type, or a length of 802.3. */
export function retyped(frame: Buffer, type: number): Buffer {
  return patched(frame, 12, type >> 8, type & 255);
}

/** With these bytes at that place. */
export function patched(frame: Buffer, at: number, ...bytes: readonly number[]): Buffer {
  const out = Buffer.from(frame);
  out.set(bytes, at);
  return out;
}

/** The same packet behind LLC and SNAP (RFC 1042). */
export function snap(frame: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from("aaaa03000000", "hex"), frame.subarray(12)]);
  return retyped(Buffer.concat([frame.subarray(0, 14), body]), body.length);
}

/** An IPv6 packet of a frame with a header of its own before what it carries. */
function behind6(frame: Buffer, type: number, header: Buffer): Buffer {
  const head = Buffer.from(frame.subarray(0, 54));
  header[0] = head[20] ?? 0;
  head[20] = type;
  head.writeUInt16BE(head.readUInt16BE(18) + header.length, 18);
  return Buffer.concat([head, header, frame.subarray(54)]);
}

/** Behind options for the destination: six bytes of padding. */
export function behindOptions(frame: Buffer): Buffer {
  return behind6(frame, 60, Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]));
}

/** As the only fragment of itself (RFC 6946). */
export function inFragment(frame: Buffer): Buffer {
  return behind6(frame, 44, Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]));
}

/** A router advertisement whose type is in the second fragment, because options fill the first (RFC 7112). */
export function hiddenHeaders(ends: Ends, tag: string): readonly Buffer[] {
  const whole = behind6(icmp(ends, 134, tag), 60, Buffer.from([0, 1, 1, 12, ...Buffer.alloc(12)]));
  const [first, second] = [whole.subarray(54, 62), whole.subarray(62)];
  const piece = (part: Buffer, offset: number) => Buffer.from([60, 0, 0, offset, 0, 0, 0, 5, ...part]);
  return [packet(ends, 44, piece(first, 1)), packet(ends, 44, piece(second, 8))];
}

/** An IPv4 packet of a frame in pieces of so many bytes behind its header, a multiple of eight. */
export function inPieces(frame: Buffer, size: number): Buffer[] {
  const body = frame.subarray(34);
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) => {
    const part = body.subarray(i * size, (i + 1) * size);
    const head = Buffer.from(frame.subarray(14, 34));
    head.writeUInt16BE(20 + part.length, 2);
    head.writeUInt16BE(((i + 1) * size < body.length ? 0x2000 : 0) | ((i * size) >> 3), 6);
    head.writeUInt16BE(0, 10);
    return Buffer.concat([frame.subarray(0, 14), withSum(head, head, 10), part]);
  });
}

function ethernet({ fromMac, toMac }: Ends, type: number): Buffer {
  const end = Buffer.alloc(2);
  end.writeUInt16BE(type);
  return Buffer.concat([macBytes(toMac), macBytes(fromMac), end]);
}

/** `fragment` is the field of IPv4 with flags and offset. */
export function packet(
  ends: Ends,
  protocol: number,
  payload: Buffer,
  { hops = 64, fragment = 0 }: { readonly hops?: number; readonly fragment?: number } = {},
): Buffer {
  if (ends.to.includes(":")) {
    const head = Buffer.alloc(8);
    head[0] = 0x60;
    head.writeUInt16BE(payload.length, 4);
    head[6] = protocol;
    head[7] = hops;
    return Buffer.concat([ethernet(ends, 0x86dd), head, address(ends.from), address(ends.to), payload]);
  }
  const head = Buffer.alloc(12);
  head[0] = 0x45;
  head.writeUInt16BE(20 + payload.length, 2);
  head.writeUInt16BE(9, 4);
  head.writeUInt16BE(fragment, 6);
  head[8] = hops;
  head[9] = protocol;
  const whole = Buffer.concat([head, address(ends.from), address(ends.to)]);
  return Buffer.concat([ethernet(ends, 0x0800), withSum(whole, whole, 10), payload]);
}

/** With the checksum of the transport, which covers the addresses as well. */
function summed(ends: Ends, protocol: number, body: Buffer, at: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(body.length, 0);
  tail.writeUInt32BE(protocol, 4);
  return withSum(body, Buffer.concat([address(ends.from), address(ends.to), tail, body]), at);
}

/** RFC 1071 over `covered`, written into `body`. */
function withSum(body: Buffer, covered: Buffer, at: number): Buffer {
  const out = Buffer.from(body);
  out.writeUInt16BE(checksum(covered), at);
  return out;
}

/** RFC 1071, of what has zeros where it will stand. */
export function checksum(covered: Buffer): number {
  return ~sumOf(covered) & 0xffff;
}

function sumOf(covered: Buffer): number {
  let sum = 0;
  for (let i = 0; i < covered.length; i += 2) sum += ((covered[i] ?? 0) << 8) | (covered[i + 1] ?? 0);
  return folded(sum);
}

function folded(sum: number): number {
  return sum > 0xffff ? folded((sum & 0xffff) + (sum >>> 16)) : sum;
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/** 4 or 16 bytes in network order: what is on a wire. */
export function ipBytes({ family, value }: Ip): Buffer {
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex");
}

export function address(text: string): Buffer {
  const ip = ipOf(text);
  if (ip === undefined) throw new Error(`${text} is not an address`);
  return ipBytes(ip);
}
