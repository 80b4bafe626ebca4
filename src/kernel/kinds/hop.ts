// A next hop is ours if it has protocol 87 and is kept from outside. It is on a link of the host's own, where the
// kernel may have learned it, and others may keep it.
import type { Hop } from "../../datapath/kinds/entries.ts";
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import { keyOf, type OpOn } from "../../datapath/state/state.ts";
import { refuse } from "../errno.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, familyNumber, ndmsg, oneNeighbour } from "../netlink/entry.ts";
import { ipIn } from "../netlink/wire.ts";
import { isManagedByOthers, isOurHop } from "../ownership.ts";
import { entryKind } from "./entry.ts";
import { NEIGHBOUR_EVENTS } from "./events.ts";
import { linkIn } from "./link.ts";
import type { StepContext } from "./kind.ts";

export const hop = entryKind<Hop, NeighbourInfo>({
  isInWorkloads: false,
  encode,
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
function encode(context: StepContext, { op, object }: OpOn<Hop>): void {
  const { w, space } = context;
  const isRemoval = op === "remove";
  // A link of ours may be made by the same list of operations.
  const isKnown = space.indexes.has(object.dev);
  const index = isKnown ? context.indexOf(object.dev) : linkIn(context, object.dev).index;
  const ip = ipIn(object.ip);
  const there = space.socket.ask(oneNeighbour(index, ip));
  if (there !== undefined && (isRemoval ? !isOurHop(there) : isManagedByOthers(there))) refuseTheirs(object);
  w.begin(isRemoval ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, k.NLM_F_REQUEST | k.NLM_F_CREATE, context.seq());
  ndmsg(w, { family: familyNumber(ip), index, flags: k.NTF_EXT_LEARNED });
  w.attrIp(k.NDA_DST, ip);
  w.attrU8(k.NDA_PROTOCOL, WEFT_PROTOCOL);
  w.attrU32(k.NDA_FLAGS_EXT, k.NTF_EXT_MANAGED);
}

function refuseTheirs({ dev, ip }: Hop): never {
  return refuse("exists", `the neighbour ${ip} on ${dev} is not ours`);
}
