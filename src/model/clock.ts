// Time as an argument: the real clock in production, a virtual one in simulation. There are two times, because people
// and time servers set the wall clock, by an hour or by a year, while everything runs.

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
