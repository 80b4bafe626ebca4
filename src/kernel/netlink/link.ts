// rtnetlink's links: how to change, group and delete them, ask for them and read them. Interface indexes in, messages
// out; the kinds say how links are made, and which are Weft's.
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, macAt, textAt } from "./wire.ts";

export const CREATE = k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL;

/** struct ifinfomsg: padding, type 0, index, flags, change mask. */
export function ifinfo(w: MessageWriter, family: number, index: number, flags: number): void {
  w.u32(family);
  w.u32(index);
  w.u32(flags);
  w.u32(flags);
}

export type NewLink = { readonly index: number; readonly name: string; readonly mac: string; readonly mtu: number };

/** Of a link, or of one end of a pair, that is to have one queue; with `mac` empty the kernel chooses one. */
export function newLinkAttributes(w: MessageWriter, end: Omit<NewLink, "index">): void {
  w.attrText(k.IFLA_IFNAME, end.name);
  if (end.mac !== "") w.attrMac(k.IFLA_ADDRESS, end.mac);
  w.attrU32(k.IFLA_MTU, end.mtu);
  w.attrU32(k.IFLA_NUM_TX_QUEUES, 1);
  w.attrU32(k.IFLA_NUM_RX_QUEUES, 1);
}

/** What changes; the link is also brought up. `master` 0 takes it out of its bridge. */
export type LinkChange = {
  readonly alias?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly master?: number;
  /** Turns `net.ipv4.conf.<link>.forwarding` on; IPv6 asks the namespace, not the link (ip6_forward). */
  readonly forwards?: true;
};

export function setLink(w: MessageWriter, seq: number, index: number, change: LinkChange): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  if (change.alias !== undefined) w.attrText(k.IFLA_IFALIAS, change.alias);
  if (change.mtu !== undefined) w.attrU32(k.IFLA_MTU, change.mtu);
  if (change.mac !== undefined) w.attrMac(k.IFLA_ADDRESS, change.mac);
  if (change.master !== undefined) w.attrU32(k.IFLA_MASTER, change.master);
  if (change.forwards === true) {
    const conf = () => w.attrU32(k.IPV4_DEVCONF_FORWARDING, 1);
    w.nest(k.IFLA_AF_SPEC, () => w.nest(k.AF_INET, () => w.nest(k.IFLA_INET_CONF, conf)));
  }
  w.end();
}

export function setDown(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  w.u32(k.AF_UNSPEC);
  w.u32(index);
  w.u32(0);
  w.u32(k.IFF_UP);
  w.end();
}

/** A link's name and traffic, seen from the far end of a pair: what a port receives, its workload has sent. */
export function readTraffic({ bytes, start, end }: Received) {
  const traffic = { name: "", sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 };
  eachAttribute(bytes, start + 16, end, (type, from, to) => {
    if (type === k.IFLA_IFNAME) traffic.name = textAt(bytes, from, to);
    if (type !== k.IFLA_STATS64) return;
    // struct rtnl_link_stats64: packets in, packets out, bytes in, bytes out.
    const at = (i: number) => Number(bytes.readBigUInt64LE(from + 8 * i));
    traffic.sentPackets = at(0);
    traffic.receivedPackets = at(1);
    traffic.sentBytes = at(2);
    traffic.receivedBytes = at(3);
  });
  return traffic;
}

export function setGroup(w: MessageWriter, seq: number, index: number, group: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrU32(k.IFLA_GROUP, group);
  w.end();
}

/** Deletes all links of a group, at the price of one: the kernel waits for RCU once (15-20 ms) and not per link. */
export function deleteGroup(w: MessageWriter, seq: number, group: number): void {
  w.begin(k.RTM_DELLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, 0, 0);
  w.attrU32(k.IFLA_GROUP, group);
  w.end();
}

/** The fixed part and attributes of a question for one link by name, to follow RTM_GETLINK. */
export function linkByName(w: MessageWriter, name: string): void {
  ifinfo(w, k.AF_UNSPEC, 0, 0);
  w.attrU32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  w.attrText(k.IFLA_IFNAME, name);
}

/** One link by index, in the namespace that the asking one knows by this id; without an id, in the asking one. */
export function linkByIndex(w: MessageWriter, index: number, nsid: number | undefined): void {
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrU32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  if (nsid !== undefined) w.attrU32(k.IFLA_TARGET_NETNSID, nsid);
}

export function allLinks(w: MessageWriter): void {
  ifinfo(w, k.AF_UNSPEC, 0, 0);
  w.attrU32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
}

/** A link as the kernel tells it; `kind` is empty for hardware and loopback. */
export type LinkInfo = {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** Of a pair: whether both ends are up. */
  readonly hasCarrier: boolean;
  readonly isLoopback: boolean;
  /** Whether others on it are asked for their MACs. */
  readonly hasNeighbours: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly alias: string;
  readonly kind: string;
  /** 0: none. */
  readonly master: number;
  /** Index of a veth's peer, in the peer's namespace; 0: none. */
  readonly peer: number;
  /** Id that this namespace has for the peer's; absent if the peer is in this one. */
  readonly peerNsid?: number;
  /** As a port of a bridge: whether it learns, whether it gets frames to unknown MACs, and which groups pass. */
  readonly learning: boolean;
  readonly floods: boolean;
  readonly groups: number;
  readonly neighSuppress: boolean;
  /** `net.ipv4.conf.<link>.forwarding`; true where the kernel does not say. */
  readonly forwards: boolean;
  /** The attributes of its kind (IFLA_INFO_DATA). */
  readonly data: Buffer;
};

const NO_DATA = Buffer.alloc(0);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function readLink({ bytes, start, end }: Received): LinkInfo {
  const flags = bytes.readUInt32LE(start + 8);
  const link: Mutable<LinkInfo> = {
    index: bytes.readInt32LE(start + 4),
    isUp: (flags & k.IFF_UP) !== 0,
    hasCarrier: (flags & k.IFF_LOWER_UP) !== 0,
    isLoopback: (flags & k.IFF_LOOPBACK) !== 0,
    hasNeighbours: (flags & (k.IFF_LOOPBACK | k.IFF_POINTOPOINT | k.IFF_NOARP)) === 0,
    name: "",
    mtu: 0,
    mac: "",
    alias: "",
    kind: "",
    master: 0,
    peer: 0,
    learning: false,
    floods: false,
    groups: 0,
    neighSuppress: false,
    forwards: true,
    data: NO_DATA,
  };
  eachAttribute(bytes, start + 16, end, (type, from, to) => {
    switch (type) {
      case k.IFLA_IFNAME:
        link.name = textAt(bytes, from, to);
        break;
      case k.IFLA_MTU:
        link.mtu = bytes.readUInt32LE(from);
        break;
      case k.IFLA_ADDRESS:
        if (to - from === 6) link.mac = macAt(bytes, from);
        break;
      case k.IFLA_IFALIAS:
        link.alias = textAt(bytes, from, to);
        break;
      case k.IFLA_MASTER:
        link.master = bytes.readUInt32LE(from);
        break;
      case k.IFLA_LINK:
        link.peer = bytes.readUInt32LE(from);
        break;
      case k.IFLA_LINK_NETNSID:
        link.peerNsid = bytes.readInt32LE(from);
        break;
      case k.IFLA_AF_SPEC:
        link.forwards = readForwards(bytes, from, to);
        break;
      case k.IFLA_LINKINFO:
        readLinkInfo(bytes, from, to, link);
        break;
    }
  });
  return link;
}

/** IFLA_INET_CONF is an array of all numbers, the one of number 1 first (inet_fill_link_af). */
function readForwards(bytes: Buffer, start: number, end: number): boolean {
  let forwards = true;
  eachAttribute(bytes, start, end, (family, from, to) => {
    if (family !== k.AF_INET) return;
    eachAttribute(bytes, from, to, (type, at) => {
      if (type === k.IFLA_INET_CONF) forwards = bytes.readUInt32LE(at + 4 * (k.IPV4_DEVCONF_FORWARDING - 1)) !== 0;
    });
  });
  return forwards;
}

function readLinkInfo(bytes: Buffer, start: number, end: number, link: Mutable<LinkInfo>): void {
  eachAttribute(bytes, start, end, (type, from, to) => {
    if (type === k.IFLA_INFO_KIND) link.kind = textAt(bytes, from, to);
    // A copy: the buffer is the next dump's.
    else if (type === k.IFLA_INFO_DATA) link.data = Buffer.from(bytes.subarray(from, to));
    else if (type === k.IFLA_INFO_SLAVE_DATA) {
      eachAttribute(bytes, from, to, (flag, at) => {
        if (flag === k.IFLA_BRPORT_LEARNING) link.learning = bytes[at] !== 0;
        if (flag === k.IFLA_BRPORT_UNICAST_FLOOD) link.floods = bytes[at] !== 0;
        if (flag === k.IFLA_BRPORT_GROUP_FWD_MASK) link.groups = bytes.readUInt16LE(at);
        if (flag === k.IFLA_BRPORT_NEIGH_SUPPRESS) link.neighSuppress = bytes[at] !== 0;
      });
    }
  });
}
