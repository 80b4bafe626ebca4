// rtnetlink's table entries: addresses, routes, neighbours, FDB entries. How to ask for one, delete it, and read it.
// Which of them are Weft's is decided elsewhere.
import type { Ip } from "../../model/address.ts";
import { WEFT_PROTOCOL } from "../../datapath/kinds/mark.ts";
import { WEFT_ROUTE_METRIC } from "../../datapath/kinds/route.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, ipTextAt, macAt } from "./wire.ts";

/** create: refused if it is there; replace: made, or made so; append: one more of a set; delete. */
export type Verb = "create" | "replace" | "append" | "delete";
const FLAGS: Readonly<Record<Verb, number>> = {
  create: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL,
  replace: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_REPLACE,
  append: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_APPEND,
  delete: k.NLM_F_REQUEST,
};

/** The number of an address family: AF_INET, AF_INET6. */
function familyNumber(ip: Ip): number {
  return ip.family === 4 ? k.AF_INET : k.AF_INET6;
}

/**
 * An address; IPv6 without duplicate address detection. It carries our protocol number, where the kernel keeps one
 * (5.18).
 */
export function address(w: MessageWriter, seq: number, verb: Verb, index: number, ip: Ip, length: number): void {
  w.begin(verb === "delete" ? k.RTM_DELADDR : k.RTM_NEWADDR, FLAGS[verb], seq);
  w.u8(familyNumber(ip));
  w.u8(length);
  w.u8(ip.family === 6 && verb !== "delete" ? k.IFA_F_NODAD : 0);
  w.u8(k.RT_SCOPE_UNIVERSE);
  w.u32(index);
  w.attrIp(k.IFA_LOCAL, ip);
  w.attrIp(k.IFA_ADDRESS, ip);
  if (verb !== "delete") w.attrU8(k.IFA_PROTO, WEFT_PROTOCOL);
  w.end();
}

export type RouteRequest = {
  readonly index: number;
  readonly dst: Ip;
  readonly length: number;
  readonly via?: Ip;
  readonly src?: Ip;
  readonly onlink: boolean;
  /** Default: ours. */
  readonly metric?: number;
};

/**
 * A unicast route of the main table with our protocol number and metric; deleting matches both, so never somebody
 * else's. A metric of 0 in a deletion means any, and takes the least, which is the one of 0 if there is one.
 */
export function route(w: MessageWriter, seq: number, verb: Verb, request: RouteRequest): void {
  const { dst, via, src, metric = WEFT_ROUTE_METRIC } = request;
  w.begin(verb === "delete" ? k.RTM_DELROUTE : k.RTM_NEWROUTE, FLAGS[verb], seq);
  w.u8(familyNumber(dst));
  w.u8(request.length);
  w.u8(0);
  w.u8(0);
  w.u8(k.RT_TABLE_MAIN);
  w.u8(WEFT_PROTOCOL);
  // IPv4 wants to hear that nobody is in between; IPv6 does not look.
  w.u8(dst.family === 4 && via === undefined ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE);
  w.u8(k.RTN_UNICAST);
  w.u32(request.onlink && verb !== "delete" ? k.RTNH_F_ONLINK : 0);
  if (request.length > 0) w.attrIp(k.RTA_DST, dst);
  w.attrU32(k.RTA_OIF, request.index);
  w.attrU32(k.RTA_PRIORITY, metric);
  if (via !== undefined) w.attrIp(k.RTA_GATEWAY, via);
  if (src !== undefined) w.attrIp(k.RTA_PREFSRC, src);
  w.end();
}

/** struct ndmsg: family, interface, state, flags, type. */
function ndmsg(w: MessageWriter, family: number, index: number, state: number, flags: number): void {
  w.u32(family);
  w.u32(index);
  w.u16(state);
  w.u8(flags);
  w.u8(0);
}

/** A permanent neighbour. `mac` is not needed to delete it. */
export function neighbour(w: MessageWriter, seq: number, verb: Verb, index: number, ip: Ip, mac: string): void {
  w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], seq);
  ndmsg(w, familyNumber(ip), index, k.NUD_PERMANENT, 0);
  w.attrIp(k.NDA_DST, ip);
  if (verb !== "delete") w.attrMac(k.NDA_LLADDR, mac);
  w.end();
}

/**
 * A neighbour that the kernel is to find and to keep (5.16; from 5.0 on, it keeps what is found when somebody sends).
 * Neither counted nor collected (neigh_alloc, neigh_update_gc_list).
 */
export function nextHop(w: MessageWriter, seq: number, verb: "create" | "delete", index: number, ip: Ip): void {
  w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, k.NLM_F_REQUEST | k.NLM_F_CREATE, seq);
  ndmsg(w, familyNumber(ip), index, 0, k.NTF_EXT_LEARNED);
  w.attrIp(k.NDA_DST, ip);
  w.attrU8(k.NDA_PROTOCOL, WEFT_PROTOCOL);
  w.attrU32(k.NDA_FLAGS_EXT, k.NTF_EXT_MANAGED);
  w.end();
}

/** An entry of a VXLAN device: the host behind a MAC. */
export function tunnelFdb(w: MessageWriter, seq: number, verb: Verb, index: number, mac: string, dst: Ip): void {
  w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], seq);
  ndmsg(w, k.AF_BRIDGE, index, k.NUD_PERMANENT | k.NUD_NOARP, k.NTF_SELF);
  w.attrIp(k.NDA_DST, dst);
  w.attrMac(k.NDA_LLADDR, mac);
  w.end();
}

/** An entry of a bridge: the port behind a MAC. It never ages, and no frame moves it: only the next of these does. */
export function bridgeFdb(w: MessageWriter, seq: number, verb: Verb, index: number, mac: string): void {
  w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], seq);
  ndmsg(w, k.AF_BRIDGE, index, k.NUD_NOARP, verb === "delete" ? k.NTF_MASTER : k.NTF_MASTER | k.NTF_STICKY);
  w.attrMac(k.NDA_LLADDR, mac);
  w.end();
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
  ndmsg(w, familyNumber(ip), index, 0, 0);
  w.attrIp(k.NDA_DST, ip);
}
export function allNeighbours(w: MessageWriter): void {
  ndmsg(w, k.AF_UNSPEC, 0, 0, 0);
}
/** Of one tunnel. */
export function fdbOf(w: MessageWriter, tunnel: number): void {
  ndmsg(w, k.AF_BRIDGE, 0, 0, 0);
  w.attrU32(k.NDA_IFINDEX, tunnel);
}
/** Of one bridge, and its tunnel's own: the kernel walks the bridge's once per port. */
export function fdbIn(w: MessageWriter, bridge: number): void {
  ndmsg(w, k.AF_BRIDGE, 0, 0, 0);
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
