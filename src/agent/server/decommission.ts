// Decommission: what the agent does when the server has removed its host. Everything is detached, and the lost
// endpoints are reported as conditions until they are attached again or their workloads end. The host may join anew.
import type { Mirror } from "../../client/mirror.ts";
import { portName } from "../../datapath/state/names.ts";
import { attempt } from "../../files/files.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Fault } from "../../model/fault.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { BlockLease } from "../journal/blockLease.ts";
import type { Journal } from "../journal/journal.ts";

export type DecommissionOptions = {
  readonly journal: Journal;
  readonly kernel: Pick<Kernel, "netnsId">;
  readonly clock: Clock;
  readonly blockLease: BlockLease;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Makes a round and resolves to the ports that are left in the kernel. */
  readonly round: () => Promise<ReadonlySet<string>>;
};

/** Between two attempts to remove the ports, or to write on a full disk, which may have room later. */
const RETRY_MS = 1_000;

export class Decommission {
  readonly #options: DecommissionOptions;
  readonly #lost = new Map<string, { readonly netns: string; readonly text: string }>();

  constructor(options: DecommissionOptions) {
    this.#options = options;
  }

  /** Detaches all, for its addresses may be others' by now. Resolves when none is in use and the journal is empty. */
  async run(fault: Fault, signal: AbortSignal): Promise<void> {
    const { journal, clock, blockLease, log, round } = this.#options;
    blockLease.end(fault);
    log("this host is no longer", { reason: fault.reason, why: fault.message });
    this.#detachAll(fault);
    while (!signal.aborted) {
      const ports = await round();
      if (![...journal.entries.keys()].some((name) => ports.has(portName(name)))) break;
      await clock.sleep(RETRY_MS, signal);
    }
    // Until the disk accepts it, the host does not join again with entries that are another's by now.
    while (!signal.aborted && !attempt(() => this.#forgetAll())) await clock.sleep(RETRY_MS, signal);
  }

  #forgetAll(): void {
    const { journal, clock } = this.#options;
    for (const name of journal.entries.keys()) journal.remove(name, clock.monotonicMs());
  }

  #detachAll({ detail }: Fault): void {
    const { journal, log } = this.#options;
    for (const entry of journal.entries.values()) {
      if (entry.state !== "attached") continue;
      const { name, spec } = entry.endpoint;
      const addresses = spec.addresses.join(", ");
      this.#lost.set(name, { netns: spec.netns, text: `${addresses}: ${detail.what}` });
      log("detached", { endpoint: name, addresses });
      // Also if the disk refuses this, rounds remove the port: for a removed host nothing is desired.
      attempt(() => journal.put({ ...entry, state: "detaching" }));
    }
  }

  /** Why the host was removed, and a line for each endpoint that it lost. */
  conditions(): string[] {
    const { journal, kernel, blockLease } = this.#options;
    for (const [name, { netns }] of this.#lost) {
      const isBack = journal.entries.get(name)?.state === "attached";
      if (isBack || kernel.netnsId(netns) === undefined) this.#lost.delete(name);
    }
    const lines = [...this.#lost].map(
      ([name, { text }]) => `endpoint ${name} was detached and lost ${text}; attach it again`,
    );
    return blockLease.ended === undefined ? lines : [blockLease.ended.message, ...lines];
  }
}

type RejoinOptions = Pick<DecommissionOptions, "clock" | "blockLease" | "log"> & {
  readonly mirror: Pick<Mirror, "snapshot">;
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
};

/**
 * After a removed host has joined again: the mirror's snapshot is the new host's. Saves it first, so that no restart
 * can use the blocks of the removed host; then the host may allocate again. Calls `begun` at that moment.
 */
export async function rejoin(options: RejoinOptions, signal: AbortSignal, begun: () => void): Promise<void> {
  const { blockLease, mirror, saveSnapshot, log, clock } = options;
  const snapshot = mirror.snapshot();
  if (blockLease.ended === undefined || snapshot === undefined) return;
  const { incarnation } = blockLease;
  const mayGoOn = () => blockLease.incarnation === incarnation && !signal.aborted;
  const isBegun = async () => {
    try {
      await saveSnapshot(snapshot);
      if (mayGoOn()) blockLease.begin();
      return true;
    } catch (error) {
      log("save", { error: String(error) });
      return false;
    }
  };
  while (mayGoOn() && !(await isBegun())) await clock.sleep(RETRY_MS, signal);
  if (!mayGoOn()) return;
  log("this host has joined anew", { revision: snapshot.revision });
  begun();
}
