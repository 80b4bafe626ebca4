// Consecutive operations on tables and elements: a transaction per namespace and table. Elements that come right behind
// a table are part of its transaction; if that is refused, they are tried without.
import { setImmediate } from "node:timers/promises";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { ElementOp } from "./elements.ts";
import { refusalOfError } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import { type Namespaces, inNamespace } from "./namespaces.ts";
import type { Nft } from "./nft.ts";
import type { OpList, Range } from "./opList.ts";

export async function runTables(namespaces: Namespaces, nft: Nft, list: OpList, [from, end]: Range): Promise<void> {
  const all = Array.from({ length: end - from }, (_, i) => from + i);
  for (const [ns, places] of Map.groupBy(all, (at) => list.ops[at]?.object.ns)) {
    if (ns === undefined) continue;
    const due = places.filter((at) => list.isDue(at));
    runNamespace({ namespaces, nft, ns, list }, due);
    // Replacing a large table takes milliseconds.
    if (places.some((at) => list.ops[at]?.object.kind === "nft")) await setImmediate();
  }
}

type Run = { readonly namespaces: Namespaces; readonly nft: Nft; readonly ns: Ns; readonly list: OpList };

function runNamespace(run: Run, places: readonly number[]): void {
  let waiting: number[] = [];
  const flush = () => {
    changeElements(run, waiting);
    waiting = [];
  };
  for (const [i, at] of places.entries()) {
    if (run.list.ops[at]?.object.kind !== "nft") {
      waiting.push(at);
      continue;
    }
    flush();
    const along = elementsBehind(run.list, at, places.slice(i + 1));
    if (runTable(run, at, along) && along.length > 0) return runNamespace(run, places.slice(i + 1 + along.length));
  }
  flush();
}

/** The elements that are added or changed right behind the table at this place, if it is not removed. */
function elementsBehind({ ops }: OpList, at: number, places: readonly number[]): readonly number[] {
  if (ops[at]?.op === "remove") return [];
  const end = places.findIndex((next) => ops[next]?.object.kind !== "element" || ops[next]?.op === "remove");
  return end < 0 ? places : places.slice(0, end);
}

function elementOps({ ops }: OpList, places: readonly number[]): ElementOp[] {
  return places.flatMap((at) => {
    const op = ops[at];
    return op?.object.kind === "element" ? [{ op: op.op, object: op.object }] : [];
  });
}

function changeElements({ namespaces, nft, ns, list }: Run, places: readonly number[]): void {
  if (places.length === 0) return;
  const ops = elementOps(list, places);
  let refusals: readonly (Refusal | undefined)[] = [];
  try {
    inNamespace(namespaces, ns, (space) => {
      refusals = nft.change(space, ops);
    });
  } catch (error) {
    const refusal = refusalOfError(error);
    refusals = ops.map(({ op }) => (op === "remove" && refusal.class === "missing" ? undefined : refusal));
  }
  for (const [i, at] of places.entries()) list.refuse(at, refusals[i]);
}

/** False if it was refused. */
function runTable({ namespaces, nft, ns, list }: Run, at: number, along: readonly number[]): boolean {
  const op = list.ops[at];
  if (op?.object.kind !== "nft") return false;
  const { object } = op;
  const elements = elementOps(list, along);
  try {
    inNamespace(namespaces, ns, (space) => {
      if (op.op === "add") nft.create(space, object, elements);
      else if (op.op === "set") nft.replace(space, object, elements);
      else nft.remove(space);
    });
    return true;
  } catch (error) {
    const refusal = refusalOfError(error);
    if (op.op === "remove" && refusal.class === "missing") return true;
    list.refuse(at, refusal);
    return false;
  }
}
