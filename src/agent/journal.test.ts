import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Entry, fileJournal } from "./journal.ts";

const entry = (name: string): Entry => ({
  netnsId: "4:1",
  bootId: "boot",
  state: "attached",
  endpoint: {
    kind: "endpoint",
    name,
    uid: name,
    revision: 1,
    spec: {
      network: "n",
      host: "h",
      owner: name,
      ifname: "eth0",
      netns: `/run/netns/${name}`,
      mac: "02:00:00:00:00:01",
      addresses: ["10.0.0.2"],
    },
  },
});

describe("the journal in a file", () => {
  let folder = "";
  let path = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-journal-"));
    path = join(folder, "attachments.ndjson");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("has what was put and not removed, after any number of restarts, and is nobody else's to read", async () => {
    const first = fileJournal(path);
    await Promise.all([
      first.put(entry("a")),
      first.put(entry("b")),
      first.put({ ...entry("b"), state: "detaching" }),
      first.put(entry("c")),
    ]);
    await first.remove("a");
    first.close();
    fileJournal(path).close();
    const again = fileJournal(path);
    assert.deepEqual([...again.entries.values()], [{ ...entry("b"), state: "detaching" }, entry("c")]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    again.close();
  });

  test("a record is in the file when put returns: kill -9 after it loses nothing", () => {
    const journal = fileJournal(path);
    void journal.put(entry("a"));
    assert.match(readFileSync(path, "utf8"), /"name":"a"/);
    journal.close();
  });

  test("is rewritten when it is full of history, and keeps what is attached", async () => {
    const journal = fileJournal(path);
    await journal.put(entry("kept"));
    for (let i = 0; i < 2000; i++) {
      void journal.put(entry("comes"));
      await journal.remove("comes");
    }
    await journal.put(entry("last"));
    assert(statSync(path).size < 600_000, "history does not pile up");
    journal.close();
    const again = fileJournal(path);
    assert.deepEqual([...again.entries.keys()], ["kept", "last"]);
    again.close();
  });

  test("a torn last line is dropped, a damaged middle is not passed over", async () => {
    const journal = fileJournal(path);
    await journal.put(entry("a"));
    journal.close();
    const text = readFileSync(path, "utf8");
    const end = text.indexOf("\n\n") + 1;
    writeFileSync(path, `${text.slice(0, end)}{"put":{"endpo${text.slice(end + 14)}`);
    const again = fileJournal(path);
    assert.deepEqual([...again.entries.keys()], ["a"]);
    again.close();
    writeFileSync(path, `garbage\n${JSON.stringify({ put: entry("a") })}\n${JSON.stringify({ put: entry("b") })}\n`);
    assert.throws(() => fileJournal(path), /line 1 of the journal/);
  });
});
