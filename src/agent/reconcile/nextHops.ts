// The host's neighbours that lead to other hosts and to the server: its next hops. All namespaces of a machine share
// one neighbour table, and a workload that scans addresses fills it. Entries that a process manages are neither counted
// nor collected by the kernel, so the agent keeps these. The host's own routes say which they are, therefore they are
// no part of compile(), and are looked up again from time to time.
import type { ObjectOf } from "../../datapath/kinds.ts";
import { type KernelState, keyOf, stateOf } from "../../datapath/state/state.ts";
import type { Kernel, OpResult } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";

type Hop = ObjectOf<"hop">;

/** How long an answer is used: there may be many rounds in a second, and each address costs a request. */
const FRESH_MS = 10_000;

export type NextHopsOptions = {
  readonly kernel: Pick<Kernel, "nextHops">;
  readonly clock: Clock;
  readonly management?: () => readonly string[];
};

export class NextHops {
  readonly #options: NextHopsOptions;
  #found: { readonly of: string; readonly atMs: number; readonly hops: readonly Hop[] } | undefined;
  /** Next hops that this kernel refuses, by key, with its message. */
  readonly #refused = new Map<string, string>();

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  /** The desired state with the next hops to the hosts of its tunnels and to the server. */
  addTo(desired: KernelState): KernelState {
    if (desired.size === 0) return desired;
    const others = new Set(this.#options.management?.() ?? []);
    for (const object of desired.values()) if (object.kind === "fdb") others.add(object.dst);
    const hops = this.#towards([...others]);
    return new Map([...desired, ...stateOf(hops.filter((hop) => !this.#refused.has(keyOf(hop))))]);
  }

  /** The host's routes are others now. */
  again(): void {
    this.#found = undefined;
  }

  #towards(addresses: readonly string[]): readonly Hop[] {
    const { kernel, clock } = this.#options;
    const of = addresses.toSorted().join();
    const nowMs = clock.monotonicMs();
    if (this.#found?.of !== of || nowMs - this.#found.atMs >= FRESH_MS)
      this.#found = { of, atMs: nowMs, hops: kernel.nextHops(addresses) };
    return this.#found.hops;
  }

  /** The results without refused next hops: they do not make a round fail, and are not tried again. */
  withoutHops(results: readonly OpResult[]): readonly OpResult[] {
    return results.filter(({ op, refusal }) => {
      if (op.object.kind !== "hop" || refusal === undefined) return true;
      if (op.op === "add" && refusal.class !== "stale") this.#refused.set(keyOf(op.object), refusal.message);
      return false;
    });
  }

  get conditions(): readonly string[] {
    const then = "this host may lose its peers when its table of neighbours is full";
    const fix = "raise gc_thresh3, or give it a permanent neighbour";
    return [...this.#refused].slice(0, 1).map(([key, message]) => {
      return `the kernel does not keep the neighbour ${key.slice("hop ".length)} (${message}): ${then}; ${fix}`;
    });
  }
}
