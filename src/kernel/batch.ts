// Gathers the steps of a list of operations per namespace and sends them: many messages per send, one namespace open at
// a time, and what the kernel refused mapped back to the operation. Everything between opening and closing a namespace
// is synchronous, so one buffer serves all; between sends the event loop gets its turn.
import { setImmediate } from "node:timers/promises";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Op } from "../datapath/state/state.ts";
import { EACCES, EEXIST, EINVAL, ENODEV, isGone, refusalBy, refusalOf } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import { kernelKindOf } from "./kinds.ts";
import type { Existing, Step, StepContext } from "./kinds/kind.ts";
import { describeLink, linkOfOurs } from "./kinds/links.ts";
import * as libc from "./libc.ts";
import { type Namespaces, type Space, hostNsidIn, openNetns, refuseMissing } from "./namespaces.ts";
import { type LinkInfo, linkByName } from "./netlink/link.ts";
import { BATCH_BYTES, BATCH_MESSAGES } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";
import * as offload from "./offload.ts";
import type { OpList } from "./opList.ts";
import { enableIpv6 } from "./kinds/namespaces.ts";

/** Descriptors of other namespaces that one send may hold: one per new pair, and each pair takes the kernel 0.5 ms. */
const BATCH_DESCRIPTORS = 16;
/** Steps after which the event loop gets its turn: some milliseconds. */
const TURN_STEPS = 32;
/** Pairs made ahead whose rest never came. */
const MADE_MAX = 64;

const writer = new MessageWriter(BATCH_BYTES + 16 * 1024);

/**
 * Indexes of links made in namespaces that are opened anew each time: known to the next operation that puts something
 * on them.
 */
export type MadeLinks = Map<Ns, Map<string, number>>;

/** What a list of operations shares: refusals are noted in `list`; `number` gives a new index for a link. */
type Shared = {
  readonly namespaces: Namespaces;
  readonly list: OpList;
  readonly made: MadeLinks;
  readonly number: () => number;
};

export class Batches {
  readonly #shared: Shared;
  readonly #queues = new Map<Ns, Step[]>();
  /** What stands in the way, per namespace; forgotten after each flush. */
  readonly #tables = new Map<Ns, Map<string, unknown>>();

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Queues the steps of the operation at this place. */
  add(op: Op, at: number): void {
    for (const step of kernelKindOf(op.object).steps(op, at)) {
      const queue = this.#queues.get(step.ns);
      if (queue === undefined) this.#queues.set(step.ns, [step]);
      else queue.push(step);
    }
  }

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /**
   * Sends everything added so far: namespaces of VRFs first, then the host's, then workloads'; near ends before far
   * ends.
   */
  async flush(): Promise<void> {
    const queues = [...this.#queues].sort(([a], [b]) => rankOf(a) - rankOf(b));
    this.#queues.clear();
    let done = 0;
    for (const [ns, steps] of queues) {
      for (let from = 0; from < steps.length; ) {
        const next = this.#sendSome(ns, steps, from);
        done += next - from;
        from = next;
        if (done < TURN_STEPS) continue;
        await setImmediate();
        done = 0;
      }
    }
    if (this.#shared.made.size > MADE_MAX) this.#shared.made.clear();
    this.#tables.clear();
  }

  /** One send; gives the place of the first step that is left. */
  #sendSome(ns: Ns, steps: readonly Step[], from: number): number {
    let next = steps.length;
    const refusal = refusalBy(() =>
      this.#shared.namespaces.inside(ns, (space) => {
        next = this.#send(space, steps, from);
      }),
    );
    if (refusal === undefined) return next;
    for (const step of steps.slice(from, next))
      if (!step.isRemoval || refusal.class !== "missing") this.#shared.list.refuse(step.at, refusal);
    return next;
  }

  #send(space: Space, steps: readonly Step[], from: number): number {
    for (const [name, index] of this.#shared.made.get(space.ns) ?? []) space.indexes.set(name, index);
    this.#shared.made.delete(space.ns);
    const batch = this.#batch(space);
    let next = from;
    for (let step = steps[next]; step !== undefined && !batch.isFull; step = steps[++next]) {
      // A pair that was not made has no far end to bring up.
      if (this.#shared.list.isDue(step.at)) this.#write(batch, step);
    }
    const repeatable = this.#transact(space, batch);
    if (repeatable.length === 0) return next;
    // A remembered index was that of a link that is gone (ask again), or an interface had no IPv6.
    space.indexes.clear();
    for (const step of repeatable) {
      const again = this.#batch(space);
      this.#write(again, step);
      for (const failed of this.#transact(space, again)) this.#shared.list.refuse(failed.at, refusalOf(ENODEV));
    }
    return next;
  }

  #write(batch: Batch, step: Step): void {
    const refusal = refusalBy(() => batch.write(step));
    // No such link, or another program's: nothing of ours is left on it.
    const isWithout = refusal?.class === "missing" || refusal?.class === "exists";
    if (!step.isRemoval || !isWithout) this.#shared.list.refuse(step.at, refusal);
  }

  /** Sends and notes what was refused; gives the steps that may succeed when they are tried again, once. */
  #transact(space: Space, batch: Batch): Step[] {
    const repeatable: Step[] = [];
    const awake = new Set<string>();
    for (const [step, { errno, text }] of batch.transact()) {
      const op = this.#shared.list.ops[step.at];
      if (op === undefined || (step.isRemoval && isGone(errno))) continue;
      if ((errno === ENODEV || errno === EINVAL) && batch.usedMemory.has(step)) repeatable.push(step);
      else if (this.#allowsIpv6(space, op, errno, awake)) repeatable.push(step);
      else if (errno === EEXIST) this.#shared.list.refuse(step.at, this.#explain(space, op, text));
      else this.#shared.list.refuse(step.at, refusalOf(errno, text));
    }
    return repeatable;
  }

  /**
   * A workload's interface that had no IPv6 (an address is refused then, and a gateway not found) has it now; `awake`
   * are those that have it since this batch.
   */
  #allowsIpv6(space: Space, { object }: Op, errno: number, awake: Set<string>): boolean {
    if (!space.ns.startsWith("/") || (object.kind !== "address" && object.kind !== "route")) return false;
    if (awake.has(object.dev)) return true;
    if (errno !== EACCES || !enableIpv6(this.#shared.namespaces, space, object.dev)) return false;
    awake.add(object.dev);
    return true;
  }

  #explain(space: Space, { object }: Op, said: string): Refusal | undefined {
    const tables = this.#tables.get(space.ns) ?? new Map<string, unknown>();
    this.#tables.set(space.ns, tables);
    return kernelKindOf(object).explain(existingIn(this.#shared.namespaces, space, tables), object, said);
  }

  #batch(space: Space): Batch {
    return new Batch(this.#shared.namespaces, space, (ns, name) => this.#chooseIndex(space, ns, name));
  }

  #chooseIndex(space: Space, ns: Ns, name: string): number {
    const index = this.#shared.number();
    if (ns === space.ns) {
      space.indexes.set(name, index);
    } else if (ns.startsWith("/")) {
      const made = this.#shared.made.get(ns) ?? new Map<string, number>();
      this.#shared.made.set(ns, made.set(name, index));
    } else {
      this.#shared.namespaces.use(ns, (other) => other.indexes.set(name, index));
    }
    return index;
  }
}

function rankOf(ns: Ns): number {
  return ns === "host" ? 1 : ns.startsWith("vrf:") ? 0 : 2;
}

/** One send to one namespace. */
class Batch implements StepContext {
  readonly offload = offload;
  readonly w = writer;
  readonly space: Space;
  readonly newIndex: StepContext["newIndex"];
  /** Steps that trusted a remembered index. */
  readonly usedMemory = new Set<Step>();
  readonly #namespaces: Namespaces;
  readonly #bySeq = new Map<number, Step>();
  readonly #fds: number[] = [];
  #step: Step | undefined;

  constructor(namespaces: Namespaces, space: Space, newIndex: StepContext["newIndex"]) {
    this.#namespaces = namespaces;
    this.space = space;
    this.newIndex = newIndex;
    writer.reset();
  }

  get isFull(): boolean {
    return writer.count >= BATCH_MESSAGES - 4 || writer.length >= BATCH_BYTES || this.#fds.length >= BATCH_DESCRIPTORS;
  }

  write(step: Step): void {
    this.#step = step;
    step.encode(this);
  }

  /** The first error of each step that had one. */
  transact(): Map<Step, { errno: number; text: string }> {
    const errors = new Map<Step, { errno: number; text: string }>();
    try {
      if (writer.count > 0) {
        this.space.socket.transact(writer, (seq, errno, text) => {
          const step = this.#bySeq.get(seq);
          if (step !== undefined && !errors.has(step)) errors.set(step, { errno, text });
        });
      }
    } finally {
      for (const fd of this.#fds) libc.close(fd);
    }
    return errors;
  }

  begin(type: number, flags: number): MessageWriter {
    writer.begin(type, flags, this.seq());
    return writer;
  }

  seq(): number {
    const seq = this.space.socket.nextSeq();
    if (this.#step !== undefined) this.#bySeq.set(seq, this.#step);
    return seq;
  }

  indexOf(name: string): number {
    const known = this.space.indexes.get(name);
    if (known !== undefined) {
      if (this.#step !== undefined) this.usedMemory.add(this.#step);
      return known;
    }
    const { index } = linkOfOurs(this, name);
    this.space.indexes.set(name, index);
    return index;
  }

  link(name: string): LinkInfo | undefined {
    return this.space.socket.ask(linkByName(name));
  }

  fdOf(ns: Ns): number {
    if (!ns.startsWith("/")) return this.spaceOf(ns).fd;
    const fd = openNetns(ns) ?? refuseMissing(ns);
    this.#fds.push(fd);
    return fd;
  }

  spaceOf(ns: Ns): Space {
    const space = ns === "host" ? this.#namespaces.host : this.#namespaces.vrf(ns.replace("vrf:", ""));
    return space ?? refuseMissing(ns);
  }

  hostNsid(): number {
    return hostNsidIn(this.space, this.#namespaces.host);
  }
}

function existingIn(namespaces: Namespaces, space: Space, tables: Map<string, unknown>): Existing {
  return {
    space,
    table<V>(name: string, read: () => V, has: (table: V) => boolean): V {
      const known = tables.get(name) as V | undefined;
      if (known !== undefined && has(known)) return known;
      const table = read();
      tables.set(name, table);
      return table;
    },
    linkText(ns, name) {
      const link = namespaces.use(ns, ({ socket }) => socket.ask(linkByName(name)));
      return link === undefined ? "" : describeLink(link, ns);
    },
  };
}
