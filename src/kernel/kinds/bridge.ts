// A bridge. Like every link it is ours by its ifalias, `weft:<kind>:<name>`.
import { AGEING, type Bridge, FDB_MAX } from "../../datapath/kinds/links.ts";
import * as k from "../netlink/constants.ts";
import { CREATE, ifinfo, setLink } from "../netlink/link.ts";
import { type Layout, type MessageWriter, fill, flagAt, u32At, u8At } from "../netlink/wire.ts";
import type { StepContext } from "./kind.ts";
import { linkKind } from "./link.ts";

export const bridge = linkKind<Bridge>({
  create,
  configure(context, object, index) {
    const { w } = context;
    w.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST, context.seq());
    ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
    bridgeInfo(w, object);
  },
  decode(link, seen) {
    const info = fill<BridgeInfo>({ ageing: 0, snoops: false, learnsGroups: false }, BRIDGE, link.data);
    const common = seen.common(!info.snoops && !info.learnsGroups);
    return { kind: "bridge", ...common, ...(info.ageing === AGEING.keeps ? {} : { forgets: true }) };
  },
  fake: {},
});

/**
 * A bridge that is up. Its MTU is not given here but set afterwards: only a bridge whose MTU was *changed* keeps it
 * when ports come and go (BROPT_MTU_SET_BY_USER), any other takes the least of its ports, and 1500 when the last one
 * leaves.
 */
function create(context: StepContext, object: Bridge): void {
  const { w } = context;
  const index = context.newIndex(object.ns, object.name);
  w.begin(k.RTM_NEWLINK, CREATE, context.seq());
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  bridgeInfo(w, object);
  setLink(w, context.seq(), index, { alias: object.alias, mtu: object.mtu, forwards: true });
}

/**
 * The bridge never becomes the querier whose word decides where multicast goes; frames that never pass the hooks teach
 * it nothing; and what it learns has an end (6.7; older kernels skip the attribute).
 */
function bridgeInfo(w: MessageWriter, { forgets }: Bridge): void {
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "bridge");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.attrU32(k.IFLA_BR_AGEING_TIME, k.USER_HZ * (forgets === true ? AGEING.forgets : AGEING.keeps));
      w.attrU8(k.IFLA_BR_MCAST_SNOOPING, 0);
      // struct br_boolopt_multi: values, mask.
      w.attrBytes(k.IFLA_BR_MULTI_BOOLOPT, NO_LL_LEARN);
      w.attrU32(k.IFLA_BR_FDB_MAX_LEARNED, FDB_MAX);
    });
  });
}

const NO_LL_LEARN = Buffer.from([k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0, k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0]);

/** For how many seconds it remembers MACs; whether it looks at multicast, and at frames to the groups of bridges. */
type BridgeInfo = { readonly ageing: number; readonly snoops: boolean; readonly learnsGroups: boolean };
const BRIDGE: Layout<BridgeInfo> = {
  [k.IFLA_BR_AGEING_TIME]: ["ageing", (bytes, start) => Math.round(u32At(bytes, start) / k.USER_HZ)],
  [k.IFLA_BR_MCAST_SNOOPING]: ["snoops", flagAt],
  [k.IFLA_BR_MULTI_BOOLOPT]: ["learnsGroups", (bytes, at) => (u8At(bytes, at) & k.BR_BOOLOPT_NO_LL_LEARN) === 0],
};
