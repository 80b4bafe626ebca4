// The runner must not call a broken run a good one. Each test plants a small test file and looks at the verdict.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runFile, type FileResult } from "./file.ts";

const HEAD = 'import { test, describe } from "node:test"; import assert from "node:assert/strict";\n';

function run(t: TestContext, body: string, deadlineMs = 20_000): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), "weft-runner-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "planted.test.mjs");
  writeFileSync(file, HEAD + body.replaceAll("FOLDER", JSON.stringify(folder)));
  return runFile(file, deadlineMs);
}

test("counts tests, not suites, and a failed child once", async (t) => {
  const result = await run(
    t,
    `test("a", () => {});
     test("b", { skip: "no such device here" }, () => {});
     describe("s", () => { test("c", () => {}); test("d", () => assert.equal(1, 2)); });
     test("e", async (t) => { await t.test("f", () => { throw new Error("boom"); }); });`,
  );
  assert.equal(result.passed, 2);
  assert.deepEqual(
    result.failures.map(({ name }) => name),
    ["d", "f"],
  );
  assert.match(result.failures[1]?.error ?? "", /boom/);
  assert.deepEqual(
    result.skipped.map(({ name, reason }) => [name, reason]),
    [["b", "no such device here"]],
  );
});

test("keeps what a test says about its seed", async (t) => {
  const result = await run(t, `test("a", (t) => { t.diagnostic("seed 42"); });`);
  assert.deepEqual(result.notes, ["seed 42"]);
  const named = await run(
    t,
    `test("seed 7: heals", () => {}); test("seed 9: heals", () => {}); test("other", () => {});`,
  );
  assert.deepEqual(named.notes, ["2 seeds, 7 to 9"]);
});

test("a skip without a reason is a failure", async (t) => {
  const result = await run(t, `test("a", { skip: true }, () => {}); test("b", { todo: "later" }, () => {});`);
  assert.deepEqual(result.failures.length, 2);
});

test("a test that hangs is named, those after it run, and the file is killed at its deadline", async (t) => {
  const body = `test("slow", () => new Promise(() => setInterval(() => {}, 1000))); test("next", () => {});`;
  const { failures, passed } = await run(t, body, 3_000);
  assert.deepEqual([failures.length, failures[0]?.name, passed], [2, "slow", 1]);
  assert.match(failures[0]?.error ?? "", /timed out after 1500ms/);
  assert.match(failures[1]?.error ?? "", /not finished after 3 s; killed/);
});

test("a file that is killed says what it was doing", async (t) => {
  const body = `test("slow", { timeout: 60_000 }, () => new Promise(() => setInterval(() => {}, 1000)));`;
  const { failures } = await run(t, body, 1_000);
  assert.match(failures[0]?.error ?? "", /killed while running slow/);
});

test("a file that blocks in native code is killed too", async (t) => {
  const result = await run(
    t,
    `test("stuck", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));`,
    1_000,
  );
  assert.match(result.failures[0]?.error ?? "", /not finished after 1 s; killed/);
});

test("a process that a test leaves behind dies with its file", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weft-runner-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const pidFile = join(folder, "pid");
  const result = await run(
    t,
    `import { spawn } from "node:child_process"; import { writeFileSync } from "node:fs";
     test("a", () => { const child = spawn("sleep", ["1000"], { stdio: "inherit" }); child.unref();
       writeFileSync(${JSON.stringify(pidFile)}, String(child.pid)); });`,
  );
  assert.equal(result.passed, 1);
  const pid = readFileSync(pidFile, "utf8");
  const deadlineMs = Date.now() + 5_000;
  const isRunning = () =>
    existsSync(`/proc/${pid}`) && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  while (isRunning() && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(isRunning(), false);
});

test("what fails after its test has ended is a failure", async (t) => {
  const result = await run(
    t,
    `test("a", () => { setTimeout(() => { throw new Error("too late"); }, 5); });
     test("b", () => new Promise((resolve) => setTimeout(resolve, 50)));`,
  );
  assert.match(result.failures[0]?.error ?? "", /too late/);
});

test("a process that ends outside its tests, and a file without tests, are failures", async (t) => {
  const died = await run(t, `test("a", () => {}); process.nextTick(() => process.kill(process.pid, "SIGKILL"));`);
  assert.equal(died.failures.length, 1);
  const empty = await run(t, "");
  assert.match(empty.failures[0]?.error ?? "", /no tests/);
  const unloadable = await run(t, `import "./nothing.ts";`);
  assert.equal(unloadable.failures.length, 1);
});
