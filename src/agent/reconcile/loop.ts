// A loop of rounds. Events only poke it: however many pokes arrive during a round, one more round follows, and it reads
// the newest state at its start. Nothing is queued except that something changed.
import type { Clock } from "../../model/clock.ts";

export type LoopOptions = {
  readonly clock: Clock;
  /** 0 <= random() < 1: jitter, so that a thousand hosts do not start their rounds at the same moment. */
  readonly random: () => number;
  /** A round follows after this long without a poke. */
  readonly periodMs: number;
  /** From a poke to its round: further pokes share it, and the caller that poked (an attach) goes first. */
  readonly gatherMs: number;
};

const BACKOFF_FIRST_MS = 200;
const BACKOFF_LAST_MS = 30_000;
const BACKOFF_DEAF_MS = 2000;
/** Rounds take at most one part in this many of the time: a storm of events must not starve attaches. */
const DUTY = 4;
/** An abort with a reason of our own creates no DOMException with its stack (0.1 ms). */
const WOKEN = "woken";

export class Loop {
  readonly #options: LoopOptions;
  readonly #round: () => Promise<boolean>;
  #dirty = true;
  #wake = new AbortController();
  #waiters: (() => void)[] = [];
  #isRunning = false;
  #hasEnded = false;

  /** `round` resolves to whether it was clean; if not, or if it rejects, the loop backs off and tries again. */
  constructor(options: LoopOptions, round: () => Promise<boolean>) {
    this.#options = options;
    this.#round = round;
  }

  /** Whether no round runs and none is due. */
  get isAtRest(): boolean {
    return !this.#isRunning && !this.#dirty;
  }

  poke(): void {
    this.#dirty = true;
    this.#wake.abort(WOKEN);
  }

  /** Resolves at the end of a round that began after this call, clean or not; at once after run() has ended. */
  async now(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.poke();
    await ended;
  }

  /** Runs until the signal aborts. Never rejects: rounds report their own errors. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, periodMs, gatherMs } = this.#options;
    let backoffMs = 0;
    while (!signal.aborted) {
      this.#dirty = false;
      this.#wake = new AbortController();
      const waiters = this.#waiters;
      this.#waiters = [];
      const startMs = clock.monotonicMs();
      this.#isRunning = true;
      const isClean = await this.#round().catch(() => false);
      this.#isRunning = false;
      for (const resolve of waiters) resolve();
      const tookMs = clock.monotonicMs() - startMs;
      backoffMs = isClean ? 0 : Math.min(BACKOFF_LAST_MS, Math.max(BACKOFF_FIRST_MS, backoffMs * 2));
      if (isClean && this.#waiters.length > 0) continue;
      // Pokes do not shorten this: a failing round may cause the very events that poke.
      const pauseMs = Math.max(tookMs * (DUTY - 1), Math.min(backoffMs, BACKOFF_DEAF_MS));
      if (pauseMs > 0) await clock.sleep(pauseMs, signal);
      const restMs = (isClean ? periodMs * (0.75 + random() / 2) : backoffMs) - pauseMs;
      if (!this.#dirty && restMs > 0) await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal]));
      if (this.#waiters.length === 0) await clock.sleep(gatherMs, signal);
    }
    this.#hasEnded = true;
    for (const resolve of this.#waiters) resolve();
  }
}
