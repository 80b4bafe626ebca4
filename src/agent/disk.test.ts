// What an agent keeps on disk, when two of its parts write at once.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { realFiles } from "../files/real.ts";
import { emptySnapshot } from "../model/resource.ts";
import { openDisk } from "./disk.ts";

test("snapshots that are saved at once are saved one after the other, and the last one stays", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-disk-"));
  try {
    const disk = openDisk(directory, realFiles);
    const save = (revision: number) => disk.saveSnapshot({ ...emptySnapshot("c"), revision });
    await Promise.all([save(1), save(2), save(3)]);
    assert.equal(disk.snapshot()?.revision, 3);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
