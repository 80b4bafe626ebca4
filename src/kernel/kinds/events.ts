// Which messages of rtnetlink tell that something of ours may have changed. In a VRF's namespace everything is ours; in
// the host's, which may be busy with links of other programs, only what concerns links of ours counts. Learning (bridge
// ports, ARP) never counts: it is not ours, and there is much of it.
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, readAddress, readNeighbour, readRoute } from "../netlink/entry.ts";
import { readLink } from "../netlink/link.ts";
import type { Received } from "../netlink/wire.ts";
import { isOurs } from "../ownership.ts";

/** Where a message came from. */
export type Source = {
  readonly isHost: boolean;
  /** Indexes of our links, in the host's namespace only: what tells our events from others'. */
  readonly ours: Set<number>;
};

/** Messages about one or more kinds: the groups that they are sent to, their types, and which of them count. */
export type Events = {
  readonly groups: readonly number[];
  readonly types: readonly number[];
  readonly concerns: (source: Source, message: Received) => boolean;
};

/** A link that lost its mark is known by its index. */
export const LINK_EVENTS: Events = {
  groups: [k.RTNLGRP_LINK],
  types: [k.RTM_NEWLINK, k.RTM_DELLINK],
  concerns({ isHost, ours }, message) {
    if (!isHost) return true;
    const link = readLink(message);
    if (isOurs(link)) ours.add(link.index);
    // A port of a bridge of ours may be another's device.
    return ours.has(link.index) || (link.master !== 0 && ours.has(link.master));
  },
};

export const ADDRESS_EVENTS: Events = {
  groups: [k.RTNLGRP_IPV4_IFADDR, k.RTNLGRP_IPV6_IFADDR],
  types: [k.RTM_NEWADDR, k.RTM_DELADDR],
  concerns: ({ isHost, ours }, message) => !isHost || ours.has(readAddress(message).index),
};

export const ROUTE_EVENTS: Events = {
  groups: [k.RTNLGRP_IPV4_ROUTE, k.RTNLGRP_IPV6_ROUTE],
  types: [k.RTM_NEWROUTE, k.RTM_DELROUTE],
  concerns({ isHost, ours }, message) {
    if (!isHost) return true;
    const route = readRoute(message);
    return route.protocol === WEFT_PROTOCOL || ours.has(route.index);
  },
};

export const QUEUE_EVENTS: Events = {
  groups: [k.RTNLGRP_TC],
  types: [k.RTM_NEWQDISC, k.RTM_DELQDISC, k.RTM_NEWTFILTER, k.RTM_DELTFILTER],
  // struct tcmsg: family and padding, interface.
  concerns: ({ isHost, ours }, { bytes, start }) => !isHost || ours.has(bytes.readInt32LE(start + 4)),
};

export const NEIGHBOUR_EVENTS: Events = {
  groups: [k.RTNLGRP_NEIGH],
  types: [k.RTM_NEWNEIGH, k.RTM_DELNEIGH],
  concerns({ isHost, ours }, message) {
    const entry = readNeighbour(message);
    // A next hop of ours tells each time that it is asked for; one that is removed has lost its flags before.
    if (isHost && entry.protocol === WEFT_PROTOCOL) return message.type === k.RTM_DELNEIGH;
    return (!isHost || ours.has(entry.index)) && isNotLearned(message.type, entry);
  },
};

/**
 * What a bridge learned has no destination and is not sticky; what ARP learned comes and goes without being
 * permanent.
 */
function isNotLearned(type: number, { family, flags, ip, state }: NeighbourInfo): boolean {
  if (family === k.AF_BRIDGE)
    return (flags & (k.NTF_STICKY | k.NTF_EXT_LEARNED)) !== 0 || ((flags & k.NTF_SELF) !== 0 && ip !== "");
  // A deleted neighbour has lost its state before it is announced.
  return type === k.RTM_DELNEIGH || (state & (k.NUD_PERMANENT | k.NUD_NOARP)) !== 0;
}
