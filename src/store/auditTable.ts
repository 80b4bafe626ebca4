// The audit log in the SQLite file. Rows are only added at the end and removed at the beginning. The head of the chain
// is in the row of `meta`, which every commit writes anyway; the anchor is written when rows are removed.
import type { DatabaseSync } from "node:sqlite";
import { firstAuditHash } from "../model/audit.ts";
import {
  type AuditBounds,
  AuditChain,
  type AuditEnd,
  type AuditLog,
  type AuditRow,
  type AuditRows,
  pointOf,
  pageOf,
} from "./audit.ts";

export const AUDIT_TABLE = `
CREATE TABLE audit (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, length INTEGER NOT NULL, hash TEXT NOT NULL,
  text TEXT NOT NULL) STRICT;
CREATE TABLE audit_anchor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, length INTEGER NOT NULL,
  hash TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;
`;
/** Columns of the table `meta`. */
export const AUDIT_HEAD = [
  "audit_seq INTEGER NOT NULL DEFAULT 0",
  "audit_length INTEGER NOT NULL DEFAULT 0",
  "audit_hash TEXT NOT NULL DEFAULT ''",
] as const;

/** The log of a store that has none yet begins here, at the revision that the store has. */
export function beginAudit(db: DatabaseSync, cluster: string, revision: number): void {
  const hash = firstAuditHash(cluster);
  db.prepare("INSERT INTO audit_anchor VALUES (1, 0, 0, ?, ?)").run(hash, revision);
  db.prepare("UPDATE meta SET audit_seq = 0, audit_length = 0, audit_hash = ?").run(hash);
}

export class AuditTable {
  readonly chain: AuditChain;
  readonly #meta;
  readonly #anchor;
  readonly rows: AuditRows;

  constructor(db: DatabaseSync, bounds: AuditBounds) {
    this.#meta = db.prepare("SELECT audit_seq AS seq, audit_length AS length, audit_hash AS hash, revision FROM meta");
    this.#anchor = db.prepare("SELECT seq, length, hash, revision FROM audit_anchor");
    this.rows = rowsIn(db);
    this.chain = new AuditChain(this.rows, bounds, this.#ends());
  }

  /** Call when the transaction was rolled back. */
  reload(): void {
    Object.assign(this.chain, this.#ends());
  }

  /** Whether the rows are those that the store's other tables speak of, as far as that is quick to see. */
  isWhole(): boolean {
    const { head, anchor } = this.chain;
    const [newest] = this.rows.find({ before: Number.MAX_SAFE_INTEGER, limit: 1 });
    return Number.isSafeInteger(head.seq) && anchor.seq <= head.seq && (newest?.seq ?? 0) <= head.seq;
  }

  /** Reads only while `checkOpen` does not throw. */
  reader(checkOpen: () => void, trim: AuditLog["trim"]): AuditLog {
    return {
      ends: () => ({ anchor: pointOf(this.chain.anchor), head: pointOf(this.chain.head) }),
      rows: (span) => {
        checkOpen();
        return this.rows.find(span);
      },
      trim: (nowMs) => {
        checkOpen();
        return this.chain.isLong(nowMs) && trim(nowMs);
      },
    };
  }

  #ends(): { head: AuditEnd; anchor: AuditEnd } {
    // The columns are called what the members are; a file without them is damaged, see isWhole().
    return { head: { ...this.#meta.get() } as AuditEnd, anchor: { ...this.#anchor.get() } as AuditEnd };
  }
}

function rowsIn(db: DatabaseSync): AuditRows {
  const add = db.prepare("INSERT INTO audit VALUES (?, ?, ?, ?, ?)");
  const columns = "SELECT seq, at_ms AS atMs, length, hash, text FROM audit";
  const after = db.prepare(`${columns} WHERE seq > ? ORDER BY seq LIMIT ?`);
  const before = db.prepare(`${columns} WHERE seq < ? ORDER BY seq DESC LIMIT ?`);
  const drop = db.prepare("DELETE FROM audit WHERE seq <= ?");
  const mark = db.prepare("UPDATE audit_anchor SET seq = ?, length = ?, hash = ?, revision = ?");
  return {
    add: ({ seq, atMs, length, hash, text }) => void add.run(seq, atMs, length, hash, text),
    // Only `add` writes rows, and the columns are called what the members are.
    find: (span) =>
      pageOf(
        ("after" in span
          ? after.iterate(span.after, span.limit)
          : before.iterate(span.before, span.limit)) as Iterable<unknown> as Iterable<AuditRow>,
      ),
    dropUpTo({ seq, length, hash, revision }) {
      drop.run(seq);
      mark.run(seq, length, hash, revision);
    },
  };
}
