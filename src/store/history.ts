// The latest change sets of a store, in memory, and their watchers. A watcher holds only the revision that it wants
// next and pulls it from here, so a slow one takes no memory and delays no commit. When the window has moved past it,
// it gets `compacted` and lists again. The meaning of a change and its durability are the store's business.
import assert from "node:assert/strict";
import { Fault } from "../model/fault.ts";
import type { ChangeSet } from "../model/resource.ts";

/** The default number of changes: minutes of a busy cluster, some 20 MB at worst. */
export const DEFAULT_HISTORY = 20_000;

export class History {
  readonly #limit: number;
  /** Sets `#floor + 1` to `revision`, from `#head` on. Revisions have no gaps, so finding one is arithmetic. */
  #sets: ChangeSet[] = [];
  #head = 0;
  #floor: number;
  #weight = 0;
  #isClosed = false;
  readonly #waiting = new Set<() => void>();

  /** Begins empty after revision `floor`. Keeps the newest `limit` changes, and the newest set whatever its size. */
  constructor(floor: number, limit: number) {
    this.#floor = floor;
    this.#limit = limit;
  }

  get revision(): number {
    return this.#floor + this.#sets.length - this.#head;
  }

  /** The oldest revision from which one can watch: everything after it is here. */
  get floor(): number {
    return this.#floor;
  }

  /** Adds the sets of one transaction, in revision order without gaps, then wakes every watcher once. */
  append(sets: readonly ChangeSet[]): void {
    for (const set of sets) {
      assert.equal(set.revision, this.revision + 1, "change sets follow each other without gaps");
      this.#sets.push(set);
      this.#weight += weightOf(set);
    }
    this.#compact();
    this.#wake();
  }

  /**
   * Every set after `from`, until the signal aborts or the history is closed. Throws at once if `from` is outside the
   * window (`compacted`, `revision-stale`), and while iterating if the window has moved past a slow reader.
   */
  watch(from: number, signal: AbortSignal): AsyncIterable<ChangeSet> {
    if (from > this.revision) throw fromTheFuture(from, this.revision);
    if (from < this.#floor) throw compacted(from, this.#floor);
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
        if (reached < this.#floor) throw compacted(reached, this.#floor);
        const set = this.#sets[this.#head + reached - this.#floor];
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

  #compact(): void {
    while (this.#weight > this.#limit && this.#sets.length - this.#head > 1) {
      const oldest = this.#sets[this.#head];
      assert(oldest !== undefined);
      this.#weight -= weightOf(oldest);
      this.#floor = oldest.revision;
      this.#head++;
    }
    // Moving the rest costs its length, so it happens only when as much has been dropped: constant per set.
    if (this.#head > this.#sets.length / 2) {
      this.#sets = this.#sets.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** Sets are bounded by their changes: one apply may change thousands of resources. */
function weightOf(set: ChangeSet): number {
  return Math.max(1, set.changes.length);
}

function compacted(from: number, floor: number): Fault {
  return new Fault("compacted", {
    what: `cannot watch from revision ${from}`,
    why: `the history begins after revision ${floor}`,
    fix: "list again and watch from the revision of the list",
  });
}

function fromTheFuture(from: number, revision: number): Fault {
  return new Fault("revision-stale", {
    what: `cannot watch from revision ${from}`,
    why: `the store is at revision ${revision}; the reader knew another life of it`,
    fix: "check that this is the right server, and whether it was restored from a backup",
  });
}
