// Runs a list of operations in order, each in the way of its kind. Messages are gathered (batch.ts); anything else, or
// what waits (removing links), first lets everything gathered so far out. So the order of the list holds wherever it
// matters; between namespaces nothing depends on it but the far end of a new pair, and near ends go out first.
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Op } from "../datapath/state/state.ts";
import { Batches, type MadeLinks } from "./batch.ts";
import { refusalBy } from "./errno.ts";
import { type OpResult, STALE, UNGUARDED, guardsOf } from "./kernel.ts";
import { kernelKindOf, misplaced } from "./kinds.ts";
import type { Way } from "./kinds/kind.ts";
import type { Namespaces } from "./namespaces.ts";
import type { NftOf } from "./nft.ts";
import * as offload from "./offload.ts";
import { OpList } from "./opList.ts";
import type { OpenVswitch } from "./ovsdb/openVswitch.ts";
import { runOvs } from "./ovsdb/run.ts";
import { sweep } from "./sweep.ts";
import { runTables } from "./tables.ts";

/** Above what the kernel hands out by itself, which counts from 1 in every namespace. */
const FIRST_INDEX = 0x100_0000;

type Run = (ops: readonly Op[], isStale: (op: Op) => boolean) => Promise<OpResult[]>;

type Tools = { readonly namespaces: Namespaces; readonly nft: NftOf; readonly ovs: OpenVswitch };

/**
 * `seed` (31 bits) is where numbers of new links and groups begin. Random, so that two lives of an agent do not choose
 * the same number for two links of one namespace.
 */
export function runner(parts: Tools, seed: number): Run {
  const made: MadeLinks = new Map();
  let count = seed;
  /** The next one for an index or a group: positive, 31 bits, never twice within a billion. */
  const number = () => {
    count = (count + 1) & 0x3fff_ffff;
    return FIRST_INDEX + count;
  };
  const tools = { ...parts, number };
  return async (ops, isStale) => {
    const list = new OpList(ops, isStale);
    const batches = new Batches({ ...tools, list, made });
    const unguarded = new Set<Ns>();
    for (let at = 0; at < ops.length; ) {
      const [way, places] = runFrom(ops, at);
      at += places.length;
      if (way !== "messages" && !batches.isEmpty) await batches.flush();
      if (way === "messages") for (const one of places) gather(batches, list, one, unguarded);
      else if (way === "call") for (const one of places) call(parts.namespaces, list, one);
      else if (way === "ovsdb") {
        for (const one of places) refuseUnguarded(list, one, unguarded);
        for (const one of await runOvs(parts, list, places)) gather(batches, list, one, unguarded);
      } else if (way === "transaction") {
        await runTables(tools, list, places);
        noteUnguarded(list, places, unguarded);
      } else await sweep(tools, list, places);
    }
    await batches.flush();
    return list.results();
  };
}

function call(namespaces: Namespaces, list: OpList, at: number): void {
  const op = list.ops[at];
  if (op === undefined || !list.isDue(at)) return;
  const refusal = refusalBy(() => kernelKindOf(op.object).call(op, namespaces, offload));
  list.refuse(at, refusal);
}

/** How the operation at this place reaches the kernel, and the places of all that go there with it. */
function runFrom(ops: readonly Op[], at: number): readonly [Way, readonly number[]] {
  const way = wayOf(ops[at]);
  const places = [at];
  for (let end = at + 1; end < ops.length && wayOf(ops[end]) === way; end++) places.push(end);
  return [way, places];
}

function wayOf(op: Op | undefined): Way {
  if (op === undefined) return "call";
  const { put, remove } = kernelKindOf(op.object).way;
  return op.op === "remove" ? remove : put;
}

function gather(batches: Batches, list: OpList, at: number, unguarded: ReadonlySet<Ns>): void {
  const op = list.ops[at];
  if (op === undefined || refuseUnguarded(list, at, unguarded)) return;
  batches.add(op, at);
}

/** Nothing fails open: where policy was refused, nothing is made that it would have had to guard. */
function refuseUnguarded(list: OpList, at: number, unguarded: ReadonlySet<Ns>): boolean {
  const op = list.ops[at];
  if (op === undefined) return false;
  const isUnguarded = unguarded.size > 0 && guardsOf(op).some((ns) => unguarded.has(ns));
  const refusal = isUnguarded ? UNGUARDED : misplaced(op.object);
  list.refuse(at, refusal);
  return refusal !== undefined;
}

function noteUnguarded(list: OpList, places: readonly number[], unguarded: Set<Ns>): void {
  for (const at of places) {
    const refusal = list.refusalAt(at);
    const ns = list.ops[at]?.object.ns;
    if (ns !== undefined && refusal !== undefined && refusal !== STALE) unguarded.add(ns);
  }
}
