// The journal over restarts, kills, rewriting and damaged files.
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
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
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { filesWhile } from "../../../../src/files/files.ts";
import { journalEntry } from "../samples.ts";
import { realFiles } from "../../../../src/files/real.ts";
import { sealed } from "../../../../src/files/seal.ts";
import { ipOf } from "../../../../src/model/address.ts";
import {
  type Entry,
  fileJournal,
  type Former,
  type Journal,
  memoryJournal,
} from "../../../../src/agent/journal/journal.ts";

const entry = (name: string): Entry => journalEntry(name, { netnsId: "4:1" }, { addresses: ["10.0.0.2"] });

/** Names of what a journal's text says is attached, read by nothing of the journal's own. */
function entriesIn(text: string): string[] {
  const names = new Set<string>();
  assert(text.endsWith("\n"));
  for (const line of text.split("\n").slice(0, -1)) {
    const record = JSON.parse(line) as { put?: Entry; remove?: string };
    if (record.put !== undefined) names.add(record.put.endpoint.name);
    if (record.remove !== undefined) names.delete(record.remove);
  }
  return [...names];
}

describe("the journal in a file", () => {
  let folder = "";
  let path = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-journal-"));
    path = join(folder, "attachments.ndjson");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("has what was put and not removed, after any number of restarts, and is nobody else's to read", () => {
    const first = fileJournal(path, "boot", realFiles);
    for (const name of ["a", "b", "c"]) first.put(entry(name));
    first.put({ ...entry("b"), state: "detaching" });
    first.remove("a", 5);
    first.close();
    fileJournal(path, "boot", realFiles).close();
    const again = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...again.entries.values()], [{ ...entry("b"), state: "detaching" }, entry("c")]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    again.close();
  });

  test("knows whose an address was, over restarts and rewriting, until somebody has it again", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("a"));
    journal.remove("a", 7);
    journal.close();
    fileJournal(path, "boot", realFiles).close();
    const again = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...again.freed], [["n 10.0.0.2", { endpoint: "a", atMs: 7 }]]);
    again.put(entry("b"));
    assert.equal(again.freed.size, 0);
    again.close();
    const third = fileJournal(path, "boot", realFiles);
    assert.equal(third.freed.size, 0);
    third.close();
  });

  test("who has an address and who is in a namespace is what a walk over the entries says", () => {
    const op = fc.record({
      name: fc.constantFrom("a", "b", "c"),
      network: fc.constantFrom("n", "m"),
      addresses: fc.subarray(["10.0.0.2", "10.0.0.3", "fd00::2"]),
      netnsId: fc.constantFrom("4:1", "4:2"),
      isPut: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 30 }), (ops) => {
        const journal = memoryJournal();
        for (const { name, network, addresses, netnsId, isPut } of ops) {
          const { endpoint, ...rest } = entry(name);
          const spec = { ...endpoint.spec, network, addresses };
          if (isPut) journal.put({ ...rest, netnsId, endpoint: { ...endpoint, spec } });
          else journal.remove(name, 1);
          const all = [...journal.entries.values()];
          for (const id of ["4:1", "4:2"])
            assert.deepEqual(new Set(journal.inNetns(id)), new Set(all.filter((one) => one.netnsId === id)));
          for (const each of ["n", "m"])
            for (const ip of ["10.0.0.2", "10.0.0.3", "fd00::2"]) {
              const isUsed = all.some(({ endpoint: e }) => e.spec.network === each && e.spec.addresses.includes(ip));
              const { family, value } = ipOf(ip) ?? assert.fail();
              assert.equal(journal.used(each).of(family).has(value), isUsed);
            }
        }
      }),
    );
  });

  test("a record is in the file when put returns: kill -9 after it loses nothing", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("a"));
    assert.match(readFileSync(path, "utf8"), /"name":"a"/);
    journal.close();
  });

  test("is rewritten when it is full of history, and keeps what is attached", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("kept"));
    for (let i = 0; i < 12_000; i++) {
      journal.put(entry("comes"));
      journal.remove("comes", i);
    }
    journal.put(entry("last"));
    assert(readFileSync(path, "utf8").split("\n").length < 11_000, "history does not pile up");
    journal.close();
    const again = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...again.entries.keys()], ["kept", "last"]);
    again.close();
  });

  test("a torn last line is dropped, a damaged one is passed over and told by its number", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("a"));
    journal.close();
    appendFileSync(path, '{"put":{"endpo');
    const again = fileJournal(path, "boot", realFiles);
    assert.deepEqual([[...again.entries.keys()], again.troubles], [["a"], []]);
    again.close();
    writeFileSync(path, readFileSync(path, "utf8").replace("\n", "\ngarbage\n"));
    const third = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...third.entries.keys()], ["a"]);
    assert.match(third.troubles.join(), /line 2 is damaged/);
    third.close();
  });

  test("is right in the file, not only after a restart, when it was rewritten and written to again", () => {
    const journal = fileJournal(path, "boot", realFiles);
    for (let i = 0; i < 11_000; i++) {
      journal.put(entry("comes"));
      journal.remove("comes", i);
    }
    journal.put(entry("x"));
    journal.put(entry("y"));
    journal.remove("x", 1);
    // Not by fileJournal(): it would rewrite the file, and with it what is wrong.
    assert.deepEqual(entriesIn(readFileSync(path, "utf8")), ["y"]);
    journal.close();
  });

  test("reads the lines of an earlier version, which have no checksum, but none after one that has", () => {
    const lines = [{ boot: "boot" }, { put: entry("a") }].map((record) => `${JSON.stringify(record)}\n`);
    writeFileSync(path, `${lines.join("")}${sealed({ put: entry("b") })}\n${JSON.stringify({ put: entry("c") })}\n`);
    const journal = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...journal.entries.keys()], ["a", "b"]);
    assert.match(journal.troubles.join(), /line 4/);
    journal.close();
  });

  test("an entry that a later one contradicts is dropped, if a line between them was lost", () => {
    const lines = [{ boot: "boot" }, { put: entry("a") }, { remove: "a", atMs: 1 }, { put: entry("b") }].map(sealed);
    writeFileSync(path, `${lines.join("\n").replace('"remove":"a"', '"remove":"q"')}\n`);
    const journal = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...journal.entries.keys()], ["b"]);
    journal.close();
  });

  test("a departure that has no entry leaves no trace: nobody had its address", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("a"));
    journal.remove("nobody", 3);
    journal.remove("a", 4);
    journal.remove("a", 9);
    const seen = (one: Journal) => [[...one.entries.keys()], [...one.freed.values()]];
    assert.deepEqual(seen(journal), [[], [{ endpoint: "a", atMs: 4 }]]);
    journal.close();
    const again = fileJournal(path, "boot", realFiles);
    assert.deepEqual(seen(again), seen(journal));
    again.close();
  });

  test("remembers the newest of more addresses than any host gives back, and what was given back again as new", () => {
    const freed = new Map<string, Former>();
    for (let i = 0; i < 10_000; i++) freed.set(`n ${i}`, { endpoint: "old", atMs: i });
    const journal = memoryJournal(new Map(), freed);
    const at = (address: string) => ({
      ...entry("x"),
      endpoint: { ...entry("x").endpoint, spec: { ...entry("x").endpoint.spec, addresses: [address] } },
    });
    journal.put(at("0"));
    journal.remove("x", 20_000);
    assert.deepEqual(
      [journal.freed.size, [...journal.freed.keys()].at(-1), journal.freed.has("n 1")],
      [10_000, "n 0", true],
    );
    journal.put(at("new"));
    journal.remove("x", 20_001);
    assert.deepEqual([journal.freed.size, journal.freed.has("n 1"), journal.freed.has("n 0")], [10_000, false, true]);
  });

  test("is the same file while it grows: only history makes it a new one", () => {
    const journal = fileJournal(path, "boot", realFiles);
    const { ino } = statSync(path);
    for (let i = 0; i < 200; i++) journal.put(entry(`e${i}`));
    assert.equal(statSync(path).ino, ino);
    assert.equal(readFileSync(path, "utf8").split("\n").length, 202);
    journal.close();
  });

  test("reopened by a killed agent's successor right after a rewrite, it has the record that came with it", () => {
    const journal = fileJournal(path, "boot", realFiles);
    for (let i = 0; i < 10_100; i++) {
      journal.put(entry(i % 2 === 0 ? "even" : "odd"));
      if (i < 9_990 || readFileSync(path).length > 3_000) continue;
      const { ino } = statSync(path);
      const again = fileJournal(path, "boot", realFiles);
      assert.deepEqual([...again.entries.keys()].sort(), ["even", "odd"], `after ${i} of file ${ino}`);
      again.close();
      return journal.close();
    }
    assert.fail("it was never rewritten");
  });

  test("of an earlier boot, what can be read is kept to be released, and damage is what a power loss leaves", () => {
    const journal = fileJournal(path, "boot", realFiles);
    journal.put(entry("a"));
    journal.put(entry("b"));
    journal.close();
    writeFileSync(path, readFileSync(path, "utf8").replace(/.*"name":"a".*/, "\0\0\0"));
    const next = fileJournal(path, "another boot", realFiles);
    assert.deepEqual([...next.entries.values()], [{ ...entry("b"), state: "detaching" }]);
    assert.deepEqual(next.troubles, []);
    next.close();
  });

  test("is begun anew where it cannot be read, and what was there is put aside and told", () => {
    const failing = { ...realFiles, read: () => assert.fail("EIO: i/o error, read") };
    for (const [what, harm, files] of [
      ["a directory", () => mkdirSync(path), realFiles],
      ["a sector that is gone", () => writeFileSync(path, "what it was\n"), failing],
    ] as const) {
      rmSync(path, { force: true });
      harm();
      const journal = fileJournal(path, "boot", files);
      assert.match(journal.troubles.join(), /cannot be read \((EISDIR|EIO).* was put aside/, what);
      assert(existsSync(`${path}.damaged`), what);
      journal.put(entry("a"));
      journal.close();
      assert.deepEqual(entriesIn(readFileSync(path, "utf8")), ["a"], what);
      rmSync(`${path}.damaged`, { recursive: true });
    }
  });

  test("records that say nothing possible are damage, whatever their checksum", () => {
    const good = entry("good");
    const { spec } = good.endpoint;
    const bad = (more: object, rest: object = {}) => ({
      put: { ...good, endpoint: { ...good.endpoint, name: "bad", spec: { ...spec, ...more } }, ...rest },
    });
    const lines = [
      { put: good },
      bad({ addresses: [5] }),
      bad({ addresses: ["1e400"] }),
      bad({ network: undefined }),
      bad({ netns: 7 }),
      bad({}, { netnsId: undefined }),
      bad({}, { bootId: undefined }),
    ];
    writeFileSync(path, lines.map((line) => `${sealed(line)}\n`).join(""));
    const journal = fileJournal(path, "boot", realFiles);
    assert.deepEqual([...journal.entries.keys()], ["good"]);
    assert.match(journal.troubles.join(), /line 2, 3, 4, 5, 6, 7 is damaged/);
    journal.close();
  });

  test("is written anew where its file was removed, moved or replaced while it is open", () => {
    const journal = fileJournal(path, "boot", realFiles);
    const harms = [
      () => rmSync(path),
      () => renameSync(path, `${path}.away`),
      () => {
        renameSync(path, `${path}.away`);
        writeFileSync(path, "somebody else's\n");
      },
    ];
    const names = ["before"];
    journal.put(entry("before"));
    for (const [i, harm] of harms.entries()) {
      harm();
      journal.put(entry(`e${i}`));
      names.push(`e${i}`);
      assert.deepEqual(entriesIn(readFileSync(path, "utf8")), names);
    }
    journal.close();
  });

  test("takes nothing in another directory than the one that was locked, and goes on when that is back", () => {
    let isHeld = true;
    const journal = fileJournal(
      path,
      "boot",
      filesWhile(realFiles, () => isHeld),
    );
    journal.put(entry("a"));
    renameSync(folder, `${folder}-away`);
    mkdirSync(folder);
    isHeld = false;
    for (let twice = 0; twice < 2; twice++)
      assert.throws(
        () => journal.put(entry("b")),
        (error) => /ESTALE.* start the agent again/.test(String(error)),
      );
    assert.deepEqual([...journal.entries.keys()], ["a"]);
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
    renameSync(`${folder}-away`, folder);
    isHeld = true;
    journal.put(entry("c"));
    assert.deepEqual(entriesIn(readFileSync(path, "utf8")), ["a", "c"]);
    journal.close();
  });
});
