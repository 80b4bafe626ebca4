// Directories on a real disk, and where there can be none.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeDirectory } from "../../../src/files/directories.ts";

const top = mkdtempSync(join(tmpdir(), "weft-directories-"));
after(() => rmSync(top, { recursive: true }));

test("a directory is made with all that is missing above it, and one that is there stays", () => {
  const deep = join(top, "a/b/c");
  makeDirectory(deep, 0o700);
  assert.equal(statSync(join(top, "a")).mode & 0o777, 0o700);
  makeDirectory(deep, 0o755);
  assert.equal(statSync(deep).mode & 0o777, 0o700);
});

test("where there can be none, it says so instead of trying for ever", () => {
  writeFileSync(join(top, "file"), "");
  assert.throws(() => makeDirectory(join(top, "file"), 0o700), { code: "EEXIST" });
  assert.throws(() => makeDirectory(join(top, "file/below"), 0o700), { code: "ENOTDIR" });
  assert.throws(() => makeDirectory(join(top, "file/below/deep"), 0o700), { code: "ENOTDIR" });
  assert.throws(() => makeDirectory("/proc/none", 0o700), { code: "ENOENT" });
  assert.throws(() => makeDirectory("/proc/none/below", 0o700), { code: "ENOENT" });
});
