// Runs one test file in a process group of its own, under a deadline. The group dies with the file, whatever the file
// started: a test must not be able to hang the run or to leave a process behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestRecord } from "./reporter.ts";

const REPORTER = new URL("./reporter.ts", import.meta.url).pathname;
const GUEST = new URL("../guest/run.ts", import.meta.url).pathname;
const OUTPUT_MAX = 200_000;

type Failure = { readonly name: string; readonly at: string; readonly error: string };
export type FileResult = {
  readonly file: string;
  readonly ms: number;
  readonly passed: number;
  readonly failures: readonly Failure[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly notes: readonly string[];
  /** What the file printed, for a reader of its failures. */
  readonly output: string;
};

/** On this machine's kernel, or in a guest with one of its own. */
export type RunsIn = "here" | "guest";

export async function runFile(file: string, deadlineMs: number, place: RunsIn = "here"): Promise<FileResult> {
  const scratch = mkdtempSync(join(tmpdir(), "weft-test-"));
  const records = join(scratch, "records");
  const startedMs = performance.now();
  try {
    // A test that hangs is named, and those after it still run.
    const limit = `--test-timeout=${Math.ceil(deadlineMs / 2)}`;
    const argv = [limit, `--test-reporter=${REPORTER}`, `--test-reporter-destination=${records}`, file];
    const exit = await (place === "guest"
      ? // What it has in the folder for temporary files goes with it, also when it is killed.
        runGroup([GUEST, ...argv], deadlineMs, { TMPDIR: scratch })
      : runGroup(argv, deadlineMs));
    return { file, ms: performance.now() - startedMs, ...judge(file, readRecords(records), exit, deadlineMs) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Exit = { readonly code: number | null; readonly timedOut: boolean; readonly output: string };

async function runGroup(argv: readonly string[], deadlineMs: number, more: NodeJS.ProcessEnv = {}): Promise<Exit> {
  // The variable makes a nested test process talk to its parent instead of to our reporter.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, argv, {
    detached: true,
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    if (output.length < OUTPUT_MAX) output += chunk.toString();
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, deadlineMs);
  // `exit`, not `close`: a process that the test left behind may hold the pipes open.
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(timer);
  killGroup(child.pid);
  return { code, timedOut, output };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: nobody of the group is left.
  }
}

function readRecords(path: string): TestRecord[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // The process died before its first record; judge() says so.
  }
  // A killed process may leave half a line at the end.
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as TestRecord);
}

/** Node only mentions what a test left running and what then failed; to us it is a failure. */
const STRAY = /generated asynchronous activity after the test ended/;

type Judgement = Omit<FileResult, "file" | "ms">;

/** What the records and the exit of a process mean. */
function judge(file: string, records: readonly TestRecord[], exit: Exit, deadlineMs: number): Judgement {
  const failures: Failure[] = records.filter((record) => record.record === "failed");
  const skipped = records.filter((record) => record.record === "skipped");
  const passed = records.filter((record) => record.record === "passed").length;
  const broken = (error: string) => failures.push({ name: file, at: file, error });
  for (const { name, reason } of skipped) {
    if (reason === "" || reason.startsWith("to do"))
      broken(`"${name}" is skipped without saying why it cannot run here`);
  }
  const notes = records.flatMap((record) => (record.record === "note" ? [record.text] : []));
  for (const note of notes) if (STRAY.test(note)) broken(note);
  const seeds = seedsIn(records);
  if (seeds !== undefined) notes.push(seeds);
  if (exit.timedOut) broken(`not finished after ${deadlineMs / 1000} s; killed while ${runningNow(records)}`);
  else if (exit.code !== 0 && failures.length === 0)
    broken(`the process ended with ${exit.code ?? "a signal"} outside any test`);
  else if (passed + failures.length + skipped.length === 0) broken("the file has no tests");
  return { passed, failures, skipped: skipped.filter(({ reason }) => reason !== ""), notes, output: exit.output };
}

/** Which seeds were tried: simulations name a test after each. */
function seedsIn(records: readonly TestRecord[]): string | undefined {
  const finished = records.filter((record) => record.record === "passed" || record.record === "failed");
  const seeds = finished.flatMap(({ name }) => /^seed (\d+)/.exec(name)?.[1] ?? []).map(Number);
  return seeds.length === 0 ? undefined : `${seeds.length} seeds, ${Math.min(...seeds)} to ${Math.max(...seeds)}`;
}

function runningNow(records: readonly TestRecord[]): string {
  const running = new Set<string>();
  for (const record of records) {
    if (record.record === "start") running.add(record.name);
    else if (record.record !== "note") running.delete(record.name);
  }
  return running.size === 0
    ? "no test was known to run: it blocks, or something outlives its tests"
    : `running ${[...running].join(" > ")}`;
}
