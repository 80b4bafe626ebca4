// The newest snapshot on this host's disk, for a start without the server. It may be a second old: a host that starts
// from it then does what it did a second ago. While a network is being converted that would lose packets, because the
// server may have gone on since by what this host reported. So such a phase is on disk before it is reported.
import type { Mirror } from "../../client/mirror.ts";
import type { Clock } from "../../model/clock.ts";
import { type Snapshot, listIn } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";

export type SavedSnapshotOptions = {
  readonly mirror: Pick<Mirror, "snapshot" | "isSynced">;
  readonly clock: Clock;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Keeps it for a start without the server. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
};

const SAVE_MS = 1_000;

export class SavedSnapshot {
  readonly #options: SavedSnapshotOptions;
  #saved: Snapshot | undefined;

  constructor(options: SavedSnapshotOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts. Saves at most once a second, and only complete snapshots that are new. */
  async run(signal: AbortSignal): Promise<void> {
    const { mirror, clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(SAVE_MS, signal);
      const snapshot = mirror.snapshot();
      if (mirror.isSynced && snapshot !== undefined && !this.#has(snapshot)) await this.#save(snapshot);
    }
  }

  /** The report, which says of no phase of a conversion that this host is there unless that is on its disk. */
  async covered(report: HostReport): Promise<HostReport> {
    const snapshot = this.#options.mirror.snapshot();
    if (snapshot === undefined) return report;
    const { revision: had = 0, history } = this.#saved ?? {};
    const phases = listIn(snapshot, "conversion").map(({ revision }) => revision);
    const open = history === snapshot.history ? phases.filter((revision) => revision > had) : phases;
    const why = open.length === 0 ? undefined : await this.#save(snapshot);
    if (why === undefined) return report;
    const error = `a phase of a conversion counts only when it is on this host's disk: ${why}`;
    const revision = Math.min(report.revision, Math.min(...open) - 1);
    return { ...report, revision, errors: [error, ...report.errors] };
  }

  #has({ revision, history }: Snapshot): boolean {
    return revision === this.#saved?.revision && history === this.#saved.history;
  }

  /** Why it could not be saved; undefined if it was. */
  async #save(snapshot: Snapshot): Promise<string | undefined> {
    try {
      await this.#options.saveSnapshot(snapshot);
      this.#saved = snapshot;
      return undefined;
    } catch (error) {
      this.#options.log("save", { error: String(error) });
      return error instanceof Error ? error.message : String(error);
    }
  }
}
