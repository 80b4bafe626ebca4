// The server's loop of every few seconds: reclaims hosts as the settings say, and logs each condition when it begins
// and when it ends.
import type { Condition } from "../control/report/conditions.ts";
import type { Control } from "../control/control.ts";
import { LIVENESS, type LivenessSettings, checkLiveness } from "../control/hosts/liveness.ts";
import { parseDuration } from "../model/duration.ts";
import { problemOf } from "../model/fault.ts";
import type { Surroundings } from "./surroundings.ts";

/** Also the least time between two hosts that the server reclaims by itself. */
const PERIOD_MS = 10_000;

export const LIVENESS_SETTINGS = ["suspect-after", "lost-after", "reclaim-after"] as const;
type Settings = Readonly<Partial<Record<(typeof LIVENESS_SETTINGS)[number], string>>>;

/** From spans like `5m`; `reclaim-after: never` is the default. */
export function livenessFrom(settings: Settings): LivenessSettings {
  const span = (name: (typeof LIVENESS_SETTINGS)[number]) => {
    const text = settings[name];
    return text === undefined || text === "never" ? undefined : parseDuration(text, name);
  };
  return checkLiveness({
    suspectAfterMs: span("suspect-after") ?? LIVENESS.suspectAfterMs,
    lostAfterMs: span("lost-after") ?? LIVENESS.lostAfterMs,
    reclaimAfterMs: span("reclaim-after"),
  });
}

/** Runs until the signal aborts. A store that cannot be written now may be writable in ten seconds. */
export async function reclaimLostOn(
  control: Control,
  { clock, signal, log }: Omit<Surroundings, "env">,
): Promise<void> {
  let known: ReadonlyMap<string, Condition> = new Map();
  while (!signal.aborted) {
    await clock.sleep(PERIOD_MS, signal);
    if (signal.aborted) return;
    try {
      const reclaimed = await control.reclaimLost();
      if (reclaimed !== undefined) log("host reclaimed", { host: reclaimed, by: "server" });
      known = tell(known, await control.conditions(), log);
    } catch (error) {
      log("reclaim", { error: problemOf(error).detail });
    }
  }
}

function tell(
  before: ReadonlyMap<string, Condition>,
  conditions: readonly Condition[],
  log: Surroundings["log"],
): ReadonlyMap<string, Condition> {
  const now = new Map(conditions.map((one) => [`${one.reason} ${one.object} ${one.host}`, one]));
  for (const [key, { reason, object, message }] of now)
    if (!before.has(key)) log("condition", { reason, object, message });
  for (const [key, { reason, object, message }] of before)
    if (!now.has(key)) log("condition ended", { reason, object, message });
  return now;
}
