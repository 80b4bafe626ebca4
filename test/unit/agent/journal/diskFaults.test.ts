// What a host keeps in files, on disks that are full, read-only or failing, that take a part of a write, and that flip
// or lose bytes: nothing acknowledged is lost, what was refused has changed nothing, and an agent always starts.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { type DiskFault, FaultyFiles } from "../../files/faulty.ts";
import { journalEntry } from "../samples.ts";
import { realFiles } from "../../../../src/files/real.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { emptySnapshot } from "../../../../src/model/resource.ts";
import { openDisk } from "../../../../src/agent/server/stateDir.ts";
import { type Entry, fileJournal, type Journal } from "../../../../src/agent/journal/journal.ts";
import { BlockLease } from "../../../../src/agent/journal/blockLease.ts";

const entry = (name: string, address = name.length): Entry =>
  journalEntry(name, {}, { addresses: [`10.0.0.${address}`] });
const FAULTS: readonly DiskFault[] = ["full", "read-only", "failing"];
const namesIn = (journal: Journal) => [...journal.entries.keys()].sort();
const isRefusal = (error: unknown) => error instanceof Fault && error.reason === "unavailable";

let folder = "";
let path = "";
let files = new FaultyFiles();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-faults-"));
  path = join(folder, "attachments.ndjson");
  files = new FaultyFiles();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the next agent finds, on a disk that is well. */
function reread(): { readonly names: readonly string[]; readonly troubles: readonly string[] } {
  const journal = fileJournal(path, "boot", realFiles);
  const found = { names: namesIn(journal), troubles: journal.troubles };
  journal.close();
  return found;
}

describe("a journal on a bad disk", () => {
  test("any mix of records, faults and restarts: memory and file hold what was acknowledged, and nothing else", () => {
    const step = fc.record({
      name: fc.constantFrom("a", "bb", "ccc", "dddd"),
      isPut: fc.boolean(),
      fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined, freq: 3 }),
      room: fc.nat(400),
      shortWrites: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
      refusesTruncate: fc.boolean(),
      restarts: fc.nat(9).map((n) => n === 0),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        rmSync(path, { force: true });
        const disk = new FaultyFiles();
        let journal = fileJournal(path, "boot", disk);
        const model = new Map<string, Entry>();
        for (const { name, isPut, restarts, ...faults } of steps) {
          Object.assign(disk, faults);
          if (restarts) {
            journal.close();
            journal = fileJournal(path, "boot", disk);
          } else {
            try {
              if (isPut) journal.put(entry(name));
              else journal.remove(name, 1);
              if (isPut) model.set(name, entry(name));
              else model.delete(name);
            } catch (error) {
              assert(isRefusal(error), String(error));
            }
          }
          assert.deepEqual(namesIn(journal), [...model.keys()].sort());
        }
        journal.close();
        assert.equal(disk.opened.size, 0, "descriptors are left");
        const { names, troubles } = reread();
        assert.deepEqual(names, [...model.keys()].sort());
        // What cannot be cut off stays in the file, and is told.
        assert(
          steps.some(({ refusesTruncate, fault }) => refusesTruncate || fault === "failing") || troubles.length === 0,
        );
      }),
      { numRuns: 100 },
    );
  });

  test("a part of a record that a full disk took is cut off again: what follows is readable", () => {
    const journal = fileJournal(path, "boot", files);
    journal.put(entry("a"));
    const before = readFileSync(path, "utf8");
    Object.assign(files, { fault: "full", room: 40 });
    assert.throws(() => journal.put(entry("b")), /no space|ENOSPC/i);
    assert.equal(readFileSync(path, "utf8"), before);
    assert.match(journal.troubles.join(), /ENOSPC/);
    files.fault = undefined;
    journal.put(entry("c"));
    assert.deepEqual([reread(), journal.troubles], [{ names: ["a", "c"], troubles: [] }, []]);
    journal.close();
  });

  test("a rewrite for which there is no room keeps the old file, and later records are in it", () => {
    const journal = fileJournal(path, "boot", files);
    for (let i = 0; i < 60; i++) journal.put(entry(`kept${i}`, i));
    for (let i = 0; i < 11_000; i++) {
      // The disk has room for records, not for a second file.
      Object.assign(files, { fault: "full", room: 2_000 });
      journal.put(entry("comes"));
      journal.remove("comes", i);
    }
    journal.put(entry("last"));
    assert.equal(reread().names.length, 61);
    assert.deepEqual(readdirSync(folder), ["attachments.ndjson"]);
    journal.close();
  });

  for (const fault of FAULTS)
    test(`an agent starts on a disk that is ${fault}, with all it had, and attaches when the disk is well`, () => {
      const first = fileJournal(path, "boot", files);
      first.put(entry("a"));
      first.close();
      files.fault = fault;
      const journal = fileJournal(path, "boot", files);
      assert.deepEqual(namesIn(journal), ["a"]);
      assert.throws(() => journal.put(entry("b")), isRefusal);
      assert.throws(() => journal.remove("a", 1), isRefusal);
      assert.deepEqual(namesIn(journal), ["a"]);
      files.fault = undefined;
      journal.put(entry("c"));
      assert.deepEqual(reread(), { names: ["a", "c"], troubles: [] });
      journal.close();
    });

  test("a byte flipped or a tail cut off anywhere costs at most the line that it is in", () => {
    const journal = fileJournal(path, "boot", realFiles);
    for (const name of ["a", "bb", "ccc"]) journal.put(entry(name));
    journal.close();
    const whole = readFileSync(path);
    const starts = [...whole.entries()].flatMap(([i, byte]) => (byte === 10 ? [i + 1] : []));
    const names = ["(boot)", "a", "bb", "ccc"];
    for (let at = 0; at < whole.length; at += 11) {
      const hit = starts.findIndex((start) => at < start);
      // The end of a line makes one of two.
      const isEnd = starts.includes(at + 1);
      const lost = [names[hit], ...(isEnd ? [names[hit + 1]] : [])];
      for (const bit of [0, 6]) {
        const flipped = Buffer.from(whole);
        flipped[at] = (whole[at] ?? 0) ^ (1 << bit);
        writeFileSync(path, flipped);
        const found = reread();
        const expected = names.slice(1).filter((name) => !lost.includes(name) || found.names.includes(name));
        assert.deepEqual(found.names, expected, `byte ${at}, bit ${bit}`);
        const isNamed = found.names.length === 3 || found.troubles.length === 1;
        assert(isNamed || at >= (starts[2] ?? 0), `byte ${at}, bit ${bit}: ${found.names.join()} and nothing is said`);
      }
      writeFileSync(path, whole.subarray(0, at));
      const kept = names.slice(1).filter((_, i) => at >= (starts[i + 1] ?? 0) - 1);
      assert.deepEqual(reread().names, kept, `cut at ${at}`);
    }
  });
});

describe("the other files of a host on a bad disk", () => {
  const NAMES = ["identity.json", "proposal.json", "standing.json", "snapshot.json"] as const;
  const SNAPSHOT = { ...emptySnapshot("c"), revision: 17 };
  async function filled(): Promise<void> {
    const disk = openDisk(folder, realFiles);
    disk.proposal(() => "the-credential");
    disk.saveIdentity({ host: "h", cluster: "c", key: "the-credential" });
    disk.saveBlockLease({ reclaimAfterMs: 5_000 });
    await disk.saveSnapshot(SNAPSHOT);
  }
  const seen = () => {
    const disk = openDisk(folder, realFiles);
    const values = [disk.identity()?.key, disk.proposal(() => "another"), disk.blockLease(), disk.snapshot()?.revision];
    return { values, troubles: disk.troubles() };
  };

  test("what is damaged anywhere is never taken for whole; it is told, put aside, and stops no start", async () => {
    const good: readonly unknown[] = ["the-credential", "the-credential", { reclaimAfterMs: 5_000 }, 17];
    const without = [undefined, "the-credential", { isUnsure: true }, undefined];
    await filled();
    const kept = NAMES.map((name) => readFileSync(join(folder, name)));
    for (const [which, name] of NAMES.entries()) {
      const whole = kept[which] ?? assert.fail();
      const damages = ["", "null", "[]", "{}", '{"cluster":"c"}'].map((text) => Buffer.from(text));
      for (let at = 0; at < whole.length; at += 7) {
        const flipped = Buffer.from(whole);
        flipped[at] = (whole[at] ?? 0) ^ 1;
        damages.push(flipped, whole.subarray(0, at));
      }
      for (const damage of damages) {
        for (const [i, text] of kept.entries()) writeFileSync(join(folder, NAMES[i] ?? ""), text);
        writeFileSync(join(folder, name), damage);
        const { values, troubles } = seen();
        // As an earlier version wrote it where nothing is reclaimed.
        if (name === "standing.json" && damage.toString() === "{}") continue;
        // Where the word before the checksum is hit, the rest is as an earlier version wrote it.
        if (troubles.length === 0 && !damage.includes('"crc":"')) assert.deepEqual(values, good);
        else {
          const at = `${name} as ${JSON.stringify(damage.toString())}`;
          assert.deepEqual(values, good.with(which, without[which]), at);
          assert.match(troubles.join(), new RegExp(`${name} was damaged`), at);
          assert(existsSync(join(folder, `${name}.damaged`)), at);
        }
      }
    }
  });

  test("a save that the disk refuses leaves the file as it was, says so, and leaves nothing beside it", async () => {
    await filled();
    for (const fault of FAULTS) {
      files = new FaultyFiles();
      Object.assign(files, { fault, room: 30 });
      const disk = openDisk(folder, files);
      assert.throws(() => disk.saveIdentity({ host: "h", cluster: "c", key: "other" }), isRefusal);
      await assert.rejects(disk.saveSnapshot({ ...SNAPSHOT, revision: 18 }), isRefusal);
      assert.equal(disk.troubles().length, 2);
      assert.equal(files.opened.size, 0);
      assert.deepEqual(seen(), {
        values: ["the-credential", "the-credential", { reclaimAfterMs: 5_000 }, 17],
        troubles: [],
      });
      assert.deepEqual(readdirSync(folder).sort(), [...NAMES].sort());
    }
  });

  test("a host whose block lease was damaged allocates nothing until it has heard from the server", () => {
    writeFileSync(join(folder, "standing.json"), "{");
    const disk = openDisk(folder, realFiles);
    const clock = { nowMs: () => 1_000, monotonicMs: () => 1_000, sleep: () => Promise.resolve() };
    const blockLease = new BlockLease(clock, disk.blockLease(), disk.saveBlockLease);
    assert.throws(() => blockLease.checkAllocate(), /standing\.json/);
    blockLease.heard(blockLease.sending(), undefined);
    blockLease.checkAllocate();
    assert.deepEqual(openDisk(folder, realFiles).blockLease(), {});
  });

  test("a host that ends has ended, also when the disk cannot be told; it begins anew only when it can", () => {
    files.fault = "full";
    const disk = openDisk(folder, files);
    const clock = { nowMs: () => 1_000, monotonicMs: () => 1_000, sleep: () => Promise.resolve() };
    const blockLease = new BlockLease(clock, undefined, disk.saveBlockLease);
    blockLease.end(new Fault("host-reclaimed", { what: "reclaimed", fix: "join" }));
    assert.throws(() => blockLease.checkAllocate(), /reclaimed/);
    assert.throws(() => blockLease.begin(), isRefusal);
    assert.throws(() => blockLease.checkAllocate(), /reclaimed/);
    files.fault = undefined;
    blockLease.heard(blockLease.sending(), undefined);
    assert.equal(openDisk(folder, realFiles).blockLease()?.ended?.reason, "host-reclaimed");
    blockLease.begin();
    blockLease.checkAllocate();
  });
});
