// The state of hosts, from their last reports and the clock, and which host the server may reclaim by itself. Pure.
// Silence alone takes nothing from a host, because its traffic may still flow. A host is reclaimed by a person, or
// after `reclaimAfterMs` if that is set, and then never while many are silent at once: when all hosts seem lost, the
// fault is mostly the server's own.
import { Fault } from "../../model/fault.ts";

/** All counted from the last report. */
export type LivenessSettings = {
  readonly suspectAfterMs: number;
  readonly lostAfterMs: number;
  /** Undefined: never by itself. */
  readonly reclaimAfterMs: number | undefined;
};

/** Suspect: three missed heartbeats. Lost: longer than a machine takes to boot. */
export const LIVENESS: LivenessSettings = {
  suspectAfterMs: 30_000,
  lostAfterMs: 300_000,
  reclaimAfterMs: undefined,
};

/** Agents report three times in suspectAfterMs, but not more than once a second. */
const SUSPECT_LEAST_MS = 3_000;

/**
 * The settings, if each time is longer than the one before; throws a Fault `request-invalid` that names the wrong one.
 */
export function checkLiveness(settings: LivenessSettings): LivenessSettings {
  const { suspectAfterMs, lostAfterMs, reclaimAfterMs } = settings;
  const wrong = (where: string, what: string, fix: string) =>
    new Fault("request-invalid", { what, where, why: "a host is suspect, then lost, then reclaimed", fix });
  if (suspectAfterMs < SUSPECT_LEAST_MS)
    throw wrong("suspect-after", "hosts would be suspect between two reports", "choose at least 3s");
  if (lostAfterMs <= suspectAfterMs)
    throw wrong("lost-after", "hosts would be lost before they are suspect", "choose more than suspect-after");
  if (reclaimAfterMs !== undefined && reclaimAfterMs < lostAfterMs)
    throw wrong("reclaim-after", "hosts would be reclaimed before they are lost", "choose at least lost-after");
  return settings;
}

/** The time of a host's last report; for a host that has not reported to this process, the start of the process. */
export type Heard = { readonly host: string; readonly heardAtMs: number; readonly hasReported: boolean };
export type Liveness = {
  readonly state: "ready" | "suspect" | "lost";
  /** When the state began; for a ready host, its last report. */
  readonly sinceMs: number;
};

/** A host that has not reported to this server is not known to be ready, and not yet known to be lost. */
export function livenessOf({ heardAtMs, hasReported }: Heard, settings: LivenessSettings, nowMs: number): Liveness {
  const silentMs = nowMs - heardAtMs;
  if (silentMs > settings.lostAfterMs) return { state: "lost", sinceMs: heardAtMs + settings.lostAfterMs };
  if (!hasReported) return { state: "suspect", sinceMs: heardAtMs };
  if (silentMs > settings.suspectAfterMs) return { state: "suspect", sinceMs: heardAtMs + settings.suspectAfterMs };
  return { state: "ready", sinceMs: heardAtMs };
}

/** A loss of many: more silent hosts than this part of all, and at least this many. */
const MASS_PART = 1 / 3;
const MASS_LEAST = 2;

export type ReclaimDecision = {
  /** The host to reclaim now: one at a time, the one that is silent longest. */
  readonly reclaim: string | undefined;
  /** Silent hosts, when they are too many for any to be reclaimed. */
  readonly massLoss: readonly string[];
  /** For the next decision: when there last was a loss of many. */
  readonly calmSinceMs: number;
};

/**
 * Decides which host to reclaim. Silence counts from the last loss of many at the earliest, so that after a fault of
 * the server's network all hosts have their whole time again.
 */
export function reclaimDecision(
  hosts: readonly Heard[],
  settings: LivenessSettings,
  nowMs: number,
  calmSinceMs: number,
): ReclaimDecision {
  const silent = hosts.filter((host) => livenessOf(host, settings, nowMs).state !== "ready");
  const isMass =
    silent.length > 0 &&
    (silent.length === hosts.length || (silent.length >= MASS_LEAST && silent.length > hosts.length * MASS_PART));
  if (isMass) return { reclaim: undefined, massLoss: silent.map((one) => one.host).sort(), calmSinceMs: nowMs };
  const { reclaimAfterMs } = settings;
  if (reclaimAfterMs === undefined) return { reclaim: undefined, massLoss: [], calmSinceMs };
  const [longest] = silent
    .filter((one) => nowMs - Math.max(one.heardAtMs, calmSinceMs) > reclaimAfterMs)
    .sort((a, b) => a.heardAtMs - b.heardAtMs || (a.host < b.host ? -1 : 1));
  return { reclaim: longest?.host, massLoss: [], calmSinceMs };
}
