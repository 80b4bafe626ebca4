// rtnetlink's traffic control: how to ask for queues and read them. The layouts are those of pkt_sched.h.
import { TBF_HANDLES } from "../../datapath/kinds/entries.ts";
import { bytesOfTicks } from "../../datapath/network/shaping.ts";
import type { Counters } from "../kernel.ts";
import * as k from "./constants.ts";
import type { Question } from "./socket.ts";
import {
  type Layout,
  type MessageWriter,
  type Received,
  type Span,
  eachAttribute,
  fill,
  i32At,
  textAt,
  u32At,
  u64At,
} from "./wire.ts";

/** An ingress queue has no other handle. */
export const INGRESS_HANDLE = 0xffff_0000;

type Tcmsg = { readonly index?: number; readonly handle?: number; readonly parent?: number; readonly info?: number };

/** struct tcmsg, the fixed part of all traffic control: family and padding, interface, handle, parent, info. */
export function tcmsg(w: MessageWriter, { index = 0, handle = 0, parent = 0, info = 0 }: Tcmsg): void {
  w.u32(k.AF_UNSPEC);
  w.u32(index);
  w.u32(handle);
  w.u32(parent);
  w.u32(info);
}

type Bucket = { readonly rate: number; readonly burst: number };
/** Rates in bytes per second, sizes in bytes. */
export type TbfRequest = Bucket & { readonly limit: number; readonly peak?: Bucket };

export type QueueInfo = {
  readonly index: number;
  readonly handle: number;
  readonly kind: string;
  readonly tbf: TbfRequest;
  readonly counters: Counters;
};

/** A token bucket of Weft's. */
export function isOurQueue({ kind, handle }: QueueInfo): boolean {
  return kind === "tbf" && TBF_HANDLES.some((major) => major * 0x1_0000 === handle);
}

type Queue = Pick<QueueInfo, "kind" | "counters"> & { readonly options: Span | undefined };
const QUEUE: Layout<Queue> = {
  [k.TCA_KIND]: ["kind", textAt],
  [k.TCA_OPTIONS]: ["options", (bytes, start, end) => ({ bytes, start, end })],
  [k.TCA_STATS2]: ["counters", countersAt],
};

function readQueue(message: Received): QueueInfo {
  const { bytes, start } = message;
  const unread = { kind: "", options: undefined, counters: { bytes: 0, packets: 0, drops: 0, backlog: 0 } };
  const { kind, options, counters } = fill<Queue>(unread, QUEUE, message, 20);
  // Other kinds have other options under the same numbers.
  const tbf = kind === "tbf" && options !== undefined ? readTbf(options) : { rate: 0, burst: 0, limit: 0 };
  return { index: i32At(bytes, start + 4), handle: u32At(bytes, start + 8), kind, tbf, counters };
}

/** A link's own queue. Without an echo the kernel answers only those who listen for events. */
export function ownQueue(index: number): Question<QueueInfo> {
  const write = (w: MessageWriter) => tcmsg(w, { index, parent: k.TC_H_ROOT });
  return { type: k.RTM_GETQDISC, flags: k.NLM_F_ECHO, write, read: readQueue };
}
export const allQueues: Question<QueueInfo> = { type: k.RTM_GETQDISC, write: (w) => tcmsg(w, {}), read: readQueue };

/** struct tc_tbf_qopt: two rates of 12 bytes, limit, both times that it takes to send a burst. */
type Parms = { readonly parms: readonly number[]; readonly rate?: number; readonly peakRate?: number };
const TBF: Layout<Parms> = {
  [k.TCA_TBF_PARMS]: ["parms", (bytes, start) => [8, 20, 24, 28, 32].map((at) => u32At(bytes, start + at))],
  [k.TCA_TBF_RATE64]: ["rate", u64At],
  [k.TCA_TBF_PRATE64]: ["peakRate", u64At],
};

function readTbf(options: Span): TbfRequest {
  const { parms, ...large } = fill<Parms>({ parms: [] }, TBF, options);
  const [rate32 = 0, peakRate32 = 0, limit = 0, ticks = 0, peakTicks = 0] = parms;
  const { rate = rate32, peakRate = peakRate32 } = large;
  const bucket = { rate, burst: bytesOfTicks(rate, ticks), limit };
  return peakRate === 0 ? bucket : { ...bucket, peak: { rate: peakRate, burst: bytesOfTicks(peakRate, peakTicks) } };
}

function countersAt(bytes: Buffer, start: number, end: number): Counters {
  const counters = { bytes: 0, packets: 0, drops: 0, backlog: 0 };
  eachAttribute(bytes, start, end, (type, from) => {
    if (type === k.TCA_STATS_BASIC) {
      counters.bytes = u64At(bytes, from);
      counters.packets = u32At(bytes, from + 8);
    } else if (type === k.TCA_STATS_PKT64) counters.packets = u64At(bytes, from);
    else if (type === k.TCA_STATS_QUEUE) {
      counters.backlog = u32At(bytes, from + 4);
      counters.drops = u32At(bytes, from + 8);
    }
  });
  return counters;
}
