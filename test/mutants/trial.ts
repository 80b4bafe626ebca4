// One planted bug against the tests that execute it, the nearest first, until one fails. A test that does not end
// counts as failed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Mutant, type SourceOf, planted } from "./edit.ts";
import { run } from "./process.ts";
import { type Reach, SETTINGS } from "./reach.ts";

export type Verdict = {
  readonly mutant: Mutant;
  /** Which test noticed; undefined if none did. */
  readonly caughtBy?: string;
  readonly tried: number;
};

export const isKernelTest = (file: string) => file.endsWith(".kernel.test.ts") || file.startsWith("test/netns/");
const HOOK = new URL("./hook.ts", import.meta.url).href;
const REPORTER = new URL("./reporter.ts", import.meta.url).pathname;
/** A test may take this many times what it took when it was measured; more on a machine that others use as well. */
const PATIENCE = 6;
const busy = () => Math.max(1, (loadavg()[0] ?? 1) / availableParallelism());

export class Trials {
  readonly #root: string;
  readonly #cache: string;
  readonly #sourceOf: SourceOf;
  readonly #leastMs: number;
  #kernel: Promise<unknown> = Promise.resolve();

  /** `cache`: where compiled code is kept between trials. `leastMs`: what every test may take. */
  constructor(root: string, cache: string, sourceOf: SourceOf, leastMs = 15_000) {
    this.#root = root;
    this.#cache = cache;
    this.#sourceOf = sourceOf;
    this.#leastMs = leastMs;
  }

  async try(mutant: Mutant, reaches: readonly Reach[]): Promise<Verdict> {
    const folder = mkdtempSync(join(tmpdir(), "weft-mutant-"));
    const path = join(folder, "mutant.json");
    const source = this.#sourceOf(mutant.file);
    const url = pathToFileURL(join(this.#root, mutant.file)).href;
    writeFileSync(path, JSON.stringify({ url, source: planted(source, [mutant]) }));
    try {
      let tried = 0;
      for (const reach of nearestFirst(mutant.file, reaches)) {
        tried++;
        const failed = await this.#failedTest(reach, path);
        if (failed !== undefined) return { mutant, caughtBy: `${reach.test}: ${failed}`, tried };
      }
      return { mutant, tried };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async #failedTest(reach: Reach, path: string): Promise<string | undefined> {
    const isKernel = isKernelTest(reach.test);
    const env = {
      ...SETTINGS,
      NODE_OPTIONS: `--import=${HOOK} --max-old-space-size=2048`,
      NODE_COMPILE_CACHE: this.#cache,
      WEFT_MUTANT: path,
      ...(isKernel ? {} : { WEFT_MUTANT_STOPS: "1" }),
    };
    const argv = [`--test-reporter=${REPORTER}`, "--test-reporter-destination=stdout", reach.test];
    const deadlineMs = busy() * Math.max(this.#leastMs, PATIENCE * reach.ms);
    const start = () => run({ cwd: this.#root, argv, env, deadlineMs, isKernel });
    const ran = isKernel ? await this.#alone(start) : await start();
    if (ran.code === 0) return undefined;
    if (ran.timedOut) return `not finished after ${Math.round(deadlineMs / 1000)} s`;
    return ran.output.split("\n")[0] || `ended with ${ran.code ?? "a signal"}`;
  }

  /** Kernel tests share the machine's routing lock. */
  #alone<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#kernel.then(act);
    this.#kernel = done.catch(() => undefined);
    return done;
  }
}

/** The file's own test, its folder's, other units, scenarios, simulations, kernel; the fastest of each first. */
function nearestFirst(file: string, reaches: readonly Reach[]): Reach[] {
  const own = file.replace(/^src\//, "test/unit/").replace(/\.ts$/, ".test.ts");
  const folder = own.slice(0, own.lastIndexOf("/") + 1);
  const rank = ({ test }: Reach) => {
    if (isKernelTest(test)) return 5;
    if (test.startsWith("test/sim/")) return 4;
    if (test === own) return 0;
    if (test.startsWith(folder)) return 1;
    return test.startsWith("test/unit/") ? 2 : 3;
  };
  return reaches.toSorted((a, b) => rank(a) - rank(b) || a.ms - b.ms);
}
