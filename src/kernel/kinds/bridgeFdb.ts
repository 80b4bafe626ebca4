// An entry of a bridge is ours if it is sticky, on a link of ours; and so is what was made as learned elsewhere, which
// gives way to frames.
import type { BridgeFdb } from "../../datapath/kinds/entries.ts";
import { keyOf } from "../../datapath/state/state.ts";
import { refuse } from "../errno.ts";
import { masterOf } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type NeighbourInfo, ndmsg } from "../netlink/entry.ts";
import { isFixed, isOurBridgeFdb } from "../ownership.ts";
import { FLAGS, entryKind, verbOf } from "./entry.ts";
import { NEIGHBOUR_EVENTS } from "./events.ts";

export const bridgeFdb = entryKind<BridgeFdb, NeighbourInfo>({
  isInWorkloads: false,
  // It never ages, and no frame moves it: only the next of these does.
  encode(context, op) {
    const { w } = context;
    const verb = verbOf(op, "replace");
    const index = context.indexOf(op.object.dev);
    w.begin(verb === "delete" ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH, FLAGS[verb], context.seq());
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
