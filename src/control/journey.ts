// The recent past, in memory: what each commit replaced and when. From it follow what a watcher has missed, in one step
// however far behind it is, and how long a change took to reach a host. What it no longer remembers is `compacted`.
import { Fault } from "../model/fault.ts";
import type { Key, Resource } from "../model/resource.ts";
import type { Before } from "./view.ts";

type Step = { readonly revision: number; readonly committedAtMs: number; readonly before: Before };

export class Journey {
  readonly #limit: number;
  #steps: Step[] = [];
  #floor: number;

  /** Begins after revision `floor`; keeps `limit` revisions. */
  constructor(floor: number, limit: number) {
    this.#floor = floor;
    this.#limit = limit;
  }

  get revision(): number {
    return this.#floor + this.#steps.length;
  }

  /** The next revision. */
  append(before: Before, committedAtMs: number): void {
    this.#steps.push({ revision: this.revision + 1, committedAtMs, before });
    // Dropping in halves keeps an append constant on average.
    if (this.#steps.length > 2 * this.#limit) {
      this.#floor += this.#steps.length - this.#limit;
      this.#steps = this.#steps.slice(-this.#limit);
    }
  }

  /** Throws `compacted` or `revision-stale` for a revision that it does not know. */
  check(from: number): void {
    if (from > this.revision) {
      throw new Fault("revision-stale", {
        what: `cannot watch from revision ${from}`, why: `the server is at revision ${this.revision}; the reader knew another life of it`,
        fix: "check that this is the right server, and whether it was restored from a backup",
      });
    }
    if (from < this.#floor) {
      throw new Fault("compacted", {
        what: `cannot watch from revision ${from}`, why: `the history begins after revision ${this.#floor}`, fix: "list again and watch from the revision of the list",
      });
    }
  }

  /** What each key was at `from` that has changed since. */
  since(from: number): Before {
    this.check(from);
    const first = this.#steps[from - this.#floor];
    if (first !== undefined && from === this.revision - 1) return first.before;
    const before = new Map<Key, Resource | undefined>();
    for (let i = from - this.#floor; i < this.#steps.length; i++) {
      for (const [key, old] of this.#steps[i]?.before ?? []) if (!before.has(key)) before.set(key, old);
    }
    return before;
  }

  /** When the newest commit of (after, upTo] happened that meets the condition; undefined if none is remembered. */
  lastCommit(after: number, upTo: number, isMeant: (before: Before) => boolean): number | undefined {
    for (let revision = upTo; revision > Math.max(after, this.#floor); revision--) {
      const step = this.#steps[revision - this.#floor - 1];
      if (step !== undefined && isMeant(step.before)) return step.committedAtMs;
    }
    return undefined;
  }
}
