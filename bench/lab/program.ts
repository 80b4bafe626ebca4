// A program of bench/ in C, compiled and driven: commands to its standard input, a line of answer from its output.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { must } from "../../test/netns/lab/cluster.ts";

export class Program {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(path: string) {
    this.#name = basename(path);
    this.#child = spawn(path, [], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Compiles bench/<name>.c into `folder` and starts it. */
  static async start(folder: string, name: string): Promise<Program> {
    const path = join(folder, name);
    await must("gcc", "-O2", "-Wall", "-o", path, new URL(`../${name}.c`, import.meta.url).pathname);
    return new Program(path);
  }

  async ask(commands: string): Promise<string> {
    this.#child.stdin.write(commands);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#name} ended; see its message above`);
    return value;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }
}
