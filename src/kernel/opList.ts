// A list of operations while it is run, and what was refused of it so far.
import type { Op } from "../datapath/state/state.ts";
import { type OpResult, type Refusal, STALE } from "./kernel.ts";

export class OpList {
  readonly ops: readonly Op[];
  readonly #isStale: (op: Op) => boolean;
  readonly #refusals: (Refusal | undefined)[];

  constructor(ops: readonly Op[], isStale: (op: Op) => boolean) {
    this.ops = ops;
    this.#isStale = isStale;
    this.#refusals = new Array<Refusal | undefined>(ops.length).fill(undefined);
  }

  /** Whether an operation is still to be done: not refused yet, and not stale. To be asked right before it is done. */
  isDue(at: number): boolean {
    const op = this.ops[at];
    if (op !== undefined && this.#refusals[at] === undefined && this.#isStale(op)) this.#refusals[at] = STALE;
    return this.#refusals[at] === undefined;
  }

  /** The first refusal of an operation counts. */
  refuse(at: number, refusal: Refusal | undefined): void {
    this.#refusals[at] ??= refusal;
  }

  refusalAt(at: number): Refusal | undefined {
    return this.#refusals[at];
  }

  /** In order. */
  results(): OpResult[] {
    return this.ops.map((op, at) => {
      const refusal = this.#refusals[at];
      return refusal === undefined ? { op } : { op, refusal };
    });
  }
}
