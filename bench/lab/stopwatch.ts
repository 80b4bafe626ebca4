// bench/replay.c, compiled and driven: one program and one clock for what the kernel costs and what the agent's callers
// wait for.
import { Program } from "./program.ts";
import type { Sent } from "./trace.ts";

/** A datagram to send: in which namespace, over a socket that is open already or not. */
export type Step = Pick<Sent, "protocol" | "bytes" | "patches"> & { readonly netns: string; readonly isOpen: boolean };

/** <linux/netlink.h> */
const NUMBERS = { NETLINK_ROUTE: 0, NETLINK_NETFILTER: 12 } as const;

export class Stopwatch {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(folder: string): Promise<Stopwatch> {
    return new Stopwatch(await Program.start(folder, "replay"));
  }

  /** Milliseconds from connecting to the agent's socket to the last byte of its answer. */
  async http(socket: string, method: string, path: string, body = ""): Promise<{ ms: number; response: string }> {
    const head = `${method} ${path} HTTP/1.1\r\nhost: agent\r\ncontent-type: application/json\r\n`;
    const request = Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    const answer = await this.#program.ask(`http ${socket} ${request.toString("hex")}\n`);
    const [us = "", ...response] = answer.split(" ");
    return { ms: Number(us) / 1000, response: response.join(" ") };
  }

  /** Milliseconds to send the steps and hear that each was done; throws if the kernel refused one. */
  async replay(steps: readonly Step[]): Promise<number> {
    const commands = steps.map(({ protocol, netns, isOpen, bytes, patches }) => {
      const places = patches.map((patch) => ` ${patch.offset}:${patch.netns}`).join("");
      return `send ${netns} ${NUMBERS[protocol]} ${isOpen ? 1 : 0} ${bytes.toString("hex")}${places}\n`;
    });
    const [us, ...errors] = (await this.#program.ask(`${commands.join("")}run\n`)).split(" ");
    if (errors.length > 0) throw new Error(`the kernel refused a replayed message (step:errno): ${errors.join(" ")}`);
    return Number(us) / 1000;
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
