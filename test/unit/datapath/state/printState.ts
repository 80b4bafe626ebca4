// A whole kernel state as what would build it from nothing: in the order of kinds, then by text.
import { OBJECT_KINDS } from "../../../../src/datapath/kinds.ts";
import { diff } from "../../../../src/datapath/state/diff.ts";
import { printOp } from "../../../../src/datapath/state/print.ts";
import type { KernelState } from "../../../../src/datapath/state/state.ts";

export function printState(state: KernelState, prefix?: string): string[] {
  const printed = diff(new Map(), state).map((op) => {
    const lines = printOp(op, prefix);
    const order = String(OBJECT_KINDS.indexOf(op.object.kind)).padStart(2, "0");
    return { text: `${order} ${lines.join(" ")}`, lines };
  });
  return printed.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0)).flatMap(({ lines }) => lines);
}
