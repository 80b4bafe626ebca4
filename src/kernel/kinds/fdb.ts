// An entry of a VXLAN device is ours if it is permanent and has a destination, on a link of ours: not what was learned,
// and not the device's own.
import { FLOOD_MAC, type Fdb } from "../../datapath/kinds/entries.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, ndmsg } from "../netlink/entry.ts";
import { ipIn } from "../netlink/wire.ts";
import { isOurTunnelFdb } from "../ownership.ts";
import { FLAGS, entryKind, verbOf } from "./entry.ts";
import { NEIGHBOUR_EVENTS } from "./events.ts";
import { refuse } from "../errno.ts";

export const fdb = entryKind<Fdb, NeighbourInfo>({
  isInWorkloads: false,
  encode(context, op) {
    const { w } = context;
    const { dev, mac, dst } = op.object;
    const verb = verbOf(op, mac === FLOOD_MAC ? "append" : "replace");
    const index = context.indexOf(dev);
    const ip = ipIn(dst);
    w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], context.seq());
    ndmsg(w, { family: k.AF_BRIDGE, index, state: k.NUD_PERMANENT | k.NUD_NOARP, flags: k.NTF_SELF });
    w.attrMac(k.NDA_LLADDR, mac);
    w.attrIp(k.NDA_DST, ip);
  },
  list: (reading) => reading.fdb().filter(isOurTunnelFdb),
  decode: ({ ip, mac }, on) => ({ kind: "fdb", ...on, mac, dst: ip }),
  events: NEIGHBOUR_EVENTS,
  fake: {
    check(_machine, { link, name }) {
      if (link.object.kind !== "vxlan") refuse("unsupported", `${name} is no tunnel`);
    },
    // The kernel removes only what it is shown whole.
    isMeant: (there, named) => there.dst === named.dst,
  },
});
