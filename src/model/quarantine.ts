// How long a released address stays in quarantine. Measured by the monotonic clock, so that a change of the wall clock
// ends no quarantine early and makes none longer. Times from an earlier process are by a wall clock that may have been
// set since, and a step cannot be told from time that passed. So such a quarantine lasts for a while from the start of
// this process, whatever the clock says, and never longer than it should.

/** The monotonic clock, now and when the process began. */
export type QuarantineTime = { readonly nowMs: number; readonly openedMs: number };

/** After this time nothing is in flight to a former owner, and neighbours have forgotten it: QUARANTINE_SECONDS. */
const SETTLE_MS = 60_000;

/** When a quarantine of `keptMs` ends that began at `sinceMs`, by the clock of this process or of an earlier one. */
export function quarantineEnd(sinceMs: number, keptMs: number, { nowMs, openedMs }: QuarantineTime): number {
  if (sinceMs > nowMs) return openedMs + keptMs;
  const untilMs = sinceMs + keptMs;
  return sinceMs < openedMs ? Math.max(untilMs, openedMs + Math.min(keptMs, SETTLE_MS)) : untilMs;
}
