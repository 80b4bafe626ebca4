// What limits traffic: token buckets on the way out of a link, and redirects of what comes in.
import { isDeepStrictEqual } from "node:util";
import { type Redirect, type Tbf, REDIRECT_PRIORITY, TBF_HANDLES } from "../../datapath/kinds/entries.ts";
import { ticksOf } from "../../datapath/network/shaping.ts";
import { keyOf } from "../../datapath/state/state.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import * as k from "../netlink/constants.ts";
import type { Question } from "../netlink/socket.ts";
import { type QueueInfo, type TbfRequest, INGRESS_HANDLE, isOurQueue, ownQueue, tcmsg } from "../netlink/tc.ts";
import { type Layout, type MessageWriter, fill, u32At } from "../netlink/wire.ts";
import { entryKind } from "./entry.ts";
import { QUEUE_EVENTS } from "./events.ts";
import type { Indexed, Reading, StepContext } from "./kind.ts";

const [FIRST, SECOND] = TBF_HANDLES.map((major) => major * 0x1_0000) as [number, number];
const U32_MAX = 0xffff_ffff;

/** A queue is ours by its handle, 7766: or 7767:, on a link of ours. */
export const tbf = entryKind<Tbf, QueueInfo>({
  isInWorkloads: false,
  encode(context, { op, object }) {
    const index = context.indexOf(object.dev);
    if (op === "add") return addTbf(context.w, context.seq(), index, object);
    // Changing and removing a queue needs the number that it has at the moment.
    const there = context.space.socket.ask(ownQueue(index));
    if (there === undefined || !isOurQueue(there))
      return refuse("missing", `${object.dev} in ${object.ns} has no queue of ours`);
    if (op === "set") change(context.w, context.seq(), there, object);
    else remove(context.w, context.seq(), there);
  },
  explain({ space }, { kind: _, ns: __, dev, ...wanted }) {
    const there = space.socket.ask(ownQueue(space.indexes.get(dev) ?? 0));
    const isOurs = there !== undefined && isOurQueue(there);
    if (isOurs && isDeepStrictEqual(there.tbf, wanted)) return undefined;
    return refusalOf(EEXIST, `${dev} has a queue that is ${isOurs ? "another of ours" : "not ours"}`);
  },
  list: (reading) => reading.queues().filter(isOurQueue),
  decode: ({ tbf: request }, on) => ({ kind: "tbf", ...on, ...request }),
  events: QUEUE_EVENTS,
  fake: {
    check(_machine, device, object) {
      const there = device.entries.get(keyOf(object));
      if (there !== undefined && !isDeepStrictEqual(there, object)) refuse("exists", `${device.name} has a queue`);
    },
  },
});

/** Refused with EEXIST if another program gave the link a queue. */
export function addTbf(w: MessageWriter, seq: number, index: number, request: TbfRequest): void {
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL, seq);
  bucket(w, index, FIRST, request);
}

/**
 * Changes `there`, a queue of ours. What waits in it stays, unless its buckets become smaller: a packet that waits and
 * is larger than its bucket would block the queue for ever (sch_tbf compares packets with buckets only when they come),
 * so the queue is replaced in one step, with what is in it.
 */
function change(w: MessageWriter, seq: number, there: QueueInfo, request: TbfRequest): void {
  const isSmaller = largestIn(request) < largestIn(there.tbf);
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | (isSmaller ? k.NLM_F_CREATE | k.NLM_F_REPLACE : 0), seq);
  bucket(w, there.index, isSmaller && there.handle === FIRST ? SECOND : isSmaller ? FIRST : there.handle, request);
}

/** Larger packets are split, or refused, when they come. */
function largestIn({ burst, peak }: TbfRequest): number {
  return Math.min(burst, peak?.burst ?? burst);
}

function bucket(w: MessageWriter, index: number, handle: number, { rate, burst, limit, peak }: TbfRequest): void {
  tcmsg(w, { index, handle, parent: k.TC_H_ROOT });
  w.attrText(k.TCA_KIND, "tbf");
  w.nest(k.TCA_OPTIONS, () => {
    w.attr(k.TCA_TBF_PARMS, () => {
      ratespec(w, rate);
      ratespec(w, peak?.rate ?? 0);
      w.u32(limit);
      w.u32(ticksOf(rate, burst));
      w.u32(peak === undefined ? 0 : ticksOf(peak.rate, peak.burst));
    });
    if (rate > U32_MAX) w.attrU64(k.TCA_TBF_RATE64, rate);
    if (peak !== undefined && peak.rate > U32_MAX) w.attrU64(k.TCA_TBF_PRATE64, peak.rate);
  });
}

/** struct tc_ratespec. With the link layer said, the kernel wants no table of transmission times. */
function ratespec(w: MessageWriter, rate: number): void {
  w.u8s(0, rate === 0 ? 0 : k.TC_LINKLAYER_ETHERNET, 0, 0);
  w.u32(0);
  w.u32(Math.min(rate, U32_MAX));
}

function remove(w: MessageWriter, seq: number, there: QueueInfo): void {
  w.begin(k.RTM_DELQDISC, k.NLM_F_REQUEST, seq);
  tcmsg(w, { index: there.index, handle: there.handle, parent: k.TC_H_ROOT });
}

/** All protocols, in network byte order, below the priority. */
const FILTER_INFO = REDIRECT_PRIORITY * 0x1_0000 + 0x0300;

/** Where everything goes that comes in on a link. */
type Redirected = Indexed & { readonly target: number };

/**
 * A redirect is ours by the priority of its filter, 87, on what comes in on a link of ours. Anything else that was on
 * the way in of such a link gives way.
 */
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
