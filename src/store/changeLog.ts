// The latest change sets of a store, in memory, and their watchers. A watcher holds only the revision that it wants
// next and reads it from here, so a slow one takes no memory and delays no commit. When the window has moved past it,
// it gets `compacted` and lists again. The server's replay log (control/commit/replayLog.ts) is a second window,
// because it holds what commits replaced. This one holds what they put, and a store on disk has it after a restart.
import assert from "node:assert/strict";
import type { ChangeSet } from "../model/resource.ts";
import { RevisionWindow, Sleepers, WINDOW_CHANGES } from "./window.ts";

export class ChangeLog extends RevisionWindow<ChangeSet> {
  readonly #watchers = new Sleepers();
  #isClosed = false;

  /** Begins empty after revision `floor`; `limit` is how many changes a late watcher can still get. */
  constructor(floor: number, limit: number = WINDOW_CHANGES) {
    super(floor, limit, ({ changes }) => changes.length);
  }

  /** Adds the sets of one transaction, in revision order without gaps, then wakes every watcher once. */
  appendAll(sets: readonly ChangeSet[]): void {
    for (const set of sets) {
      assert.equal(set.revision, this.revision + 1, "change sets follow each other without gaps");
      this.append(set);
    }
    this.#watchers.wake();
  }

  /**
   * Every set after `from`, until the signal aborts or the log is closed. Throws at once if `from` is outside the
   * window (`compacted`, `revision-stale`), and while iterating if the window has moved past a slow reader.
   */
  watch(from: number, signal: AbortSignal): AsyncIterable<ChangeSet> {
    this.check(from);
    return this.#follow(from, signal);
  }

  close(): void {
    this.#isClosed = true;
    this.#watchers.wake();
  }

  async *#follow(from: number, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    for (let reached = from; !signal.aborted && !this.#isClosed; ) {
      this.check(reached);
      const set = this.at(reached + 1);
      if (set === undefined) await this.#watchers.sleep(signal);
      else {
        yield set;
        reached = set.revision;
      }
    }
  }
}
