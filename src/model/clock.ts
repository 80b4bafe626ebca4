// Time as an argument: the real one in production, a virtual one in simulation. There are two, because people and time
// servers set the wall clock, by an hour or by a year, while things are going on.

export interface Clock {
  /** Milliseconds since the epoch, as people see them: to show, and for what people set a time for. May jump. */
  nowMs(): number;
  /**
   * Milliseconds that only go on, whatever is done to the wall clock: what spans are measured by. Begins where the wall
   * clock stands when the process begins, so that it may be written down. Stands still while the machine sleeps.
   */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What the wall clock says, or said, when the other one said `monotonicMs`. */
export function wallOf(clock: Clock, monotonicMs: number): number {
  return clock.nowMs() - clock.monotonicMs() + monotonicMs;
}
