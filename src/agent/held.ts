// What the kernel is known to hold, between two looks at it: the last look, and what was done since.
import { type KernelObject, keyOf, type Op } from "../datapath/state.ts";
import type { OpResult } from "../kernel/kernel.ts";

/** Notes in `state` what these operations did, as far as they were accepted. */
export function record(state: Map<string, KernelObject>, results: readonly OpResult[]): Map<string, KernelObject> {
  for (const { op, refusal } of results) {
    if (refusal !== undefined) continue;
    if (op.op === "remove") state.delete(keyOf(op.object));
    else state.set(keyOf(op.object), op.object);
  }
  return state;
}

/** What makes of a refused operation, noted as done, one that was not. */
export function undone(op: Op): Op {
  return { op: op.op === "remove" ? "add" : "remove", object: op.object };
}
