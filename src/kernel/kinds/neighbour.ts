// A neighbour is ours if it is permanent, on a link of ours. What the kernel learns by itself may be there already and
// must give way.
import type { Neighbour } from "../../datapath/kinds/entries.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, familyNumber, ndmsg } from "../netlink/entry.ts";
import { ipIn } from "../netlink/wire.ts";
import { FLAGS, entryKind, verbOf } from "./entry.ts";
import { NEIGHBOUR_EVENTS } from "./events.ts";

export const neighbour = entryKind<Neighbour, NeighbourInfo>({
  isInWorkloads: false,
  encode(context, op) {
    const { w } = context;
    const { dev, ip: text, mac } = op.object;
    const verb = verbOf(op, "replace");
    const index = context.indexOf(dev);
    const ip = ipIn(text);
    w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], context.seq());
    ndmsg(w, { family: familyNumber(ip), index, state: k.NUD_PERMANENT });
    w.attrIp(k.NDA_DST, ip);
    if (verb !== "delete") w.attrMac(k.NDA_LLADDR, mac);
  },
  list: (reading) => reading.neighbours().filter(({ state, mac }) => (state & k.NUD_PERMANENT) !== 0 && mac !== ""),
  decode: ({ ip, mac }, on) => ({ kind: "neighbour", ...on, ip, mac }),
  events: NEIGHBOUR_EVENTS,
  fake: { lostWith: "mac" },
});
