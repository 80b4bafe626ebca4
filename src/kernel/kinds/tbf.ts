// A queue is ours by its handle, 7766: or 7767:, on a link of ours.
import { isDeepStrictEqual } from "node:util";
import { TBF_HANDLES, type Tbf } from "../../datapath/kinds/entries.ts";
import { keyOf } from "../../datapath/state/state.ts";
import { ticksOf } from "../../datapath/network/shaping.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import * as k from "../netlink/constants.ts";
import { type QueueInfo, type TbfRequest, isOurQueue, ownQueue, tcmsg } from "../netlink/tc.ts";
import type { MessageWriter } from "../netlink/wire.ts";
import { entryKind } from "./entry.ts";
import { QUEUE_EVENTS } from "./events.ts";

const [FIRST, SECOND] = TBF_HANDLES.map((major) => major * 0x1_0000) as [number, number];
const U32_MAX = 0xffff_ffff;

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
