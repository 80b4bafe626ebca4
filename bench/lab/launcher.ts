// bench/launch.c, compiled and driven: programs started as a container runtime starts CNI plugins, one or many at once,
// timed without what starting a process costs in Node.
import { Program } from "./program.ts";

export type Job = {
  /** Path of the network namespace it runs in. */
  readonly within: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
};
export type Ended = { readonly ms: number; readonly code: number; readonly output: string };

export class Launcher {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(folder: string): Promise<Launcher> {
    return new Launcher(await Program.start(folder, "launch"));
  }

  /** Runs the jobs, all at once: milliseconds until the last has ended, and what became of each, in order. */
  async run(jobs: readonly Job[]): Promise<{ readonly ms: number; readonly jobs: readonly Ended[] }> {
    const hex = (text: string) => Buffer.from(text).toString("hex");
    const lines = jobs.map(({ within, program, env, input }) => {
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
      return `job ${within} ${program} ${hex(variables.join(""))} ${hex(input)}\n`;
    });
    const [us, ...ended] = (await this.#program.ask(`${lines.join("")}go\n`)).split(" ");
    return { ms: Number(us) / 1000, jobs: ended.map(endedOf) };
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

function endedOf(text: string): Ended {
  const [us, code, output = ""] = text.split(":");
  return { ms: Number(us) / 1000, code: Number(code), output: Buffer.from(output, "hex").toString() };
}
