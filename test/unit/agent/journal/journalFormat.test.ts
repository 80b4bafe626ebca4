// What the journal makes of lines that it did not write, or not in this order; and when it writes which.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { FaultyFiles } from "../../files/faulty.ts";
import { journalEntry as entry } from "../samples.ts";
import { realFiles } from "../../../../src/files/real.ts";
import { sealed } from "../../../../src/files/seal.ts";
import type { Family } from "../../../../src/model/address.ts";
import { type Entry, fileJournal, memoryJournal, addressKey } from "../../../../src/agent/journal/journal.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-format-"));
  path = join(folder, "attachments.ndjson");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What a journal of these lines has, in whose boot it is. */
function readOf(lines: readonly string[], { boot = "boot", end = "\n" } = {}) {
  writeFileSync(path, lines.join("\n") + end);
  const journal = fileJournal(path, boot, realFiles);
  journal.close();
  return { names: [...journal.entries.keys()], freed: [...journal.freed], troubles: journal.troubles, journal };
}
const sealedAll = (...records: readonly object[]) => records.map((record) => sealed(record));
const WHOLE = sealedAll({ boot: "boot" }, { put: entry("a") });

test("a line with a checksum that is no record of a journal is damaged like any other", () => {
  const { endpoint, ...rest } = entry("x");
  const { addresses: _, ...spec } = endpoint.spec;
  const { name: __, ...nameless } = endpoint;
  const strange: readonly unknown[] = [
    {},
    { other: 1 },
    { boot: 3 },
    { remove: 3, atMs: 1 },
    { remove: "a" },
    { remove: "a", atMs: "1" },
    { freed: 3, former: { endpoint: "a", atMs: 1 } },
    { freed: "n 10.0.0.9" },
    { freed: "n 10.0.0.9", former: "a" },
    { freed: "n 10.0.0.9", former: null },
    { freed: "n 10.0.0.9", former: { endpoint: "a" } },
    { freed: "n 10.0.0.9", former: { atMs: 1 } },
    { put: null },
    { put: "x" },
    { put: { ...rest, state: "attached" } },
    { put: { endpoint, netnsId: "1", bootId: "boot" } },
    { put: { ...entry("x"), state: "gone" } },
    { put: { ...rest, endpoint: nameless } },
    { put: { ...rest, endpoint: { ...endpoint, spec: {} } } },
    { put: { ...rest, endpoint: { ...endpoint, spec } } },
    { put: { ...rest, endpoint: { kind: "endpoint", name: "x" } } },
  ];
  for (const record of strange) {
    const { names, freed, troubles } = readOf([...WHOLE, sealed(record as object), sealed({ put: entry("b") })]);
    const told = JSON.stringify(record);
    assert.deepEqual([names, freed], [["a", "b"], []], told);
    assert.equal(troubles.length, 1, told);
    assert.match(troubles[0] ?? "", /: line 3 is damaged/, told);
  }
  for (const line of ["3", "null", "[]", '"text"', "{", "x"]) {
    // Before the first checksum the lines of an earlier version are read.
    assert.deepEqual(readOf([line, ...WHOLE]).names, ["a"], line);
    assert.match(readOf([line, ...WHOLE]).troubles.join(), /: line 1 is damaged/, line);
    const { names, troubles } = readOf([...WHOLE, line, sealed({ put: entry("b") })]);
    assert.deepEqual([names, troubles.length], [["a", "b"], 1], line);
  }
});

test("an empty line is none, and only the last line may lack its end", () => {
  assert.deepEqual(readOf(["", ...WHOLE, "", ""]).troubles, []);
  assert.deepEqual(readOf([...WHOLE, "torn"], { end: "" }).troubles, []);
  assert.match(readOf([...WHOLE, "torn"]).troubles.join(), /line 3/);
  const { names, troubles } = readOf(["torn", ...WHOLE, "torn"], { end: "" });
  assert.deepEqual([names, troubles.length], [["a"], 1]);
  assert.match(troubles[0] ?? "", /line 1 is/);
});

test("of much damage the first ten lines are named", () => {
  const { troubles } = readOf([...WHOLE, ...Array.from({ length: 12 }, (_, i) => `x${i}`)]);
  assert.match(troubles[0] ?? "", /: line 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 is damaged/);
});

test("what is in use beside a lost line stays, unless a later entry has its address or its interface", () => {
  const b = (more: Partial<Entry>, spec: Partial<Entry["endpoint"]["spec"]> = {}) => entry("b", more, spec);
  const addresses = ["10.0.0.9", "10.0.0.97"];
  const cases: readonly (readonly [string, Entry, readonly string[]])[] = [
    ["nothing in common", b({}), ["a", "b"]],
    ["one address", b({}, { addresses }), ["b"]],
    ["the same address in another network", b({}, { addresses, network: "m" }), ["a", "b"]],
    ["the same interface", b({ netnsId: "4:a" }), ["b"]],
    ["another interface beside it", b({ netnsId: "4:a" }, { ifname: "eth1" }), ["a", "b"]],
    ["the same interface elsewhere", b({ netnsId: "4:c" }), ["a", "b"]],
  ];
  for (const [what, later, names] of cases) {
    assert.deepEqual(readOf([...WHOLE, "damaged", sealed({ put: later })]).names, names, what);
    assert.deepEqual(readOf([...WHOLE, sealed({ put: later })]).names, ["a", "b"], `${what}, and no line is lost`);
  }
  // Its own entry, again, and what is leaving already.
  const again = readOf([...WHOLE, "damaged", sealed({ put: entry("a", { state: "detaching" }) })]);
  assert.deepEqual([...again.journal.entries.values()], [entry("a", { state: "detaching" })]);
  const leaving = sealedAll({ boot: "boot" }, { put: entry("a", { state: "detaching" }) });
  assert.deepEqual(readOf([...leaving, "damaged", sealed({ put: b({}, { addresses }) })]).names, ["a", "b"]);
});

test("an entry that was disproved has left no trace: its address is not one that was given back", () => {
  const { journal } = readOf([...WHOLE, "damaged", sealed({ put: entry("b", { netnsId: "4:a" }) })]);
  assert.deepEqual([[...journal.entries.keys()], journal.freed.size], [["b"], 0]);
  assert.deepEqual(
    [...journal.inNetns("4:a")].map(({ endpoint }) => endpoint.name),
    ["b"],
  );
});

test("entries of another boot are leaving, those of this one are not", () => {
  const other = entry("b", { bootId: "other" });
  const { journal } = readOf(sealedAll({ boot: "other" }, { put: other }, { boot: "boot" }, { put: entry("a") }));
  assert.deepEqual([...journal.entries.values()], [{ ...other, state: "detaching" }, entry("a")]);
  const inMemory = memoryJournal(new Map([other, entry("a")].map((one) => [one.endpoint.name, one])), new Map(), {
    bootId: "boot",
  });
  assert.deepEqual([...inMemory.entries.values()], [...journal.entries.values()]);
});

test("damage is told, unless all of the file is of an earlier boot", () => {
  const other = sealedAll({ boot: "other" }, { put: entry("b", { bootId: "other" }) });
  assert.equal(readOf(["damaged", ...other]).troubles.length, 0);
  assert.equal(readOf(["damaged", ...other.slice(0, 1)]).troubles.length, 0);
  assert.equal(readOf(["damaged", ...other, ...WHOLE]).troubles.length, 1);
  assert.equal(readOf(["damaged", ...sealedAll({ boot: "boot" })]).troubles.length, 1);
  assert.equal(readOf(["damaged", ...WHOLE]).troubles.length, 1);
  // Nothing says of which boot it is.
  assert.equal(readOf(["damaged", "damaged"]).troubles.length, 1);
  assert.equal(readOf(["damaged", sealed({ put: entry("b", { bootId: "other" }) })]).troubles.length, 0);
});

test("what was given back is kept over rewrites, until it is given again, in the order of time", () => {
  const freed = [
    ["n 10.0.0.8", { endpoint: "x", atMs: 7 }],
    ["n 10.0.0.97", { endpoint: "y", atMs: 6 }],
    ["n 10.0.0.7", { endpoint: "z", atMs: 5 }],
  ] as const;
  const lines = freed.map(([place, former]) => sealed({ freed: place, former }));
  for (let start = 0; start < 2; start++) {
    assert.deepEqual(readOf([sealed({ boot: "boot" }), ...lines]).freed, freed);
    assert.deepEqual(readOf(readFileSync(path, "utf8").split("\n")).freed, freed);
  }
  assert.deepEqual(readOf([...lines, ...WHOLE]).freed, [freed[0], freed[2]]);
  const again = readOf([
    ...lines,
    sealed({ put: entry("a", {}, { addresses: ["10.0.0.8"] }) }),
    sealed({ remove: "a", atMs: 9 }),
  ]);
  assert.deepEqual(again.freed, [freed[1], freed[2], ["n 10.0.0.8", { endpoint: "a", atMs: 9 }]]);
  assert.equal(addressKey("n", "10.0.0.8"), "n 10.0.0.8");
});

test("all addresses of an endpoint are given back, each to its network", () => {
  const journal = memoryJournal();
  journal.put(entry("a", {}, { addresses: ["10.0.0.2", "fd00::2"], network: "m" }));
  journal.remove("a", 3);
  const former = { endpoint: "a", atMs: 3 };
  assert.deepEqual(
    [...journal.freed],
    [
      ["m 10.0.0.2", former],
      ["m fd00::2", former],
    ],
  );
});

test("an address that two have, while one of them leaves, is free when both are gone", () => {
  const journal = memoryJournal();
  const isUsed = (network: string, family: Family, value: bigint) => journal.used(network).of(family).has(value);
  journal.put(entry("a", { state: "detaching" }, { addresses: ["10.0.0.2"] }));
  journal.put(entry("b", {}, { addresses: ["10.0.0.2"] }));
  for (const name of ["a", "b"]) {
    assert.equal(isUsed("n", 4, 0x0a00_0002n), true, name);
    journal.remove(name, 1);
  }
  assert.equal(isUsed("n", 4, 0x0a00_0002n), false);
  assert.equal(isUsed("other", 4, 0x0a00_0002n), false);
  assert.deepEqual([...journal.inNetns("4:a")], []);
});

test("the version tells each change, and no refusal", () => {
  const files = new FaultyFiles();
  const journals = [fileJournal(path, "boot", files), memoryJournal()];
  for (const journal of journals) {
    const versions = [journal.version];
    journal.put(entry("a"));
    versions.push(journal.version);
    journal.put(entry("a", { state: "detaching" }));
    versions.push(journal.version);
    journal.remove("a", 1);
    versions.push(journal.version);
    assert.deepEqual(
      versions.toSorted((a, b) => a - b),
      versions,
    );
    assert.equal(new Set(versions).size, versions.length);
  }
  const { version } = journals[0] ?? assert.fail();
  Object.assign(files, { fault: "full", room: 0 });
  assert.throws(() => journals[0]?.put(entry("b")));
  assert.throws(() => journals[0]?.remove("b", 1));
  assert.equal(journals[0]?.version, version);
  const full = memoryJournal(new Map(), new Map(), {
    write: () => {
      throw new Error("full");
    },
  });
  assert.throws(() => full.put(entry("b")));
  assert.throws(() => full.remove("b", 1));
  assert.deepEqual([full.version, full.entries.size], [0, 0]);
  for (const journal of [...journals, full]) journal.close();
  assert.equal(files.opened.size, 0);
});

test("a file that has many entries is rewritten later: history counts beside what is attached", () => {
  const lines = [sealed({ boot: "boot" })];
  for (let i = 0; i < 3_000; i++)
    lines.push(sealed({ put: entry("k", {}, { addresses: [] }) }).replaceAll('"k"', `"k${i}"`));
  // Without checksums: they were of another name.
  writeFileSync(path, `${lines.map((line) => line.replace(/,"crc":"[0-9a-f]{8}"\}$/, "}")).join("\n")}\n`);
  const journal = fileJournal(path, "boot", realFiles);
  assert.equal(journal.entries.size, 3_000);
  const { ino } = statSync(path);
  for (let i = 0; i < 13_000; i++) journal.put(entry("k1", {}, { addresses: [] }));
  assert.equal(statSync(path).ino, ino);
  journal.put(entry("k1"));
  assert.notEqual(statSync(path).ino, ino);
  assert.equal(readFileSync(path, "utf8").split("\n").length, 1 + 3_000 + 1 + 1);
  journal.close();
});

test("a rewrite that the disk refuses is told, and tried again after a thousand records, not with each", () => {
  const opens: string[] = [];
  const journal = fileJournal(path, "boot", {
    ...realFiles,
    open: (at, flags, mode) => {
      if (flags === "ax") opens.push(at);
      return realFiles.open(at, flags, mode);
    },
    write: (fd, bytes, from) => {
      // There is room for a record and for no second file.
      if (bytes.length > 100_000) throw Object.assign(new Error("ENOSPC: write"), { code: "ENOSPC" });
      return realFiles.write(fd, bytes, from);
    },
  });
  for (let i = 0; i < 400; i++) journal.put(entry(`k${i}`));
  const before = opens.length;
  const troubles: number[] = [];
  for (let i = 0; i < 12_600; i++) {
    journal.put(entry("k1"));
    if (journal.troubles.length > 0) troubles.push(i);
  }
  assert.equal(opens.length - before, 3);
  // The record itself is written, and what it was written to is sound.
  assert.deepEqual(troubles, []);
  assert.equal(journal.entries.size, 400);
  journal.close();
});

/** A disk that takes no new file while `isFull`, and appends. */
function withoutNewFiles() {
  const disk = { isFull: true };
  const files = {
    ...realFiles,
    open(name: string, flags: "ax" | "a" | "r", mode: number) {
      if (disk.isFull && flags === "ax") throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
      return realFiles.open(name, flags, mode);
    },
  };
  return { disk, files };
}

test("a start on a disk that takes no new file goes on in the old one, and says so until it has a new one", () => {
  writeFileSync(path, `${WHOLE.join("\n")}\n`);
  const { disk, files } = withoutNewFiles();
  const journal = fileJournal(path, "boot", files);
  assert.match(journal.troubles.join(), /ENOSPC/);
  journal.put(entry("b"));
  assert.deepEqual(journal.troubles, [], "the record is in the file");
  journal.close();
  disk.isFull = false;
  const next = fileJournal(path, "boot", files);
  assert.deepEqual([[...next.entries.keys()], next.troubles], [["a", "b"], []]);
  next.close();
});
