// rtnetlink's links: how to ask for a VXLAN device, a veth pair; how to change, group and delete links; how to read
// them. Interface indexes and file descriptors in, messages out; what is Weft's and what is wanted is decided
// elsewhere.
import type { Ip } from "../../model/address.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, ipTextAt, macAt, textAt } from "./wire.ts";

export const CREATE = k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL;

/** struct ifinfomsg: padding, type 0, index, flags, change mask. */
export function ifinfo(w: MessageWriter, family: number, index: number, flags: number): void {
  w.u32(family);
  w.u32(index);
  w.u32(flags);
  w.u32(flags);
}

export type NewLink = { readonly index: number; readonly name: string; readonly mac: string };

export type NewVxlan = NewLink & {
  readonly mtu: number;
  readonly vni: number;
  readonly local: Ip;
  readonly port: number;
  readonly master?: number;
  /** Id, in the device's namespace, of the namespace that its UDP socket is to be in; without, the device's own. */
  readonly socketNsid?: number;
};

/**
 * A VXLAN device that is up and learns nothing, born in the namespace of the netlink socket, its own UDP socket in
 * another: IFLA_LINK_NETNSID names the latter. So creation and mark are one send, in one namespace, that nothing can
 * interrupt.
 */
export function newVxlan(w: MessageWriter, seq: number, link: NewVxlan): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, link.name);
  w.attrMac(k.IFLA_ADDRESS, link.mac);
  w.attrU32(k.IFLA_MTU, link.mtu);
  if (link.master !== undefined) w.attrU32(k.IFLA_MASTER, link.master);
  if (link.socketNsid !== undefined) w.attrU32(k.IFLA_LINK_NETNSID, link.socketNsid);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "vxlan");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.attrU32(k.IFLA_VXLAN_ID, link.vni);
      w.attrIp(link.local.family === 4 ? k.IFLA_VXLAN_LOCAL : k.IFLA_VXLAN_LOCAL6, link.local);
      w.attrU16Be(k.IFLA_VXLAN_PORT, link.port);
      w.attrU8(k.IFLA_VXLAN_LEARNING, 0);
    });
  });
  w.end();
}

export type NewVeth = NewLink & {
  readonly mtu: number;
  readonly master?: number;
  readonly peer: NewLink & { readonly mtu: number; readonly nsFd: number };
};

/**
 * A veth pair in one message: this end up and in its bridge, the peer born in its namespace. The peer is brought up
 * later, in its own namespace: with IFF_UP here the kernel answers ENOTCONN (6.18). One queue per end: with more,
 * creation waits for an expedited RCU grace period (0.1 ms of 0.5).
 */
export function newVeth(w: MessageWriter, seq: number, link: NewVeth): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  oneQueue(w, link);
  if (link.master !== undefined) w.attrU32(k.IFLA_MASTER, link.master);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "veth");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.nest(k.VETH_INFO_PEER, () => {
        ifinfo(w, k.AF_UNSPEC, link.peer.index, 0);
        oneQueue(w, link.peer);
        w.attrU32(k.IFLA_NET_NS_FD, link.peer.nsFd);
      });
    });
  });
  w.end();
}

function oneQueue(w: MessageWriter, end: NewLink & { readonly mtu: number }): void {
  w.attrText(k.IFLA_IFNAME, end.name);
  if (end.mac !== "") w.attrMac(k.IFLA_ADDRESS, end.mac);
  w.attrU32(k.IFLA_MTU, end.mtu);
  w.attrU32(k.IFLA_NUM_TX_QUEUES, 1);
  w.attrU32(k.IFLA_NUM_RX_QUEUES, 1);
}

/** A device for redirected frames, up, with one queue. */
export function newIfb(w: MessageWriter, seq: number, link: NewLink & { readonly mtu: number }): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  oneQueue(w, link);
  w.nest(k.IFLA_LINKINFO, () => w.attrText(k.IFLA_INFO_KIND, "ifb"));
  w.end();
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
  readonly vxlan?: { readonly vni: number; readonly local: string; readonly port: number };
  /** As a port of a bridge: whether it learns, whether it gets what nobody is known to have, and which groups pass. */
  readonly learning: boolean;
  readonly floods: boolean;
  readonly groups: number;
  readonly neighSuppress: boolean;
  /** `net.ipv4.conf.<link>.forwarding`; true where the kernel does not say. */
  readonly forwards: boolean;
  /** As a bridge: whether it looks at multicast, or at frames to the groups of bridges. */
  readonly snoops: boolean;
  /** As a bridge: for how many seconds it remembers what it learned. */
  readonly ageing: number;
};

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
    snoops: false,
    ageing: 0,
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
    // The kind comes before its data (rtnl_link_fill).
    else if (type === k.IFLA_INFO_DATA && link.kind === "vxlan") link.vxlan = readVxlan(bytes, from, to);
    else if (type === k.IFLA_INFO_DATA && link.kind === "bridge") readBridge(bytes, from, to, link);
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

function readBridge(bytes: Buffer, start: number, end: number, link: Mutable<LinkInfo>): void {
  eachAttribute(bytes, start, end, (type, from) => {
    if (type === k.IFLA_BR_AGEING_TIME) link.ageing = Math.round(bytes.readUInt32LE(from) / k.USER_HZ);
    if (type === k.IFLA_BR_MCAST_SNOOPING && bytes[from] !== 0) link.snoops = true;
    if (type === k.IFLA_BR_MULTI_BOOLOPT && ((bytes[from] ?? 0) & k.BR_BOOLOPT_NO_LL_LEARN) === 0) link.snoops = true;
  });
}

function readVxlan(bytes: Buffer, start: number, end: number): { vni: number; local: string; port: number } {
  const vxlan = { vni: 0, local: "", port: 0 };
  eachAttribute(bytes, start, end, (type, from, to) => {
    if (type === k.IFLA_VXLAN_ID) vxlan.vni = bytes.readUInt32LE(from);
    else if (type === k.IFLA_VXLAN_LOCAL || type === k.IFLA_VXLAN_LOCAL6) vxlan.local = ipTextAt(bytes, from, to);
    else if (type === k.IFLA_VXLAN_PORT) vxlan.port = bytes.readUInt16BE(from);
  });
  return vxlan;
}
