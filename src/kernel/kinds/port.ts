// Devices of the host's own as ports of our bridges. One that the host uses itself is never taken: it would be cut off.
import { type Port, PORT_PRIORITY } from "../../datapath/kinds/entries.ts";
import { refuse } from "../errno.ts";
import { usesOfHost } from "../hostUses.ts";
import * as k from "../netlink/constants.ts";
import { type LinkInfo, ifinfo, linkByIndex, setLink } from "../netlink/link.ts";
import { isOurs } from "../ownership.ts";
import { entryKind } from "./entry.ts";
import { LINK_EVENTS } from "./events.ts";
import type { StepContext } from "./kind.ts";
import { describeLink, learningAttributes, linkIn } from "./links.ts";

/** Ours by its priority, in a bridge of ours. */
export const port = entryKind<Port, LinkInfo>({
  isInWorkloads: false,
  encode(context, { op, object }) {
    if (op === "remove") free(context, object);
    else enslave(context, object);
  },
  list({ isHost, links }) {
    const bridges = new Set(links.filter((link) => link.kind === "bridge" && isOurs(link)).map(({ index }) => index));
    return isHost ? links.filter((link) => !isOurs(link) && bridges.has(link.master) && isMarked(link)) : [];
  },
  decode: (link, { dev }, nameOf) => ({
    kind: "port",
    ns: "host",
    dev,
    // Another value is never desired, so it is set again.
    master: link.learning && link.floods ? (nameOf(link.master) ?? "") : "",
    macs: "flooded",
  }),
  events: LINK_EVENTS,
  fake: { isOnAnyLink: true, isMarked: true },
});

function isMarked({ priority }: LinkInfo): boolean {
  return priority === PORT_PRIORITY;
}

function masterOf(context: StepContext, { master }: LinkInfo): LinkInfo | undefined {
  return master === 0 ? undefined : context.space.socket.ask(linkByIndex(master));
}

/** Whether it is up is its owner's to say. */
function enslave(context: StepContext, object: Port): void {
  const link = linkIn(context, object.dev);
  const master = masterOf(context, link);
  if (isOurs(link)) refuse("exists", describeLink(link, object.ns));
  if (master !== undefined && !isOurs(master)) refuse("exists", `${link.name} is a port of ${master.name}, not ours`);
  const uses = usesOfHost(context.space, link);
  if (uses.length > 0) refuse("denied", `as a port of a bridge ${link.name} would lose ${uses.join(", ")}`);
  const index = context.indexOf(object.master);
  if (master?.index !== index) setLink(context.w, context.seq(), link.index, { master: index, staysDown: true });
  const w = context.begin(k.RTM_SETLINK, k.NLM_F_REQUEST);
  ifinfo(w, k.AF_BRIDGE, link.index, 0);
  w.nest(k.IFLA_PROTINFO, () => {
    learningAttributes(w, object);
    w.attrU16(k.IFLA_BRPORT_PRIORITY, PORT_PRIORITY);
  });
}

/** Gone, or another's port by now, is as good as free. */
function free(context: StepContext, { dev }: Port): void {
  const link = context.link(dev);
  const master = link && masterOf(context, link);
  if (link === undefined || master === undefined || !isOurs(master) || !isMarked(link)) return;
  setLink(context.w, context.seq(), link.index, { master: 0, staysDown: true });
}
