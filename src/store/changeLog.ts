// The latest change sets of a store, in memory, and their watchers. A watcher holds only the revision that it wants
// next and reads it from here, so a slow one takes no memory and delays no commit. When the window has moved past it,
// it gets `compacted` and lists again. The server's replay log (control/commit/replayLog.ts) is a second window,
// because it holds what commits replaced. This one holds what they put, and a store on disk has it after a restart.
import assert from "node:assert/strict";
import type { ChangeSet } from "../model/resource.ts";
import { RevisionWindow, WINDOW_CHANGES } from "./window.ts";

export class ChangeLog {
  readonly #window: RevisionWindow<ChangeSet>;
  #isClosed = false;
  readonly #waiting = new Set<() => void>();

  /** Begins empty after revision `floor`; `limit` is how many changes a late watcher can still get. */
  constructor(floor: number, limit: number = WINDOW_CHANGES) {
    this.#window = new RevisionWindow(floor, limit, ({ changes }) => changes.length);
  }

  get revision(): number {
    return this.#window.revision;
  }

  /** The oldest revision that can be watched from. */
  get floor(): number {
    return this.#window.floor;
  }

  /** Adds the sets of one transaction, in revision order without gaps, then wakes every watcher once. */
  append(sets: readonly ChangeSet[]): void {
    for (const set of sets) {
      assert.equal(set.revision, this.revision + 1, "change sets follow each other without gaps");
      this.#window.append(set);
    }
    this.#wake();
  }

  /**
   * Every set after `from`, until the signal aborts or the log is closed. Throws at once if `from` is outside the
   * window (`compacted`, `revision-stale`), and while iterating if the window has moved past a slow reader.
   */
  watch(from: number, signal: AbortSignal): AsyncIterable<ChangeSet> {
    this.#window.check(from);
    return this.#follow(from, signal);
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  async *#follow(from: number, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    let wake = () => {};
    const stop = () => wake();
    signal.addEventListener("abort", stop);
    try {
      for (let reached = from; !signal.aborted && !this.#isClosed; ) {
        this.#window.check(reached);
        const set = this.#window.at(reached + 1);
        if (set !== undefined) {
          yield set;
          reached = set.revision;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiting.add(resolve);
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#waiting.delete(wake);
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
