// Limits of an endpoint as kernel objects, all on the host's side, where no workload can reach them:
//
//   inbound    everything to the workload leaves the host end of its pair: a token bucket (tbf) is that end's queue
//   outbound   everything from the workload enters there: a filter redirects it to a device of its own (ifb), whose
//              queue is a token bucket, and which hands the frames back as if they had just come in
//
// So bridged frames on one host are limited like those to other hosts, of any protocol. Frames that come back from an
// ifb skip tc and the netdev ingress hook of the port ("Skip tc and netfilter to prevent redirection loop", ifb.c); the
// bridge's own hooks see them as ever.
import type { Endpoint, Network, Vrf } from "../../model/resource.ts";
import { type Direction, type Limit, levelsOf, limitOf } from "../../model/qos.ts";
import { alias, portMac, portName, shaperName } from "../state/names.ts";
import { nsOf } from "../world/placement.ts";
import type { KernelObject } from "../kinds.ts";
import type { Ns } from "../kinds/kind.ts";
import type { Tbf } from "../kinds/entries.ts";

/** Ethernet header and a VLAN tag: what a frame has in addition to the MTU. */
const FRAME_OVERHEAD = 18;
/** The default burst: 10 ms of the average, so that a late timer loses nothing. */
const BURST_MS = 10;
const BURST_MIN = 4000;
/** The length of one piece of a burst at its peak: what timers can do. */
const PEAK_MS = 1;
/** How much may wait: 50 ms of traffic at the average, and room for one offloaded packet. */
const QUEUE_MS = 50;
const QUEUE_MIN = 64 * 1024;
const QUEUE_MAX = 1_000_000_000;
/** The kernel silently cuts a bucket at 4.29 s of its rate; a frame must fit. */
const FRAME_SECONDS = 4;

/**
 * Empty for an endpoint without limits. If limits and port are in one list, limits come first, because the far end of
 * the pair comes up last. Frames have at most `mtu` and a header.
 */
export function compileShaping(vrf: Vrf, network: Network, endpoint: Endpoint, mtu: number): KernelObject[] {
  const levels = levelsOf(network, endpoint.spec);
  if (levels.every((level) => level === undefined)) return [];
  const ns = nsOf(vrf);
  const bucketsOf = (dev: string, direction: Direction) => {
    const limit = limitOf(levels, direction);
    return limit === undefined ? [] : [tbfOf(ns, dev, limit, mtu)];
  };
  const [port, shaper] = [portName(endpoint.name), shaperName(endpoint.name)];
  const objects: KernelObject[] = bucketsOf(port, "inbound");
  for (const bucket of bucketsOf(shaper, "outbound"))
    objects.push(
      { kind: "ifb", ns, name: shaper, mtu, mac: portMac(endpoint.name), alias: alias("shaper", endpoint.name) },
      bucket,
      { kind: "redirect", ns, dev: port, to: shaper },
    );
  return objects;
}

/** A token bucket in the kernel's terms: bytes per second, bytes. */
function tbfOf(ns: Ns, dev: string, { average, peak, burst }: Limit, mtu: number): Tbf {
  const frame = mtu + FRAME_OVERHEAD;
  const rate = Math.max(Math.floor(average / 8), Math.ceil(frame / FRAME_SECONDS));
  const bucket = Math.max(frame, burst ?? Math.max(BURST_MIN, bytesIn(rate, BURST_MS)));
  const object: Tbf = {
    kind: "tbf",
    ns,
    dev,
    rate,
    burst: wholeTicks(rate, bucket),
    limit: bucket + Math.min(QUEUE_MAX, Math.max(QUEUE_MIN, bytesIn(rate, QUEUE_MS))),
  };
  if (peak === undefined) return object;
  const peakRate = Math.max(Math.floor(peak / 8), rate + 1);
  const peakBurst = wholeTicks(peakRate, Math.max(frame, bytesIn(peakRate, PEAK_MS)));
  return { ...object, peak: { rate: peakRate, burst: peakBurst } };
}

function bytesIn(rate: number, ms: number): number {
  return Math.floor((rate * ms) / 1000);
}

/** The kernel keeps a bucket as time, in ticks of 64 ns (PSCHED_SHIFT): the nearest size above that it can keep. */
export function wholeTicks(rate: number, bytes: number): number {
  return bytesOfTicks(rate, ticksOf(rate, bytes));
}

const TICK_NS = 64n;
const SECOND_NS = 1_000_000_000n;

/** The least number of ticks in which `bytes` pass. */
export function ticksOf(rate: number, bytes: number): number {
  const perTick = BigInt(rate) * TICK_NS;
  return Number((BigInt(bytes) * SECOND_NS + perTick - 1n) / perTick);
}

/** What passes in a number of ticks. For a size of wholeTicks(), it is the inverse of ticksOf(). */
export function bytesOfTicks(rate: number, ticks: number): number {
  return Number((BigInt(ticks) * BigInt(rate) * TICK_NS) / SECOND_NS);
}
