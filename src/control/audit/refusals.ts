// Refusals on their way into the audit log. The first of a kind is written within a second; those that are alike within
// a minute are one record with a count. Whoever asks in ever new ways soon gets no records of his own any more but a
// share in one for all: a flood neither fills the disk nor pushes out what else is recorded. Callers that are known
// have a budget apart from those that are not.
import type { AuditEntry } from "../../model/audit.ts";

/** `nowMs` of a clock that is never set. */
type Alike = {
  readonly entry: AuditEntry;
  isNew: boolean;
  count: number;
  sinceMs: number;
  untilMs: number;
  atMs: number;
};
type Budget = { left: number; filledAtMs: number };

const ALIKE_MS = 60_000;
const MANY_MS = 600_000;
const BURST = 200;
const REFILL_MS = 30_000;
const MANY = "many";

export class Refusals {
  readonly #groups = new Map<string, Alike>();
  readonly #budgets = new Map<boolean, Budget>();

  take(entry: AuditEntry, nowMs: number): void {
    const key = keyOf(entry);
    const group = this.#groups.get(key);
    if (group !== undefined) return add(group, entry);
    if (this.#spend(entry.who !== "nobody", nowMs)) return void this.#groups.set(key, begun(entry, nowMs));
    const { message: _, object: __, ...rest } = entry;
    const shared = { ...rest, who: entry.who === "nobody" ? "nobody" : MANY, credential: MANY, from: MANY, verb: MANY };
    const many = this.#groups.get(keyOf(shared));
    if (many === undefined) this.#groups.set(keyOf(shared), begun(shared, nowMs));
    else add(many, shared);
  }

  /** What is to be written now; `isAll`: also what would be counted on. */
  due(nowMs: number, isAll = false): AuditEntry[] {
    const entries: AuditEntry[] = [];
    for (const [key, group] of this.#groups) {
      const isOver = isAll || nowMs - group.atMs >= (group.entry.from === MANY ? MANY_MS : ALIKE_MS);
      if (group.count > 0 && (group.isNew || isOver)) {
        entries.push(entryOf(group));
        Object.assign(group, { isNew: false, count: 0, atMs: nowMs });
      } else if (isOver) this.#groups.delete(key);
    }
    return entries;
  }

  #spend(isKnown: boolean, nowMs: number): boolean {
    const { left, filledAtMs } = this.#budgets.get(isKnown) ?? { left: BURST, filledAtMs: nowMs };
    const refilled = Math.floor((nowMs - filledAtMs) / REFILL_MS);
    const now = Math.min(BURST, left + refilled);
    this.#budgets.set(isKnown, { left: Math.max(0, now - 1), filledAtMs: filledAtMs + refilled * REFILL_MS });
    return now > 0;
  }
}

function begun(entry: AuditEntry, nowMs: number): Alike {
  return { entry, isNew: true, count: 1, sinceMs: entry.atMs, untilMs: entry.atMs, atMs: nowMs };
}

function add(group: Alike, { atMs }: AuditEntry): void {
  if (group.count === 0) group.sinceMs = atMs;
  group.count++;
  group.untilMs = atMs;
}

function entryOf({ entry, count, sinceMs, untilMs }: Alike): AuditEntry {
  return count === 1 ? { ...entry, atMs: sinceMs } : { ...entry, atMs: sinceMs, untilMs, count };
}

function keyOf({ who, credential, from, verb, object, result }: AuditEntry): string {
  return JSON.stringify([who, credential, from, verb, object, result]);
}
