// A test file that needs a kernel of its own declares its tests through this.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { whyNoGuests } from "./files.ts";

/** Whether this process runs in a guest. */
export const IS_GUEST = process.env["WEFT_GUEST"] !== undefined;

/**
 * In a guest: declares the tests. On the machine itself, as `node --test FILE` starts it: one test that runs `file` in
 * a guest. The test runner (test/run.ts) starts such files in guests by itself.
 */
export async function inGuest(file: string, declare: () => unknown): Promise<void> {
  if (IS_GUEST) await declare();
  else void test("in a guest", { skip: whyNoGuests() ?? false }, () => runThere(file));
}

async function runThere(file: string): Promise<void> {
  const argv = [join(import.meta.dirname, "run.ts"), "--test-reporter=spec", file];
  // To node's test runner what a file writes to its first output is no text.
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.pipe(process.stderr, { end: false });
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0, "tests failed in the guest; they are above");
}
