// Runs all checks and tests, and ends with one summary. `fast`: the checks, and the tests that need only Node.
// `kernel`: the tests on the real kernel, as root, and beside them those in guests, which have a kernel of their own
// (guest/). `all` (the default): both, and the simulation. Each test file runs in a process of its own, under a
// deadline; see runner/file.ts. On a machine that has no kernel for guests yet, it is built meanwhile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { CACHE, whyNoGuests } from "./guest/files.ts";
import { CHECKS, runCheck, type CheckResult } from "./runner/checks.ts";
import { runFile, type FileResult, type RunsIn } from "./runner/file.ts";
import { whyNoKernelTests } from "./runner/machine.ts";
import { printFailures, printSummary, type GroupResult } from "./runner/summary.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const LEVELS = {
  fast: ["checks", "tests"],
  kernel: ["kernel", "guest"],
  all: ["checks", "tests", "simulation", "kernel", "guest"],
} as const;

type Level = keyof typeof LEVELS;
type Group = {
  readonly name: "tests" | "simulation" | "kernel" | "guest";
  readonly deadlineMs: number;
  readonly atOnce: number;
  /** Why this machine cannot run the group at all. */
  readonly obstacle?: () => string | undefined | Promise<string | undefined>;
};

const EACH = Math.min(availableParallelism(), 4);
const TESTS: Group = { name: "tests", deadlineMs: 120_000, atOnce: EACH };
const SIMULATION: Group = { name: "simulation", deadlineMs: 300_000, atOnce: EACH };
/** Kernel tests share the machine's routing lock and its processors: one at a time, and two when no guest runs. */
const KERNEL: Group = {
  name: "kernel",
  deadlineMs: 600_000,
  atOnce: 1,
  obstacle: whyNoKernelTests,
};
/** A guest has one processor. */
const GUEST: Group = {
  name: "guest",
  deadlineMs: 600_000,
  atOnce: 1,
  obstacle: () => guests.then(whyNoGuests),
};
let guests: Promise<unknown> = Promise.resolve();

/** One after another; those in one row at the same time. What the first leaves free, the second takes. */
const ROWS: readonly (readonly Group[])[] = [[TESTS], [SIMULATION], [GUEST, KERNEL]];

function placeOf(file: string): RunsIn {
  return file.endsWith(".guest.test.ts") ? "guest" : "here";
}

function groupOf(file: string): Group["name"] {
  if (placeOf(file) === "guest" || file.startsWith("test/guest/")) return "guest";
  if (file.endsWith(".kernel.test.ts") || file.startsWith("test/netns/")) return "kernel";
  return file.startsWith("test/sim/") ? "simulation" : "tests";
}

/** At most `atOnce` at a time, and one more from when `freed` resolves. Results are in the order of the files. */
async function runFiles(
  files: readonly string[],
  { atOnce, deadlineMs }: Group,
  freed: Promise<unknown> | undefined,
): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const queue = files.entries();
  const worker = async () => {
    for (const [i, file] of queue) {
      const result = await runFile(file, deadlineMs, placeOf(file));
      printFailures(result);
      results[i] = result;
    }
  };
  const workers = Array.from({ length: atOnce }, worker);
  await Promise.all([...workers, ...(freed === undefined ? [] : [freed.then(worker)])]);
  return results;
}

async function runGroup(group: Group, files: readonly string[], freed?: Promise<unknown>): Promise<GroupResult> {
  const startedMs = performance.now();
  const obstacle = await group.obstacle?.();
  const results =
    obstacle === undefined ? await runFiles(files, group, freed) : files.map((file) => skippedFile(file, obstacle));
  return { name: group.name, ms: performance.now() - startedMs, results, obstacle };
}

function skippedFile(file: string, reason: string): FileResult {
  return { file, ms: 0, passed: 0, failures: [], skipped: [{ name: file, reason }], notes: [], output: "" };
}

/** Takes minutes, of processors that nothing else uses; one at a time on a machine. */
async function buildGuests(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const argv = ["-n", "15", "flock", CACHE, process.execPath, "test/guest/build.ts"];
  await once(spawn("nice", argv, { stdio: ["ignore", "inherit", "inherit"] }), "exit");
}

async function main(level: Level): Promise<number> {
  process.chdir(ROOT);
  const parts: readonly string[] = LEVELS[level];
  if (parts.includes("guest")) guests = buildGuests();
  const checks: CheckResult[] = [];
  if (parts.includes("checks")) for (const check of CHECKS) checks.push(await runCheck(ROOT, check));
  for (const { ok, name, output } of checks) if (!ok) console.log(`FAILED ${name}\n${output}`);
  const files = globSync("{test,bench}/**/*.test.ts").toSorted();
  const groups: GroupResult[] = [];
  for (const row of ROWS) {
    const wanted = row.filter(({ name }) => parts.includes(name));
    const filesOf = ({ name }: Group) => files.filter((file) => groupOf(file) === name);
    const running: Promise<GroupResult>[] = [];
    for (const group of wanted) running.push(runGroup(group, filesOf(group), running[0]));
    groups.push(...(await Promise.all(running)));
  }
  return printSummary(checks, groups);
}

const level = process.argv[2] ?? "all";
if (level in LEVELS) process.exitCode = await main(level as Level);
else {
  console.error(`usage: script/test [${Object.keys(LEVELS).join("|")}]`);
  process.exitCode = 2;
}
