// A file of lines after a start on a torn end, and after it was written anew.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { LineFile } from "../../../src/files/lines.ts";
import { realFiles } from "../../../src/files/real.ts";

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
