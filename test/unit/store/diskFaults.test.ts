// The store's files after a disk lost or flipped something: a server either starts with what it had acknowledged, up to
// a point in its history, or says which file is damaged and what to do. It never makes up what was never written.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Fault } from "../../../src/model/fault.ts";
import type { Resource } from "../../../src/model/resource.ts";
import { verdictOn } from "../../contract/store/auditContract.ts";
import { entry } from "../../contract/store/contract.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";

const WRITES = 40;
const FILES = ["weft.db", "weft.db-wal", "weft.db-shm", "weft.db.lock"] as const;

function hold(n: number): Resource {
  const spec = {
    network: "n",
    first: `10.0.0.${n}`,
    last: `10.0.0.${n}`,
    reason: "r".repeat(300),
    owner: "o",
    sinceMs: n,
  };
  return { kind: "hold", name: `h${n}`, uid: `u${n}`, revision: 0, spec } as Resource;
}

describe("a store on a bad disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-store-"));
  const kept = join(folder, "kept");
  const whole = new Map<string, Buffer>();
  let resources: readonly Resource[] = [];

  before(async () => {
    const path = join(folder, "weft.db");
    const store = openSqliteStore(path, { cluster: "c" });
    for (let n = 1; n <= WRITES / 2; n++)
      await store.commit([{ preconditions: [], changes: [{ put: hold(n) }], audit: entry() }]);
    await store.close();
    const again = openSqliteStore(path);
    for (let n = WRITES / 2 + 1; n <= WRITES; n++)
      await again.commit([{ preconditions: [], changes: [{ put: hold(n) }], audit: entry() }]);
    resources = (await again.read()).resources;
    // As kill -9 leaves them: the newest writes are in the log only.
    for (const name of FILES) if (existsSync(join(folder, name))) whole.set(name, readFileSync(join(folder, name)));
    await again.close();
    assert(whole.has("weft.db-wal"));
    writeFileSync(kept, "");
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What a server finds with one file changed. */
  async function found(name: string, text: Buffer | undefined): Promise<readonly Resource[] | Fault> {
    const place = mkdtempSync(join(folder, "try-"));
    for (const [each, bytes] of whole) writeFileSync(join(place, each), bytes);
    if (text === undefined) rmSync(join(place, name));
    else writeFileSync(join(place, name), text);
    try {
      const store = openSqliteStore(join(place, "weft.db"));
      try {
        const { resources: all, revision } = await store.read();
        assert(revision <= WRITES);
        if (name !== "weft.db") assert((await verdictOn(store)).isWhole);
        return all;
      } finally {
        await store.close();
      }
    } catch (error) {
      if (error instanceof Fault) return error;
      throw new Error(`${name}: not a Fault`, { cause: error });
    } finally {
      rmSync(place, { recursive: true });
    }
  }

  /** What was written, from the first to some last, or a Fault that names a file. */
  function check(at: string, seen: readonly Resource[] | Fault): void {
    if (seen instanceof Fault) return assert.match(String(seen.detail.where), /weft\.db/, at);
    assert.deepEqual(seen, resources.slice(0, seen.length), at);
  }

  test("whole, everything is there", async () => {
    assert.deepEqual(await found("weft.db", whole.get("weft.db") ?? assert.fail()), resources);
  });

  for (const name of FILES)
    test(`${name}: gone, emptied, cut anywhere`, async () => {
      const bytes = whole.get(name);
      if (bytes === undefined) return;
      check(`no ${name}`, await found(name, undefined));
      const step = Math.max(1, Math.floor(bytes.length / 40));
      for (let at = 0; at < bytes.length; at += step)
        check(`${name} cut at ${at}`, await found(name, bytes.subarray(0, at)));
    });

  for (const [name, text] of [
    ["gone", undefined],
    ["emptied", Buffer.alloc(0)],
  ] as const)
    test(`weft.db ${name}, with its log beside it: refused, and the log stays for whoever restores it`, () => {
      const place = mkdtempSync(join(folder, "try-"));
      const [path, log] = [join(place, "weft.db"), join(place, "weft.db-wal")];
      writeFileSync(log, whole.get("weft.db-wal") ?? assert.fail());
      if (text !== undefined) writeFileSync(path, text);
      for (let n = 0; n < 2; n++)
        assert.throws(
          () => openSqliteStore(path),
          (error) =>
            error instanceof Fault && error.reason === "unavailable" && error.detail.why?.includes(log) === true,
        );
      assert.deepEqual(readFileSync(log), whole.get("weft.db-wal"));
    });

  for (const name of FILES)
    test(`${name}: a bit flipped anywhere`, async () => {
      const bytes = whole.get(name);
      if (bytes === undefined) return;
      const step = Math.max(1, Math.floor(bytes.length / 60)) | 1;
      for (let at = 0; at < bytes.length; at += step) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (bytes[at] ?? 0) ^ 1;
        const seen = await found(name, flipped);
        // SQLite has no checksum of its pages: a letter within a value is whatever it is now.
        if (!(seen instanceof Fault) && name === "weft.db") continue;
        check(`${name} flipped at ${at}`, seen);
      }
    });
});
