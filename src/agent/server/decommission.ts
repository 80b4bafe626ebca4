// The end of a life of this host: everything it had is let go of, and what workloads lost by it is told as conditions
// until they are attached again, or gone themselves.
import { portName } from "../../datapath/state/names.ts";
import { attempt } from "../../files/files.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Fault } from "../../model/fault.ts";
import type { Journal } from "../journal/journal.ts";
import type { SessionOptions } from "./session.ts";
import type { BlockLease } from "./blockLease.ts";

type DecommissionOptions = Pick<SessionOptions, "log"> & {
  readonly journal: Journal;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly blockLease: BlockLease;
};

/** Between two attempts to empty the kernel, or to write on a disk that is full. */
const AGAIN_MS = 1_000;

export class Decommission {
  readonly #options: DecommissionOptions;
  readonly #endpoints = new Map<string, { readonly netns: string; readonly text: string }>();

  constructor(options: DecommissionOptions) {
    this.#options = options;
  }

  /**
   * The server says that this host is no longer: its addresses may be others' by now. So nothing of it stays in the
   * kernel, and workloads lose interfaces that nobody can reach any more. `round` makes a round that removes them and
   * gives the ports that are left. Resolves when no address is in use.
   */
  async letGo(fault: Fault, signal: AbortSignal, round: () => Promise<ReadonlySet<string>>): Promise<void> {
    const { journal, clock, blockLease, log } = this.#options;
    blockLease.end(fault);
    log("this host is no longer", { reason: fault.reason, why: fault.message });
    this.#disown(fault);
    while (!signal.aborted) {
      const ports = await round();
      if (![...journal.entries.keys()].some((name) => ports.has(portName(name)))) break;
      await clock.sleep(AGAIN_MS, signal);
    }
    // A disk that refuses it now may take it later; until then this host does not begin anew with what was another's.
    while (!signal.aborted && !attempt(() => this.#forgetAll())) await clock.sleep(AGAIN_MS, signal);
  }

  #forgetAll(): void {
    const { journal, clock } = this.#options;
    for (const name of journal.entries.keys()) journal.remove(name, clock.monotonicMs());
  }

  #disown({ detail }: Fault): void {
    const { journal, log } = this.#options;
    for (const entry of journal.entries.values()) {
      if (entry.state !== "attached") continue;
      const { name, spec } = entry.endpoint;
      const addresses = spec.addresses.join(", ");
      this.#endpoints.set(name, { netns: spec.netns, text: `${addresses}: ${detail.what}` });
      log("detached", { endpoint: name, addresses });
      // Whatever the disk says: what a host that is no longer desires has no ports.
      attempt(() => journal.put({ ...entry, state: "detaching" }));
    }
  }

  /** Why this host is none, and a line for each endpoint that went with it. */
  conditions(): string[] {
    const { journal, kernel, blockLease } = this.#options;
    for (const [name, { netns }] of this.#endpoints) {
      const isBack = journal.entries.get(name)?.state === "attached";
      if (isBack || kernel.netnsId(netns) === undefined) this.#endpoints.delete(name);
    }
    const lines = [...this.#endpoints].map(
      ([name, { text }]) => `endpoint ${name} was detached and lost ${text}; attach it again`,
    );
    return blockLease.ended === undefined ? lines : [blockLease.ended.message, ...lines];
  }
}
