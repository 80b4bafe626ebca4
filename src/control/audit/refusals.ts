// Refusals on their way into the audit log. The first of a kind is written within a second; those that are alike within
// a minute are one record with a count. Whoever asks in ever new ways soon gets no records of his own any more but a
// share in one of all that he asks: a flood neither fills the disk nor pushes out what else is recorded. Each caller
// that is known has a budget of its own, all that are not have one together, and so have all of a great many callers.
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
/** Callers with a budget of their own at a time. */
const PAYERS_MAX = 1000;

export class Refusals {
  readonly #groups = new Map<string, Alike>();
  /** By who it is; of callers beyond the first many, together. */
  readonly #budgets = new Map<string, Budget>();

  take(entry: AuditEntry, nowMs: number): void {
    const key = keyOf(entry);
    const group = this.#groups.get(key);
    if (group !== undefined) return add(group, entry);
    const payer = this.#payerOf(entry.who, nowMs);
    if (this.#spend(payer, nowMs)) return void this.#groups.set(key, begun(entry, nowMs));
    const { message: _, object: __, ...rest } = entry;
    const shared = { ...rest, who: payer, credential: MANY, from: MANY, verb: MANY };
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

  /** Whose budget pays: its own, or that of many when so many have one that none can be forgotten. */
  #payerOf(who: string, nowMs: number): string {
    if (this.#budgets.has(who)) return who;
    if (this.#budgets.size >= PAYERS_MAX)
      for (const [other, { left, filledAtMs }] of this.#budgets)
        if (left + Math.floor((nowMs - filledAtMs) / REFILL_MS) >= BURST) this.#budgets.delete(other);
    return this.#budgets.size >= PAYERS_MAX ? MANY : who;
  }

  #spend(payer: string, nowMs: number): boolean {
    const { left, filledAtMs } = this.#budgets.get(payer) ?? { left: BURST, filledAtMs: nowMs };
    const refilled = Math.floor((nowMs - filledAtMs) / REFILL_MS);
    const now = Math.min(BURST, left + refilled);
    this.#budgets.set(payer, { left: Math.max(0, now - 1), filledAtMs: filledAtMs + refilled * REFILL_MS });
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
