// A device for redirected frames. Like every link it is ours by its ifalias, `weft:<kind>:<name>`.
import type { Ifb } from "../../datapath/kinds/links.ts";
import * as k from "../netlink/constants.ts";
import { CREATE, type NewLink, ifinfo, newLinkAttributes, setLink } from "../netlink/link.ts";
import type { MessageWriter } from "../netlink/wire.ts";
import { linkKind } from "./link.ts";

export const ifb = linkKind<Ifb>({
  create(context, object) {
    const index = context.newIndex(object.ns, object.name);
    newIfb(context.w, context.seq(), { ...object, index });
    setLink(context.w, context.seq(), index, { alias: object.alias });
  },
  decode: (_link, seen) => ({ kind: "ifb", ...seen.common(true) }),
  fake: { isTarget: true },
});

/** Up, with one queue. */
export function newIfb(w: MessageWriter, seq: number, link: NewLink): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  newLinkAttributes(w, link);
  w.nest(k.IFLA_LINKINFO, () => w.attrText(k.IFLA_INFO_KIND, "ifb"));
}
