// A directory that two processes want.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, rmdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { test } from "node:test";
import { Fault } from "../../../src/model/fault.ts";
import { lockDirectory } from "../../../src/kernel/lock.ts";

const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: (ms: number) => setTimeout(ms) };
const HOLDER = `
  const { lockDirectory } = await import(process.argv[1]);
  await lockDirectory(process.argv[2], "folder", { sleep: () => Promise.resolve() });
  console.log("locked");
  setInterval(() => {}, 1000);`;

test("one process has a directory, by whatever path, until it ends however it ends", { timeout: 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-lock-"));
  const other = `${folder}-link`;
  symlinkSync(folder, other);
  // Also where nothing can be written.
  chmodSync(folder, 0o500);
  const module = join(import.meta.dirname, "../../../src/kernel/lock.ts");
  const holder = spawn(process.execPath, ["--input-type=module", "-e", HOLDER, module, folder]);
  try {
    await once(holder.stdout, "data");
    const isInUse = (error: unknown) => error instanceof Fault && error.reason === "in-use";
    await assert.rejects(lockDirectory(other, "folder", clock), isInUse);
    holder.kill("SIGKILL");
    const { release, isHeld } = await lockDirectory(other, "folder", clock);
    await assert.rejects(lockDirectory(folder, "folder", clock), isInUse);
    // Its name may come to lead to another, which is anybody's.
    renameSync(folder, `${folder}-away`);
    assert(!isHeld());
    mkdirSync(folder);
    assert(!isHeld());
    rmdirSync(folder);
    renameSync(`${folder}-away`, folder);
    assert(isHeld());
    release();
    (await lockDirectory(folder, "folder", clock)).release();
  } finally {
    holder.kill("SIGKILL");
    chmodSync(folder, 0o700);
    rmSync(other);
    rmSync(folder, { recursive: true });
  }
});
