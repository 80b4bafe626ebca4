// rtnetlink's traffic control: how to ask for queues and read them. The layouts are those of pkt_sched.h.
import { TBF_HANDLES } from "../../datapath/kinds/entries.ts";
import { bytesOfTicks } from "../../datapath/network/shaping.ts";
import type { Counters } from "../kernel.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, textAt } from "./wire.ts";

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

/** The fixed part of a question for a link's own queue, to follow RTM_GETQDISC. */
export function ownQueue(w: MessageWriter, index: number): void {
  tcmsg(w, { index, parent: k.TC_H_ROOT });
}

/** Every queue of a namespace, to follow RTM_GETQDISC. */
export function allQueues(w: MessageWriter): void {
  tcmsg(w, {});
}

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
  return { index: bytes.readInt32LE(start + 4), handle, kind, tbf: request, counters };
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
