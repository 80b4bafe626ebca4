// rtnetlink's table entries: addresses, routes, neighbours, FDB entries. How to ask for them and read them; the kinds
// say which are Weft's, and how they are made.
import { type Ip, interfaceOf } from "../../model/address.ts";
import { EINVAL, Refused, refusalOf } from "../errno.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, ipTextAt, macAt } from "./wire.ts";

/** The number of an address family: AF_INET, AF_INET6. */
export function familyNumber(ip: Ip): number {
  return ip.family === 4 ? k.AF_INET : k.AF_INET6;
}

type Ndmsg = { readonly family: number; readonly index?: number; readonly state?: number; readonly flags?: number };

/** struct ndmsg, the fixed part of neighbours and FDB entries: family, interface, state, flags, type. */
export function ndmsg(w: MessageWriter, { family, index = 0, state = 0, flags = 0 }: Ndmsg): void {
  w.u32(family);
  w.u32(index);
  w.u16(state);
  w.u8(flags);
  w.u8(0);
}

/** An address with a length; objects carry canonical text, so anything else is refused as the kernel would. */
export function interfaceIn(text: string): NonNullable<ReturnType<typeof interfaceOf>> {
  const spread = interfaceOf(text);
  if (spread === undefined) throw new Refused(refusalOf(EINVAL, `"${text}" is not an address with a length`));
  return spread;
}

/** The fixed part of a request for all addresses, routes of one protocol, neighbours, or FDB entries. */
export function allAddresses(w: MessageWriter): void {
  w.u32(k.AF_UNSPEC);
  w.u32(0);
}
/** Of one link, in the namespace that the asking one knows by this id; without an id, in the asking one. */
export function addressesOfLink(w: MessageWriter, index: number, nsid: number | undefined): void {
  w.u32(k.AF_UNSPEC);
  w.u32(index);
  if (nsid !== undefined) w.attrU32(k.IFA_TARGET_NETNSID, nsid);
}
/**
 * Of both families and all tables; protocol 0: any. A filter by table would be refused (ENOENT) while the namespace has
 * no IPv4 route yet.
 */
export function allRoutes(w: MessageWriter, protocol: number): void {
  w.u32(k.AF_UNSPEC);
  w.u8(0);
  w.u8(protocol);
  w.u16(0);
  w.u32(0);
}
/** The route that a packet to this address takes. */
export function routeTo(w: MessageWriter, dst: Ip): void {
  w.u8(familyNumber(dst));
  w.u8(dst.family === 4 ? 32 : 128);
  w.u16(0);
  w.u32(0);
  w.u32(0);
  w.attrIp(k.RTA_DST, dst);
}
export function oneNeighbour(w: MessageWriter, index: number, ip: Ip): void {
  ndmsg(w, { family: familyNumber(ip), index });
  w.attrIp(k.NDA_DST, ip);
}
export function allNeighbours(w: MessageWriter): void {
  ndmsg(w, { family: k.AF_UNSPEC });
}
/** Of one tunnel. */
export function fdbOf(w: MessageWriter, tunnel: number): void {
  ndmsg(w, { family: k.AF_BRIDGE });
  w.attrU32(k.NDA_IFINDEX, tunnel);
}
/** Of one bridge, and its tunnel's own: the kernel walks the bridge's once per port. */
export function fdbIn(w: MessageWriter, bridge: number): void {
  ndmsg(w, { family: k.AF_BRIDGE });
  w.attrU32(k.NDA_MASTER, bridge);
}

export type AddressInfo = {
  readonly index: number;
  readonly ip: string;
  readonly length: number;
  readonly isPermanent: boolean;
  /** Who made it: 0 unknown, 1-3 the kernel (loopback, router advertisement, link-local), 87 Weft. */
  readonly protocol: number;
};

export function readAddress({ bytes, start, end }: Received): AddressInfo {
  let ip = "";
  let local = "";
  let flags = bytes[start + 2] ?? 0;
  let protocol = 0;
  eachAttribute(bytes, start + 8, end, (type, from, to) => {
    if (type === k.IFA_ADDRESS) ip = ipTextAt(bytes, from, to);
    else if (type === k.IFA_LOCAL) local = ipTextAt(bytes, from, to);
    else if (type === k.IFA_FLAGS) flags = bytes.readUInt32LE(from);
    else if (type === k.IFA_PROTO) protocol = bytes[from] ?? 0;
  });
  return {
    index: bytes.readUInt32LE(start + 4),
    ip: local === "" ? ip : local,
    length: bytes[start + 1] ?? 0,
    isPermanent: (flags & k.IFA_F_PERMANENT) !== 0,
    protocol,
  };
}

export type RouteInfo = {
  readonly index: number;
  readonly dst: string;
  readonly via: string;
  readonly src: string;
  readonly onlink: boolean;
  readonly metric: number;
  readonly protocol: number;
  readonly table: number;
  readonly isUnicast: boolean;
};

/** Empty text for what the route does not have. */
export function readRoute({ bytes, start, end }: Received): RouteInfo {
  const length = bytes[start + 1] ?? 0;
  let dst = bytes[start] === k.AF_INET ? "0.0.0.0" : "::";
  let via = "";
  let src = "";
  let index = 0;
  let metric = 0;
  eachAttribute(bytes, start + 12, end, (type, from, to) => {
    if (type === k.RTA_DST) dst = ipTextAt(bytes, from, to);
    else if (type === k.RTA_GATEWAY) via = ipTextAt(bytes, from, to);
    // struct rtvia: a family before the address, which is of another than the route's.
    else if (type === k.RTA_VIA) via = ipTextAt(bytes, from + 2, to);
    else if (type === k.RTA_PREFSRC) src = ipTextAt(bytes, from, to);
    else if (type === k.RTA_OIF) index = bytes.readUInt32LE(from);
    else if (type === k.RTA_PRIORITY) metric = bytes.readUInt32LE(from);
  });
  return {
    index,
    metric,
    dst: `${dst}/${length}`,
    via,
    src,
    table: bytes[start + 4] ?? 0,
    protocol: bytes[start + 5] ?? 0,
    isUnicast: bytes[start + 7] === k.RTN_UNICAST,
    onlink: (bytes.readUInt32LE(start + 8) & k.RTNH_F_ONLINK) !== 0,
  };
}

/** A neighbour or an FDB entry: the kernel keeps both in one table format. Empty text for what is absent. */
export type NeighbourInfo = {
  readonly family: number;
  readonly index: number;
  readonly state: number;
  readonly flags: number;
  readonly ip: string;
  readonly mac: string;
  /** Who made it; 0 unknown. */
  readonly protocol: number;
};

export function readNeighbour({ bytes, start, end }: Received): NeighbourInfo {
  let ip = "";
  let mac = "";
  let protocol = 0;
  eachAttribute(bytes, start + 12, end, (type, from, to) => {
    if (type === k.NDA_DST) ip = ipTextAt(bytes, from, to);
    else if (type === k.NDA_LLADDR && to - from === 6) mac = macAt(bytes, from);
    else if (type === k.NDA_PROTOCOL) protocol = bytes[from] ?? 0;
  });
  return {
    family: bytes[start] ?? 0,
    index: bytes.readInt32LE(start + 4),
    state: bytes.readUInt16LE(start + 8),
    flags: bytes[start + 10] ?? 0,
    ip,
    mac,
    protocol,
  };
}
