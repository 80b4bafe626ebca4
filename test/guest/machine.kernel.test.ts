// A guest runs a file to its end, or dies with it, and leaves nothing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runFile, type FileResult } from "../runner/file.ts";
import { KERNEL, whyNoGuests } from "./files.ts";

const HEAD =
  'import { test } from "node:test"; import { release } from "node:os"; import { writeFileSync } from "node:fs";\n';
const skip = whyNoGuests() ?? false;

function run(t: TestContext, body: string, deadlineMs: number): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), "weft-guest-file-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "planted.guest.test.mjs");
  writeFileSync(file, HEAD + body.replaceAll("FOLDER", JSON.stringify(folder)));
  return runFile(file, deadlineMs, "guest");
}

/** Processes of guests that have lost their parent. */
function orphans(): string[] {
  const lines = execFileSync("ps", ["-eo", "ppid,pid,args"], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => /^ *1 /.test(line) && line.includes(KERNEL));
}

test("tests in a guest run on its kernel, and what they write stays there", { skip }, async (t) => {
  const body = `test("a", () => { console.log("kernel", release()); writeFileSync(FOLDER + "/written", ""); });
    test("b", () => { throw new Error("boom"); });`;
  const { passed, failures, output, file } = await run(t, body, 60_000);
  assert.equal(passed, 1);
  assert.deepEqual(
    failures.map(({ name, error }) => [name, error.split("\n", 1)[0]]),
    [["b", "Error: boom"]],
  );
  assert.match(output, /kernel 6\.1\./);
  assert.deepEqual(readdirSync(join(file, "..")), ["planted.guest.test.mjs"]);
});

test("a guest that hangs dies with its file, with all its processes", { skip }, async (t) => {
  const known = orphans();
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith("weft-guest-"));
  const body = `test("a", () => {});
    test("b", { timeout: 60_000 }, () => new Promise(() => setInterval(() => {}, 1000)));`;
  const { passed, failures } = await run(t, body, 10_000);
  assert.equal(passed, 1);
  assert.match(failures[0]?.error ?? "", /not finished after 10 s; killed while running b/);
  assert.deepEqual(
    orphans().filter((line) => !known.includes(line)),
    [],
  );
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith("weft-guest-") && !before.includes(name));
  assert.deepEqual(
    after.map((name) => name.slice(0, 16)),
    ["weft-guest-file-"],
  );
});
