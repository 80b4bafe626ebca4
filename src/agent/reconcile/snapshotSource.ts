// The snapshot that the agent acts on: the server's while it is followed, otherwise the last one known. This host's own
// endpoints in it are those of the journal.
import type { Mirror } from "../../client/mirror.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { emptySnapshot, type Snapshot } from "../../model/resource.ts";
import type { BlockLease } from "../journal/blockLease.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { isAlive, withLocal, withoutHost } from "./localSnapshot.ts";

export type SnapshotSourceOptions = {
  readonly host: string;
  readonly mirror: Pick<Mirror, "snapshot" | "isSynced" | "problem">;
  readonly journal: Pick<Journal, "entries">;
  readonly kernel: Pick<Kernel, "netnsId">;
  readonly bootId: string;
  readonly clock: Clock;
  readonly blockLease: Pick<BlockLease, "ended">;
  /** Whether the kernel is known to have objects of Weft's. */
  readonly hasObserved: () => boolean;
};

/** How long a start waits for the server before it uses the snapshot on disk. */
export const START_GRACE_MS = 3_000;

export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  #startedAtMs = 0;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
  }

  /** The grace of a start begins now. */
  start(): void {
    this.#startedAtMs = this.#options.clock.monotonicMs();
  }

  /** The snapshot to act on; undefined while the kernel must not be changed: during the grace, or if there is none. */
  current(): Snapshot | undefined {
    const { mirror, clock, host, blockLease, hasObserved } = this.#options;
    if (blockLease.ended !== undefined) return withoutHost(mirror.snapshot() ?? emptySnapshot(""), host);
    if (mirror.isSynced) return mirror.snapshot();
    const isGrace = !hasObserved() && clock.monotonicMs() - this.#startedAtMs < START_GRACE_MS;
    return isGrace ? undefined : mirror.snapshot();
  }

  /** The newest snapshot, however old: enough to detach what this host attached itself. */
  known(): Snapshot | undefined {
    return this.#options.mirror.snapshot();
  }

  /** The snapshot with this host's own endpoints as the journal has them. */
  local(snapshot: Snapshot): Snapshot {
    const { host, journal } = this.#options;
    return withLocal(snapshot, host, journal.entries.values(), (entry) => this.isAlive(entry));
  }

  /** Whether the server is being followed at this moment: the snapshot is complete and current. */
  get isSynced(): boolean {
    return this.#options.mirror.isSynced;
  }

  /** Whether what current() lacks is to be removed: the server says so, or has removed this host. */
  get isComplete(): boolean {
    return this.isSynced || this.hasEnded;
  }

  /** Whether the server has removed this host: then none of its endpoints stays. */
  get hasEnded(): boolean {
    return this.#options.blockLease.ended !== undefined;
  }

  /** Throws a Fault `another-history` if the server does not know the revisions that this host has. */
  checkHistory(): void {
    const { problem } = this.#options.mirror;
    if (problem?.reason === "another-history") throw problem;
  }

  /** Whether the namespace of an endpoint is still the one it was attached in. */
  isAlive(entry: Entry): boolean {
    return isAlive(entry, this.#options.bootId, this.#options.kernel);
  }
}
