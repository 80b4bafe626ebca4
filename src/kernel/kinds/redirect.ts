// A redirect is ours by the priority of its filter, 87, on what comes in on a link of ours. Anything else that was on
// the way in of such a link gives way.
import { REDIRECT_PRIORITY, type Redirect } from "../../datapath/kinds/entries.ts";
import * as k from "../netlink/constants.ts";
import { INGRESS_HANDLE, tcmsg } from "../netlink/tc.ts";
import type { Question } from "../netlink/socket.ts";
import { type Layout, type MessageWriter, fill, u32At } from "../netlink/wire.ts";
import { entryKind } from "./entry.ts";
import { QUEUE_EVENTS } from "./events.ts";
import type { Indexed, Reading, StepContext } from "./kind.ts";

/** All protocols, in network byte order, below the priority. */
const FILTER_INFO = REDIRECT_PRIORITY * 0x1_0000 + 0x0300;

/** Where everything goes that comes in on a link. */
type Redirected = Indexed & { readonly target: number };

export const redirect = entryKind<Redirect, Redirected>({
  isInWorkloads: false,
  encode(context, { op, object }) {
    if (op === "remove") deleteIngress(context.w, context.seq(), context.indexOf(object.dev));
    else put(context, object);
  },
  list,
  decode: ({ target }, on, nameOf) => ({ kind: "redirect", ...on, to: nameOf(target) ?? "" }),
  events: QUEUE_EVENTS,
  fake: { check: (machine, _device, { ns, to }) => void machine.device(ns, to) },
});

function put(context: StepContext, object: Redirect): void {
  const index = context.indexOf(object.dev);
  const target = context.indexOf(object.to);
  // Mostly there is none, and the kernel says so: not this step's error.
  deleteIngress(context.w, context.space.socket.nextSeq(), index);
  addIngress(context.w, context.seq(), index);
  addRedirect(context.w, context.seq(), index, target);
}

/** Only links that have an ingress queue at all are asked for its filters. */
function list(reading: Reading): readonly Redirected[] {
  const queues = reading.queues().filter(({ kind }) => kind === "ingress");
  return queues.flatMap(({ index }) => {
    const target = reading.space.socket.list(filtersOn(index)).find((one) => one !== undefined);
    return target === undefined ? [] : [{ index, target }];
  });
}

export function addIngress(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | k.NLM_F_CREATE, seq);
  tcmsg(w, { index, handle: INGRESS_HANDLE, parent: k.TC_H_INGRESS });
  w.attrText(k.TCA_KIND, "ingress");
}

/** With its filters. Refused with ENOENT if there is none. */
function deleteIngress(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_DELQDISC, k.NLM_F_REQUEST, seq);
  tcmsg(w, { index, parent: k.TC_H_INGRESS });
}

/** u32 with a key that everything matches, because matchall is younger and missing more often. */
export function addRedirect(w: MessageWriter, seq: number, index: number, target: number): void {
  w.begin(k.RTM_NEWTFILTER, k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL, seq);
  tcmsg(w, { index, parent: INGRESS_HANDLE, info: FILTER_INFO });
  w.attrText(k.TCA_KIND, "u32");
  w.nest(k.TCA_OPTIONS, () => {
    // struct tc_u32_sel with one struct tc_u32_key, all zero: mask 0 at offset 0.
    w.attr(k.TCA_U32_SEL, () => {
      w.u8s(k.TC_U32_TERMINAL, 0, 1, 0);
      for (let at = 4; at < 32; at += 4) w.u32(0);
    });
    w.nest(k.TCA_U32_ACT, () => {
      w.nest(1, () => {
        w.attrText(k.TCA_ACT_KIND, "mirred");
        w.nest(k.TCA_ACT_OPTIONS, () => {
          // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
          w.attr(k.TCA_MIRRED_PARMS, () => {
            for (const value of [0, 0, k.TC_ACT_STOLEN, 0, 0, k.TCA_EGRESS_REDIR, target]) w.u32(value);
          });
        });
      });
    });
  });
}

// struct tc_mirred again.
const REDIRECT: Layout<{ target?: number }> = {
  [k.TCA_OPTIONS]: {
    [k.TCA_U32_ACT]: {
      1: { [k.TCA_ACT_OPTIONS]: { [k.TCA_MIRRED_PARMS]: ["target", (bytes, start) => u32At(bytes, start + 24)] } },
    },
  },
};

/**
 * Filters of what comes in on a link: where one of ours sends everything, by interface index (0: the link is gone);
 * undefined for any other, and for what else a dump of filters tells.
 */
function filtersOn(index: number): Question<number | undefined> {
  return {
    type: k.RTM_GETTFILTER,
    write: (w) => tcmsg(w, { index, parent: INGRESS_HANDLE }),
    read(message) {
      const isOurs = u32At(message.bytes, message.start + 16) >>> 16 === REDIRECT_PRIORITY;
      return isOurs ? fill({}, REDIRECT, message, 20).target : undefined;
    },
  };
}
