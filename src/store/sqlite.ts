// The store on one machine's disk, over node:sqlite. Everything happens in one synchronous turn on the main thread: the
// checks of a write and the write itself see the same state without locks, and one fsync carries all commits of a call
// (measured: 0.2 ms alone, 70 000 commits a second in batches of 128; reading all of 100 000 endpoints takes 0.3 s).
// The change history is in the file too, so agents resume after the server restarts.
//
// Rows are in the order in which they came; the row of each key is known in memory, not in the file. Names have no
// order (container ids), so an index of them on disk would write a page of its own for nearly every resource: with a
// million of them, a commit cost 2.6 times what it costs in an empty store (script/bench ipam).
import { randomUUID } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { AuditEntry } from "../model/audit.ts";
import type { Change, ChangeSet, Key, Kind, Resource } from "../model/resource.ts";
import { AUDIT_BOUNDS } from "./audit.ts";
import { AuditTable } from "./auditTable.ts";
import { damaged, faultOfSqlite, openDatabase } from "./database.ts";
import { ChangeLog } from "./changeLog.ts";
import { LEASE_BOUNDS } from "./leases.ts";
import { LeaseTable } from "./leaseTable.ts";
import {
  type Commit,
  type Secret,
  type Store,
  type StoreOptions,
  assertHolds,
  assertMeaningful,
  stamped,
  storeClosed,
} from "./store.ts";

/** Change sets that left the window are deleted this many at a time: one by one, each commit would write more pages. */
const PRUNE_EVERY = 64;

type Statements = ReturnType<typeof statementsOf>;
/**
 * The row of each resource. By kind and name, not by key: names are in memory with their resources already, keys would
 * be a million more strings (measured: 100 MiB).
 */
type Rows = Map<Kind, Map<string, number>>;

/** The store in the file at `path`. Throws a Fault that says what to do if the file cannot be used. */
export function openSqliteStore(path: string, options: StoreOptions = {}): Store {
  const file = openDatabase(path, options.cluster ?? randomUUID());
  const run = statementsOf(file.db, path);
  const open = () => ({ ...load(run, options.history), logs: openLogs(file.db, options, path) });
  const { cluster, history, floorInFile, logs } = loaded(open, file.close);
  let pruned = floorInFile;
  let isOpen = true;
  /** Undefined until it is needed, and after a failure: the file is the truth. */
  let rows: Rows | undefined;

  function checkOpen(): void {
    if (!isOpen) throw storeClosed();
  }

  function commitNow(commits: readonly Commit[], secrets: readonly Secret[], entries: readonly AuditEntry[]): number[] {
    checkOpen();
    if (commits.length + secrets.length + entries.length === 0) return [];
    file.checkHeld();
    const floor = history.floor >= pruned + PRUNE_EVERY ? history.floor : pruned;
    const known = rows;
    rows = undefined;
    const work = () => {
      const current = known ?? readRows(run, () => {});
      if (floor > pruned) run.prune.run(floor);
      writeSecrets(run, secrets);
      const written = commits.map((commit, i) => write(run, current, commit, history.revision + i + 1));
      logs.append(run, commits, entries);
      return [written, current] as const;
    };
    const [sets, kept] = inTransaction(file.db, run, work, logs.undone);
    rows = kept;
    pruned = floor;
    history.appendAll(sets);
    return sets.map((set) => set.revision);
  }

  return {
    cluster,
    get revision() {
      return history.revision;
    },
    async read() {
      checkOpen();
      const resources: Resource[] = [];
      rows = readRows(run, (resource) => resources.push(resource));
      return { cluster, revision: history.revision, resources };
    },
    commit: async (commits, secrets = [], entries = []) => commitNow(commits, secrets, entries),
    watch: (from, signal) => history.watch(from, signal),
    secret(key) {
      checkOpen();
      const value = run.secret.get(key)?.["value"];
      return typeof value === "string" ? value : undefined;
    },
    async leases(query) {
      checkOpen();
      return logs.leases.find(query);
    },
    audit: logs.audit.reader(checkOpen, (nowMs) => {
      file.checkHeld();
      return inTransaction(file.db, run, () => logs.trim(run, nowMs), logs.undone);
    }),
    async close() {
      if (!isOpen) return;
      isOpen = false;
      history.close();
      file.close();
    },
  };
}

function statementsOf(db: DatabaseSync, path: string) {
  return {
    path,
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    meta: db.prepare("SELECT cluster, revision FROM meta"),
    newest: db.prepare("SELECT max(revision) AS revision FROM resource"),
    advance: db.prepare("UPDATE meta SET revision = ?, audit_seq = ?, audit_length = ?, audit_hash = ?"),
    all: db.prepare("SELECT id, body FROM resource"),
    revisionOf: db.prepare("SELECT revision FROM resource WHERE id = ?"),
    insert: db.prepare("INSERT INTO resource (revision, body) VALUES (?, ?)"),
    update: db.prepare("UPDATE resource SET revision = ?, body = ? WHERE id = ?"),
    remove: db.prepare("DELETE FROM resource WHERE id = ?"),
    record: db.prepare("INSERT INTO change_set VALUES (?, ?)"),
    recorded: db.prepare("SELECT revision, changes FROM change_set ORDER BY revision"),
    prune: db.prepare("DELETE FROM change_set WHERE revision <= ?"),
    secret: db.prepare("SELECT value FROM secret WHERE key = ?"),
    keep: db.prepare("INSERT OR REPLACE INTO secret VALUES (?, ?)"),
    forget: db.prepare("DELETE FROM secret WHERE key = ?"),
  };
}

/** Closes a file that cannot be used, and releases its lock. */
function loaded<T>(load: () => T, close: () => void): T {
  try {
    return load();
  } catch (error) {
    close();
    throw error;
  }
}

/** The tables that are only added to: what commits mean for leases, and who asked for them. */
function openLogs(db: DatabaseSync, options: StoreOptions, path: string) {
  const leases = new LeaseTable(db, options.leases ?? LEASE_BOUNDS);
  const audit = new AuditTable(db, options.audit ?? AUDIT_BOUNDS);
  if (!audit.isWhole()) throw damaged(path, "its audit log is longer than it says");
  const { chain } = audit;
  const advance = (run: Statements) => {
    const { revision, seq, length, hash } = chain.head;
    run.advance.run(revision, seq, length, hash);
  };
  return {
    leases,
    audit,
    append(run: Statements, commits: readonly Commit[], entries: readonly AuditEntry[]) {
      leases.append(commits.flatMap((commit) => commit.leases ?? []));
      chain.appendAll(commits, entries);
      advance(run);
    },
    trim(run: Statements, nowMs: number): boolean {
      const isMore = chain.trim(nowMs);
      advance(run);
      return isMore;
    },
    undone: () => {
      leases.recount();
      audit.reload();
    },
  };
}

type Loaded = { readonly cluster: string; readonly history: ChangeLog; readonly floorInFile: number };

/** Reads the file. The history passes the same window as live commits, so a smaller limit applies at once. */
function load(run: Statements, limit: number | undefined): Loaded {
  const { path } = run;
  const meta = run.meta.get();
  const revision = Number(meta?.["revision"]);
  const sets = run.recorded
    .all()
    .map(
      ({ revision: of, changes }): ChangeSet => ({ revision: Number(of), changes: jsonOf(changes, path) as Change[] }),
    );
  const floorInFile = revision - sets.length;
  const gap = sets.findIndex((set, i) => set.revision !== floorInFile + i + 1);
  const newest = Number(run.newest.get()?.["revision"] ?? 0);
  if (!Number.isSafeInteger(revision) || gap >= 0 || newest > revision)
    throw damaged(path, `it says revision ${revision}, and its parts say otherwise`);
  const history = new ChangeLog(floorInFile, limit);
  history.appendAll(sets);
  return { cluster: String(meta?.["cluster"]), history, floorInFile };
}

/** Runs `work` durably, or not at all; then it calls `undone`. */
function inTransaction<T>(db: DatabaseSync, run: Statements, work: () => T, undone: () => void): T {
  try {
    run.begin.run();
    const result = work();
    run.commit.run();
    return result;
  } catch (error) {
    // A full disk or a failed one has already rolled back.
    if (db.isTransaction) run.rollback.run();
    undone();
    throw faultOfSqlite(error, run.path);
  }
}

function writeSecrets(run: Statements, secrets: readonly Secret[]): void {
  for (const { key, value } of secrets) {
    if (value === undefined) run.forget.run(key);
    else run.keep.run(key, value);
  }
}

function write(run: Statements, rows: Rows, commit: Commit, revision: number): ChangeSet {
  assertMeaningful(commit);
  for (const { key, revision: seen } of commit.preconditions) {
    const [names, name] = rowsFor(rows, key);
    const row = names.get(name);
    assertHolds({ key, revision: seen }, row === undefined ? 0 : Number(run.revisionOf.get(row)?.["revision"]));
  }
  const changes = commit.changes.map((change) => stamped(change, revision));
  const texts = changes.map((change) => writeChange(run, rows, change, revision));
  run.record.run(revision, `[${texts.join(",")}]`);
  return { revision, changes };
}

/** Returns the change as JSON: a resource is turned into text once for both of its places. */
function writeChange(run: Statements, rows: Rows, change: Change, revision: number): string {
  if ("remove" in change) {
    const [names, name] = rowsFor(rows, change.remove);
    const row = names.get(name);
    if (row !== undefined) run.remove.run(row);
    names.delete(name);
    return JSON.stringify(change);
  }
  const { kind, name } = change.put;
  const names = namesOf(rows, kind);
  const row = names.get(name);
  const body = JSON.stringify(change.put);
  if (row === undefined) names.set(name, Number(run.insert.run(revision, body).lastInsertRowid));
  else run.update.run(revision, body, row);
  return `{"put":${body}}`;
}

/** One pass over the file, row by row: reading all of it at once would hold it in memory twice. */
function readRows(run: Statements, visit: (resource: Resource) => void): Rows {
  const rows: Rows = new Map();
  for (const { id, body } of run.all.iterate()) {
    const resource = jsonOf(body, run.path) as Resource;
    namesOf(rows, resource.kind).set(resource.name, Number(id));
    visit(resource);
  }
  return rows;
}

function namesOf(rows: Rows, kind: Kind): Map<string, number> {
  let names = rows.get(kind);
  if (names === undefined) rows.set(kind, (names = new Map()));
  return names;
}

/** The row of a key: under its name in the map of its kind. */
function rowsFor(rows: Rows, key: Key): readonly [Map<string, number>, string] {
  const slash = key.indexOf("/");
  // A Key is made of a kind and a name by its type.
  return [namesOf(rows, key.slice(0, slash) as Kind), key.slice(slash + 1)];
}

/** Only `write` puts text into the columns that this reads, so its shape is known. */
function jsonOf(text: unknown, path: string): unknown {
  try {
    return JSON.parse(String(text));
  } catch (cause) {
    throw damaged(path, "a row of it is no JSON", cause);
  }
}
