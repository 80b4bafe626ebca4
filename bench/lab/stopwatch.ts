// bench/replay.c, compiled and driven: one program and one clock for what the kernel costs and what the agent's callers
// wait for.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { must } from "../../test/netns/cluster.ts";
import type { Sent } from "./trace.ts";

const SOURCE = new URL("../replay.c", import.meta.url).pathname;

/** A datagram to send: in which namespace, over a socket that is open already or not. */
export type Step = Pick<Sent, "bytes" | "patches"> & { readonly netns: string; readonly isOpen: boolean };

export class Stopwatch {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(program: string) {
    this.#child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Compiles the program into `folder` and starts it. */
  static async start(folder: string): Promise<Stopwatch> {
    const program = join(folder, "replay");
    await must("gcc", "-O2", "-Wall", "-o", program, SOURCE);
    return new Stopwatch(program);
  }

  /** Milliseconds from connecting to the agent's socket to the last byte of its answer. */
  async http(socket: string, method: string, path: string, body = ""): Promise<{ ms: number; response: string }> {
    const head = `${method} ${path} HTTP/1.1\r\nhost: agent\r\ncontent-type: application/json\r\n`;
    const request = Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    const answer = await this.#ask(`http ${socket} ${request.toString("hex")}\n`);
    const [us = "", ...response] = answer.split(" ");
    return { ms: Number(us) / 1000, response: response.join(" ") };
  }

  /** Milliseconds to send the steps and hear that each was done; throws if the kernel refused one. */
  async replay(steps: readonly Step[]): Promise<number> {
    const commands = steps.map(({ netns, isOpen, bytes, patches }) => {
      const places = patches.map((patch) => ` ${patch.offset}:${patch.netns}`).join("");
      return `send ${netns} ${isOpen ? 1 : 0} ${bytes.toString("hex")}${places}\n`;
    });
    const [us, ...errors] = (await this.#ask(`${commands.join("")}run\n`)).split(" ");
    if (errors.length > 0) throw new Error(`the kernel refused a replayed message (step:errno): ${errors.join(" ")}`);
    return Number(us) / 1000;
  }

  async #ask(commands: string): Promise<string> {
    this.#child.stdin.write(commands);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the stopwatch ended; see its message above");
    return value;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }
}
