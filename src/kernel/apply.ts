// Runs a list of operations in order. What is a netlink message is gathered (batch.ts); what is not (namespaces,
// sysctls, nft tables) or waits (removing links) first lets everything gathered so far out. So the order of the list
// holds wherever it matters; between namespaces nothing depends on it but the far end of a new pair, and near ends go
// out first.
import { setImmediate } from "node:timers/promises";
import type { KernelObject, ObjectOf } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { isLink, type Op } from "../datapath/state/state.ts";
import { Batches, type MadeLinks } from "./batch.ts";
import type { ElementOp } from "./elements.ts";
import { refusalOfError } from "./errno.ts";
import { OVERTAKEN, type OpResult, type Refusal, UNGUARDED, guardsOf } from "./kernel.ts";
import type { Namespaces } from "./namespaces.ts";
import type { Nft } from "./nft.ts";
import { type Doomed, reapLinks, reapNamespace } from "./sweep.ts";
import type { SteppedOp } from "./steps.ts";
import { writeSysctl } from "./sysctl.ts";

/** Namespaces reaped at the same time; each waits in a thread of the pool. */
const REAPERS = 16;
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
    const refusals = new Array<Refusal | undefined>(ops.length).fill(undefined);
    const noteStale = (at: number) => {
      const op = ops[at];
      if (op !== undefined && isStale(op)) refusals[at] ??= OVERTAKEN;
    };
    const batches = new Batches(this.#namespaces, this.#made, ops, refusals, noteStale, () => this.#next());
    const unguarded = new Set<Ns>();
    for (let at = 0; at < ops.length; ) {
      const op = ops[at];
      if (op === undefined) break;
      if (isStepped(op)) {
        if (guardsOf(op).some((ns) => unguarded.has(ns))) refusals[at++] = UNGUARDED;
        else batches.add(op, at++);
        continue;
      }
      if (!batches.isEmpty) await batches.flush();
      const tables = endOfTables(ops, at);
      if (tables > at) {
        await this.#runTables(ops, at, tables, refusals, noteStale);
        for (; at < tables; at++) {
          const refusal = refusals[at];
          if (refusal !== undefined && refusal !== OVERTAKEN) unguarded.add(ops[at]?.object.ns ?? "host");
        }
        continue;
      }
      const end = endOfRemovals(ops, at);
      for (let removal = at; removal < end; removal++) noteStale(removal);
      if (end > at) await this.#remove(ops, at, end, refusals);
      else refusals[at] = this.#runAlone(op);
      at = Math.max(end, at + 1);
    }
    await batches.flush();
    return ops.map((op, at) => {
      const refusal = refusals[at];
      return refusal === undefined ? { op } : { op, refusal };
    });
  }

  /** The next number for an index or a group: positive, 31 bits, never twice within a billion. */
  #next(): number {
    this.#count = (this.#count + 1) & 0x3fff_ffff;
    return FIRST_INDEX + this.#count;
  }

  #runAlone(op: Op): Refusal | undefined {
    const { object } = op;
    try {
      if (object.kind === "netns") this.#namespaces.create(object.ns.slice(4));
      // What Weft no longer needs of a sysctl it leaves as it is: somebody else may rely on it by now.
      if (object.kind === "sysctl" && op.op !== "remove")
        return this.#in(object.ns, (space) => writeSysctl(this.#namespaces, space, object.key, object.value));
      return undefined;
    } catch (error) {
      return refusalOfError(error);
    }
  }

  /** Consecutive operations on tables and elements: a transaction per namespace and table. */
  async #runTables(
    ops: readonly Op[],
    from: number,
    end: number,
    refusals: (Refusal | undefined)[],
    noteStale: (at: number) => void,
  ): Promise<void> {
    const places = Map.groupBy(
      Array.from({ length: end - from }, (_, i) => from + i),
      (at) => ops[at]?.object.ns,
    );
    for (const [ns, some] of places) {
      if (ns === undefined) continue;
      const hasTable = some.some((at) => ops[at]?.object.kind === "nft");
      for (const at of some) noteStale(at);
      const due = some.filter((at) => refusals[at] === undefined);
      this.#runTablesOf(ns, ops, due, refusals);
      // Replacing a large table takes milliseconds.
      if (hasTable) await setImmediate();
    }
  }

  #runTablesOf(ns: Ns, ops: readonly Op[], places: readonly number[], refusals: (Refusal | undefined)[]): void {
    let waiting: number[] = [];
    const flush = () => {
      for (const [i, refusal] of this.#changeElements(ns, elementOps(ops, waiting)).entries()) {
        const at = waiting[i];
        if (at !== undefined) refusals[at] = refusal;
      }
      waiting = [];
    };
    for (const [i, at] of places.entries()) {
      const op = ops[at];
      if (op?.object.kind !== "nft") {
        if (op !== undefined) waiting.push(at);
        continue;
      }
      flush();
      // Elements that come with the table are part of its transaction; if that is refused, they are tried without.
      const along = op.op === "remove" ? [] : alongWith(ops, places.slice(i + 1));
      refusals[at] = this.#runTable(op.object, op.op, elementOps(ops, along));
      if (refusals[at] === undefined && along.length > 0) {
        this.#runTablesOf(ns, ops, places.slice(i + 1 + along.length), refusals);
        return;
      }
    }
    flush();
  }

  #changeElements(ns: Ns, ops: readonly ElementOp[]): (Refusal | undefined)[] {
    if (ops.length === 0) return [];
    let refusals: (Refusal | undefined)[] = [];
    try {
      const missing = this.#in(ns, (space) => {
        refusals = this.#nft.change(space, ops);
      });
      if (missing !== undefined) refusals = ops.map(({ op }) => (op === "remove" ? undefined : missing));
    } catch (error) {
      refusals = ops.map(() => refusalOfError(error));
    }
    return refusals;
  }

  #runTable(object: ObjectOf<"nft">, verb: Op["op"], elements: readonly ElementOp[]): Refusal | undefined {
    try {
      const missing = this.#in(object.ns, (space) => {
        if (verb === "add") this.#nft.create(space, object, elements);
        else if (verb === "set") this.#nft.replace(space, object, elements);
        else this.#nft.remove(space);
      });
      return verb === "remove" ? undefined : missing;
    } catch (error) {
      return refusalOfError(error);
    }
  }

  #in(ns: Ns, inside: Parameters<Namespaces["use"]>[1]): Refusal | undefined {
    let isThere = false;
    this.#namespaces.use(ns, (space) => {
      isThere = true;
      inside(space);
    });
    return isThere ? undefined : { class: "missing", message: `there is no network namespace ${ns}` };
  }

  /** Consecutive removals of links, or of namespaces, all at once. */
  async #remove(ops: readonly Op[], from: number, end: number, refusals: (Refusal | undefined)[]): Promise<void> {
    const jobs = new Map<
      string,
      { readonly places: number[]; readonly links: Doomed[]; readonly object: KernelObject }
    >();
    for (let at = from; at < end; at++) {
      const object = ops[at]?.object;
      if (object === undefined || refusals[at] !== undefined) continue;
      const job = jobs.get(object.ns) ?? { places: [], links: [], object };
      jobs.set(object.ns, job);
      job.places.push(at);
      if ("name" in object) job.links.push({ name: object.name, kind: object.kind });
    }
    const waiting = [...jobs.values()];
    const reaper = async () => {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        const refusal = await this.#reap(job.object, job.links).catch(refusalOfError);
        for (const at of job.places) refusals[at] = refusal;
      }
    };
    await Promise.all(Array.from({ length: Math.min(REAPERS, waiting.length) }, reaper));
  }

  async #reap(object: KernelObject, links: readonly Doomed[]): Promise<Refusal | undefined> {
    const group = () => this.#next();
    return object.kind === "netns"
      ? await reapNamespace(this.#namespaces, object.ns.slice(4), group)
      : await reapLinks(this.#namespaces, object.ns, links, group);
  }
}

function elementOps(ops: readonly Op[], places: readonly number[]): ElementOp[] {
  return places.flatMap((at) => {
    const op = ops[at];
    return op?.object.kind === "element" ? [{ op: op.op, object: op.object }] : [];
  });
}

/** The elements that are added or changed right behind a table. */
function alongWith(ops: readonly Op[], places: readonly number[]): number[] {
  const end = places.findIndex((at) => ops[at]?.object.kind !== "element" || ops[at]?.op === "remove");
  return end < 0 ? [...places] : places.slice(0, end);
}

/** Behind the last of consecutive operations on tables and their elements; `from` if there is none. */
function endOfTables(ops: readonly Op[], from: number): number {
  let at = from;
  for (let op = ops[at]; op?.object.kind === "nft" || op?.object.kind === "element"; op = ops[++at]);
  return at;
}

function isStepped(op: Op): op is SteppedOp {
  const { kind } = op.object;
  return (
    kind !== "netns" &&
    kind !== "sysctl" &&
    kind !== "nft" &&
    kind !== "element" &&
    !(op.op === "remove" && isLink(op.object))
  );
}

/** Behind the last of consecutive removals of links, or of namespaces; `from` if there is none. */
function endOfRemovals(ops: readonly Op[], from: number): number {
  const isNetns = ops[from]?.object.kind === "netns";
  let at = from;
  for (
    let op = ops[at];
    op?.op === "remove" && (isNetns ? op.object.kind === "netns" : isLink(op.object));
    op = ops[++at]
  );
  return at;
}
