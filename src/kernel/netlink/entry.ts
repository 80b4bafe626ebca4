// rtnetlink's table entries: addresses, routes, neighbours, FDB entries. How to ask for them and read them; the kinds
// say which are Weft's, and how they are made.
import { type Ip, interfaceOf } from "../../model/address.ts";
import { EINVAL, Refused, refusalOf } from "../errno.ts";
import * as k from "./constants.ts";
import type { Question } from "./socket.ts";
import {
  type Layout,
  type MessageWriter,
  type Received,
  fill,
  i32At,
  ipTextAt,
  macAt,
  u16At,
  u32At,
  u8At,
} from "./wire.ts";

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

export type AddressInfo = {
  readonly index: number;
  readonly ip: string;
  readonly length: number;
  readonly isPermanent: boolean;
  /** Who made it: 0 unknown, 1-3 the kernel (loopback, router advertisement, link-local), 87 Weft. */
  readonly protocol: number;
};

const ADDRESS: Layout<{ ip: string; local: string; flags: number; protocol: number }> = {
  [k.IFA_ADDRESS]: ["ip", ipTextAt],
  [k.IFA_LOCAL]: ["local", ipTextAt],
  [k.IFA_FLAGS]: ["flags", u32At],
  [k.IFA_PROTO]: ["protocol", u8At],
};

/** Of a link that has a peer's address, too, its own. */
export function readAddress(message: Received): AddressInfo {
  const { bytes, start } = message;
  const unread = { ip: "", local: "", flags: u8At(bytes, start + 2), protocol: 0 };
  const { ip, local, flags, protocol } = fill(unread, ADDRESS, message, 8);
  return {
    index: u32At(bytes, start + 4),
    ip: local === "" ? ip : local,
    length: u8At(bytes, start + 1),
    isPermanent: (flags & k.IFA_F_PERMANENT) !== 0,
    protocol,
  };
}

export const allAddresses = addressesOfLink(0);
/** Of one link, in the namespace that the asking one knows by this id; without an id, in the asking one. */
export function addressesOfLink(index: number, nsid?: number): Question<AddressInfo> {
  return {
    type: k.RTM_GETADDR,
    write(w) {
      w.u32(k.AF_UNSPEC);
      w.u32(index);
      if (nsid !== undefined) w.attrU32(k.IFA_TARGET_NETNSID, nsid);
    },
    read: readAddress,
  };
}

export type RouteInfo = {
  readonly index: number;
  readonly dst: string;
  readonly via: string;
  readonly src: string;
  readonly onlink: boolean;
  readonly metric: number;
  /** 0 if the route has none. */
  readonly mtu: number;
  readonly protocol: number;
  readonly table: number;
  readonly isUnicast: boolean;
};

const ROUTE: Layout<{ dst: string; via: string; src: string; index: number; metric: number; mtu: number }> = {
  [k.RTA_DST]: ["dst", ipTextAt],
  [k.RTA_GATEWAY]: ["via", ipTextAt],
  // struct rtvia: a family before the address, which is of another than the route's.
  [k.RTA_VIA]: ["via", (bytes, start, end) => ipTextAt(bytes, start + 2, end)],
  [k.RTA_PREFSRC]: ["src", ipTextAt],
  [k.RTA_OIF]: ["index", u32At],
  [k.RTA_PRIORITY]: ["metric", u32At],
  [k.RTA_METRICS]: { [k.RTAX_MTU]: ["mtu", u32At] },
};

/** Empty text for what the route does not have. */
export function readRoute(message: Received): RouteInfo {
  const { bytes, start } = message;
  const none = bytes[start] === k.AF_INET ? "0.0.0.0" : "::";
  const route = fill({ dst: none, via: "", src: "", index: 0, metric: 0, mtu: 0 }, ROUTE, message, 12);
  return {
    ...route,
    dst: `${route.dst}/${u8At(bytes, start + 1)}`,
    table: u8At(bytes, start + 4),
    protocol: u8At(bytes, start + 5),
    isUnicast: bytes[start + 7] === k.RTN_UNICAST,
    onlink: (u32At(bytes, start + 8) & k.RTNH_F_ONLINK) !== 0,
  };
}

/**
 * Of both families and all tables; protocol 0: any. A filter by table would be refused (ENOENT) while the namespace has
 * no IPv4 route yet.
 */
export function allRoutes(protocol: number): Question<RouteInfo> {
  return {
    type: k.RTM_GETROUTE,
    write(w) {
      w.u32(k.AF_UNSPEC);
      w.u8s(0, protocol, 0, 0);
      w.u32(0);
    },
    read: readRoute,
  };
}

/** The route that a packet to this address takes. */
export function routeTo(dst: Ip): Question<RouteInfo> {
  return {
    type: k.RTM_GETROUTE,
    write(w) {
      w.u8s(familyNumber(dst), dst.family === 4 ? 32 : 128, 0, 0);
      w.u32(0);
      w.u32(0);
      w.attrIp(k.RTA_DST, dst);
    },
    read: readRoute,
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

const NEIGHBOUR: Layout<NeighbourInfo> = {
  [k.NDA_DST]: ["ip", ipTextAt],
  [k.NDA_LLADDR]: ["mac", macAt],
  [k.NDA_PROTOCOL]: ["protocol", u8At],
};

export function readNeighbour(message: Received): NeighbourInfo {
  const { bytes, start } = message;
  const fixed = {
    family: u8At(bytes, start),
    index: i32At(bytes, start + 4),
    state: u16At(bytes, start + 8),
    flags: u8At(bytes, start + 10),
  };
  return fill<NeighbourInfo>({ ...fixed, ip: "", mac: "", protocol: 0 }, NEIGHBOUR, message, 12);
}

function neighbours(fixed: Ndmsg, attributes?: (w: MessageWriter) => void): Question<NeighbourInfo> {
  return {
    type: k.RTM_GETNEIGH,
    write(w) {
      ndmsg(w, fixed);
      attributes?.(w);
    },
    read: readNeighbour,
  };
}

export const allNeighbours = neighbours({ family: k.AF_UNSPEC });
export function oneNeighbour(index: number, ip: Ip): Question<NeighbourInfo> {
  return neighbours({ family: familyNumber(ip), index }, (w) => w.attrIp(k.NDA_DST, ip));
}
/** The FDB of one tunnel. */
export function fdbOf(tunnel: number): Question<NeighbourInfo> {
  return neighbours({ family: k.AF_BRIDGE }, (w) => w.attrU32(k.NDA_IFINDEX, tunnel));
}
/** That of one bridge, and its tunnel's own: the kernel walks the bridge's once per port. */
export function fdbIn(bridge: number): Question<NeighbourInfo> {
  return neighbours({ family: k.AF_BRIDGE }, (w) => w.attrU32(k.NDA_MASTER, bridge));
}
