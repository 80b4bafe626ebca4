// Which test files execute which characters of the source, as V8 counted them (types are stripped to spaces, so offsets
// are those of the source), and how long each takes. Measured once, kept in .cache, measured again per test file when
// it or what it reached of the files in question has changed.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** Starts and ends in turn: executed from the first to the second, from the third to the fourth. */
type Spans = readonly number[];
export type Reach = {
  readonly test: string;
  readonly hash: string;
  readonly ms: number;
  /** Undefined: it fails without any bug, and says nothing. */
  readonly failure?: string;
  /** By source file. */
  readonly files: Readonly<Record<string, { readonly hash: string; readonly spans: Spans }>>;
};

/** Trials and the measurement run the same lives of a simulation. */
export const SETTINGS = { WEFT_SEEDS: "6" };
const MEASURE_MS = 600_000;

export class Reaches {
  readonly #root: string;
  readonly #path: string;
  readonly #known: Map<string, Reach>;

  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = path;
    this.#known = new Map(read(path).map((reach) => [reach.test, reach]));
  }

  /** Those of `tests` that are out of date for bugs in `files`. */
  stale(tests: readonly string[], files: readonly string[]): string[] {
    return tests.filter((test) => {
      const known = this.#known.get(test);
      if (known?.failure !== undefined || known?.hash !== this.#hash(test)) return true;
      return files.some((file) => {
        const had = known.files[file];
        return had !== undefined && had.hash !== this.#hash(file);
      });
    });
  }

  async measure(test: string, isKernel: boolean): Promise<Reach> {
    const folder = mkdtempSync(join(tmpdir(), "weft-reach-"));
    try {
      const env = { ...SETTINGS, NODE_V8_COVERAGE: folder };
      const ran = await run({ cwd: this.#root, argv: [test], env, deadlineMs: MEASURE_MS, isKernel });
      const failure = ran.code === 0 ? {} : { failure: ran.timedOut ? "too slow" : ran.output.slice(-2000) };
      const reach = { test, hash: this.#hash(test), ms: Math.round(ran.ms), ...failure, files: this.#filesIn(folder) };
      this.#known.set(test, reach);
      this.#save();
      return reach;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Tests that execute what stands there. */
  at(file: string, offset: number, tests: readonly string[]): Reach[] {
    return tests.flatMap((test) => {
      const reach = this.#known.get(test);
      return reach !== undefined && isWithin(reach.files[file]?.spans ?? [], offset) ? [reach] : [];
    });
  }

  get failing(): Reach[] {
    return [...this.#known.values()].filter(({ failure }) => failure !== undefined);
  }

  #hash(file: string): string {
    try {
      return createHash("sha256")
        .update(readFileSync(join(this.#root, file)))
        .digest("hex")
        .slice(0, 16);
    } catch {
      return "";
    }
  }

  #filesIn(folder: string): Reach["files"] {
    const painted = new Map<string, Uint8Array>();
    for (const name of readdirSync(folder)) {
      for (const script of scriptsIn(join(folder, name))) {
        if (!script.url.startsWith(`file://${this.#root}src/`)) continue;
        const file = fileURLToPath(script.url).slice(this.#root.length);
        const marks = paint(script);
        const had = painted.get(file);
        if (had !== undefined) for (const [i, mark] of had.entries()) if (mark === 1 && i < marks.length) marks[i] = 1;
        painted.set(file, marks);
      }
    }
    return Object.fromEntries(
      [...painted].map(([file, marks]) => [file, { hash: this.#hash(file), spans: spansOf(marks) }]),
    );
  }

  #save(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const next = `${this.#path}.${process.pid}`;
    writeFileSync(next, JSON.stringify([...this.#known.values()]));
    renameSync(next, this.#path);
  }
}

function read(path: string): Reach[] {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Reach[];
  } catch {
    // Not measured yet, or not readable: measured anew.
    return [];
  }
}

type Range = { readonly startOffset: number; readonly endOffset: number; readonly count: number };
type Script = { readonly url: string; readonly functions: readonly { readonly ranges: readonly Range[] }[] };

function scriptsIn(path: string): readonly Script[] {
  try {
    return (JSON.parse(readFileSync(path, "utf8")) as { readonly result: readonly Script[] }).result;
  } catch {
    // Of a process that was killed while it wrote.
    return [];
  }
}

/** Inner ranges come after the outer ones, and say the last word. */
function paint({ functions }: Script): Uint8Array {
  const end = Math.max(...functions.flatMap(({ ranges }) => ranges.map(({ endOffset }) => endOffset)), 0);
  const marks = new Uint8Array(end);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) marks.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return marks;
}

function spansOf(marks: Uint8Array): number[] {
  const spans: number[] = [];
  for (let i = 0; i <= marks.length; i++) if ((marks[i] ?? 0) !== (marks[i - 1] ?? 0)) spans.push(i);
  return spans;
}

function isWithin(spans: Spans, offset: number): boolean {
  return spans.findLastIndex((at) => at <= offset) % 2 === 0;
}
