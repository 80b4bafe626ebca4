// What the host itself has on a device, read so that it can be put on another one: addresses, routes of all tables, and
// neighbours. Not what the kernel makes by itself with a device or an address, nor what is Weft's.
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import { cidrAround, formatCidr, interfaceOf } from "../../model/address.ts";
import * as k from "../netlink/constants.ts";
import { allNeighbours } from "../netlink/entry.ts";
import { ifinfo, linkByName } from "../netlink/link.ts";
import type { NetlinkSocket, Question } from "../netlink/socket.ts";
import {
  type Layout,
  type Received,
  copyAt,
  eachAttribute,
  fill,
  i32At,
  ipTextAt,
  textAt,
  u16At,
  u32At,
  u8At,
} from "../netlink/wire.ts";
import { FOREVER_S, type HostUse, type UsedAddress, type UsedNeighbour, type UsedRoute } from "./types.ts";

/** Neighbours that are copied: those that are lost the kernel asks for again. */
const NEIGHBOURS_MOST = 1_024;

/** Undefined if there is no such device. */
export function hostUseOf(socket: NetlinkSocket, device: string): HostUse | undefined {
  const link = socket.ask(linkByName(device));
  if (link === undefined) return undefined;
  const { index, mac } = link;
  const everywhere = socket.list(addresses);
  const all = everywhere.filter((one) => one.index === index && !isLinkLocal(one.cidr));
  const used = all.filter(isHosts);
  const routes = socket.list(usedRoutes, (one) => one.indexes.includes(index) && isMovable(one));
  const comesWith = (route: UsedRoute, some: readonly UsedAddress[]) => some.some((one) => isWithAddress(route, one));
  const bare = ({ indexes: _, ...route }: (typeof routes)[number]): UsedRoute => route;
  return {
    device,
    index,
    mac,
    rpFilter: socket.ask(rpFilterOf(index)) ?? 0,
    addresses: used.map(({ index: _, ...address }) => address),
    routes: routes.filter((route) => !comesWith(route, all)).map(bare),
    connected: routes.filter((route) => comesWith(route, used)).map(bare),
    neighbours: neighboursOn(socket, index),
    // That of the loopback is the kernel's.
    keepsProtocols: everywhere.some(({ protocol }) => protocol !== 0),
  };
}

/** Temporary ones the kernel makes anew on a device with the address that they hang on. */
function isHosts({ protocol, flags, cidr }: UsedAddress): boolean {
  const isTemporary = cidr.includes(":") && (flags & k.IFA_F_TEMPORARY) !== 0;
  return protocol !== WEFT_PROTOCOL && !isTemporary;
}

/** The route to the addresses around it, which comes and goes with an address. */
function isWithAddress({ dst, via, protocol }: UsedRoute, { cidr, flags, peer }: UsedAddress): boolean {
  if (protocol !== k.RTPROT_KERNEL || via !== "" || (flags & k.IFA_F_NOPREFIXROUTE) !== 0) return false;
  return dst === prefixOf(cidr, peer);
}

/** What the kernel makes a route to with an address. */
function prefixOf(cidr: string, peer: string): string | undefined {
  const length = cidr.slice(cidr.indexOf("/"));
  const spread = interfaceOf(`${peer}${length}`);
  const around = spread === undefined ? undefined : cidrAround(spread.ip, spread.length);
  return around === undefined ? undefined : formatCidr(around);
}

function isMovable({ table, dst, protocol }: UsedRoute): boolean {
  if (table === k.RT_TABLE_LOCAL || protocol === WEFT_PROTOCOL) return false;
  return !isLinkLocal(dst) && !dst.startsWith("ff");
}

function isLinkLocal(text: string): boolean {
  return /^fe[89ab]/.test(text);
}

const KNOWN = k.NUD_REACHABLE | k.NUD_STALE | k.NUD_DELAY | k.NUD_PROBE | k.NUD_PERMANENT;

function neighboursOn(socket: NetlinkSocket, index: number): readonly UsedNeighbour[] {
  const isUsed = (state: number, mac: string, ip: string) => (state & KNOWN) !== 0 && mac !== "" && ip !== "";
  return socket
    .list(allNeighbours, (one) => one.index === index && isUsed(one.state, one.mac, one.ip))
    .slice(0, NEIGHBOURS_MOST)
    .map(({ ip, mac, state, protocol }) => ({
      ip,
      mac,
      isPermanent: (state & k.NUD_PERMANENT) !== 0 && protocol !== WEFT_PROTOCOL,
    }));
}

type AddressRead = Omit<UsedAddress, "cidr"> & { readonly ip: string };
const NO_LIFETIME = { preferredS: FOREVER_S, validS: FOREVER_S };
const ADDRESS: Layout<AddressRead & { readonly lifetimes: typeof NO_LIFETIME }> = {
  [k.IFA_ADDRESS]: ["peer", ipTextAt],
  [k.IFA_LOCAL]: ["ip", ipTextAt],
  [k.IFA_BROADCAST]: ["broadcast", ipTextAt],
  [k.IFA_LABEL]: ["label", textAt],
  [k.IFA_FLAGS]: ["flags", u32At],
  [k.IFA_RT_PRIORITY]: ["metric", u32At],
  [k.IFA_PROTO]: ["protocol", u8At],
  // struct ifa_cacheinfo: preferred, valid, and when it was made and changed.
  [k.IFA_CACHEINFO]: [
    "lifetimes",
    (bytes, start) => ({ preferredS: u32At(bytes, start), validS: u32At(bytes, start + 4) }),
  ],
};

const addresses: Question<UsedAddress & { readonly index: number }> = {
  type: k.RTM_GETADDR,
  write(w) {
    w.u32(k.AF_UNSPEC);
    w.u32(0);
  },
  read: readUsedAddress,
};

function readUsedAddress(message: Received): UsedAddress & { readonly index: number } {
  const { bytes, start } = message;
  const unread = { ip: "", peer: "", broadcast: "", label: "", flags: 0, metric: 0, protocol: 0 };
  const { ip, lifetimes, ...read } = fill(
    { ...unread, ...NO_LIFETIME, scope: u8At(bytes, start + 3), lifetimes: NO_LIFETIME },
    ADDRESS,
    message,
    8,
  );
  const own = ip === "" ? read.peer : ip;
  return { ...read, ...lifetimes, cidr: `${own}/${u8At(bytes, start + 1)}`, index: u32At(bytes, start + 4) };
}

type RouteRead = { dst: string; via: string; table: number; metric: number; nexthopId: number };
const ROUTE: Layout<RouteRead> = {
  [k.RTA_DST]: ["dst", ipTextAt],
  [k.RTA_GATEWAY]: ["via", ipTextAt],
  [k.RTA_VIA]: ["via", (bytes, start, end) => ipTextAt(bytes, start + 2, end)],
  [k.RTA_TABLE]: ["table", u32At],
  [k.RTA_PRIORITY]: ["metric", u32At],
  [k.RTA_NH_ID]: ["nexthopId", u32At],
};

const usedRoutes: Question<UsedRoute & { readonly indexes: readonly number[] }> = {
  type: k.RTM_GETROUTE,
  write(w) {
    w.u32(k.AF_UNSPEC);
    w.u32(0);
    w.u32(0);
  },
  read: readUsedRoute,
};

/** IPv6 addresses that the kernel takes packets to by this link. */
export function ownAddresses(index: number): Question<string> {
  return {
    type: k.RTM_GETROUTE,
    write(w) {
      w.u8s(k.AF_INET6, 0, 0, 0);
      w.u8s(k.RT_TABLE_LOCAL, 0, 0, 0);
      w.u32(0);
      w.attrU32(k.RTA_OIF, index);
    },
    read: (message) => fill({ ip: "" }, OWN, message, 12).ip,
  };
}
const OWN: Layout<{ ip: string }> = { [k.RTA_DST]: ["ip", ipTextAt] };

/** `indexes`: of all links that it leads to. */
export function readUsedRoute(message: Received): UsedRoute & { readonly indexes: readonly number[] } {
  const { bytes, start, end } = message;
  const none = bytes[start] === k.AF_INET ? "0.0.0.0" : "::";
  const unread = { dst: none, via: "", table: u8At(bytes, start + 4), metric: 0, nexthopId: 0 };
  const { dst, nexthopId, ...read } = fill<RouteRead>(unread, ROUTE, message, 12);
  const indexes: number[] = [];
  eachAttribute(bytes, start + 12, end, (type, from, to) => {
    if (type === k.RTA_OIF) indexes.push(i32At(bytes, from));
    if (type === k.RTA_MULTIPATH) eachNexthop(bytes, from, to, (at) => indexes.push(i32At(bytes, at + 4)));
  });
  return {
    ...read,
    dst: `${dst}/${u8At(bytes, start + 1)}`,
    tos: u8At(bytes, start + 3),
    protocol: u8At(bytes, start + 5),
    hasNexthopId: nexthopId !== 0,
    body: copyAt(bytes, start, end).toString("hex"),
    indexes,
  };
}

/** Every struct rtnexthop: length, flags, hops, index; attributes follow. */
export function eachNexthop(bytes: Buffer, from: number, to: number, visit: (at: number) => void): void {
  for (let at = from; at + 8 <= to; ) {
    const size = u16At(bytes, at);
    if (size < 8) return;
    visit(at);
    at += (size + 3) & ~3;
  }
}

function linkQuestion<T>(index: number, read: (message: Received) => T): Question<T> {
  return {
    type: k.RTM_GETLINK,
    write(w) {
      ifinfo(w, k.AF_UNSPEC, index, 0);
      w.attrU32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
    },
    read,
  };
}

/** IFLA_INET_CONF is an array of all numbers, the one of number 1 first (inet_fill_link_af). */
const RP_FILTER: Layout<{ value: number }> = {
  [k.IFLA_AF_SPEC]: {
    [k.AF_INET]: {
      [k.IFLA_INET_CONF]: ["value", (bytes, start) => u32At(bytes, start + 4 * (k.IPV4_DEVCONF_RP_FILTER - 1))],
    },
  },
};

function rpFilterOf(index: number): Question<number> {
  return linkQuestion(index, (message) => fill({ value: 0 }, RP_FILTER, message, 16).value);
}

/** Whether what is sent by it leaves. */
export function isRunning(index: number): Question<boolean> {
  return linkQuestion(index, ({ bytes, start }) => (u32At(bytes, start + 8) & k.IFF_RUNNING) !== 0);
}
