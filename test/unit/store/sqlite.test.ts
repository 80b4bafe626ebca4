// Beyond the contract: what a store on disk promises over restarts, crashes and wrong files.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { keyOfResource } from "../../../src/model/resource.ts";
import { auditContract, recordsIn, verdictOn } from "../../contract/store/auditContract.ts";
import {
  type OpenStore,
  entry,
  host,
  putting,
  refusal,
  removing,
  storeContract,
  take,
} from "../../contract/store/contract.ts";
import { leaseContract, leasing } from "../../contract/store/leaseContract.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-store-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `store-${++files}.db`);

const openNew: OpenStore = (options) => openSqliteStore(newPath(), options);
storeContract("the store on disk", openNew);
leaseContract("the store on disk", openNew);
auditContract("the store on disk", openNew);

describe("a store that is opened again", () => {
  test("is what it was: name, revision, resources, secrets, history", async () => {
    const path = newPath();
    const before = openSqliteStore(path);
    await before.commit([putting(host("h1"), host("h2")), removing("host/h1")], [{ key: "token", value: "s" }]);
    const lease = { ...removing("host/h3"), leases: [leasing("blue", "10.0.0.1", 7, "a")] };
    const [state, sets] = [await before.read(), await take(before, 0, 2)];
    await before.close();
    const again = openSqliteStore(path, { cluster: "a name it has not" });
    assert.deepEqual(await again.read(), state);
    assert.deepEqual(await take(again, 0, 2), sets);
    assert.equal(again.secret("token"), "s");
    assert.deepEqual(await again.commit([lease]), [3]);
    await again.close();
    const third = openSqliteStore(path);
    assert.deepEqual((await third.leases({ address: "10.0.0.1", limit: 1 }))[0]?.owner, "a");
    await third.close();
  });

  test("keeps its window bounded, in memory and in the file", async () => {
    const path = newPath();
    const store = openSqliteStore(path, { history: 10 });
    for (let i = 0; i < 300; i++) await store.commit([putting(host(`h${i % 7}`, i))]);
    await store.close();
    const rows = new DatabaseSync(path).prepare("SELECT count(*) AS n FROM change_set").get()?.["n"];
    assert.ok(Number(rows) >= 10 && Number(rows) < 10 + 2 * 64, `${String(rows)} change sets in the file`);
    const again = openSqliteStore(path, { history: 10 });
    assert.equal((await take(again, 290, 10)).at(-1)?.revision, 300);
    await assert.rejects(take(again, 289, 1), refusal("compacted"));
    await again.close();
  });

  test("is refused with a word about backups when it is damaged, and left as it is", async () => {
    const path = newPath();
    const store = openSqliteStore(path);
    await store.commit(Array.from({ length: 500 }, (_, i) => putting(host(`h${i}`))));
    await store.close();
    const whole = readFileSync(path);
    const flipped = Buffer.from(whole);
    // The b-tree header of a page in the middle: cell pointers that lead nowhere.
    const page = 4096 * Math.floor(whole.length / 4096 / 2);
    for (let at = page; at < page + 16; at++) flipped[at] = (flipped[at] ?? 0) ^ 0xff;
    const changed = (sql: string) => () => {
      const db = new DatabaseSync(path);
      db.exec(sql);
      db.close();
    };
    const ways: readonly (readonly [string, () => void])[] = [
      ["flipped bytes", () => writeFileSync(path, flipped)],
      ["half of it", () => writeFileSync(path, whole.subarray(0, 4096 * Math.floor(whole.length / 8192)))],
      ["an older revision", changed("UPDATE meta SET revision = 7")],
      ["a gap in its history", changed("DELETE FROM change_set WHERE revision = 250")],
      ["a resource of a later revision", changed("UPDATE resource SET revision = 501 WHERE id = 1")],
      ["no word of itself", changed("DELETE FROM meta")],
      ["a row that is none", changed("UPDATE change_set SET changes = '[' WHERE revision = 400")],
    ];
    for (const [way, damage] of ways) {
      writeFileSync(path, whole);
      damage();
      const before = readFileSync(path);
      assert.throws(
        () => openSqliteStore(path),
        (error) => refusal("unavailable")(error) && /damaged.*restore the latest backup/.test(String(error)),
        way,
      );
      assert.deepEqual(readFileSync(path), before, way);
    }
    writeFileSync(path, whole);
    const again = openSqliteStore(path);
    assert.equal(again.revision, 500);
    await again.close();
  });

  test("is not taken for a new one when it is empty or gone", async () => {
    const path = newPath();
    const store = openSqliteStore(path, { cluster: "ours" });
    await store.commit([putting(host("h1"))]);
    await store.close();
    for (const empty of [() => rmSync(path), () => writeFileSync(path, "")]) {
      empty();
      assert.throws(
        () => openSqliteStore(path),
        (error) => refusal("unavailable")(error) && /store of cluster ours.*begin anew/.test(String(error)),
      );
    }
    rmSync(`${path}.cluster`);
    const anew = openSqliteStore(path);
    assert.equal(anew.revision, 0);
    await anew.close();
  });

  test("is readable by its owner only, also the files beside it, also if it was not", async () => {
    const path = newPath();
    writeFileSync(path, "", { mode: 0o644 });
    const store = openSqliteStore(path);
    await store.commit([putting(host("h1"))]);
    const name = path.slice(directory.length + 1);
    const beside = readdirSync(directory).filter((file) => file.startsWith(name));
    assert.ok(beside.length >= 4, "the store, its lock, -wal and -shm");
    for (const file of beside) assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
    await store.close();
  });

  test("holds 100 000 resources, and still knows each of them", { timeout: 120_000 }, async () => {
    const path = newPath();
    const count = 100_000;
    const before = openSqliteStore(path);
    const puts = Array.from({ length: count }, (_, i) => putting(host(`h${(i * 7919) % count}`, i)));
    for (let i = 0; i < count; i += 1000) await before.commit(puts.slice(i, i + 1000));
    const { resources } = await before.read();
    assert.equal(new Set(resources.map(keyOfResource)).size, count);
    await before.close();
    const again = openSqliteStore(path);
    // Before anything was read: what is known of keys comes from the file alone.
    const stale = {
      changes: [{ put: host("h5") }],
      preconditions: [{ key: "host/h5" as const, revision: 0 }],
      audit: entry(),
    };
    await assert.rejects(again.commit([stale]), refusal("revision-stale"));
    await again.commit([removing("host/h7"), putting(host("h8", -1)), putting(host("new"))]);
    const expected = new Map(resources.map((resource) => [resource.name, resource]));
    expected.delete("h7");
    expected.set("h8", { ...host("h8", -1), revision: count + 2 });
    expected.set("new", { ...host("new"), revision: count + 3 });
    const state = await again.read();
    assert.equal(state.revision, count + 3);
    assert.deepEqual(new Map(state.resources.map((resource) => [resource.name, resource])), expected);
    assert.equal(state.resources.length, count);
    await again.close();
  });

  test("of schema 2 gets an audit log that begins at its revision, once", async () => {
    const path = newPath();
    const first = openSqliteStore(path, { cluster: "old" });
    for (const name of ["h1", "h2"]) await first.commit([putting(host(name))]);
    await first.close();
    const db = new DatabaseSync(path);
    db.exec("DROP TABLE audit; DROP TABLE audit_anchor");
    for (const column of ["seq", "length", "hash"]) db.exec(`ALTER TABLE meta DROP COLUMN audit_${column}`);
    for (const column of ["network", "endpoint"]) db.exec(`ALTER TABLE lease DROP COLUMN ${column}_uid`);
    db.exec("PRAGMA user_version = 2");
    db.close();
    for (let start = 0; start < 2; start++) {
      const store = openSqliteStore(path);
      assert.equal(store.audit.ends().anchor.revision, 2);
      assert.deepEqual(await store.commit([putting(host("h3"))]), [3 + start]);
      const { isWhole, records } = await verdictOn(store);
      assert.deepEqual([isWhole, records], [true, start + 1]);
      await store.close();
    }
  });

  test("of schema 1 is brought up to date, once", async () => {
    const path = newPath();
    await openSqliteStore(path, { cluster: "old" }).close();
    const db = new DatabaseSync(path);
    db.exec(`
      DROP TABLE lease;
      DROP TABLE audit;
      DROP TABLE audit_anchor;
      ALTER TABLE meta DROP COLUMN audit_seq;
      ALTER TABLE meta DROP COLUMN audit_length;
      ALTER TABLE meta DROP COLUMN audit_hash;
      DROP TABLE resource;
      CREATE TABLE resource (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
      UPDATE meta SET revision = 7;
      PRAGMA user_version = 1;`);
    const resources = [
      { ...host("h1"), revision: 3 },
      { ...host("h2"), revision: 7 },
    ];
    const insert = db.prepare("INSERT INTO resource VALUES (?, ?, ?)");
    for (const each of resources) insert.run(keyOfResource(each), each.revision, JSON.stringify(each));
    db.close();
    for (let start = 0; start < 2; start++) {
      const store = openSqliteStore(path);
      assert.deepEqual(await store.read(), { cluster: "old", revision: 7, resources });
      await store.close();
    }
    const store = openSqliteStore(path);
    const change = {
      changes: [{ remove: "host/h1" as const }],
      preconditions: [{ key: "host/h1" as const, revision: 3 }],
      audit: entry(),
    };
    assert.deepEqual(await store.commit([{ ...change, leases: [leasing("blue", "10.0.0.1", 7, "a")] }]), [8]);
    assert.deepEqual((await store.read()).resources, [resources[1]]);
    assert.equal((await store.leases({ address: "10.0.0.1", limit: 1 })).length, 1);
    assert.equal((await verdictOn(store)).isWhole, true);
    await store.close();
  });
});

describe("a file that is not to be used", () => {
  test("another program's database is refused and left as it was", () => {
    const path = newPath();
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE recipes (name TEXT)");
    db.close();
    assert.throws(() => openSqliteStore(path), refusal("request-invalid"));
    const tables = new DatabaseSync(path)
      .prepare("SELECT name FROM sqlite_schema")
      .all()
      .map((row) => row["name"]);
    assert.deepEqual(tables, ["recipes"]);
  });

  test("a file that is no database is refused", () => {
    const path = newPath();
    writeFileSync(path, "overlays:\n".repeat(200));
    assert.throws(() => openSqliteStore(path), refusal("request-invalid"));
  });

  test("a store of a newer program is refused", async () => {
    const path = newPath();
    await openSqliteStore(path).close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    assert.throws(() => openSqliteStore(path), refusal("unsupported"));
  });

  test("a directory that is not there is said so", () => {
    assert.throws(() => openSqliteStore(join(directory, "nowhere", "store.db")), refusal("unavailable"));
  });
});

/** A process that opens the store and does `body`; what it says arrives line by line. */
function startProcess(path: string, body: string): ChildProcess & { readonly lines: AsyncIterableIterator<string> } {
  const source = `
    import { writeSync } from "node:fs";
    import { openSqliteStore } from ${JSON.stringify(new URL("../../../src/store/sqlite.ts", import.meta.url).href)};
    const audit = ${JSON.stringify(entry())};
    const putting = (...puts) => ({ changes: puts.map((put) => ({ put })), preconditions: [], audit });
    const specOf = (order) => ({ underlay: "10.0.0.1", underlayMtu: 1500, order });
    const host = (name, order) => ({ kind: "host", name, uid: name, revision: 0, spec: specOf(order) });
    const store = openSqliteStore(${JSON.stringify(path)});
    ${body}`;
  const argv = ["--input-type=module", "-e", source];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  return Object.assign(child, { lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() });
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

describe("several processes", { timeout: 60_000 }, () => {
  test("a second server on the same store is refused until the first is gone, however it went", async () => {
    const path = newPath();
    const first = startProcess(path, `writeSync(1, "open\\n"); setInterval(() => store.revision, 1000);`);
    try {
      assert.equal((await first.lines.next()).value, "open");
      assert.throws(() => openSqliteStore(path), refusal("in-use"));
    } finally {
      await kill(first);
    }
    await openSqliteStore(path).close();
  });

  test("kill -9 at any moment loses nothing that was acknowledged, and no commit is half there", async () => {
    const path = newPath();
    // Two commits in each call; both hosts of a commit carry its revision as `order`.
    const writer = `
      for (;;) {
        const next = store.revision + 1;
        const commits = [next, next + 1].map((n) => putting(host("a", n), host("b", n), host("n" + (n % 50), n)));
        const revisions = await store.commit(commits, [{ key: "last", value: String(next + 1) }]);
        writeSync(1, revisions[1] + "\\n");
      }`;
    let acknowledged = 0;
    for (const lines of [1, 2, 7, 20, 45, 80]) {
      const child = startProcess(path, writer);
      try {
        for (let i = 0; i < lines; i++) acknowledged = Number((await child.lines.next()).value);
      } finally {
        // The process has gone on writing meanwhile: the moment it dies at is nobody's choice.
        await kill(child);
      }
      for await (const line of child.lines) acknowledged = Number(line);
      const store = openSqliteStore(path);
      const { revision, resources } = await store.read();
      const message = `acknowledged ${acknowledged}, found ${revision}`;
      assert.ok(revision >= acknowledged && revision % 2 === 0, message);
      const orders = new Map(resources.map((r) => [r.name, r.kind === "host" ? r.spec.order : 0]));
      assert.deepEqual([orders.get("a"), orders.get("b")], [revision, revision], message);
      assert.equal(store.secret("last"), String(revision), message);
      assert.equal((await take(store, 0, revision)).at(-1)?.revision, revision);
      const recorded = recordsIn(store).flatMap((record) => record.revision ?? []);
      assert.deepEqual(
        recorded,
        Array.from({ length: revision }, (_, i) => i + 1),
        message,
      );
      assert.equal((await verdictOn(store)).isWhole, true, message);
      await store.close();
      acknowledged = revision;
    }
  });
});
