// Runs a list of operations in order, each in the way of its kind. Messages are gathered (batch.ts); anything else, or
// what waits (removing links), first lets everything gathered so far out. So the order of the list holds wherever it
// matters; between namespaces nothing depends on it but the far end of a new pair, and near ends go out first.
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Op } from "../datapath/state/state.ts";
import { Batches, type MadeLinks } from "./batch.ts";
import { refusalOfError } from "./errno.ts";
import { type OpResult, STALE, UNGUARDED, guardsOf } from "./kernel.ts";
import { kernelKindOf, misplaced } from "./kinds.ts";
import type { Way } from "./kinds/kind.ts";
import { type Namespaces, inNamespace } from "./namespaces.ts";
import type { Nft } from "./nft.ts";
import { OpList, type Range } from "./opList.ts";
import { sweepLinks, sweepNamespaces } from "./sweep.ts";
import { runTables } from "./tables.ts";

/** Above what the kernel hands out by itself, which counts from 1 in every namespace. */
const FIRST_INDEX = 0x100_0000;

export class Applier {
  readonly #namespaces: Namespaces;
  readonly #nft: Nft;
  readonly #made: MadeLinks = new Map();
  #count: number;

  /**
   * `seed` (31 bits) is where numbers of new links and groups begin. Random, so that two lives of an agent do not
   * choose the same number for two links of one namespace.
   */
  constructor(namespaces: Namespaces, nft: Nft, seed: number) {
    this.#namespaces = namespaces;
    this.#nft = nft;
    this.#count = seed;
  }

  async apply(ops: readonly Op[], isStale: (op: Op) => boolean): Promise<OpResult[]> {
    const list = new OpList(ops, isStale);
    const namespaces = this.#namespaces;
    const number = () => this.#next();
    const batches = new Batches({ namespaces, list, made: this.#made, number });
    const unguarded = new Set<Ns>();
    for (let at = 0; at < ops.length; ) {
      const [way, end] = runFrom(ops, at);
      if (way !== "messages" && !batches.isEmpty) await batches.flush();
      if (way === "transaction") {
        await runTables(this.#namespaces, this.#nft, list, [at, end]);
        noteUnguarded(list, [at, end], unguarded);
      } else if (way === "links") await sweepLinks(namespaces, list, [at, end], number);
      else if (way === "namespaces") await sweepNamespaces(namespaces, list, [at, end], number);
      else if (way === "call") for (let one = at; one < end; one++) this.#call(list, one);
      else for (let one = at; one < end; one++) gather(batches, list, one, unguarded);
      at = end;
    }
    await batches.flush();
    return list.results();
  }

  /** The next number for an index or a group: positive, 31 bits, never twice within a billion. */
  #next(): number {
    this.#count = (this.#count + 1) & 0x3fff_ffff;
    return FIRST_INDEX + this.#count;
  }

  #call(list: OpList, at: number): void {
    const op = list.ops[at];
    if (op === undefined || !list.isDue(at)) return;
    const namespaces = this.#namespaces;
    try {
      kernelKindOf(op.object).call(op, { namespaces, inside: (ns, run) => inNamespace(namespaces, ns, run) });
    } catch (error) {
      list.refuse(at, refusalOfError(error));
    }
  }
}

/** How the operation at this place reaches the kernel, and the place behind the last that goes there with it. */
function runFrom(ops: readonly Op[], at: number): readonly [Way, number] {
  const way = wayOf(ops[at]);
  let end = at + 1;
  while (end < ops.length && wayOf(ops[end]) === way) end++;
  return [way, end];
}

function wayOf(op: Op | undefined): Way {
  if (op === undefined) return "call";
  const { put, remove } = kernelKindOf(op.object).way;
  return op.op === "remove" ? remove : put;
}

/** Nothing fails open: where policy was refused, nothing is made that it would have had to guard. */
function gather(batches: Batches, list: OpList, at: number, unguarded: ReadonlySet<Ns>): void {
  const op = list.ops[at];
  if (op === undefined) return;
  const isUnguarded = unguarded.size > 0 && guardsOf(op).some((ns) => unguarded.has(ns));
  const refusal = isUnguarded ? UNGUARDED : misplaced(op.object);
  if (refusal === undefined) batches.add(op, at);
  else list.refuse(at, refusal);
}

function noteUnguarded(list: OpList, [from, end]: Range, unguarded: Set<Ns>): void {
  for (let at = from; at < end; at++) {
    const refusal = list.refusalAt(at);
    const ns = list.ops[at]?.object.ns;
    if (ns !== undefined && refusal !== undefined && refusal !== STALE) unguarded.add(ns);
  }
}
