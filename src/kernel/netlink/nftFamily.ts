// Whether a kernel's nftables has a family, tried with a table and a chain at a hook.
import { transactElements } from "./element.ts";
import * as k from "./constants.ts";
import type { NetlinkSocket } from "./socket.ts";
import type { MessageWriter } from "./wire.ts";

const NAME = "probe";
/** NF_BR_PRE_ROUTING and NF_INET_PRE_ROUTING, at priority 0: the same number in both byte orders. */
const ZERO = 0;

/**
 * `socket` is netfilter's in a namespace that is for trying alone: the table stays. Linux refuses the table since 5.18
 * (nft_supported_family, net/netfilter/nf_tables_api.c), before that only the chain.
 */
export function hasFamily(socket: NetlinkSocket, family: number): boolean {
  let isThere = true;
  const write = (w: MessageWriter, _: number, nextSeq: () => number) => {
    w.begin(k.NFT_MSG_NEWTABLE, k.NLM_F_REQUEST | k.NLM_F_CREATE, nextSeq());
    w.u8s(family, 0, 0, 0);
    w.attrText(k.NFTA_TABLE_NAME, NAME);
    w.begin(k.NFT_MSG_NEWCHAIN, k.NLM_F_REQUEST | k.NLM_F_CREATE, nextSeq());
    w.u8s(family, 0, 0, 0);
    w.attrText(k.NFTA_CHAIN_TABLE, NAME);
    w.attrText(k.NFTA_CHAIN_NAME, NAME);
    w.nest(k.NFTA_CHAIN_HOOK, () => {
      w.attrU32(k.NFTA_HOOK_HOOKNUM, ZERO);
      w.attrU32(k.NFTA_HOOK_PRIORITY, ZERO);
    });
    w.attrText(k.NFTA_CHAIN_TYPE, "filter");
  };
  transactElements(socket, [family], write, () => {
    isThere = false;
  });
  return isThere;
}
