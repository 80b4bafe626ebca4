// The host's own neighbours that its tunnels and its server depend on: the next hops towards them. One table of
// neighbours serves all namespaces of a machine, and a workload that sweeps addresses fills it; what is kept for the
// kernel from outside is neither counted nor collected. Which they are, routes say, which are the host's own: so they
// are no part of compile(), and looked up again now and then.
import type { ObjectOf } from "../../datapath/kinds.ts";
import { type KernelState, keyOf, stateOf } from "../../datapath/state/state.ts";
import type { Kernel, OpResult } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";

type Hop = ObjectOf<"hop">;

/** How old an answer may be: many rounds may come in a second, and each address is a question to the kernel. */
const FRESH_MS = 10_000;

export type NextHopsOptions = {
  readonly kernel: Pick<Kernel, "nextHops">;
  readonly clock: Clock;
  readonly management?: () => readonly string[];
};

export class NextHops {
  readonly #options: NextHopsOptions;
  #found: { readonly of: string; readonly atMs: number; readonly hops: readonly Hop[] } | undefined;
  /** What this kernel does not take, by key, with its words: the host has to do without. */
  readonly #refused = new Map<string, string>();

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  /** The state with the next hops towards the hosts of its tunnels and the server. */
  addTo(wanted: KernelState): KernelState {
    if (wanted.size === 0) return wanted;
    const others = new Set(this.#options.management?.() ?? []);
    for (const object of wanted.values()) if (object.kind === "fdb") others.add(object.dst);
    const hops = this.#towards([...others]);
    return new Map([...wanted, ...stateOf(hops.filter((hop) => !this.#refused.has(keyOf(hop))))]);
  }

  #towards(addresses: readonly string[]): readonly Hop[] {
    const { kernel, clock } = this.#options;
    const of = addresses.toSorted().join();
    const nowMs = clock.monotonicMs();
    if (this.#found?.of !== of || nowMs - this.#found.atMs >= FRESH_MS)
      this.#found = { of, atMs: nowMs, hops: kernel.nextHops(addresses) };
    return this.#found.hops;
  }

  /** The results without next hops that were refused: no reason to call a round failed. They are not tried again. */
  withoutHops(results: readonly OpResult[]): readonly OpResult[] {
    return results.filter(({ op, refusal }) => {
      if (op.object.kind !== "hop" || refusal === undefined) return true;
      if (op.op === "add" && refusal.class !== "stale") this.#refused.set(keyOf(op.object), refusal.message);
      return false;
    });
  }

  get conditions(): readonly string[] {
    const [first] = this.#refused;
    if (first === undefined) return [];
    const [key, message] = first;
    return [
      `the kernel does not keep the neighbour ${key.slice("hop ".length)} (${message}): this host may lose its peers ` +
        "when its table of neighbours is full; raise gc_thresh3, or give it a permanent neighbour",
    ];
  }
}
