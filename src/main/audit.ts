// The server's work on its audit log: writes refusals, removes what is too old, and says in the server's own log where
// the chain ends: whoever keeps that log can prove later that nothing before was changed.
import type { Control } from "../control/control.ts";
import { parseDuration } from "../model/duration.ts";
import { Fault, problemOf } from "../model/fault.ts";
import { AUDIT_BOUNDS, type AuditBounds } from "../store/audit.ts";
import type { Surroundings } from "./surroundings.ts";

const PERIOD_MS = 1000;
const TRIM_EVERY = 10;
const SAY_EVERY = 3600;

export const AUDIT_SETTINGS = ["audit-age", "audit-size"] as const;
type Settings = Readonly<Partial<Record<(typeof AUDIT_SETTINGS)[number], string>>>;

/** From a span like `90d` and a size like `1GiB`. */
export function auditBoundsFrom(settings: Settings): AuditBounds {
  const { "audit-age": age, "audit-size": size } = settings;
  return {
    ageMs: age === undefined ? AUDIT_BOUNDS.ageMs : parseDuration(age, "audit-age"),
    bytes: size === undefined ? AUDIT_BOUNDS.bytes : bytesOf(size),
  };
}

function bytesOf(text: string): number {
  const [, digits, unit] = /^([1-9]\d{0,5})(MiB|GiB)$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * (unit === "GiB" ? 1024 : 1) * 1024 * 1024;
  throw new Fault("request-invalid", {
    what: `"${text.slice(0, 40)}" is not a size`,
    where: "audit-size",
    fix: "write a whole number and a unit: 64MiB, 2GiB",
  });
}

/** Runs until the signal aborts. A store that cannot be written now may be writable in a second. */
export async function keepAuditOn(control: Control, { clock, signal, log }: Omit<Surroundings, "env">): Promise<void> {
  let said = "";
  for (let turn = 0; !signal.aborted; turn++) {
    try {
      await control.audit.flush();
      if (turn % TRIM_EVERY === 0) await control.audit.trim();
      const { seq, hash } = control.audit.head;
      if (turn % SAY_EVERY === 0 && hash !== said) log("audit log", { last: `${seq}:${hash}` });
      if (turn % SAY_EVERY === 0) said = hash;
    } catch (error) {
      if (turn % TRIM_EVERY === 0) log("audit log", { error: problemOf(error).detail });
    }
    await clock.sleep(PERIOD_MS, signal);
  }
}
