// rtnetlink's links: how to change, group and delete them, ask for them and read them. Interface indexes in, messages
// out; the kinds say how links are made, and which are Weft's.
import type { Traffic } from "../kernel.ts";
import * as k from "./constants.ts";
import type { Question } from "./socket.ts";
import {
  type Layout,
  type MessageWriter,
  type Received,
  type Span,
  copyAt,
  fill,
  flagAt,
  i32At,
  macAt,
  spanOf,
  textAt,
  u16At,
  u32At,
  u64At,
} from "./wire.ts";

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

/** What changes; the link is also brought up, unless it `staysDown`. `master` 0 takes it out of its bridge. */
export type LinkChange = {
  readonly alias?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly master?: number;
  /** Turns `net.ipv4.conf.<link>.forwarding` on; IPv6 asks the namespace, not the link (ip6_forward). */
  readonly forwards?: true;
  /** Sets `net.ipv4.conf.<link>.arp_ignore` to 1: ARP is answered for the link's own addresses alone. */
  readonly ownArp?: true;
  readonly staysDown?: true;
};

export function setLink(w: MessageWriter, seq: number, index: number, change: LinkChange): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, change.staysDown === true ? 0 : k.IFF_UP);
  if (change.alias !== undefined) w.attrText(k.IFLA_IFALIAS, change.alias);
  if (change.mtu !== undefined) w.attrU32(k.IFLA_MTU, change.mtu);
  if (change.mac !== undefined) w.attrMac(k.IFLA_ADDRESS, change.mac);
  if (change.master !== undefined) w.attrU32(k.IFLA_MASTER, change.master);
  if (change.forwards === true || change.ownArp === true) {
    const conf = () => {
      if (change.forwards === true) w.attrU32(k.IPV4_DEVCONF_FORWARDING, 1);
      if (change.ownArp === true) w.attrU32(k.IPV4_DEVCONF_ARP_IGNORE, 1);
    };
    w.nest(k.IFLA_AF_SPEC, () => w.nest(k.AF_INET, () => w.nest(k.IFLA_INET_CONF, conf)));
  }
}

export function setDown(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  w.u32(k.AF_UNSPEC);
  w.u32(index);
  w.u32(0);
  w.u32(k.IFF_UP);
}

/** Puts a link into another namespace, with a mark. The kernel lets others wait meanwhile (15-20 ms). */
export function moveLink(w: MessageWriter, seq: number, index: number, to: { fd: number; alias: string }): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrU32(k.IFLA_NET_NS_FD, to.fd);
  w.attrText(k.IFLA_IFALIAS, to.alias);
}

/** Takes a link down, out of its bridge, and off its mark. */
export function releaseLink(w: MessageWriter, seq: number, index: number): void {
  setDown(w, seq, index);
  w.attrU32(k.IFLA_MASTER, 0);
  w.attrText(k.IFLA_IFALIAS, "");
}

export function deleteLink(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_DELLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
}

export function setGroup(w: MessageWriter, seq: number, index: number, group: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrU32(k.IFLA_GROUP, group);
}

/** Deletes all links of a group, at the price of one: the kernel waits for RCU once (15-20 ms) and not per link. */
export function deleteGroup(w: MessageWriter, seq: number, group: number): void {
  w.begin(k.RTM_DELLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, 0, 0);
  w.attrU32(k.IFLA_GROUP, group);
}

/** `ownArp`: `arp_ignore` is 1. One of four values, because many links are read. */
type InetConf = { readonly forwards: boolean; readonly ownArp: boolean };
const NEITHER: InetConf = { forwards: false, ownArp: false };
const ROUTED: InetConf = { forwards: true, ownArp: false };
const OWN: InetConf = { forwards: false, ownArp: true };
const ROUTED_OWN: InetConf = { forwards: true, ownArp: true };

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
  /** Index of a veth's peer, in the peer's namespace, or of the device below a VLAN, in its own; 0: none. */
  readonly peer: number;
  /** Id that this namespace has for the peer's; absent if the peer is in this one. */
  readonly peerNsid?: number;
  /** As a port of a bridge: whether it learns, whether it gets frames to unknown MACs, and which groups pass. */
  readonly learning: boolean;
  readonly floods: boolean;
  readonly groups: number;
  /** In the spanning tree. */
  readonly priority: number;
  readonly neighSuppress: boolean;
  readonly isolated: boolean;
  /** Of `net.ipv4.conf.<link>`; as wanted where the kernel does not say. */
  readonly inet: InetConf;
  /** The attributes of its kind (IFLA_INFO_DATA). */
  readonly data: Span;
};

const NO_DATA = spanOf(Buffer.alloc(0));

const LINK: Layout<LinkInfo> = {
  [k.IFLA_IFNAME]: ["name", textAt],
  [k.IFLA_MTU]: ["mtu", u32At],
  [k.IFLA_ADDRESS]: ["mac", macAt],
  [k.IFLA_IFALIAS]: ["alias", textAt],
  [k.IFLA_MASTER]: ["master", u32At],
  [k.IFLA_LINK]: ["peer", u32At],
  [k.IFLA_LINK_NETNSID]: ["peerNsid", i32At],
  [k.IFLA_AF_SPEC]: { [k.AF_INET]: { [k.IFLA_INET_CONF]: ["inet", inetAt] } },
  [k.IFLA_LINKINFO]: {
    [k.IFLA_INFO_KIND]: ["kind", textAt],
    [k.IFLA_INFO_DATA]: ["data", (bytes, start, end) => spanOf(copyAt(bytes, start, end))],
    [k.IFLA_INFO_SLAVE_DATA]: {
      [k.IFLA_BRPORT_PRIORITY]: ["priority", u16At],
      [k.IFLA_BRPORT_LEARNING]: ["learning", flagAt],
      [k.IFLA_BRPORT_UNICAST_FLOOD]: ["floods", flagAt],
      [k.IFLA_BRPORT_GROUP_FWD_MASK]: ["groups", u16At],
      [k.IFLA_BRPORT_NEIGH_SUPPRESS]: ["neighSuppress", flagAt],
      [k.IFLA_BRPORT_ISOLATED]: ["isolated", flagAt],
    },
  },
};

/** IFLA_INET_CONF is an array of all numbers, the one of number 1 first (inet_fill_link_af). */
function inetAt(bytes: Buffer, start: number): InetConf {
  const valueOf = (number: number) => u32At(bytes, start + 4 * (number - 1));
  const forwards = valueOf(k.IPV4_DEVCONF_FORWARDING) !== 0;
  if (valueOf(k.IPV4_DEVCONF_ARP_IGNORE) !== 1) return forwards ? ROUTED : NEITHER;
  return forwards ? ROUTED_OWN : OWN;
}

export function readLink(message: Received): LinkInfo {
  const { bytes, start } = message;
  const flags = u32At(bytes, start + 8);
  const link: LinkInfo = {
    index: i32At(bytes, start + 4),
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
    priority: 0,
    neighSuppress: false,
    isolated: false,
    inet: ROUTED_OWN,
    data: NO_DATA,
  };
  return fill(link, LINK, message, 16);
}

function links(index: number, attributes?: (w: MessageWriter) => void): Question<LinkInfo> {
  return {
    type: k.RTM_GETLINK,
    write(w) {
      ifinfo(w, k.AF_UNSPEC, index, 0);
      w.attrU32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
      attributes?.(w);
    },
    read: readLink,
  };
}

export const allLinks = links(0);
export function linkByName(name: string): Question<LinkInfo> {
  return links(0, (w) => w.attrText(k.IFLA_IFNAME, name));
}
/** In the namespace that the asking one knows by this id; without an id, in the asking one. */
export function linkByIndex(index: number, nsid?: number): Question<LinkInfo> {
  return links(index, (w) => (nsid === undefined ? undefined : w.attrU32(k.IFLA_TARGET_NETNSID, nsid)));
}

type Told = { readonly name: string; readonly stats: readonly number[] };
const TRAFFIC: Layout<Told> = {
  [k.IFLA_IFNAME]: ["name", textAt],
  // struct rtnl_link_stats64: packets in, packets out, bytes in, bytes out.
  [k.IFLA_STATS64]: ["stats", (bytes, start) => [0, 8, 16, 24].map((at) => u64At(bytes, start + at))],
};

/** Names and traffic of links, seen from the far end of a pair: what a port receives, its workload has sent. */
export const allTraffic: Question<Traffic> = {
  ...allLinks,
  read(message) {
    const { name, stats } = fill<Told>({ name: "", stats: [] }, TRAFFIC, message, 16);
    const [sentPackets = 0, receivedPackets = 0, sentBytes = 0, receivedBytes = 0] = stats;
    return { name, sentPackets, sentBytes, receivedPackets, receivedBytes };
  },
};
