// Neighbours and entries of FDBs, which the kernel keeps in one table format (struct ndmsg).
import { leadsTo } from "../../datapath/kinds.ts";
import { type BridgeFdb, type Fdb, type Hop, type Neighbour, FLOOD_MAC } from "../../datapath/kinds/entries.ts";
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import { type OpOn, keyOf } from "../../datapath/state/state.ts";
import { refuse } from "../errno.ts";
import { masterOf } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, familyNumber, ndmsg, oneNeighbour } from "../netlink/entry.ts";
import { ipIn } from "../netlink/wire.ts";
import { isFixed, isManagedByOthers, isOurBridgeFdb, isOurHop, isOurTunnelFdb } from "../ownership.ts";
import { entryKind, FLAGS, verbOf } from "./entry.ts";
import { NEIGHBOUR_EVENTS } from "./events.ts";
import type { StepContext } from "./kind.ts";
import { linkIn } from "./links.ts";

/**
 * A neighbour is ours if it is permanent, on a link of ours. What the kernel learns by itself may be there already and
 * must give way.
 */
export const neighbour = entryKind<Neighbour, NeighbourInfo>({
  isInWorkloads: false,
  encode(context, op) {
    const { dev, ip: text, mac } = op.object;
    const verb = verbOf(op, "replace");
    const index = context.indexOf(dev);
    const ip = ipIn(text);
    const w = context.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb]);
    ndmsg(w, { family: familyNumber(ip), index, state: k.NUD_PERMANENT });
    w.attrIp(k.NDA_DST, ip);
    if (verb !== "delete") w.attrMac(k.NDA_LLADDR, mac);
  },
  list: (reading) => reading.neighbours().filter(({ state, mac }) => (state & k.NUD_PERMANENT) !== 0 && mac !== ""),
  decode: ({ ip, mac }, on) => ({ kind: "neighbour", ...on, ip, mac }),
  events: NEIGHBOUR_EVENTS,
  fake: { lostWith: "mac" },
});

/**
 * An entry of a VXLAN device is ours if it is permanent and has a destination, on a link of ours: not what was learned,
 * and not the device's own.
 */
export const fdb = entryKind<Fdb, NeighbourInfo>({
  isInWorkloads: false,
  encode(context, op) {
    const { dev, mac, dst } = op.object;
    const verb = verbOf(op, mac === FLOOD_MAC ? "append" : "replace");
    const index = context.indexOf(dev);
    const ip = ipIn(dst);
    const w = context.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb]);
    ndmsg(w, { family: k.AF_BRIDGE, index, state: k.NUD_PERMANENT | k.NUD_NOARP, flags: k.NTF_SELF });
    w.attrMac(k.NDA_LLADDR, mac);
    w.attrIp(k.NDA_DST, ip);
  },
  list: (reading) => reading.fdb().filter(isOurTunnelFdb),
  decode: ({ ip, mac }, on) => ({ kind: "fdb", ...on, mac, dst: ip }),
  events: NEIGHBOUR_EVENTS,
  fake: {
    check(_machine, { link, name }) {
      if (leadsTo(link.object.kind) !== "hosts") refuse("unsupported", `${name} is no tunnel`);
    },
    // The kernel removes only what it is shown whole.
    isMeant: (there, named) => there.dst === named.dst,
  },
});

/**
 * An entry of a bridge is ours if it is sticky, on a link of ours; and so is what was made as learned elsewhere, which
 * gives way to frames.
 */
export const bridgeFdb = entryKind<BridgeFdb, NeighbourInfo>({
  isInWorkloads: false,
  // It never ages, and no frame moves it: only the next of these does.
  encode(context, op) {
    const verb = verbOf(op, "replace");
    const index = context.indexOf(op.object.dev);
    const w = context.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb]);
    const flags = verb === "delete" ? k.NTF_MASTER : k.NTF_MASTER | k.NTF_STICKY;
    ndmsg(w, { family: k.AF_BRIDGE, index, state: k.NUD_NOARP, flags });
    w.attrMac(k.NDA_LLADDR, op.object.mac);
  },
  list: (reading) => reading.fdb().filter(isOurBridgeFdb),
  decode: (entry, on) => ({ kind: "bridge-fdb", ...on, mac: entry.mac, ...(isFixed(entry) ? {} : { loose: true }) }),
  events: NEIGHBOUR_EVENTS,
  fake: {
    lostWith: "master",
    check(machine, { link, name, ns }, { mac }) {
      const master = masterOf(link.object);
      if (master === undefined) return refuse("unsupported", `${name} is not a port of a bridge`);
      // A bridge has one port behind a MAC.
      for (const port of machine.space(ns).ports.get(master) ?? [])
        for (const device of port.devices)
          device.entries.delete(keyOf({ kind: "bridge-fdb", ns, dev: device.name, mac }));
    },
  },
});

/**
 * A next hop is ours if it has protocol 87 and is kept from outside. It is on a link of the host's own, where the
 * kernel may have learned it, and others may keep it.
 */
export const hop = entryKind<Hop, NeighbourInfo>({
  isInWorkloads: false,
  encode: encodeHop,
  list: (reading) => (reading.isHost ? reading.neighbours().filter(isOurHop) : []),
  decode: ({ ip }, { dev }) => ({ kind: "hop", ns: "host", dev, ip }),
  events: NEIGHBOUR_EVENTS,
  fake: {
    isOnAnyLink: true,
    isMarked: true,
    check(_machine, { entries, foreign }, object) {
      const isTheirs = [...entries.values()].some((entry) => entry.kind === "neighbour" && entry.ip === object.ip);
      if (isTheirs || foreign.has(keyOf(object))) refuseTheirs(object);
    },
  },
});

/**
 * The kernel finds and keeps it (5.16; from 5.0 on, it keeps what is resolved when something is sent); neither counted
 * nor collected (neigh_alloc, neigh_update_gc_list). What the kernel has learned by itself is taken over.
 */
function encodeHop(context: StepContext, { op, object }: OpOn<Hop>): void {
  const { space } = context;
  const isRemoval = op === "remove";
  // A link of ours may be made by the same list of operations.
  const isKnown = space.indexes.has(object.dev);
  const index = isKnown ? context.indexOf(object.dev) : linkIn(context, object.dev).index;
  const ip = ipIn(object.ip);
  const there = space.socket.ask(oneNeighbour(index, ip));
  if (there !== undefined && (isRemoval ? !isOurHop(there) : isManagedByOthers(there))) refuseTheirs(object);
  const w = context.begin(isRemoval ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, k.NLM_F_REQUEST | k.NLM_F_CREATE);
  ndmsg(w, { family: familyNumber(ip), index, flags: k.NTF_EXT_LEARNED });
  w.attrIp(k.NDA_DST, ip);
  w.attrU8(k.NDA_PROTOCOL, WEFT_PROTOCOL);
  w.attrU32(k.NDA_FLAGS_EXT, k.NTF_EXT_MANAGED);
}

function refuseTheirs({ dev, ip }: Hop): never {
  return refuse("exists", `the neighbour ${ip} on ${dev} is not ours`);
}
