// Runs a list of operations in order. What is a netlink message is gathered (batch.ts); what is not (namespaces,
// sysctls, nft tables) or waits (removing links) first lets everything gathered so far out. So the order of the list
// holds wherever it matters; between namespaces nothing depends on it but the far end of a new pair, and near ends go
// out first.
import { setImmediate } from "node:timers/promises";
import { type KernelObject, type Ns, isLink, type ObjectOf, type Op } from "../datapath/state.ts";
import { Batches } from "./batch.ts";
import { refusalOfError } from "./errno.ts";
import { OVERTAKEN, type OpResult, type Refusal } from "./kernel.ts";
import type { Namespaces } from "./namespaces.ts";
import type { Nft } from "./nft.ts";
import { type Doomed, reapLinks, reapNamespace } from "./reap.ts";
import type { SteppedOp } from "./steps.ts";
import { writeSysctl } from "./sysctl.ts";

/** Namespaces reaped at the same time; each waits in a thread of the pool. */
const REAPERS = 16;
/** Above what the kernel hands out by itself, which counts from 1 in every namespace. */
const FIRST_INDEX = 0x100_0000;

export class Applier {
  readonly #namespaces: Namespaces;
  readonly #nft: Nft;
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
    const batches = new Batches(this.#namespaces, ops, refusals, noteStale, () => this.#next());
    for (let at = 0; at < ops.length; ) {
      const op = ops[at];
      if (op === undefined) break;
      if (isStepped(op)) {
        batches.add(op, at++);
        continue;
      }
      await batches.flush();
      const end = endOfRemovals(ops, at);
      for (let removal = at; removal < end; removal++) noteStale(removal);
      if (end > at) await this.#remove(ops, at, end, refusals);
      else refusals[at] = this.#runAlone(op);
      // Replacing a large table takes milliseconds.
      if (op.object.kind === "nft") await setImmediate();
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
      if (object.kind === "nft") return this.#runNft(object, op.op);
      return undefined;
    } catch (error) {
      return refusalOfError(error);
    }
  }

  #runNft(object: ObjectOf<"nft">, verb: Op["op"]): Refusal | undefined {
    const missing = this.#in(object.ns, (space) => {
      if (verb === "add") this.#nft.create(space, object.body);
      else if (verb === "set") this.#nft.replace(space, object.body);
      else this.#nft.remove(space);
    });
    return verb === "remove" ? undefined : missing;
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

function isStepped(op: Op): op is SteppedOp {
  const { kind } = op.object;
  return kind !== "netns" && kind !== "sysctl" && kind !== "nft" && !(op.op === "remove" && isLink(op.object));
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
