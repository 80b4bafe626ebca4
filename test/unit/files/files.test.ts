// The order of a replaced file's steps, and what is said of a disk that refuses.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Files, notWritten, replaceFile, replaceFileLater } from "../../../src/files/files.ts";
import { realFiles } from "../../../src/files/real.ts";
import { Fault } from "../../../src/model/fault.ts";

for (const [name, replace] of [
  ["replaceFile", replaceFile],
  ["replaceFileLater", replaceFileLater],
] as const)
  test(`${name}: the bytes are on the disk before the file has its name`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "weft-files-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "file");
    const steps: string[] = [];
    const files: Files = {
      ...realFiles,
      sync: (fd) => {
        steps.push("sync");
        realFiles.sync(fd);
      },
      syncLater: (fd) => {
        steps.push("sync");
        return realFiles.syncLater(fd);
      },
      rename: (from, to) => {
        steps.push("rename");
        realFiles.rename(from, to);
      },
    };
    await replace(files, path, "text\n");
    assert.deepEqual(steps.slice(0, 2), ["sync", "rename"]);
    assert.equal(readFileSync(path, "utf8"), "text\n");
  });

test("a refusal that says what to do is told as it is", () => {
  const fault = new Fault("unavailable", { what: "the directory is gone", fix: "put it back" });
  assert.equal(notWritten("/a", fault), fault);
  const full = notWritten("/a", Object.assign(new Error("ENOSPC: full"), { code: "ENOSPC" }));
  assert.deepEqual([full.reason, full.detail.where, full.detail.why], ["unavailable", "/a", "ENOSPC: full"]);
});
