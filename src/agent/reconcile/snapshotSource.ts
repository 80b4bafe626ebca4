// The snapshot that an agent acts on: the server's while it is followed, the last one known otherwise, with this host's
// own endpoints as the journal has them.
import { emptySnapshot, type Snapshot } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";
import type { AgentOptions } from "../options.ts";
import { isAlive, withLocal, withoutHost } from "./localSnapshot.ts";

/** How long a start waits for the server before it uses the snapshot on disk. */
export const START_GRACE_MS = 3_000;

export class SnapshotSource {
  readonly #options: AgentOptions;
  readonly #bootId: string;
  readonly #hasObserved: () => boolean;
  #startedAtMs = 0;

  /** `hasObserved`: whether anything of Weft's is known to be in the kernel. */
  constructor(options: AgentOptions, hasObserved: () => boolean) {
    this.#options = options;
    this.#bootId = options.kernel.facts().bootId;
    this.#hasObserved = hasObserved;
  }

  /** The grace begins now. */
  start(): void {
    this.#startedAtMs = this.#options.clock.monotonicMs();
  }

  /** The snapshot to act on: the server's, or after a grace the one from disk; undefined means no kernel write yet. */
  current(): Snapshot | undefined {
    const { mirror, clock, host, blockLease } = this.#options;
    if (blockLease.ended !== undefined) return withoutHost(mirror.snapshot() ?? emptySnapshot(""), host);
    if (mirror.isSynced) return mirror.snapshot();
    const isGrace = !this.#hasObserved() && clock.monotonicMs() - this.#startedAtMs < START_GRACE_MS;
    return isGrace ? undefined : mirror.snapshot();
  }

  /** The newest snapshot there is, old as it may be: enough to take away what this host itself attached. */
  known(): Snapshot | undefined {
    return this.#options.mirror.snapshot();
  }

  /** The snapshot with this host's own endpoints as the journal has them. */
  local(snapshot: Snapshot): Snapshot {
    const { host, journal } = this.#options;
    return withLocal(snapshot, host, journal.entries.values(), (entry) => this.isAlive(entry));
  }

  /** Whether the namespace of an endpoint is still the one it was attached in. */
  isAlive(entry: Entry): boolean {
    return isAlive(entry, this.#bootId, this.#options.kernel);
  }
}
