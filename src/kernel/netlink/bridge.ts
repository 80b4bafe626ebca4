// rtnetlink's bridges and their ports: what they learn from frames, where they flood, and which groups they forward.
import { AGEING, FDB_MAX } from "../../datapath/kinds/bridge.ts";
import { GROUPS_SEEN, type Macs } from "../../datapath/kinds/link.ts";
import * as k from "./constants.ts";
import { CREATE, type NewLink, ifinfo } from "./link.ts";
import type { MessageWriter } from "./wire.ts";

/**
 * A bridge that is up. Its MTU is not given here but set afterwards: only a bridge whose MTU was *changed* keeps it
 * when ports come and go (BROPT_MTU_SET_BY_USER), any other takes the least of its ports, and 1500 when the last one
 * leaves.
 */
export function newBridge(w: MessageWriter, seq: number, link: NewLink & Forgets): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, link.name);
  w.attrMac(k.IFLA_ADDRESS, link.mac);
  bridgeInfo(w, link);
  w.end();
}

/**
 * Nobody becomes the querier whose word decides where multicast goes; frames that never pass the hooks teach nothing;
 * and what is learned has an end (6.7; older kernels skip the attribute).
 */
function bridgeInfo(w: MessageWriter, { forgets }: Forgets): void {
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

type Forgets = { readonly forgets?: true };

const NO_LL_LEARN = Buffer.from([k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0, k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0]);

/** The same for a bridge that is there. */
export function setBridge(w: MessageWriter, seq: number, index: number, bridge: Forgets): void {
  w.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  bridgeInfo(w, bridge);
  w.end();
}

/**
 * A veth that is a port of a bridge: its alias, and what the bridge learns from it and gives it. In one message, which
 * is a change of a link that is there (RTM_SETLINK does not look at these).
 */
export function setPort(w: MessageWriter, seq: number, index: number, alias: string, macs: Macs | undefined): void {
  w.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFALIAS, alias);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_SLAVE_KIND, "bridge");
    w.nest(k.IFLA_INFO_SLAVE_DATA, () => {
      learning(w, macs);
      w.attrBytes(k.IFLA_BRPORT_GROUP_FWD_MASK, macs === "flooded" ? NO_GROUPS : GROUPS);
    });
  });
  w.end();
}

const NO_GROUPS = Buffer.alloc(2);
const GROUPS = Buffer.from([GROUPS_SEEN & 255, GROUPS_SEEN >> 8]);

function learning(w: MessageWriter, macs: Macs | undefined): void {
  w.attrU8(k.IFLA_BRPORT_LEARNING, macs === undefined ? 0 : 1);
  w.attrU8(k.IFLA_BRPORT_UNICAST_FLOOD, macs === "flooded" ? 1 : 0);
}

/** A tunnel that is a bridge port: it answers ARP and ND from the bridge's neighbours, or floods them. */
export function setTunnelPort(w: MessageWriter, seq: number, index: number, { macs, floodsArp }: TunnelPort): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  w.u32(k.AF_BRIDGE);
  w.u32(index);
  w.u32(0);
  w.u32(0);
  w.nest(k.IFLA_PROTINFO, () => {
    learning(w, macs);
    w.attrU8(k.IFLA_BRPORT_NEIGH_SUPPRESS, floodsArp === true ? 0 : 1);
  });
  w.end();
}

type TunnelPort = { readonly macs?: Macs; readonly floodsArp?: true };
