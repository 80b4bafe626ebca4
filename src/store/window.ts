// A window over the newest revisions, in memory: one item per revision, without gaps. A reader that asks for an older
// revision gets `compacted`. The store's change log and the server's replay log are such windows.
import assert from "node:assert/strict";
import { Fault } from "../model/fault.ts";

/** Readers that wait for what comes next. */
export class Sleepers {
  readonly #asleep = new Set<() => void>();

  /** Resolves at the next `wake`, or when the signal aborts. */
  async sleep(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#asleep.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    signal.removeEventListener("abort", wake);
    this.#asleep.delete(wake);
  }

  wake(): void {
    const asleep = [...this.#asleep];
    this.#asleep.clear();
    for (const wake of asleep) wake();
  }
}

/** The default number of changes: minutes of a busy cluster, some 20 MB at worst. */
export const WINDOW_CHANGES = 20_000;

export class RevisionWindow<T> {
  readonly #limit: number;
  readonly #changesIn: (item: T) => number;
  /** Items `#floor + 1` to `revision`, from `#head` on, so that looking one up is arithmetic. */
  #items: T[] = [];
  #head = 0;
  #floor: number;
  #changes = 0;

  /** Begins empty after revision `floor`. Holds the newest `limit` changes, and the newest item whatever its size. */
  constructor(floor: number, limit: number, changesIn: (item: T) => number) {
    this.#floor = floor;
    this.#limit = limit;
    this.#changesIn = changesIn;
  }

  get revision(): number {
    return this.#floor + this.#items.length - this.#head;
  }

  /** The oldest revision from which one can read: everything after it is here. */
  get floor(): number {
    return this.#floor;
  }

  /** The item of the next revision. */
  append(item: T): void {
    this.#items.push(item);
    this.#changes += this.#sizeOf(item);
    this.#compact();
  }

  at(revision: number): T | undefined {
    return revision > this.#floor ? this.#items[this.#head + revision - this.#floor - 1] : undefined;
  }

  /** Every item after `from`. Throws as `check` does. */
  after(from: number): readonly T[] {
    this.check(from);
    return this.#items.slice(this.#head + from - this.#floor);
  }

  /** Throws `revision-stale` for a revision in the future, `compacted` for one that the window no longer reaches. */
  check(from: number): void {
    if (from > this.revision) {
      throw new Fault("revision-stale", {
        what: `cannot watch from revision ${from}`,
        why: `the server is at revision ${this.revision}; the reader knew another life of it`,
        fix: "check that this is the right server, and whether it was restored from a backup",
      });
    }
    if (from < this.#floor) throw compacted(from, `the history begins after revision ${this.#floor}`);
  }

  #compact(): void {
    while (this.#changes > this.#limit && this.#items.length - this.#head > 1) {
      const oldest = this.#items[this.#head];
      assert(oldest !== undefined);
      this.#changes -= this.#sizeOf(oldest);
      this.#floor++;
      this.#head++;
    }
    // Moving the rest costs its length, so it happens only when as much has been dropped: constant per item.
    if (this.#head > this.#items.length / 2) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Items are bounded by their changes: one apply may change thousands of resources. An empty item counts as one. */
  #sizeOf(item: T): number {
    return Math.max(1, this.#changesIn(item));
  }
}

export function compacted(from: number, why: string): Fault {
  return new Fault("compacted", {
    what: `cannot watch from revision ${from}`,
    why,
    fix: "list again and watch from the revision of the list",
  });
}
