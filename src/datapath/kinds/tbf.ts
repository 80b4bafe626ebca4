// A token bucket as the queue of a link.
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { veth } from "./veth.ts";

/**
 * At the root, with a handle of TBF_HANDLES: `rate` bytes per second in the long run, `burst` bytes at once, `limit`
 * bytes may wait. With `peak`, a burst goes at that rate, in pieces of its `burst` bytes. Sizes of buckets are ones
 * that the kernel can keep exactly (network/shaping.ts, wholeTicks).
 */
export type Tbf = {
  readonly kind: "tbf";
  readonly ns: Ns;
  readonly dev: string;
  readonly rate: number;
  readonly burst: number;
  readonly limit: number;
  readonly peak?: { readonly rate: number; readonly burst: number };
};

/**
 * Major numbers of our queues (`tc` shows `7766:`), which tell them from others'. Two, because a queue is replaced by
 * one of another number.
 */
export const TBF_HANDLES = [0x7766, 0x7767] as const;

/** `tc` writes rates in bits per second and sizes in bytes. */
function line(verb: "add" | "change", { ns, dev, rate, burst, limit, peak }: Tbf, shell: Shell): string {
  const more = peak === undefined ? "" : ` peakrate ${peak.rate * 8}bit mtu ${peak.burst}`;
  const bucket = `tbf rate ${rate * 8}bit burst ${burst} limit ${limit}${more}`;
  return `${shell.tc(ns)} qdisc ${verb} dev ${dev} root handle ${TBF_HANDLES[0].toString(16)}: ${bucket}`;
}

export const tbf = defineKind<Tbf>({
  role: "entry",
  layer: 5.4,
  key: ({ ns, dev }) => `tbf ${ns} ${dev}`,
  print: {
    add: (o, shell) => [line("add", o, shell)],
    set: (_, to, shell) => [line("change", to, shell)],
    remove: ({ ns, dev }, shell) => [`${shell.tc(ns)} qdisc delete dev ${dev} root`],
  },
  examples: [
    {
      needs: standsOn(veth),
      is: { kind: "tbf", ns: "vrf:blue", dev: "wp1", rate: 2_500_000, burst: 20_000, limit: 100_000 },
      becomes: { kind: "tbf", ns: "vrf:blue", dev: "wp1", rate: 125_000, burst: 20_000, limit: 7_000 },
    },
  ],
});
