// Far ends of pairs of ours as ports of bridges in the host's namespace. Such a bridge may be another program's, and
// then only who its ports are is asked of it.
import type { Plug } from "../../datapath/kinds/entries.ts";
import { refuse } from "../errno.ts";
import { type LinkInfo, setLink } from "../netlink/link.ts";
import { isPlug } from "../ownership.ts";
import { entryKind } from "./entry.ts";
import { LINK_EVENTS } from "./events.ts";
import type { StepContext } from "./kind.ts";
import { describeLink, linkIn } from "./links.ts";

/** Ours by the pair that it is of. */
export const plug = entryKind<Plug, LinkInfo & { readonly bridge: string }>({
  isInWorkloads: false,
  encode(context, { op, object }) {
    const index = context.indexOf(object.dev);
    const master = op === "remove" ? 0 : bridgeOf(context, object);
    setLink(context.w, context.seq(), index, { master });
  },
  list({ isHost, links, linkNames }) {
    const nears = new Set(isHost ? links.filter(isPlug).map(({ index }) => index) : []);
    return links
      .filter((link) => link.master !== 0 && link.peerNsid === undefined && nears.has(link.peer))
      .map((link) => ({ ...link, bridge: linkNames.get(link.master) ?? "" }));
  },
  decode: ({ bridge }, { dev }) => ({ kind: "plug", ns: "host", dev, master: bridge }),
  events: LINK_EVENTS,
  fake: { lostWith: "master" },
});

/** One of ours may be made by the same list of operations. */
function bridgeOf(context: StepContext, { master, ns }: Plug): number {
  if (context.space.indexes.has(master)) return context.indexOf(master);
  const link = linkIn(context, master);
  return link.kind === "bridge" ? link.index : refuse("exists", describeLink(link, ns));
}
