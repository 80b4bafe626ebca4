// How hosts are, from what they last said and the clock, and whom the server may give up by itself. Pure: values in,
// values out. Silence alone takes nothing from a host, because its traffic may still flow; a host is given up
// (reclaimed) by a person, or after `reclaimAfterMs` if somebody has set it, and then never when many fall silent at
// once: what looks like the loss of everybody is mostly the server's own.
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

/** The settings, if each step comes after the one before; else a Fault `request-invalid` that names it. */
export function checkLiveness(settings: LivenessSettings): LivenessSettings {
  const { suspectAfterMs, lostAfterMs, reclaimAfterMs } = settings;
  const wrong = (where: string, what: string, fix: string) =>
    new Fault("request-invalid", { what, where, why: "a host is suspect, then lost, then reclaimed", fix });
  if (lostAfterMs <= suspectAfterMs)
    throw wrong("lost-after", "hosts would be lost before they are suspect", "choose more than suspect-after");
  if (reclaimAfterMs !== undefined && reclaimAfterMs < lostAfterMs)
    throw wrong("reclaim-after", "hosts would be reclaimed before they are lost", "choose at least lost-after");
  return settings;
}

/** When a host last said something; of one that never has in this server's life, when that life began. */
export type Heard = { readonly host: string; readonly heardAtMs: number; readonly hasReported: boolean };
export type Liveness = {
  readonly state: "ready" | "suspect" | "lost";
  /** When it came to be so; of a ready host, its last report. */
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

/** More silent hosts than this part of all, and at least so many, are a loss of many. */
const MASS_PART = 1 / 3;
const MASS_LEAST = 2;

export type Sweep = {
  /** The host to reclaim now: one at a time, whoever is silent longest. */
  readonly reclaim: string | undefined;
  /** Silent hosts, when they are too many for any to be reclaimed. */
  readonly massLoss: readonly string[];
  /** To be handed to the next sweep: when there last was a loss of many. */
  readonly calmSinceMs: number;
};

/**
 * Whom to give up. Silence counts from the last loss of many at the earliest, so that when the server's network is
 * back, hosts that come back later than others have all of their time again.
 */
export function sweepOf(
  hosts: readonly Heard[],
  settings: LivenessSettings,
  nowMs: number,
  calmSinceMs: number,
): Sweep {
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
