// Time as an argument: the real clock in production, a virtual one in simulation. There are two times, because people
// and time servers set the wall clock, by an hour or by a year, while everything runs. ClockSteps notices such a step.
import { formatDuration } from "./duration.ts";

export interface Clock {
  /** Milliseconds since the epoch, for times that people read or set. May jump. */
  nowMs(): number;
  /**
   * Milliseconds that only increase, whatever happens to the wall clock; they measure spans. Starts at the wall clock
   * when the process starts, so that it may be written down. Stands still while the machine sleeps.
   */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What the wall clock says, or said, when the other one said `monotonicMs`. */
export function wallOf(clock: Clock, monotonicMs: number): number {
  return clock.nowMs() - clock.monotonicMs() + monotonicMs;
}

/** Smaller steps do not matter to readers of times in seconds. */
const LEAST_MS = 2_000;
const TOLD_MS = 3_600_000;

/**
 * Steps of the wall clock: a person or a time server has set it. Weft waits for nothing by that clock, but people read
 * its times, and certificates and logs elsewhere depend on it. Slewing is not a step: it changes the rate of both
 * clocks alike (man 2 adjtimex).
 */
export class ClockSteps {
  readonly #clock: Clock;
  #aheadMs: number;
  #last: { readonly text: string; readonly atMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = clock.nowMs() - clock.monotonicMs();
  }

  /** Call it every few seconds. Returns what happened to `whose` clock since the last call, if anything did. */
  look(whose: string): string | undefined {
    const aheadMs = this.#clock.nowMs() - this.#clock.monotonicMs();
    const stepMs = aheadMs - this.#aheadMs;
    if (Math.abs(stepMs) < LEAST_MS) return undefined;
    this.#aheadMs = aheadMs;
    const way = stepMs > 0 ? "forward" : "back";
    const asleep = stepMs > 0 ? ", or the machine slept for so long" : "";
    const to = new Date(this.#clock.nowMs()).toISOString();
    const text = `the clock of ${whose} was set ${way} by ${formatDuration(Math.abs(stepMs))}, to ${to}${asleep}`;
    this.#last = { text, atMs: this.#clock.monotonicMs() };
    return text;
  }

  /** The last step, for an hour. */
  get told(): string | undefined {
    const isTold = this.#last !== undefined && this.#clock.monotonicMs() - this.#last.atMs < TOLD_MS;
    return isTold ? this.#last?.text : undefined;
  }
}
