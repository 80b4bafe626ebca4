// A file of lines after a start on a torn end, and after it was written anew.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { LineFile } from "../../../src/files/lines.ts";
import { realFiles } from "../../../src/files/real.ts";
import { FaultyFiles } from "./faulty.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-lines-"));
  path = join(folder, "lines");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** How often this process has the file, or a former one of its name, open. */
function openOnes(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;
}

test("an end that is no line is cut off, and the next line begins there", () => {
  for (const text of ["one\ntwo\ntor", "tor", "one\n"]) {
    writeFileSync(path, text);
    const file = new LineFile(realFiles, path);
    file.reopen(text);
    file.append("next\n");
    assert.equal(readFileSync(path, "utf8"), `${text.slice(0, text.lastIndexOf("\n") + 1)}next\n`);
    file.close();
  }
});

test("however often the file is written anew, one is open", () => {
  const file = new LineFile(realFiles, path);
  for (const text of ["one\n", "two\n", "three\n"]) file.rewrite(text);
  assert.equal(openOnes(), 1);
  file.append("four\n");
  assert.equal(readFileSync(path, "utf8"), "three\nfour\n");
  file.close();
  assert.equal(openOnes(), 0);
});

const read = () => readFileSync(path, "utf8");

test("a file that was closed takes no line, is not sound, and is closed once", () => {
  const files = new FaultyFiles();
  const file = new LineFile(files, path);
  assert.equal(file.isSound, false);
  assert.throws(() => file.append("one\n"), /is not open/);
  file.rewrite("one\n");
  assert.equal(file.isSound, true);
  file.close();
  assert.equal(file.isSound, false);
  assert.throws(() => file.append("two\n"), /is not open/);
  // The number may be another file's by now.
  const other = files.open(`${path}.other`, "ax", 0o600);
  file.close();
  files.close(other);
  assert.equal(read(), "one\n");
});

test("a line that is refused is cut off wherever the lines before it end, however they came", () => {
  const ways: Readonly<Record<string, (file: LineFile) => void>> = {
    rewritten: (file) => file.rewrite("öne\n"),
    "rewritten twice": (file) => {
      file.rewrite("something longer\n");
      file.rewrite("öne\n");
    },
    appended: (file) => {
      file.rewrite("");
      file.append("öne\n");
    },
    reopened: (file) => {
      writeFileSync(path, "öne\ntorn");
      file.reopen("öne\ntorn");
    },
  };
  for (const [what, way] of Object.entries(ways)) {
    const files = new FaultyFiles();
    const file = new LineFile(files, path);
    way(file);
    Object.assign(files, { fault: "full", room: 3 });
    assert.throws(() => file.append("refused\n"), { code: "ENOSPC" }, what);
    assert.equal(read(), "öne\n", what);
    files.fault = undefined;
    assert.equal(file.isSound, true);
    file.append("twö\n");
    file.append("three\n");
    assert.equal(read(), "öne\ntwö\nthree\n", what);
    file.close();
    assert.equal(files.opened.size, 0, what);
  }
});

test("where a refused line cannot be cut off, no other follows it before the file was written anew", () => {
  const files = new FaultyFiles();
  const file = new LineFile(files, path);
  file.rewrite("one\n");
  Object.assign(files, { fault: "full", room: 3, refusesTruncate: true });
  assert.throws(() => file.append("refused\n"), { code: "ENOSPC" });
  Object.assign(files, { fault: undefined, refusesTruncate: false });
  assert.equal(file.isSound, false);
  assert.throws(() => file.append("two\n"), /is not open/);
  assert.equal(read(), "one\nref");
  file.rewrite("one\ntwo\n");
  assert.equal(file.isSound, true);
  assert.equal(read(), "one\ntwo\n");
  file.close();
  assert.equal(files.opened.size, 0);
});

test("a file that is refused anew stays as it is, and takes lines as before", () => {
  const files = new FaultyFiles();
  const file = new LineFile(files, path);
  file.rewrite("one\n");
  Object.assign(files, { fault: "full", room: 3 });
  assert.throws(() => file.rewrite("quite another text\n"), { code: "ENOSPC" });
  files.fault = undefined;
  assert.equal(file.isSound, true);
  file.append("two\n");
  assert.equal(read(), "one\ntwo\n");
  file.close();
  assert.equal(files.opened.size, 0);
});

test("a file that is not as it was read, or whose torn end cannot be cut off, is not gone on with", () => {
  const files = new FaultyFiles();
  for (const [there, text, refusesTruncate] of [
    ["one\ntwo\n", "one\n", false],
    ["one\n", "one\ntwo\n", false],
    ["one\ntor", "one\ntor", true],
  ] as const) {
    writeFileSync(path, there);
    const file = new LineFile(files, path);
    Object.assign(files, { refusesTruncate });
    file.reopen(text);
    assert.equal(file.isSound, false, there);
    assert.equal(files.opened.size, 0, there);
    assert.equal(read(), there);
  }
  rmSync(path);
  assert.throws(() => new LineFile({ ...realFiles, open: () => assert.fail("EROFS") }, path).reopen(""), /EROFS/);
});

test("a file is sound while its name leads to it, and if nobody can tell, it is not", () => {
  const file = new LineFile(realFiles, path);
  file.rewrite("one\n");
  writeFileSync(`${path}.other`, "");
  renameSync(`${path}.other`, path);
  assert.equal(file.isSound, false);
  file.rewrite("one\n");
  assert.equal(file.isSound, true);
  file.close();
  const blind = new LineFile({ ...realFiles, leads: () => assert.fail("EIO") }, path);
  blind.rewrite("one\n");
  assert.equal(blind.isSound, false);
  blind.close();
});
