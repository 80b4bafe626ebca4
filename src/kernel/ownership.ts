// How a fresh agent without memory recognises what is Weft's: by a mark that the kernel keeps with an object, or by the
// link that it is on. Each file in kinds/ says which it is for its kind.
import { leadsTo } from "../datapath/kinds.ts";
import { FLOOD_MAC } from "../datapath/kinds/entries.ts";
import { netnsFile } from "../datapath/kinds/namespaces.ts";
import { cut } from "../datapath/state/names.ts";
import { MARK, type Ns, WEFT_PROTOCOL } from "../datapath/kinds/kind.ts";
import { isMulticast } from "../model/multicast.ts";
import * as k from "./netlink/constants.ts";
import type { AddressInfo, NeighbourInfo, RouteInfo } from "./netlink/entry.ts";
import type { LinkInfo } from "./netlink/link.ts";

/**
 * Routes and addresses that are looked at in a workload's namespace at once. Its root may make any number, and mark
 * routes as ours: each round takes some milliseconds for them, and what is beyond waits for the next.
 */
export const WORKLOAD_MOST = 4_096;

const PEER = `${MARK}:peer:`;
/** How the alias of an endpoint's port begins; its name follows. */
export const ENDPOINT_ALIAS = `${MARK}:endpoint:`;

/** The same of what plugs a network's bridge into another. */
const PLUG_ALIAS = `${MARK}:plug:`;

export function isOurs(link: LinkInfo): boolean {
  return link.alias.startsWith(`${MARK}:`);
}

/** A link that is an object by itself: not the far end of a pair, not the loopback that marks a namespace. */
export function isPrimary(link: LinkInfo): boolean {
  return isOurs(link) && !link.alias.startsWith(PEER) && !link.isLoopback;
}

/** The near end of a pair that plugs a network's bridge into another. */
export function isPlug({ alias }: Pick<LinkInfo, "alias">): boolean {
  return alias.startsWith(PLUG_ALIAS);
}

/** Whether packets may be routed through a link of ours, and not only bridged. */
export function isRouted(link: Pick<LinkInfo, "kind" | "alias">): boolean {
  return leadsTo(link.kind) !== "nowhere" && !link.alias.startsWith(ENDPOINT_ALIAS) && !isPlug(link);
}

/** The end of one that a VRF's namespace has. */
export function isUplink(link: LinkInfo): boolean {
  return link.kind === "veth" && isPrimary(link) && isRouted(link);
}

/** The mark of a veth's far end tells under which name its namespace was entered: one namespace may have many paths. */
export function peerAlias(ns: Ns): string {
  return cut(`${PEER}${ns}`);
}

/** The path that a far end's mark names, as far as it fits. */
export function pathOf(link: LinkInfo): string | undefined {
  return link.alias.startsWith(`${PEER}/`) ? link.alias.slice(PEER.length) : undefined;
}

/** The name under which a peer was made, if it is one of `candidates` (the names that this namespace has now). */
export function peerNs(link: LinkInfo, candidates: readonly Ns[]): Ns | undefined {
  return candidates.find((ns) => peerAlias(ns) === link.alias) ?? candidates[0];
}

/** The kernel adds link-local addresses by itself, and router advertisements add others. */
export function isOurAddress(address: AddressInfo): boolean {
  if (address.protocol === WEFT_PROTOCOL) return true;
  return address.isPermanent && address.protocol === 0 && !/^fe[89ab]/.test(address.ip);
}

export function isOurRoute(route: RouteInfo): boolean {
  return route.protocol === WEFT_PROTOCOL && route.table === k.RT_TABLE_MAIN && route.isUnicast;
}

/** Kept from outside, and not learned: a neighbour or next hop that may be Weft's. */
export function isKnownNeighbour({ state, flags, ip }: NeighbourInfo): boolean {
  return ip !== "" && ((state & k.NUD_PERMANENT) !== 0 || (flags & k.NTF_EXT_LEARNED) !== 0);
}

/** On a link of the host's own. A program that makes it permanent makes it its own. */
export function isOurHop(entry: NeighbourInfo): boolean {
  const isKept = (entry.flags & k.NTF_EXT_LEARNED) !== 0 && (entry.state & k.NUD_PERMANENT) === 0;
  return isKept && entry.protocol === WEFT_PROTOCOL && entry.ip !== "";
}

/** Whether another program keeps the neighbour known. */
export function isManagedByOthers(entry: NeighbourInfo): boolean {
  return !isOurHop(entry) && ((entry.state & k.NUD_PERMANENT) !== 0 || (entry.flags & k.NTF_EXT_LEARNED) !== 0);
}

/**
 * On a VXLAN device: what was put there, and not what was learned. Entries without a destination are the device's own,
 * and so is the one that leads to its group.
 */
export function isOurTunnelFdb(entry: NeighbourInfo): boolean {
  const isPut = (entry.flags & k.NTF_SELF) !== 0 && (entry.state & k.NUD_PERMANENT) !== 0 && entry.mac !== "";
  return isPut && entry.ip !== "" && !(entry.mac === FLOOD_MAC && isMulticast(entry.ip));
}

/** Of a bridge: what is sticky, and what was made as learned elsewhere, which gives way to frames. */
export function isOurBridgeFdb(entry: NeighbourInfo): boolean {
  return (entry.flags & k.NTF_SELF) === 0 && (isFixed(entry) || (entry.flags & k.NTF_EXT_LEARNED) !== 0);
}

/** Whether no frame moves it. */
export function isFixed({ flags, state }: NeighbourInfo): boolean {
  return (flags & k.NTF_STICKY) !== 0 && (state & k.NUD_NOARP) !== 0;
}

/** What lo of a VRF's namespace carries. A VRF's name is a DNS label, so it fits. */
export function netnsAlias(prefix: string, vrf: string): string {
  return cut(`${MARK}:netns:${prefix}:${vrf}`);
}

/** The VRF whose namespace this loopback marks, if this agent made it under this file name. */
export function vrfOf(prefix: string, file: string, loopbackAlias: string): string | undefined {
  const mark = netnsAlias(prefix, "");
  if (!loopbackAlias.startsWith(mark)) return undefined;
  const vrf = loopbackAlias.slice(mark.length);
  return netnsFile(prefix, vrf) === file ? vrf : undefined;
}
