// Expires holds by the wall clock, because people set the time, and quarantines by the monotonic clock, because they
// are spans (model/quarantine.ts).
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { QuarantineTime } from "../../model/quarantine.ts";
import { dueIn } from "../admit/address/hold.ts";
import type { Committer } from "./committer.ts";
import type { View } from "../state/view.ts";

/** From the end of a quarantine or hold to the commit that removes it. */
const EXPIRE_MS = 1000;

/** The clock of quarantines: monotonic, and never before the newest that an earlier process began. */
export function quarantineClock(clock: Clock, { freed }: View): () => QuarantineTime {
  let openedMs = clock.monotonicMs();
  const startedMs = openedMs;
  for (const { spec } of freed.values()) openedMs = Math.max(openedMs, spec.sinceMs);
  return () => ({ nowMs: openedMs + clock.monotonicMs() - startedMs, openedMs });
}

/** Runs until the signal aborts. If the store fails, it is asked again a second later. */
export async function expireOn(
  committer: Committer,
  clock: Clock,
  quarantineTime: () => QuarantineTime,
  signal: AbortSignal,
): Promise<void> {
  const times = { nowMs: () => clock.nowMs(), quarantineTime };
  const expire = async (): Promise<boolean> => {
    await committer.settled();
    const isDue = () => dueIn(committer.view, times, 1).length > 0;
    if (isDue()) await committer.submit({ write: { verb: "expire" } });
    return isDue();
  };
  while (!signal.aborted) {
    await clock.sleep(EXPIRE_MS, signal);
    while (!signal.aborted && (await expire().catch(unlessFault)));
  }
}

function unlessFault(error: unknown): false {
  if (error instanceof Fault) return false;
  throw error;
}
