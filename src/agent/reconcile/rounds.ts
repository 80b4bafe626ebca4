// When to reconcile: after a poke, and once a period. A round is skipped if nothing that concerns this host's kernel
// has changed, as with most revisions.
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { KernelView } from "./kernelView.ts";
import { Loop } from "./loop.ts";
import { reconcile, type Reconciled, type ReconcileParts } from "./reconcile.ts";

export type RoundsOptions = ReconcileParts & {
  readonly view: KernelView;
  readonly clock: Clock;
  readonly random: () => number;
};

/** Told what each round came to. */
export type RoundListener = {
  /** The kernel is as it should be already. */
  readonly unchanged: (snapshot: Snapshot) => void;
  readonly reconciled: (done: Reconciled) => void;
  /** The round broke off, and it is not known how far it got. */
  readonly failed: (snapshot: Snapshot | undefined, error: unknown) => void;
};

export const PERIOD_MS = 30_000;
const GATHER_MS = 5;

export class Rounds {
  readonly #options: RoundsOptions;
  readonly #listener: RoundListener;
  readonly #onConverged: () => void;
  readonly #loop: Loop;

  /** `onConverged` is called after a round that changed the kernel for a new snapshot or journal. */
  constructor(options: RoundsOptions, listener: RoundListener, onConverged: () => void) {
    this.#options = options;
    this.#onConverged = onConverged;
    this.#listener = listener;
    const { clock, random } = options;
    this.#loop = new Loop({ clock, random, periodMs: PERIOD_MS, gatherMs: GATHER_MS }, () => this.#round());
  }

  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#loop.run(signal);
  }

  /** Something may have changed: the next round decides whether to observe. */
  poke(): void {
    this.#loop.poke();
  }

  /** The next round observes everything. */
  pokeFull(): void {
    this.#options.view.observer.requestFull();
    this.#loop.poke();
  }

  /** Resolves at the end of a round that began after this call and observed everything. */
  async now(): Promise<void> {
    this.#options.view.observer.requestFull();
    await this.#loop.now();
  }

  async #round(): Promise<boolean> {
    const { snapshots, view } = this.#options;
    try {
      const snapshot = snapshots.current();
      if (snapshot === undefined) return true;
      if (!view.observer.isDue && view.isConverged(snapshot)) {
        this.#listener.unchanged(snapshot);
        return true;
      }
      const done = await reconcile(snapshot, view, this.#options);
      this.#listener.reconciled(done);
      if (!done.isDrift) this.#onConverged();
      if (done.hasStale) this.pokeFull();
      return done.refused.length === 0;
    } catch (error) {
      this.#listener.failed(snapshots.current(), error);
      view.observer.requestFull();
      return false;
    }
  }
}
