// Plants bugs in the source, one at a time and never in the tree itself, and says which of them no test notices.
// script/mutate [FOLDER or FILE…] [--count N] [--seed S] [--jobs N] [--kernel] [--json]
import { globSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Judge } from "./accept.ts";
import { chosen } from "./choose.ts";
import type { Mutant } from "./edit.ts";
import { readEquivalents } from "./equivalent.ts";
import { mutantsOf } from "./find.ts";
import { killAll } from "./process.ts";
import { Reaches } from "./reach.ts";
import { printReport, type Sorted, sorted } from "./report.ts";
import { isKernelTest, Trials, type Verdict } from "./trial.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CACHE = `${ROOT}.cache/mutate`;
const FOLDERS = ["agent", "control", "api", "client", "store", "ipam", "datapath", "doors"].map(
  (name) => `src/${name}`,
);
/** The second implementation of the kernel port: it serves tests. */
const SCAFFOLDING = /\/fake\w*\.ts$/;

type Options = {
  readonly places: readonly string[];
  readonly count: number;
  readonly seed: number;
  readonly jobs: number;
  readonly isKernel: boolean;
  readonly isJson: boolean;
};

function optionsOf(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      count: { type: "string", default: "300" },
      seed: { type: "string", default: "1" },
      jobs: { type: "string", default: String(availableParallelism()) },
      kernel: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const places = positionals.length === 0 ? FOLDERS : positionals.map((place) => place.replace(/\/+$/, ""));
  return {
    places,
    count: wholeNumber("--count", values.count),
    seed: wholeNumber("--seed", values.seed),
    jobs: Math.max(1, wholeNumber("--jobs", values.jobs)),
    isKernel: values.kernel,
    isJson: values.json,
  };
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`${option}: expected a whole number, got "${text}"`);
}

function filesAt(place: string): string[] {
  const isFolder = statSync(join(ROOT, place)).isDirectory();
  const files = isFolder ? globSync(`${place}/**/*.ts`, { cwd: ROOT }).toSorted() : [place];
  const kept = files.filter((file) => !SCAFFOLDING.test(file));
  if (kept.length === 0) throw new Error(`${place}: no source that runs outside tests`);
  return kept;
}

const sources = new Map<string, string>();

function sourceOf(file: string): string {
  const source = sources.get(file) ?? readFileSync(join(ROOT, file), "utf8");
  sources.set(file, source);
  return source;
}

/** The same number for every place, so that a large folder does not hide a small one. */
async function choose({ places, count, seed }: Options, say: Say): Promise<Mutant[]> {
  const judge = new Judge(ROOT, sourceOf);
  try {
    const all: Mutant[] = [];
    for (const [i, place] of places.entries()) {
      const share = Math.floor(count / places.length) + (i < count % places.length ? 1 : 0);
      const found = filesAt(place).flatMap((file) => mutantsOf(file, sourceOf(file)));
      const some = await chosen(found, share, seed, judge);
      say(`${place}: ${some.length} of ${found.length} places for a bug`);
      all.push(...some);
    }
    return all;
  } finally {
    judge.close();
  }
}

type Say = (line: string) => void;

/** An interrupted run says what it knows. */
let onInterrupt: () => void = () => undefined;

async function measure(mutants: readonly Mutant[], { isKernel, jobs }: Options, say: Say): Promise<Reaches> {
  const reaches = new Reaches(ROOT, `${CACHE}/reach.json`);
  const files = [...new Set(mutants.map(({ file }) => file))];
  const stale = reaches.stale(testsFor(isKernel), files);
  if (stale.length > 0) say(`measuring what ${stale.length} test files execute`);
  await inTurns(
    stale.filter((test) => !isKernelTest(test)),
    jobs,
    (test) => reaches.measure(test, false),
  );
  await inTurns(stale.filter(isKernelTest), 1, (test) => reaches.measure(test, true));
  for (const { test, failure = "" } of reaches.failing)
    say(`${test} fails without any bug, and is left out:\n${failure}`);
  return reaches;
}

/** The tests of the tools say nothing about src; that of size takes longer than it is worth. */
function testsFor(isKernel: boolean): string[] {
  const all = globSync("test/**/*.test.ts", { cwd: ROOT }).toSorted();
  const kept = all.filter((file) => !/^test\/(runner|mutants|tidy|lint|docs|sim\/scale)/.test(file));
  return kept.filter((file) => isKernel || !isKernelTest(file));
}

async function inTurns<T, R>(all: readonly T[], jobs: number, act: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = all.entries();
  const worker = async () => {
    for (const [i, one] of queue) results[i] = await act(one);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

async function plantAll(options: Options, say: Say): Promise<Sorted[]> {
  const mutants = await choose(options, say);
  const reaches = await measure(mutants, options, say);
  const tests = testsFor(options.isKernel);
  const trials = new Trials(ROOT, `${CACHE}/node`, sourceOf);
  const equivalents = readEquivalents(new URL("./equivalent.txt", import.meta.url).pathname);
  const known: Sorted[] = [];
  onInterrupt = () => printReport(known, options);
  return inTurns(mutants, options.jobs, async (mutant) => {
    const reaching = reaches.at(mutant.file, mutant.start, tests).filter(({ failure }) => failure === undefined);
    const verdict: Verdict = await trials.try(mutant, reaching);
    const result = sorted(verdict, sourceOf(mutant.file), equivalents);
    known.push(result);
    say(`${known.length}/${mutants.length} ${result.fate} ${result.at} ${mutant.kind}`);
    return result;
  });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    killAll();
    onInterrupt();
    process.exit(130);
  });
}
process.chdir(ROOT);
try {
  const options = optionsOf(process.argv.slice(2));
  const results = await plantAll(options, (line) => process.stderr.write(`${line}\n`));
  printReport(results, options);
} catch (error) {
  killAll();
  console.error(error instanceof Error ? error.message : error);
  console.error("usage: script/mutate [FOLDER or FILE…] [--count N] [--seed S] [--jobs N] [--kernel] [--json]");
  process.exitCode = 2;
}
