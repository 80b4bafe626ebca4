// The processes of a test's cluster: each in a network namespace, with a log of its own, and gone with the test.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

export class Processes {
  readonly #folder: string;
  readonly #children = new Map<string, ChildProcess>();
  #isOver = false;

  /** Logs are files in `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  log(name: string): string {
    const path = join(this.#folder, `${name}.log`);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  start(name: string, netns: string, ...argv: readonly string[]): void {
    // A test that has timed out goes on beside what ends its cluster.
    if (this.#isOver) throw new Error(`${name} is started after the end of its cluster`);
    const log = openSync(join(this.#folder, `${name}.log`), "a");
    // nsenter, not `ip netns exec`: that would give the process a mount namespace of its own, and what it mounts would
    // be its alone.
    this.#children.set(
      name,
      spawn("setpriv", ["--pdeathsig", "KILL", "nsenter", `--net=/run/netns/${netns}`, ...argv], {
        stdio: ["ignore", log, log],
      }),
    );
  }

  pidOf(name: string): number | undefined {
    return this.#children.get(name)?.pid;
  }

  /** The process is gone when this resolves. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
    this.#children.delete(name);
  }

  async killAll(): Promise<void> {
    for (const name of this.#children.keys()) await this.kill(name);
  }

  /** As killAll, and nothing is started any more. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.killAll();
  }
}
