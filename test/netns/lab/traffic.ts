// Traffic between workloads that counts losses (traffic.c), while a test changes something beneath it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { IS_GUEST } from "../../guest/inGuest.ts";
import { type Cluster, must, until, type Workload } from "./cluster.ts";

/**
 * The longest time in milliseconds that a stream may stand still: a lost segment is sent again after 200 and more.
 * Beside that, twice the longest time that this process itself had to wait for a processor meanwhile.
 */
const STALL_MS = Number(process.env["WEFT_STALL_MS"] ?? (IS_GUEST ? 2_000 : 500));

/** Between two datagrams. A guest at 1 kHz has little time for anything else. */
const PERIOD_MS = Number(process.env["WEFT_TRAFFIC_MS"] ?? (IS_GUEST ? 5 : 1));

const LOOK_MS = 10;

type Process = { readonly what: string; readonly child: ChildProcess; said: string; readonly ended: Promise<unknown> };

export class Traffic {
  readonly #program: string;
  readonly #processes: Process[] = [];
  #port = 7000;
  #lateMs = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(program: string) {
    this.#program = program;
  }

  /** Compiles the program into the cluster's folder, under a name of its own. */
  static async of(cluster: Cluster, name = "traffic"): Promise<Traffic> {
    const program = join(cluster.folder, `traffic-${name}`);
    await must("gcc", "-O2", "-o", program, join(import.meta.dirname, "traffic.c"));
    return new Traffic(program);
  }

  #watchLateness(): void {
    if (this.#timer !== undefined) return;
    let lastMs = performance.now();
    this.#lateMs = 0;
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.#lateMs = Math.max(this.#lateMs, nowMs - lastMs - LOOK_MS);
      lastMs = nowMs;
    }, LOOK_MS);
  }

  #unwatch(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #start(what: string, { netns }: Workload, ...words: readonly string[]): Promise<void> {
    this.#watchLateness();
    const argv = ["--pdeathsig", "KILL", "nsenter", `--net=/run/netns/${netns}`, this.#program, ...words];
    const env = { ...process.env, WEFT_TRAFFIC_MS: String(PERIOD_MS) };
    const child = spawn("setpriv", argv, { env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const started: Process = { what, child, said: "", ended };
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (started.said += text));
    this.#processes.push(started);
    await until(`${what} is ready`, async () => started.said.includes("ready"));
  }

  /** Datagrams and their answers, of `size` bytes, to each address of the other. */
  async ask(from: Workload, to: Workload, size = 64): Promise<void> {
    for (const address of to.addresses) {
      const port = String(this.#port++);
      await this.#start(`${to.endpoint} answers ${from.endpoint} at ${address}`, to, "echo", port);
      await this.#start(`${from.endpoint} asks ${address}`, from, "ask", address, port, String(size));
    }
  }

  /** Broadcasts to all. */
  async shout(from: Workload, address: string, to: readonly Workload[]): Promise<void> {
    const port = String(this.#port++);
    for (const each of to) await this.#start(`${each.endpoint} hears ${from.endpoint}`, each, "hear", port);
    await this.#start(`${from.endpoint} shouts`, from, "shout", address, port);
  }

  /** A TCP stream. */
  async give(from: Workload, to: Workload): Promise<void> {
    for (const address of to.addresses) {
      const port = String(this.#port++);
      await this.#start(`${to.endpoint} takes at ${address}`, to, "take", port);
      await this.#start(`${from.endpoint} gives to ${address}`, from, "give", address, port);
    }
  }

  /** Ends what a test that failed has left. */
  kill(): void {
    this.#unwatch();
    for (const { child } of this.#processes) child.kill("SIGKILL");
    this.#processes.length = 0;
  }

  /** Ends all of it; what each saw, by what it did. Fails if anything was lost or came twice. */
  async end(): Promise<ReadonlyMap<string, string>> {
    const isFirst = ({ what }: Process) => / (asks|shouts|gives)/.test(what);
    for (const some of [this.#processes.filter(isFirst), this.#processes.filter((one) => !isFirst(one))]) {
      for (const { child, what } of some) if (!what.includes("takes")) child.kill("SIGTERM");
      await Promise.all(some.map(({ ended }) => ended));
    }
    this.#unwatch();
    const told = new Map(this.#processes.map(({ what, said }) => [what, said.replace("ready", "").trim()]));
    this.#processes.length = 0;
    const bytes = [...told].flatMap(([, text]) => /^bytes (\d+)/.exec(text)?.[1] ?? []);
    const wrong = [...told].filter(
      ([, text]) => !/^(sent \d+|.*doubled 0 (refused 0 )?lost|bytes \d+( stalled \d+)?)$/.test(text),
    );
    assert.deepEqual(wrong, []);
    const stalls = [...told].flatMap(([what, text]) => {
      const ms = Number(/ stalled (\d+)$/.exec(text)?.[1] ?? 0);
      return ms > STALL_MS + 2 * this.#lateMs ? [`${what}: ${ms} ms (this process: ${this.#lateMs} ms)`] : [];
    });
    assert.deepEqual(stalls, [], "a stream stood still");
    for (let i = 0; i < bytes.length; i += 2) assert.equal(bytes[i], bytes[i + 1], "what was given was taken");
    return told;
  }
}
