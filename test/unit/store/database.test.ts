// What failures of the file mean, what stands beside it, and what a closed store says.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { host, putting, refusal } from "../../contract/store/contract.ts";
import { faultOfSqlite } from "../../../src/store/database.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-database-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `store-${++files}.db`);

test("what SQLite says becomes what a person can do; extended codes are their primary one", () => {
  const said = (more: object) => faultOfSqlite(Object.assign(new Error("said"), more), "/var/store.db");
  // sqlite.org/rescode.html: SQLITE_BUSY, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
  const meanings: readonly (readonly [number, Reason, RegExp])[] = [
    [5, "in-use", /another process has it open.*stop the other server/],
    [8, "unavailable", /read-only/],
    [10, "unavailable", /disk failed/],
    [11, "unavailable", /damaged.*backup/],
    [13, "unavailable", /disk is full/],
    [14, "unavailable", /cannot be opened/],
    [26, "request-invalid", /not a database/],
  ];
  for (const [code, reason, words] of meanings)
    for (const errcode of [code, code | (3 << 8)]) {
      const fault = said({ errcode });
      assert(fault instanceof Fault && fault.reason === reason, `${errcode}: ${String(fault)}`);
      assert.match(fault.message, words);
      assert.equal(fault.detail.where, "/var/store.db");
    }
  // SQLITE_IOERR_SHMSIZE, with which a start on a full disk ends.
  assert.match(String(said({ errcode: 10 | (19 << 8) })), /no room: the disk is full/);
  const failed = said({ syscall: "open" });
  assert(failed instanceof Fault && failed.reason === "unavailable" && /said/.test(failed.message));
});

test("a bug stays a bug, and a Fault what it was", () => {
  const own = new Fault("exhausted", { what: "full", fix: "wait" });
  for (const error of [
    own,
    new TypeError("no"),
    Object.assign(new Error("misuse"), { errcode: 21 }),
    "text",
    undefined,
  ])
    assert.equal(faultOfSqlite(error, "/x"), error);
});

test("the name of its cluster stands beside a store, and is put there if it is missing", async () => {
  const path = newPath();
  const mark = `${path}.cluster`;
  await openSqliteStore(path, { cluster: "ours" }).close();
  for (let twice = 0; twice < 2; twice++) {
    assert.equal(readFileSync(mark, "utf8"), "ours\n");
    assert.equal(statSync(mark).mode & 0o777, 0o600);
    rmSync(mark);
    const again = openSqliteStore(path, { cluster: "another" });
    assert.equal(again.cluster, "ours");
    await again.close();
  }
  writeFileSync(mark, "");
  await openSqliteStore(path).close();
  assert.equal(readFileSync(mark, "utf8"), "ours\n");
});

test("a store, or a log, of another cluster is refused, and left as it is", async () => {
  const [path, other] = [newPath(), newPath()];
  const store = openSqliteStore(path, { cluster: "ours" });
  await store.commit([putting(host("h1"))]);
  await store.close();
  const before = readFileSync(path);
  const foreign = openSqliteStore(other, { cluster: "theirs" });
  await foreign.commit([putting(host("h9"))]);
  copyFileSync(`${other}-wal`, `${path}-wal`);
  const isTold = (error: unknown) =>
    refusal("unavailable")(error) && /it says cluster theirs, and .* says ours/.test(String(error));
  assert.throws(() => openSqliteStore(path), isTold);
  assert.deepEqual(readFileSync(path), before);
  assert.deepEqual(readFileSync(`${path}-wal`), readFileSync(`${other}-wal`));
  rmSync(`${path}-wal`);
  const again = openSqliteStore(path);
  assert.equal((await again.read()).resources[0]?.name, "h1");
  await again.close();
  await foreign.close();
  copyFileSync(other, path);
  assert.throws(() => openSqliteStore(path), isTold);
});

/** Moves what is at the path away, and puts a copy in its place, if asked. */
const harms: readonly (readonly [string, (path: string) => void])[] = [
  ["moved away", (path) => renameSync(path, `${path}.away`)],
  [
    "replaced by a copy",
    (path) => {
      renameSync(path, `${path}.away`);
      copyFileSync(`${path}.away`, path);
    },
  ],
];
for (const file of ["", "-wal", "-shm", ".lock"])
  for (const [how, harm] of harms)
    test(`nothing is acknowledged while store${file} is ${how}; put back, it goes on`, async () => {
      const path = newPath();
      const store = openSqliteStore(path);
      await store.commit([putting(host("h1"))]);
      harm(`${path}${file}`);
      for (let twice = 0; twice < 2; twice++)
        await assert.rejects(
          store.commit([putting(host("h2"))]),
          (error) => refusal("unavailable")(error) && String(error).includes(`(at ${path}${file})`),
        );
      assert.deepEqual(
        (await store.read()).resources.map(({ name }) => name),
        ["h1"],
      );
      renameSync(`${path}${file}.away`, `${path}${file}`);
      assert.deepEqual(await store.commit([putting(host("h3"))]), [2]);
      await store.close();
      const again = openSqliteStore(path);
      assert.deepEqual(
        (await again.read()).resources.map(({ name }) => name),
        ["h1", "h3"],
      );
      await again.close();
    });

test("the lock takes no room: a server has to start on a disk without any", async () => {
  const path = newPath();
  const store = openSqliteStore(path);
  const beside = readdirSync(directory).filter((name) => join(directory, name).startsWith(`${path}.lock`));
  assert.deepEqual(
    beside.map((name) => statSync(join(directory, name)).size),
    [0],
  );
  assert.throws(() => openSqliteStore(path), refusal("in-use"));
  await store.close();
});

test("each write is on the disk before it is acknowledged", async () => {
  const path = newPath();
  const store = openSqliteStore(path);
  const db = new DatabaseSync(path, { readOnly: true });
  const seen = (sql: string) => Object.values(db.prepare(sql).get() ?? {})[0];
  for (let i = 1; i <= 3; i++) {
    await store.commit([putting(host("h1", i))], [{ key: "k", value: String(i) }]);
    assert.deepEqual(
      [seen("SELECT revision FROM meta"), seen("SELECT value FROM secret"), seen("SELECT count(*) FROM resource")],
      [i, String(i), 1],
    );
  }
  assert.equal(seen("PRAGMA journal_mode"), "wal");
  db.close();
  await store.close();
});

test("a file that cannot be used is let go of: the next one who comes may lock it", async () => {
  const path = newPath();
  const db = new DatabaseSync(path);
  db.exec("CREATE TABLE recipes (name TEXT)");
  assert.throws(() => openSqliteStore(path), refusal("request-invalid"));
  assert.equal(existsSync(`${path}.cluster`), false);
  db.exec("DROP TABLE recipes");
  db.close();
  const store = openSqliteStore(path);
  assert.throws(() => openSqliteStore(path), refusal("in-use"));
  await store.close();
  // A row that is no resource is found when it is read, and the lock is not kept because of it.
  const damaged = new DatabaseSync(path);
  damaged.exec("INSERT INTO change_set VALUES (1, '['); UPDATE meta SET revision = 1");
  damaged.close();
  for (let twice = 0; twice < 2; twice++) assert.throws(() => openSqliteStore(path), refusal("unavailable"));
});

test("a closed store says so, whatever it is asked", async () => {
  const store = openSqliteStore(newPath());
  await store.commit([putting(host("h1"))]);
  await store.close();
  await assert.rejects(store.read(), refusal("unavailable"));
  assert.throws(() => store.secret("token"), refusal("unavailable"));
  assert.equal(store.revision, 1);
});

test("a database without a table, where a cluster's store was, is no new one", async () => {
  const path = newPath();
  await openSqliteStore(path, { cluster: "ours" }).close();
  rmSync(path);
  const empty = new DatabaseSync(path);
  empty.exec("CREATE TABLE a (b); DROP TABLE a");
  empty.close();
  assert.ok(statSync(path).size > 0);
  const before = readFileSync(path);
  assert.throws(
    () => openSqliteStore(path),
    (error) =>
      refusal("unavailable")(error) && /gone or empty.*cluster ours.*store-\d+\.db\.cluster/.test(String(error)),
  );
  assert.deepEqual(readFileSync(path), before);
  rmSync(`${path}.cluster`);
  const store = openSqliteStore(path, { cluster: "next" });
  assert.equal(store.cluster, "next");
  await store.close();
});

test("an empty file beside a log is no new store, and the log stays", async () => {
  const [path, other] = [newPath(), newPath()];
  const store = openSqliteStore(other);
  await store.commit([putting(host("h1"))]);
  copyFileSync(`${other}-wal`, `${path}-wal`);
  await store.close();
  const log = readFileSync(`${path}-wal`);
  assert.ok(log.length > 0);
  for (const make of [() => {}, () => writeFileSync(path, "")]) {
    make();
    assert.throws(
      () => openSqliteStore(path),
      (error) => refusal("unavailable")(error) && /gone or empty.*its log .*-wal is there/.test(String(error)),
    );
    assert.deepEqual(readFileSync(`${path}-wal`), log);
  }
  // One that is empty says nothing.
  writeFileSync(`${path}-wal`, "");
  await openSqliteStore(path).close();
});

test("a closed store refuses a write because it is closed, also one of nothing", async () => {
  const store = openSqliteStore(newPath());
  await store.close();
  for (const commits of [[putting(host("h1"))], []])
    await assert.rejects(
      store.commit(commits),
      (error) => refusal("unavailable")(error) && /the store is closed/.test(String(error)),
    );
});
