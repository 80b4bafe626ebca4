// How long something that was given back rests before others may have it. Measured by the monotonic clock, so that
// setting the wall clock ends no rest early and makes none longer. What an earlier process wrote down is by a clock
// that may have been set since, and nothing tells a step from time that passed: so it rests a while from the start of
// this process, whatever the clock says, and never longer than it should.

/** The monotonic clock, now and when the process began. */
export type RestTime = { readonly nowMs: number; readonly openedMs: number };

/** What is in flight to a former owner, and what neighbours remember of it, is over by then: QUARANTINE_SECONDS. */
const SETTLE_MS = 60_000;

/** When a rest of `keptMs` ends that began at `sinceMs`, by the clock of this process or of an earlier one. */
export function restsUntil(sinceMs: number, keptMs: number, { nowMs, openedMs }: RestTime): number {
  if (sinceMs > nowMs) return openedMs + keptMs;
  const untilMs = sinceMs + keptMs;
  return sinceMs < openedMs ? Math.max(untilMs, openedMs + Math.min(keptMs, SETTLE_MS)) : untilMs;
}
