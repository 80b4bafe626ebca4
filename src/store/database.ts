// The file of the SQLite store: creates, recognises and locks it, and says what its failures mean to an operator. Knows
// the schema and nothing of commits.
//
// An existing file is checked before it is used (SQLite's own check of every page and index). A file that is missing or
// has become empty is not taken for a new store if its cluster's name (`<file>.cluster`) or its log is beside it.
//
// The lock is an exclusive transaction on an empty file beside the store (`<file>.lock`), held while the process lives:
// the kernel releases it however the process ends, and the store's own file stays readable for `sqlite3 .backup`.
import { chmodSync, closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Fault, type Reason } from "../model/fault.ts";
import { AUDIT_HEAD, AUDIT_TABLE, beginAudit } from "./auditTable.ts";
import { LEASE_TABLE, LEASE_UIDS } from "./leaseTable.ts";

/** "Weft" in the file header: by this, `file` and Weft recognise it. */
const APPLICATION_ID = 0x57_65_66_74;
const SCHEMA_VERSION = 3;
/** How long a start waits until the previous process has ended, so that a restart does not fail by milliseconds. */
const LOCK_WAIT_MS = 2_000;

const SCHEMA = `
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT NOT NULL, revision INTEGER NOT NULL,
  ${AUDIT_HEAD.join(", ")}) STRICT;
CREATE TABLE resource (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE change_set (revision INTEGER PRIMARY KEY, changes TEXT NOT NULL) STRICT;
CREATE TABLE secret (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
${LEASE_TABLE}
${LEASE_UIDS}
${AUDIT_TABLE}
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Schema 1 had rows by their key (sqlite.ts says why that ended) and no lease log. */
const FROM_1 = `
BEGIN IMMEDIATE;
ALTER TABLE resource RENAME TO keyed;
CREATE TABLE resource (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
INSERT INTO resource (revision, body) SELECT revision, body FROM keyed;
DROP TABLE keyed;
${LEASE_TABLE}
PRAGMA user_version = 2;
COMMIT;
`;

/** Schema 2 had no audit log, and leases without uids. */
const FROM_2 = `
${LEASE_UIDS}
${AUDIT_HEAD.map((column) => `ALTER TABLE meta ADD COLUMN ${column};`).join("\n")}
${AUDIT_TABLE}
PRAGMA user_version = 3;
`;

export type Database = {
  readonly db: DatabaseSync;
  /** Throws a Fault `unavailable` if what is written now could not be found again. */
  readonly checkHeld: () => void;
  readonly close: () => void;
};

/**
 * The store's file, locked, durable per transaction (WAL, synchronous=FULL), readable by its owner only. Created with
 * `cluster` if it does not exist. Throws a Fault if it is another program's, a newer Weft's, damaged, or in use.
 */
export function openDatabase(path: string, cluster: string): Database {
  using opened = new DisposableStack();
  try {
    const lock = opened.use(openPrivate(`${path}.lock`));
    // Its journal is in memory: a header of 512 bytes would keep a server from starting on a full disk.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    checkNotEmptied(path);
    const isSound = judgeLog(path);
    const db = opened.use(openPrivate(path));
    prepare(db, path, cluster, isSound);
    // The lock file too: without it under its name, a second server could start.
    const checkHeld = pathGuard([path, `${path}-wal`, `${path}-shm`, `${path}.lock`]);
    const kept = opened.move();
    return { db, checkHeld, close: () => kept.dispose() };
  } catch (error) {
    throw faultOfSqlite(error, path);
  }
}

/**
 * Call it when all files are open. The returned function throws a Fault `unavailable` as soon as one of the names leads
 * elsewhere: a file was removed, moved or replaced (by a person, a restore, an unmount). SQLite then continues in files
 * that have no name any more, and acknowledged writes are lost with the process (sqlite.org/howtocorrupt.html, 4.1 to
 * 4.4). It takes some microseconds of a commit's hundreds.
 */
function pathGuard(paths: readonly string[]): () => void {
  const opened = paths.map((path) => ({ path, file: fileAt(path) }));
  return () => {
    for (const { path, file } of opened) if (fileAt(path) !== file) throw moved(path);
  };
}

/** The file's identity, whatever its name; undefined if there is none. */
function fileAt(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
  } catch {
    return undefined;
  }
}

function moved(path: string): Fault {
  return new Fault("unavailable", {
    what: "a file of the store was removed, moved or replaced while the server runs, and nothing is written any more",
    where: path,
    why: "what is written into the one that is open would be gone when the server ends",
    fix:
      "put back the file that was there, and the server goes on; or stop the server, put back the latest backup, and " +
      `start it (until it ends, what it has open is under /proc/${process.pid}/fd)`,
  });
}

/**
 * SQLite gives its -wal and -shm files the mode of the main file, so that mode must be right before the file is opened.
 */
function openPrivate(path: string): DatabaseSync {
  closeSync(openSync(path, "a", 0o600));
  return new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
}

/** `isSound`: every page was checked just now, which takes seconds in a large store. */
function prepare(db: DatabaseSync, path: string, cluster: string, isSound: boolean): void {
  const version = versionOf(db, path);
  const mark = `${path}.cluster`;
  if (version === undefined && existsSync(mark)) throw emptied(path, [mark]);
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;");
  if (version !== undefined && !isSound) checkSound(db, path);
  if (version === 1) db.exec(FROM_1);
  if (version === 1 || version === 2) addAudit(db);
  if (version !== undefined) {
    checkMark(db, path);
    return writeMark(mark, clusterIn(db) ?? "");
  }
  db.exec(`BEGIN IMMEDIATE; ${SCHEMA}`);
  db.prepare("INSERT INTO meta (one, cluster, revision) VALUES (1, ?, 0)").run(cluster);
  beginAudit(db, cluster, 0);
  db.exec("COMMIT");
  writeMark(mark, cluster);
}

function addAudit(db: DatabaseSync): void {
  db.exec(`BEGIN IMMEDIATE; ${FROM_2}`);
  beginAudit(db, clusterIn(db) ?? "", Number(db.prepare("SELECT revision FROM meta").get()?.["revision"]));
  db.exec("COMMIT");
}

/** Every page, row and index (sqlite.org/pragma.html#pragma_integrity_check), cells against their pages' sizes, too. */
function checkSound(db: DatabaseSync, path: string): void {
  db.exec("PRAGMA cell_size_check = ON");
  const said = db
    .prepare("PRAGMA integrity_check(3)")
    .all()
    .map((row) => String(Object.values(row)[0]));
  if (said.join() !== "ok") throw damaged(path, said.join("; "));
}

/**
 * Includes the log, and runs before anything may be written: a connection that can write moves the log into the store
 * when it closes, and the files would no longer be as they were. Returns whether there was something to check.
 */
function judgeLog(path: string): boolean {
  if (sizeOf(`${path}-wal`) === 0) return false;
  using db = new DatabaseSync(path, { readOnly: true, timeout: LOCK_WAIT_MS });
  if (versionOf(db, path) === undefined) return false;
  checkSound(db, path);
  checkMark(db, path);
  return true;
}

function clusterIn(db: DatabaseSync): string | undefined {
  const cluster = db.prepare("SELECT cluster FROM meta").get()?.["cluster"];
  return typeof cluster === "string" ? cluster : undefined;
}

/** SQLite takes the log of another store beside this one for its own, and that log has all pages. */
function checkMark(db: DatabaseSync, path: string): void {
  const mark = `${path}.cluster`;
  const cluster = clusterIn(db);
  const known = existsSync(mark) ? readFileSync(mark, "utf8").trim() : "";
  if (cluster === undefined || known === "" || known === cluster) return;
  throw new Fault("unavailable", {
    what: "the store is of another cluster",
    why: `it says cluster ${cluster}, and ${mark} says ${known}: its file, or its log (-wal), is another store's`,
    where: path,
    fix: `put back the file and the log that belong together; if cluster ${cluster} is meant, remove ${mark}`,
  });
}

/** A power loss may have left it empty. */
function writeMark(mark: string, cluster: string): void {
  if (sizeOf(mark) === 0) writeFileSync(mark, `${cluster}\n`, { mode: 0o600 });
}

/** The file does not contain what a server wrote. */
export function damaged(path: string, why: string, cause?: unknown): Fault {
  const fix = "keep the file, and restore the latest backup; hosts that have seen more say so and keep what they have";
  return new Fault("unavailable", { what: "the store is damaged", why, where: path, fix }, { cause });
}

/**
 * Runs before SQLite opens the file: SQLite removes the log beside an empty file (pagerOpenWalIfPresent in pager.c).
 */
function checkNotEmptied(path: string): void {
  if (sizeOf(path) > 0) return;
  const left = [`${path}.cluster`, `${path}-wal`].filter((one) => sizeOf(one) > 0);
  if (left.length > 0) throw emptied(path, left);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function emptied(path: string, left: readonly string[]): Fault {
  return new Fault("unavailable", {
    what: "the store is gone or empty",
    why: `${whatWas(left[0])}, and a new one would be another cluster to every host`,
    where: path,
    fix: `restore the latest backup; to begin anew with nothing, remove ${left.join(" and ")}, too`,
  });
}

function whatWas(left = ""): string {
  return left.endsWith(".cluster")
    ? `it was the store of cluster ${readFileSync(left, "utf8").trim()}`
    : `its log ${left} is there`;
}

/** The schema in the file, undefined while it is empty; throws unless it is empty or a store this program can read. */
function versionOf(db: DatabaseSync, path: string): number | undefined {
  const number = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0]);
  const application = number("PRAGMA application_id");
  if (application === 0 && number("SELECT count(*) FROM sqlite_schema") === 0) return undefined;
  if (application !== APPLICATION_ID) throw notAStore(path, "it is a database of another program");
  const version = number("PRAGMA user_version");
  if (version > SCHEMA_VERSION) {
    throw new Fault("unsupported", {
      what: "cannot use the store",
      why: `a newer Weft wrote it (schema ${version}, this program knows ${SCHEMA_VERSION})`,
      where: path,
      fix: "start that version or a later one, or restore the backup taken before the upgrade",
    });
  }
  return version;
}

function notAStore(path: string, why: string, cause?: unknown): Fault {
  return new Fault(
    "request-invalid",
    { what: `${path} is not a Weft store`, why, where: path, fix: "choose another path; this file was left as it is" },
    { cause },
  );
}

type Meaning = { readonly reason: Reason; readonly why: string; readonly fix: string };
const CANNOT_OPEN: Meaning = {
  reason: "unavailable",
  why: "it cannot be opened",
  fix: "check that its directory exists and belongs to the server's user",
};
/** Result codes of SQLite, primary unless noted, about which a person can do something (sqlite.org/rescode.html). */
const MEANING: Readonly<Record<number, Meaning>> = {
  5: { reason: "in-use", why: "another process has it open", fix: "stop the other server: one process serves a store" },
  8: { reason: "unavailable", why: "it is read-only", fix: "let the server's user write the file and its directory" },
  10: { reason: "unavailable", why: "the disk failed", fix: "check the disk and the kernel's log, then start again" },
  11: { reason: "unavailable", why: "the file is damaged", fix: "stop the server and restore the latest backup" },
  13: { reason: "unavailable", why: "the disk is full", fix: "free some space; nothing of this write was kept" },
  14: CANNOT_OPEN,
  // SQLITE_IOERR_SHMSIZE, extended: its primary code says a failed disk, but mostly the disk is full.
  [10 | (19 << 8)]: {
    reason: "unavailable",
    why: "its -shm file has no room: the disk is full",
    fix: "free some space (64 KB are enough to start), then start again",
  },
};
const NOT_A_DATABASE = 26;

/** What an error of SQLite or of the file system means here; a Fault or a bug passes unchanged. */
export function faultOfSqlite(error: unknown, path: string): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error;
  const code = "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0;
  const primary = code & 0xff;
  if (primary === NOT_A_DATABASE) return notAStore(path, "it is not a database", error);
  const meaning = "syscall" in error ? { ...CANNOT_OPEN, why: error.message } : (MEANING[code] ?? MEANING[primary]);
  if (meaning === undefined) return error;
  const { reason, why, fix } = meaning;
  return new Fault(reason, { what: "cannot use the store", why, where: path, fix }, { cause: error });
}
