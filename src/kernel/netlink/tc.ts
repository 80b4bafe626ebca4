// rtnetlink's traffic control, as far as Weft needs it: a token bucket as a link's queue, and an ingress queue whose
// one filter redirects everything to another link. Interface indexes in, messages out. The layouts are those of
// pkt_sched.h, pkt_cls.h and tc_act/tc_mirred.h.
import { REDIRECT_PRIORITY } from "../../datapath/kinds/redirect.ts";
import { TBF_HANDLES } from "../../datapath/kinds/tbf.ts";
import { bytesOfTicks, ticksOf } from "../../datapath/network/shaping.ts";
import type { Counters } from "../kernel.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, textAt } from "./wire.ts";

const [FIRST, SECOND] = TBF_HANDLES.map((major) => major * 0x1_0000) as [number, number];
/** An ingress queue has no other handle. */
const INGRESS_HANDLE = 0xffff_0000;
/** All protocols, in network byte order, below the priority. */
const FILTER_INFO = REDIRECT_PRIORITY * 0x1_0000 + 0x0300;
const U32_MAX = 0xffff_ffff;

/** struct tcmsg: family and padding, index, handle, parent, info. */
function tcmsg(w: MessageWriter, index: number, handle: number, parent: number, info: number): void {
  w.u32(k.AF_UNSPEC);
  w.u32(index);
  w.u32(handle);
  w.u32(parent);
  w.u32(info);
}

type Bucket = { readonly rate: number; readonly burst: number };
/** Rates in bytes per second, sizes in bytes. */
export type TbfRequest = Bucket & { readonly limit: number; readonly peak?: Bucket };

/** Refused with EEXIST if the link has a queue that somebody gave it, whoever that was. */
export function addTbf(w: MessageWriter, seq: number, index: number, request: TbfRequest): void {
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL, seq);
  tbf(w, index, FIRST, request);
}

/**
 * Changes `there`, a queue of ours. What waits in it stays, unless its buckets become smaller: a packet that waits and
 * is larger than its bucket would block the queue for ever (sch_tbf compares packets with buckets only when they come),
 * so the queue is replaced in one step, with what is in it.
 */
export function changeTbf(w: MessageWriter, seq: number, there: QueueInfo, request: TbfRequest): void {
  const isSmaller = largestIn(request) < largestIn(there.tbf);
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | (isSmaller ? k.NLM_F_CREATE | k.NLM_F_REPLACE : 0), seq);
  tbf(w, there.index, isSmaller && there.handle === FIRST ? SECOND : isSmaller ? FIRST : there.handle, request);
}

/** Larger packets are split, or refused, when they come. */
function largestIn({ burst, peak }: TbfRequest): number {
  return Math.min(burst, peak?.burst ?? burst);
}

function tbf(w: MessageWriter, index: number, handle: number, { rate, burst, limit, peak }: TbfRequest): void {
  tcmsg(w, index, handle, k.TC_H_ROOT, 0);
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
  w.end();
}

/** struct tc_ratespec. With the link layer said, the kernel wants no table of transmission times. */
function ratespec(w: MessageWriter, rate: number): void {
  w.u8(0);
  w.u8(rate === 0 ? 0 : k.TC_LINKLAYER_ETHERNET);
  w.u16(0);
  w.u16(0);
  w.u16(0);
  w.u32(Math.min(rate, U32_MAX));
}

/** `there`: a queue of ours. */
export function deleteTbf(w: MessageWriter, seq: number, there: QueueInfo): void {
  w.begin(k.RTM_DELQDISC, k.NLM_F_REQUEST, seq);
  tcmsg(w, there.index, there.handle, k.TC_H_ROOT, 0);
  w.end();
}

/** The fixed part of a question for a link's own queue, to follow RTM_GETQDISC. */
export function ownQueue(w: MessageWriter, index: number): void {
  tcmsg(w, index, 0, k.TC_H_ROOT, 0);
}

export function addIngress(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_NEWQDISC, k.NLM_F_REQUEST | k.NLM_F_CREATE, seq);
  tcmsg(w, index, INGRESS_HANDLE, k.TC_H_INGRESS, 0);
  w.attrText(k.TCA_KIND, "ingress");
  w.end();
}

/** With its filters. Refused with ENOENT if there is none. */
export function deleteIngress(w: MessageWriter, seq: number, index: number): void {
  w.begin(k.RTM_DELQDISC, k.NLM_F_REQUEST, seq);
  tcmsg(w, index, 0, k.TC_H_INGRESS, 0);
  w.end();
}

/** u32 with a key that everything matches, because matchall is younger and missing more often. */
export function addRedirect(w: MessageWriter, seq: number, index: number, target: number): void {
  w.begin(k.RTM_NEWTFILTER, k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL, seq);
  tcmsg(w, index, 0, INGRESS_HANDLE, FILTER_INFO);
  w.attrText(k.TCA_KIND, "u32");
  w.nest(k.TCA_OPTIONS, () => {
    // struct tc_u32_sel with one struct tc_u32_key, all zero: mask 0 at offset 0.
    w.attr(k.TCA_U32_SEL, () => {
      w.u8(k.TC_U32_TERMINAL);
      w.u8(0);
      w.u8(1);
      for (let byte = 3; byte < 32; byte++) w.u8(0);
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
  w.end();
}

/** Every queue of a namespace, to follow RTM_GETQDISC. */
export function allQueues(w: MessageWriter): void {
  tcmsg(w, 0, 0, 0, 0);
}

/** Filters on what comes in on a link, to follow RTM_GETTFILTER. */
export function ingressFilters(w: MessageWriter, index: number): void {
  tcmsg(w, index, 0, INGRESS_HANDLE, 0);
}

export type QueueInfo = {
  readonly index: number;
  readonly handle: number;
  readonly kind: string;
  readonly isOurTbf: boolean;
  readonly tbf: TbfRequest;
  readonly counters: Counters;
};

export function readQueue({ bytes, start, end }: Received): QueueInfo {
  let kind = "";
  let request: TbfRequest = { rate: 0, burst: 0, limit: 0 };
  let counters: Counters = { bytes: 0, packets: 0, drops: 0, backlog: 0 };
  eachAttribute(bytes, start + 20, end, (type, from, to) => {
    if (type === k.TCA_KIND) kind = textAt(bytes, from, to);
    // The kind comes before its options (tc_fill_qdisc).
    else if (type === k.TCA_OPTIONS && kind === "tbf") request = readTbf(bytes, from, to);
    else if (type === k.TCA_STATS2) counters = readCounters(bytes, from, to);
  });
  const handle = bytes.readUInt32LE(start + 8);
  const isOurTbf = kind === "tbf" && (handle === FIRST || handle === SECOND);
  return { index: bytes.readInt32LE(start + 4), handle, kind, isOurTbf, tbf: request, counters };
}

function readTbf(bytes: Buffer, start: number, end: number): TbfRequest {
  let rate = 0;
  let peakRate = 0;
  let limit = 0;
  let ticks = 0;
  let peakTicks = 0;
  eachAttribute(bytes, start, end, (type, from) => {
    if (type === k.TCA_TBF_PARMS) {
      rate = bytes.readUInt32LE(from + 8);
      peakRate = bytes.readUInt32LE(from + 20);
      limit = bytes.readUInt32LE(from + 24);
      ticks = bytes.readUInt32LE(from + 28);
      peakTicks = bytes.readUInt32LE(from + 32);
    } else if (type === k.TCA_TBF_RATE64) rate = Number(bytes.readBigUInt64LE(from));
    else if (type === k.TCA_TBF_PRATE64) peakRate = Number(bytes.readBigUInt64LE(from));
  });
  const bucket = { rate, burst: bytesOfTicks(rate, ticks), limit };
  return peakRate === 0 ? bucket : { ...bucket, peak: { rate: peakRate, burst: bytesOfTicks(peakRate, peakTicks) } };
}

function readCounters(bytes: Buffer, start: number, end: number): Counters {
  const counters = { bytes: 0, packets: 0, drops: 0, backlog: 0 };
  eachAttribute(bytes, start, end, (type, from) => {
    if (type === k.TCA_STATS_BASIC) {
      counters.bytes = Number(bytes.readBigUInt64LE(from));
      counters.packets = bytes.readUInt32LE(from + 8);
    } else if (type === k.TCA_STATS_PKT64) counters.packets = Number(bytes.readBigUInt64LE(from));
    else if (type === k.TCA_STATS_QUEUE) {
      counters.backlog = bytes.readUInt32LE(from + 4);
      counters.drops = bytes.readUInt32LE(from + 8);
    }
  });
  return counters;
}

/**
 * Where a filter of ours sends everything, by interface index (0: the link is gone); undefined for any other filter,
 * and for what else a dump of filters tells.
 */
export function readRedirect({ bytes, start, end }: Received): number | undefined {
  if (bytes.readUInt32LE(start + 16) >>> 16 !== REDIRECT_PRIORITY) return undefined;
  let target: number | undefined;
  const inside = (path: readonly number[], from: number, to: number): void => {
    eachAttribute(bytes, from, to, (type, at, until) => {
      if (type !== path[0]) return;
      if (path.length > 1) inside(path.slice(1), at, until);
      else target = bytes.readUInt32LE(at + 24);
    });
  };
  inside([k.TCA_OPTIONS, k.TCA_U32_ACT, 1, k.TCA_ACT_OPTIONS, k.TCA_MIRRED_PARMS], start + 20, end);
  return target;
}
