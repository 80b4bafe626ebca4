// The recent past, in memory: what each commit replaced and when. Replayed, it tells a host that comes back what it
// missed, commit by commit and exactly; and how long a change took to reach a kernel. What it has forgotten is
// `compacted`.
import { Fault } from "../../model/fault.ts";
import type { Before, View } from "../state/view.ts";
import { undoChanges } from "../state/view.ts";

export type Step = { readonly revision: number; readonly committedAtMs: number; readonly before: Before };

export class Journey {
  readonly #limit: number;
  #steps: Step[] = [];
  #floor: number;

  /** Begins after revision `floor`; keeps at least the last `limit` revisions. */
  constructor(floor: number, limit: number) {
    this.#floor = floor;
    this.#limit = limit;
  }

  get revision(): number {
    return this.#floor + this.#steps.length;
  }

  /** The next revision. */
  append(before: Before, committedAtMs: number): Step {
    const step: Step = { revision: this.revision + 1, committedAtMs, before };
    this.#steps.push(step);
    // Dropping in halves keeps an append constant on average.
    if (this.#steps.length > 2 * this.#limit) {
      this.#floor += this.#steps.length - this.#limit;
      this.#steps = this.#steps.slice(-this.#limit);
    }
    return step;
  }

  /** The steps after `from`. Throws `compacted` or `revision-stale` for a revision that it does not know. */
  after(from: number): readonly Step[] {
    if (from > this.revision) {
      throw new Fault("revision-stale", {
        what: `cannot watch from revision ${from}`,
        why: `the server is at revision ${this.revision}; the reader knew another life of it`,
        fix: "check that this is the right server, and whether it was restored from a backup",
      });
    }
    if (from < this.#floor) throw compacted(from, `the history begins after revision ${this.#floor}`);
    return this.#steps.slice(from - this.#floor);
  }

  /** When the newest commit of (after, upTo] happened that meets the condition; undefined if none is remembered. */
  lastCommit(after: number, upTo: number, isMeant: (before: Before) => boolean): number | undefined {
    for (let revision = Math.min(upTo, this.revision); revision > Math.max(after, this.#floor); revision--) {
      const step = this.#steps[revision - this.#floor - 1];
      if (step !== undefined && isMeant(step.before)) return step.committedAtMs;
    }
    return undefined;
  }
}

/** Takes the view back to where the steps began and walks it forward again, calling `visit` at each revision. */
export function replay(view: View, steps: readonly Step[], visit: (step: Step) => void): void {
  const [only] = steps;
  if (only !== undefined && steps.length === 1) return visit(only);
  const forward: Before[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    if (step !== undefined) forward.push(undoChanges(view, step.before));
  }
  for (const step of steps) {
    undoChanges(view, forward.pop() ?? new Map());
    visit(step);
  }
}

export function compacted(from: number, why: string): Fault {
  return new Fault("compacted", {
    what: `cannot watch from revision ${from}`,
    why,
    fix: "list again and watch from the revision of the list",
  });
}
