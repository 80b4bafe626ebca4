// Daemons whose log nobody can write, or reads.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { answers } from "../../../src/client/socket.ts";

const MAIN = join(import.meta.dirname, "../../../src/main.ts");

/** A server with this as its stderr; it is there when its socket answers. */
async function served(t: TestContext, stderr: number | "pipe"): Promise<ChildProcess> {
  const folder = mkdtempSync(join(tmpdir(), "weft-log-"));
  const socket = join(folder, "server.sock");
  const args = [MAIN, "server", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "data"), "--socket", socket];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", stderr] });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  // Its reader goes before the first line is written.
  child.stderr?.destroy();
  const deadline = performance.now() + 20_000;
  while (!(await answers(socket))) {
    assert.equal(child.exitCode, null, "the server has ended");
    assert(performance.now() < deadline, "the server does not answer");
    await setTimeout(20);
  }
  return child;
}

async function endsInOrder(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
}

test("a server whose log's disk is full starts, answers, and ends in order", { timeout: 60_000 }, async (t) => {
  const full = openSync("/dev/full", "w");
  t.after(() => closeSync(full));
  await endsInOrder(await served(t, full));
});

test("a server whose log's reader is gone starts, answers, and ends in order", { timeout: 60_000 }, async (t) => {
  await endsInOrder(await served(t, "pipe"));
});
