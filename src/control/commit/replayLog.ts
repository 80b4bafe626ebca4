// What each of the latest commits replaced, and when, in memory. A host that comes back gets from it exactly what it
// missed, commit by commit; and it tells how long a change took to reach a kernel. The store's change log
// (store/changeLog.ts) cannot do that: what a host sees depends on what was there before, which only this log holds.
import { RevisionWindow } from "../../store/window.ts";
import { type Before, type View, undoChanges } from "../state/view.ts";

export type Step = { readonly revision: number; readonly committedAtMs: number; readonly before: Before };

export class ReplayLog extends RevisionWindow<Step> {
  /** Begins after revision `floor`; remembers the newest `limit` changes, and always the last commit. */
  constructor(floor: number, limit: number) {
    super(floor, limit, ({ before }) => before.size);
  }

  /** The step to the next revision. */
  record(before: Before, committedAtMs: number): Step {
    const step: Step = { revision: this.revision + 1, committedAtMs, before };
    this.append(step);
    return step;
  }

  /** When the newest commit of (after, upTo] happened that meets the condition; undefined if none is remembered. */
  lastCommit(after: number, upTo: number, isMeant: (before: Before) => boolean): number | undefined {
    for (let revision = Math.min(upTo, this.revision); revision > after; revision--) {
      const step = this.at(revision);
      if (step === undefined) return undefined;
      if (isMeant(step.before)) return step.committedAtMs;
    }
    return undefined;
  }
}

/** Takes the view back to where the steps began and walks it forward again, calling `visit` at each revision. */
export function replay(view: View, steps: readonly Step[], visit: (step: Step) => void): void {
  const [only] = steps;
  if (only !== undefined && steps.length === 1) return visit(only);
  const forward = steps.toReversed().map(({ before }) => undoChanges(view, before));
  for (const step of steps) {
    undoChanges(view, forward.pop() ?? new Map());
    visit(step);
  }
}
