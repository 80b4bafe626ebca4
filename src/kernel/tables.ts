// Consecutive operations on tables and elements: a transaction per namespace and table. Elements that come right behind
// a table are part of its transaction; if that is refused, they are tried without.
import { setImmediate } from "node:timers/promises";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { ElementOp } from "./elements.ts";
import { refusalBy } from "./errno.ts";
import type { Namespaces } from "./namespaces.ts";
import type { NftOf } from "./nft.ts";
import type { OpList } from "./opList.ts";

type Tools = { readonly namespaces: Namespaces; readonly nft: NftOf };

export async function runTables(tools: Tools, list: OpList, all: readonly number[]): Promise<void> {
  for (const [ns, places] of Map.groupBy(all, (at) => list.ops[at]?.object.ns)) {
    if (ns === undefined) continue;
    const due = places.filter((at) => list.isDue(at));
    runNamespace({ ...tools, ns, list }, due);
    // Replacing a large table takes milliseconds.
    if (places.some((at) => list.ops[at]?.object.kind === "nft")) await setImmediate();
  }
}

type Run = Tools & { readonly ns: Ns; readonly list: OpList };

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
    return op?.object.kind === "element" ? [{ op: op.op, object: op.object, at }] : [];
  });
}

function changeElements({ namespaces, nft, ns, list }: Run, places: readonly number[]): void {
  if (places.length === 0) return;
  const ops = elementOps(list, places);
  const refusal = refusalBy(() =>
    namespaces.inside(ns, (space) => {
      for (const [{ at }, refused] of nft(space).change(ops)) list.refuse(at, refused);
    }),
  );
  for (const { op, at } of ops) if (op !== "remove" || refusal?.class !== "missing") list.refuse(at, refusal);
}

/** False if it was refused. */
function runTable({ namespaces, nft, ns, list }: Run, at: number, along: readonly number[]): boolean {
  const op = list.ops[at];
  if (op?.object.kind !== "nft") return false;
  const { object } = op;
  const elements = elementOps(list, along);
  const refusal = refusalBy(() =>
    namespaces.inside(ns, (space) => {
      if (op.op === "add") nft(space).create(object, elements);
      else if (op.op === "set") nft(space).replace(object, elements);
      else nft(space).remove();
    }),
  );
  if (refusal === undefined || (op.op === "remove" && refusal.class === "missing")) return true;
  list.refuse(at, refusal);
  return false;
}
