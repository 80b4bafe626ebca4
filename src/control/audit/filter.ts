// Which records of the audit log somebody looks for.
import type { AuditRecord } from "../../model/audit.ts";
import type { AuditRow } from "../../store/audit.ts";

export type AuditFilter = {
  /** Whose records the reader may see, as the record says it; absent: all. */
  readonly only?: Pick<AuditRecord, "who"> & Partial<Pick<AuditRecord, "uid" | "credential">>;
  /** A user's name; or who it was as the record says it: `admin`, `host/h1`. */
  readonly user?: string;
  /** Of resources that the record is about. */
  readonly kind?: string;
  readonly name?: string;
  readonly verb?: string;
  /** `done`, `refused`, or the reason of a refusal. */
  readonly result?: string;
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly revision?: number;
};

/** Clocks are set: a record may be older than the one before it, but hardly by more than this. */
const CLOCK_SET_MS = 24 * 3600 * 1000;

/** Whether, going back, nothing more is to be found from here on. */
export function isBefore({ atMs }: AuditRow, { sinceMs = 0 }: AuditFilter): boolean {
  return atMs < sinceMs - CLOCK_SET_MS;
}

export function isMatch({ atMs, text }: AuditRow, filter: AuditFilter): boolean {
  const { only, user, kind, name, verb, result, revision, sinceMs = 0, untilMs = Number.POSITIVE_INFINITY } = filter;
  if (atMs < sinceMs || atMs >= untilMs) return false;
  // Most records of a long log are not wanted: to look for a word is quicker than to parse them.
  const words = [only?.who, user, kind, name, verb].filter((word) => word !== undefined && /^[\w./~:-]+$/.test(word));
  if (words.some((word) => !text.includes(String(word)))) return false;
  const record = JSON.parse(text) as Omit<AuditRecord, "hash">;
  return (
    (only === undefined || isWithin(record, only)) &&
    (user === undefined || record.who === user || record.who === `user/${user}`) &&
    (verb === undefined || record.verb === verb) &&
    (result === undefined || (result === "refused" ? record.result !== "done" : record.result === result)) &&
    (revision === undefined || record.revision === revision) &&
    (kind === undefined && name === undefined ? true : keysOf(record).some((key) => isOf(key, kind, name)))
  );
}

/** Whether the record is of whom the reader may read. */
export function isWithin(record: Omit<AuditRecord, "hash">, only: NonNullable<AuditFilter["only"]>): boolean {
  const { who, uid, credential } = only;
  return (
    record.who === who &&
    (uid === undefined || record.uid === uid) &&
    (credential === undefined || record.credential === credential)
  );
}

function keysOf({ object, changes = [] }: Pick<AuditRecord, "object" | "changes">): string[] {
  return [...(object === undefined ? [] : [object]), ...changes.map(({ key }) => key)];
}

function isOf(key: string, kind: string | undefined, name: string | undefined): boolean {
  const slash = key.indexOf("/");
  return (kind === undefined || key.slice(0, slash) === kind) && (name === undefined || key.slice(slash + 1) === name);
}

/** Without what things were before and after. */
export function briefOf({ changes, ...record }: AuditRecord): AuditRecord {
  return changes === undefined ? record : { ...record, changes: changes.map(({ key }) => ({ key })) };
}
