// The audit log of a store: a chain of records (model/audit.ts), each written in the transaction of what it is about.
// The oldest are removed by age and size; a place in the chain, the anchor, says up to where, and so does a record that
// the removal adds. What keeps the rows is exchangeable: an array, or a table.
import { type AuditEntry, type AuditPoint, auditHash, auditText } from "../model/audit.ts";

/** How much of the log is kept. */
export type AuditBounds = { readonly ageMs: number; readonly bytes: number };
export const AUDIT_BOUNDS: AuditBounds = { ageMs: 400 * 24 * 3600 * 1000, bytes: 256 * 1024 * 1024 };

/** `length`: of the log up to here, counted from its very first record. */
export type AuditRow = {
  readonly seq: number;
  readonly atMs: number;
  readonly length: number;
  readonly hash: string;
  /** The record as JSON, without its hash. */
  readonly text: string;
};
/** The last row and the revision of the last commit up to it, or the same of what was removed. */
export type AuditEnd = AuditPoint & { readonly length: number };

/**
 * After a place the oldest first, or before one the newest first. Fewer than `limit` if they are large: none means that
 * there are no more.
 */
type AuditSpan = { readonly limit: number } & ({ readonly after: number } | { readonly before: number });

/** What readers get of the log. */
export type AuditLog = {
  /** The log has everything after the first place up to the second. */
  ends(): { readonly anchor: AuditPoint; readonly head: AuditPoint };
  rows(span: AuditSpan): readonly AuditRow[];
  /** Removes some of what is older or more than the bounds allow. Returns whether there is more to remove. */
  trim(nowMs: number): boolean;
};

/** Where rows are. Every change happens in a transaction that the caller begins and ends. */
export type AuditRows = {
  add(row: AuditRow): void;
  find(span: AuditSpan): readonly AuditRow[];
  dropUpTo(anchor: AuditEnd): void;
};

/** Characters of the rows that are read at a time; one is always read. */
const PAGE_CHARS = 8 * 1024 * 1024;

/** The first of them, until they are too much for one page. */
export function pageOf(rows: Iterable<AuditRow>): AuditRow[] {
  const page: AuditRow[] = [];
  let chars = 0;
  for (const row of rows) {
    page.push(row);
    chars += row.text.length;
    if (chars >= PAGE_CHARS) break;
  }
  return page;
}

/** What a row takes beside its text. */
const ROW_BYTES = 120;
/** Removed at a time: a server answers between two times. */
const TRIMMED_MAX = 2000;
/** A log that is too large loses this part of its size at once, so that a full one does not trim all the time. */
const SLACK = 1 / 16;
const AGE_SLACK_MS = 3600 * 1000;

export class AuditChain {
  readonly #rows: AuditRows;
  readonly #bounds: AuditBounds;
  head: AuditEnd;
  anchor: AuditEnd;

  constructor(rows: AuditRows, bounds: AuditBounds, { head, anchor }: { head: AuditEnd; anchor: AuditEnd }) {
    this.#rows = rows;
    this.#bounds = bounds;
    this.head = head;
    this.anchor = anchor;
  }

  /** Those of commits, which have the next revisions, then the others. */
  appendAll(commits: readonly { readonly audit: AuditEntry }[], entries: readonly AuditEntry[]): void {
    for (const { audit } of commits) this.#append(audit, this.head.revision + 1);
    for (const entry of entries) this.#append(entry);
  }

  #append(entry: AuditEntry, revision?: number): void {
    const seq = this.head.seq + 1;
    const text = auditText(entry, seq, revision);
    const hash = auditHash(this.head.hash, text);
    const length = this.head.length + text.length + ROW_BYTES;
    this.#rows.add({ seq, atMs: entry.atMs, length, hash, text });
    this.head = { seq, hash, length, revision: revision ?? this.head.revision };
  }

  /** Whether trim() has something to do. */
  isLong(nowMs: number): boolean {
    if (this.head.length - this.anchor.length > this.#bounds.bytes) return true;
    const [oldest] = this.#rows.find({ after: this.anchor.seq, limit: 1 });
    return (
      oldest !== undefined && oldest.atMs < nowMs - this.#bounds.ageMs - Math.min(AGE_SLACK_MS, this.#bounds.ageMs)
    );
  }

  /** Removes the oldest, and adds the record of that. Returns whether there may be more to remove. */
  trim(nowMs: number): boolean {
    const { ageMs, bytes } = this.#bounds;
    const isLarge = this.head.length - this.anchor.length > bytes;
    const from = isLarge ? this.head.length - bytes * (1 - SLACK) : 0;
    const oldest = this.#rows.find({ after: this.anchor.seq, limit: TRIMMED_MAX });
    const stays = oldest.findIndex(({ length, atMs }) => length > from && atMs >= nowMs - ageMs);
    const gone = stays < 0 ? oldest : oldest.slice(0, stays);
    const last = gone.at(-1);
    if (last === undefined) return false;
    const { seq, hash, length } = last;
    const commit = gone.findLast(({ text }) => revisionIn(text) !== undefined);
    const revision = (commit === undefined ? undefined : revisionIn(commit.text)) ?? this.anchor.revision;
    this.anchor = { seq, hash, length, revision };
    this.#rows.dropUpTo(this.anchor);
    const said = { atMs: nowMs, who: "server", credential: "server", from: "server", verb: "trim", result: "done" };
    this.#append({ ...said, trimmed: { seq, hash, revision } });
    return gone.length === oldest.length;
  }
}

/** The head of a record is its place and revision: the rest need not be parsed. */
function revisionIn(text: string): number | undefined {
  const [, revision] = /^\{"seq":\d+,"revision":(\d+)/.exec(text) ?? [];
  return revision === undefined ? undefined : Number(revision);
}

export function pointOf({ seq, hash, revision }: AuditEnd): AuditPoint {
  return { seq, hash, revision };
}

/** Rows in memory: the reference. */
export function auditRowsInMemory(): AuditRows {
  let rows: AuditRow[] = [];
  return {
    add: (row) => void rows.push(row),
    find(span) {
      const first = rows[0]?.seq ?? 1;
      if ("after" in span) {
        const at = Math.max(0, span.after + 1 - first);
        return pageOf(rows.slice(at, at + span.limit));
      }
      const end = Math.max(0, Math.min(rows.length, span.before - first));
      return pageOf(rows.slice(Math.max(0, end - span.limit), end).reverse());
    },
    dropUpTo({ seq }) {
      rows = rows.filter((row) => row.seq > seq);
    },
  };
}
