// bench/launch.c, compiled and driven: programs started as a container runtime starts CNI plugins, one or many at once,
// timed without what starting a process costs in Node.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { must } from "../../test/netns/cluster.ts";

const SOURCE = new URL("../launch.c", import.meta.url).pathname;

export type Job = {
  /** Path of the network namespace it runs in. */
  readonly within: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
};
export type Ended = { readonly ms: number; readonly code: number; readonly output: string };

export class Launcher {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(program: string) {
    this.#child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Compiles the program into `folder` and starts it. */
  static async start(folder: string): Promise<Launcher> {
    const program = join(folder, "launch");
    await must("gcc", "-O2", "-Wall", "-o", program, SOURCE);
    return new Launcher(program);
  }

  /** Runs the jobs, all at once: milliseconds until the last has ended, and what became of each, in order. */
  async run(jobs: readonly Job[]): Promise<{ readonly ms: number; readonly jobs: readonly Ended[] }> {
    const hex = (text: string) => Buffer.from(text).toString("hex");
    const lines = jobs.map(({ within, program, env, input }) => {
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
      return `job ${within} ${program} ${hex(variables.join(""))} ${hex(input)}\n`;
    });
    this.#child.stdin.write(`${lines.join("")}go\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the launcher ended; see its message above");
    const [us, ...ended] = value.split(" ");
    return { ms: Number(us) / 1000, jobs: ended.map(endedOf) };
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }
}

function endedOf(text: string): Ended {
  const [us, code, output = ""] = text.split(":");
  return { ms: Number(us) / 1000, code: Number(code), output: Buffer.from(output, "hex").toString() };
}
