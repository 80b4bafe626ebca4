// What the agent knows of its kernel between two observations: the last one, and every change it made since. Rounds,
// attaches and detaches all change the kernel through this view, so that none of them undoes what another has just
// done.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { KernelState, Op } from "../../datapath/state/state.ts";
import type { Kernel, OpResult } from "../../kernel/kernel.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";
import { inverse, linkOf, merged, pairsIn, record, withoutWorkloadAddresses } from "./knownState.ts";
import { Observer, type ObserverOptions } from "./observer.ts";
import { isSameExceptOwn } from "./snapshotSource.ts";

export type KernelViewOptions = ObserverOptions & {
  readonly host: string;
  readonly kernel: Kernel;
  readonly journal: Pick<Journal, "entries" | "version">;
};

export class KernelView {
  readonly #options: KernelViewOptions;
  readonly observer: Observer;
  #state = new Map<string, KernelObject>();
  /** Changes by attaches and detaches since the running round began to observe, or decided what to do. */
  #sinceObserved: OpResult[] = [];
  /** Links that attaches and detaches changed since the running round decided: its operations on them are stale. */
  readonly #changedLinks = new Set<string>();
  #isInRound = false;
  /** What the last round was for; the version of the journal is none if something was refused. */
  #reconciledFor: Snapshot | undefined;
  #journalVersion: number | undefined;
  /** Endpoints whose attach or detach is running: rounds neither adopt nor release them. */
  readonly inFlight = new Set<string>();
  /** Objects that no round may judge: of attaches without an answer yet, and ports that are about to be removed. */
  readonly unreconciled = new Set<KernelObject>();
  /** Whether ports that the journal lost were adopted; before that, an address that is free there may be in use. */
  hasAdopted = false;

  constructor(options: KernelViewOptions) {
    this.#options = options;
    this.observer = new Observer(options);
  }

  /** What the kernel is known to hold; another map after each round. */
  get state(): KernelState {
    return this.#state;
  }

  /** First step of a round: reads the kernel. Call actual() with the answer in the same turn. */
  observe(): Promise<KernelState> {
    this.#isInRound = true;
    this.#sinceObserved = [];
    return this.observer.observe(this.#state, () => pairsIn(this.#sinceObserved, this.unreconciled));
  }

  /** The actual state that a round may judge: the observation and later changes, without what is unreconciled. */
  actual(observed: KernelState, endpoints: readonly Endpoint[]): KernelState {
    const state = merged(observed, this.#sinceObserved, this.unreconciled);
    return withoutWorkloadAddresses(state, endpoints, this.#options.host);
  }

  /** Last step of a round. Operations on links that an attach or detach changes meanwhile are refused as `stale`. */
  async applyRound(actual: KernelState, ops: readonly Op[]): Promise<readonly OpResult[]> {
    this.#sinceObserved = [];
    this.#changedLinks.clear();
    // What is about to be removed counts as removed: an attach must not build on a bridge that is going away.
    const removals = ops.filter(({ op }) => op === "remove").map((op) => ({ op }));
    this.#state = record(new Map(actual), removals);
    const results = await this.#options.kernel.apply(ops, ({ object }) => this.#changedLinks.has(linkOf(object)));
    if (ops.length > 0) this.observer.changed();
    this.#state = record(record(new Map(actual), results), this.#sinceObserved);
    this.#isInRound = false;
    return results;
  }

  /** Operations of an attach or detach. They count as done at once: a round never repeats them; undone if refused. */
  async apply(ops: readonly Op[]): Promise<readonly OpResult[]> {
    this.note(ops.map((op) => ({ op })));
    const results = await this.#options.kernel.apply(ops);
    this.note(results.filter(({ refusal }) => refusal !== undefined).map(({ op }) => ({ op: inverse(op) })));
    return results;
  }

  /** Records what an attach or detach just did to the kernel. */
  note(results: readonly OpResult[]): void {
    this.observer.changed();
    record(this.#state, results);
    if (!this.#isInRound) return;
    for (const { op } of results) {
      this.#changedLinks.add(linkOf(op.object));
      if (op.object.kind === "veth") this.#changedLinks.add(`${op.object.peer.ns} ${op.object.peer.name}`);
    }
    this.#sinceObserved.push(...results);
  }

  /** Whether a round has ended, and no attach or detach has failed since. */
  get hasReconciled(): boolean {
    return this.#reconciledFor !== undefined;
  }

  /** Whether the kernel is known to hold everything that this snapshot and the journal ask for. */
  isConverged(snapshot: Snapshot | undefined): boolean {
    const { journal, host } = this.#options;
    const before = this.#reconciledFor;
    if (snapshot === undefined || before === undefined || this.#journalVersion !== journal.version) return false;
    if (!isSameExceptOwn(before, snapshot, host)) return false;
    this.#reconciledFor = snapshot;
    return true;
  }

  /** A round for this snapshot has ended. `journalVersion` is undefined if it did not do everything. */
  reconciled(snapshot: Snapshot, journalVersion: number | undefined): void {
    this.#reconciledFor = snapshot;
    this.#journalVersion = journalVersion;
  }

  /** The last changes of the journal are in the kernel, too. */
  stayConverged(): void {
    this.#journalVersion = this.#options.journal.version;
  }

  /** An attach or detach failed to change the kernel: the next round does it, and does not count it as drift. */
  diverged(): void {
    this.#reconciledFor = undefined;
    this.observer.requestFull();
    this.#options.poke();
  }
}
