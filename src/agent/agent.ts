// The agent of one host: mirror -> compile -> observe -> diff -> apply -> report, and the door for local workloads. It
// holds no truth of its own but the journal; everything else is read anew each round. It never tears down what it built
// when it stops.
//
//   server --watch--> mirror --+
//   workload --attach--> journal --> compile --> diff <-- observe <-- kernel
//                                      |          +--> apply ------> kernel
//                                      +-- report --> server
import type { Mirror } from "../client/mirror.ts";
import type { HostClaim, Joined, Transport } from "../client/transport.ts";
import { compile } from "../datapath/compile.ts";
import { diff } from "../datapath/diff.ts";
import { portName } from "../datapath/names.ts";
import { printOp } from "../datapath/print.ts";
import { type KernelObject, type KernelState, type Ns, type Op, keyOf } from "../datapath/state.ts";
import type { Kernel, OpResult } from "../kernel/kernel.ts";
import type { Clock } from "../model/clock.ts";
import { Fault, problemOf } from "../model/fault.ts";
import { vrfsOn } from "../model/membership.ts";
import type { Snapshot } from "../model/resource.ts";
import type { HostReport } from "../model/status.ts";
import type { Entry, Journal } from "./journal.ts";
import { disagreement, withLocal } from "./local.ts";
import { Loop } from "./loop.ts";

export type AgentOptions = {
  readonly host: string;
  readonly version: string;
  readonly kernel: Kernel;
  readonly transport: Transport;
  readonly mirror: Mirror;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: () => number;
  /** What the host says of itself now; sent at the start and when it changes. */
  readonly claim: () => HostClaim;
  /** The cluster this host belonged to before, if it ever joined one. */
  readonly cluster: string | undefined;
  /** Called with the host's own credential, to be kept. */
  readonly saveIdentity: (joined: Joined) => void;
  /** Called with each new snapshot that the kernel holds: kept for a start without the server. */
  readonly saveSnapshot: (snapshot: Snapshot) => void;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const PERIOD_MS = 30_000;
const HEARTBEAT_MS = 10_000;
/** How long a start waits for the server before it uses the snapshot on disk. */
const START_GRACE_MS = 3_000;
const JOIN_FIRST_MS = 200;
const JOIN_LAST_MS = 10_000;
const LISTS = ["vrfs", "networks", "hosts", "blocks", "vteps", "endpoints"] as const;

export class Agent {
  readonly #options: AgentOptions;
  readonly #loop: Loop;
  /**
   * Tells the server what the journal knows; a loop of its own, because a slow server must not keep the kernel waiting.
   */
  readonly #serverLoop: Loop;
  readonly #bootId: string;
  /** Attaches between the server's answer and the journal: neither to be released nor to be adopted meanwhile. */
  readonly inFlight = new Set<string>();
  #startedAtMs = 0;
  #held = new Map<string, KernelObject>();
  #settled: { readonly snapshot: Snapshot; readonly journalVersion: number } | undefined;
  #mustLook = true;
  #lookedAtMs = 0;
  #savedRevision = -1;
  #claimed = "";
  #serverProblem: string | undefined;
  #report: HostReport;
  #reportDirty = new AbortController();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#bootId = options.kernel.facts().bootId;
    this.#loop = new Loop({ clock: options.clock, random: options.random, periodMs: PERIOD_MS }, () => this.#round());
    this.#serverLoop = new Loop({ clock: options.clock, random: options.random, periodMs: PERIOD_MS }, () =>
      this.#settle(),
    );
    this.#report = {
      host: options.host,
      bootId: this.#bootId,
      version: options.version,
      revision: 0,
      driftRepaired: 0,
      errors: [],
      networks: [],
      conditions: [],
      hostPrefixes: options.kernel.facts().prefixes,
      objects: 0,
    };
  }

  /** Runs until the signal aborts; the kernel is left as it is. */
  async run(signal: AbortSignal): Promise<void> {
    const { kernel, mirror, clock } = this.#options;
    this.#startedAtMs = clock.nowMs();
    await this.#releaseEarlierBoots();
    kernel.watch(() => this.poke(), signal);
    mirror.onChange(() => this.#loop.poke());
    const grace = clock.sleep(START_GRACE_MS, signal).then(() => this.poke());
    await Promise.all([
      this.#connect(signal),
      this.#loop.run(signal),
      this.#serverLoop.run(signal),
      this.#reportLoop(signal),
      grace,
    ]);
  }

  /**
   * Joins, however long the server is away, then follows it. Rejects only when the server says no: then a person must
   * act.
   */
  async #connect(signal: AbortSignal): Promise<void> {
    const { clock, random, mirror, log } = this.#options;
    for (let waitMs = JOIN_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, JOIN_LAST_MS)) {
      try {
        await this.#join();
        break;
      } catch (error) {
        const { reason, detail } = problemOf(error);
        if (reason !== "unavailable" && reason !== "timeout") throw error;
        log("join", { error: detail });
        await clock.sleep(waitMs * (0.5 + random()), signal);
      }
    }
    await mirror.run(signal);
  }

  async #join(): Promise<void> {
    const { transport, claim, cluster, saveIdentity } = this.#options;
    const claimed = claim();
    const joined = await transport.join(claimed);
    if (cluster !== undefined && cluster !== joined.cluster) {
      throw new Fault("host-claimed", {
        what: `this host belongs to cluster ${cluster}, and the server is of cluster ${joined.cluster}`,
        why: "the kernel state of one cluster must not be taken for another's",
        fix: "point --server at the right one; to change clusters, run `weft purge` and remove the state directory",
      });
    }
    this.#claimed = JSON.stringify(claimed);
    saveIdentity(joined);
  }

  get report(): HostReport {
    return this.#report;
  }
  get bootId(): string {
    return this.#bootId;
  }
  /** What the kernel held after the last round and the attaches since. */
  get held(): KernelState {
    return this.#held;
  }
  /** Look again at the kernel. */
  poke(): void {
    this.#mustLook = true;
    this.#loop.poke();
  }
  /** The journal has news for the server. */
  pokeServer(): void {
    this.#serverLoop.poke();
  }
  async roundNow(): Promise<void> {
    this.#mustLook = true;
    await this.#loop.roundNow();
  }

  /** The snapshot to act on: the server's, or after a grace the one from disk; undefined means no kernel write yet. */
  current(): Snapshot | undefined {
    const { mirror, clock } = this.#options;
    if (mirror.isSynced) return mirror.snapshot();
    const isGrace = this.#held.size === 0 && clock.nowMs() - this.#startedAtMs < START_GRACE_MS;
    return isGrace ? undefined : mirror.snapshot();
  }

  /** The snapshot with this host's own endpoints as the journal has them. */
  local(snapshot: Snapshot): Snapshot {
    const { host, journal } = this.#options;
    return withLocal(snapshot, host, journal.entries.values(), (entry) => this.#isAlive(entry));
  }

  #isAlive(entry: Entry): boolean {
    return entry.bootId === this.#bootId && this.#options.kernel.netnsId(entry.endpoint.spec.netns) === entry.netnsId;
  }

  /** A namespace does not survive a reboot, so neither does what was attached to it. */
  async #releaseEarlierBoots(): Promise<void> {
    const { journal } = this.#options;
    for (const entry of journal.entries.values()) {
      if (entry.bootId !== this.#bootId && entry.state === "attached")
        await journal.put({ ...entry, state: "detaching" });
    }
  }

  async #round(): Promise<boolean> {
    const { kernel, mirror, journal, host } = this.#options;
    const snapshot = this.current();
    if (snapshot === undefined) return true;
    if (!this.#isLookDue(snapshot)) return this.#advance(snapshot);
    this.#mustLook = false;
    this.#lookedAtMs = this.#options.clock.nowMs();
    const workloads = new Set([...journal.entries.values()].map((entry) => entry.endpoint.spec.netns as Ns));
    const actual = await kernel.observe([...workloads]);
    // From here to the start of apply() nothing is awaited: an attach writes journal and kernel in one turn, so what is
    // in `actual` is in the journal.
    const seen = mirror.snapshot() ?? snapshot;
    const local = this.local(seen);
    const desired = compile(local, host);
    const ops = diff(actual, mirror.isSynced ? desired : this.#withoutRemovals(actual, desired));
    const isDrift = this.#isSettled(seen);
    const journalVersion = journal.version;
    const results = await kernel.apply(ops);
    const refused = results.filter((result) => result.refusal !== undefined);
    this.#held = record(new Map(actual), results);
    this.#settled = refused.length === 0 ? { snapshot: seen, journalVersion } : undefined;
    this.#say(local, ops, refused, isDrift);
    if (!isDrift) this.#serverLoop.poke();
    return refused.length === 0;
  }

  /**
   * A new revision that concerns nothing of this host needs no look at the kernel: with 200 hosts, most do not. A poke
   * from the kernel, and the period, always do.
   */
  #isLookDue(snapshot: Snapshot): boolean {
    const isPeriodOver = this.#options.clock.nowMs() - this.#lookedAtMs >= PERIOD_MS / 2;
    return this.#mustLook || isPeriodOver || !this.#isSettled(snapshot);
  }

  /** Whether the kernel was made to hold exactly what these lists and the journal ask for. */
  #isSettled(snapshot: Snapshot): boolean {
    const settled = this.#settled;
    return (
      settled !== undefined &&
      settled.journalVersion === this.#options.journal.version &&
      LISTS.every((list) => settled.snapshot[list] === snapshot[list])
    );
  }

  #advance({ revision }: Snapshot): boolean {
    this.#publish({ ...this.#report, revision });
    return true;
  }

  /**
   * Without a complete, current snapshot nothing is removed, except ports that the journal, always complete, disowns.
   */
  #withoutRemovals(actual: KernelState, desired: KernelState): KernelState {
    const { journal } = this.#options;
    const ports = new Set(
      [...journal.entries.values()].filter((e) => e.state === "attached").map((e) => portName(e.endpoint.name)),
    );
    const kept = [...actual].filter(
      ([key, object]) =>
        desired.has(key) || object.kind !== "veth" || object.master === undefined || ports.has(object.name),
    );
    return new Map([...kept, ...desired]);
  }

  #say(local: Snapshot, ops: readonly Op[], refused: readonly OpResult[], isDrift: boolean): void {
    const { log, host, journal, kernel, saveSnapshot } = this.#options;
    const repaired = isDrift ? ops.length - refused.length : 0;
    if (ops.length > 0)
      log("round", { revision: local.revision, ops: ops.length, refused: refused.length, drift: isDrift });
    const carried = vrfsOn(local, host);
    const gone = [...journal.entries.values()].filter((entry) => entry.state === "attached" && !this.#isAlive(entry));
    this.#publish({
      ...this.#report,
      revision: refused.length === 0 ? local.revision : this.#report.revision,
      driftRepaired: this.#report.driftRepaired + repaired,
      errors: refused.slice(0, 20).map(({ op, refusal }) => `${printOp(op).at(0)}: ${refusal?.message}`),
      networks:
        refused.length > 0
          ? this.#report.networks
          : local.networks.filter((network) => carried.has(network.spec.vrf)).map((network) => network.name),
      conditions: [
        ...gone.map(
          ({ endpoint: { name, spec } }) =>
            `endpoint ${name}: ${spec.netns} is gone; detach it to free ${spec.addresses.join(", ")}`,
        ),
        ...(this.#serverProblem === undefined ? [] : [this.#serverProblem]),
      ],
      hostPrefixes: kernel.facts().prefixes,
      objects: this.#held.size,
    });
    if (refused.length === 0 && local.revision > this.#savedRevision && this.#options.mirror.isSynced) {
      this.#savedRevision = local.revision;
      const snapshot = this.#options.mirror.snapshot();
      if (snapshot !== undefined) saveSnapshot(snapshot);
    }
  }

  /** Journal and server agree again: each is told what the other knows. */
  async #settle(): Promise<boolean> {
    const { mirror, host, journal, transport, kernel, log } = this.#options;
    const snapshot = mirror.snapshot();
    if (snapshot === undefined || !mirror.isSynced || this.#settled === undefined) return true;
    const ports = this.#ports();
    const { register, release, detach, adopt } = disagreement(
      snapshot,
      host,
      journal.entries,
      this.inFlight,
      (endpoint) => ports.has(portName(endpoint.name)),
    );
    for (const endpoint of adopt) {
      const netnsId = kernel.netnsId(endpoint.spec.netns);
      if (netnsId !== undefined) await journal.put({ endpoint, netnsId, bootId: this.#bootId, state: "attached" });
    }
    for (const name of detach) {
      const entry = journal.entries.get(name);
      if (entry !== undefined) await journal.put({ ...entry, state: "detaching" });
    }
    if (detach.length > 0) await this.roundNow();
    try {
      // First what is let go: a local address may have gone to another endpoint since.
      for (const name of release) await transport.detach(name);
      for (const { spec } of register) {
        const { detaching: _, ...claim } = spec;
        await transport.attach(claim);
      }
      await this.#forgetDetached(snapshot, release);
      this.#serverProblem = undefined;
      return true;
    } catch (error) {
      this.#serverProblem = problemOf(error).detail;
      log("settle", { error: this.#serverProblem });
      return false;
    }
  }

  /** An address is free again when its port is gone from the kernel and the server has let go of it. */
  async #forgetDetached(snapshot: Snapshot, released: readonly string[]): Promise<void> {
    const { journal } = this.#options;
    const ports = this.#ports();
    const atServer = new Set(snapshot.endpoints.map((endpoint) => endpoint.name));
    for (const [name, entry] of journal.entries) {
      if (entry.state !== "detaching" || this.inFlight.has(name) || ports.has(portName(name))) continue;
      if (!atServer.has(name) || released.includes(name)) await journal.remove(name);
    }
  }

  #ports(): ReadonlySet<string> {
    return new Set([...this.#held.values()].filter((object) => object.kind === "veth").map((object) => object.name));
  }

  /** What an attach or detach did to the kernel between two rounds. */
  note(results: readonly OpResult[]): void {
    record(this.#held, results);
  }

  #publish(report: HostReport): void {
    const isNews = JSON.stringify(report) !== JSON.stringify(this.#report);
    this.#report = report;
    if (isNews) this.#reportDirty.abort();
  }

  async #reportLoop(signal: AbortSignal): Promise<void> {
    const { clock, transport, mirror, log } = this.#options;
    while (!signal.aborted) {
      this.#reportDirty = new AbortController();
      if (mirror.isSynced) {
        const isNews = this.#claimed !== JSON.stringify(this.#options.claim());
        await (isNews ? this.#join() : Promise.resolve())
          .then(() => transport.report(this.#report))
          .catch((error: unknown) => log("report", { error: problemOf(error).detail }));
      }
      await clock.sleep(HEARTBEAT_MS, AbortSignal.any([signal, this.#reportDirty.signal]));
    }
  }
}

/** Notes in `state` what these operations did, as far as they were accepted. */
function record(state: Map<string, KernelObject>, results: readonly OpResult[]): Map<string, KernelObject> {
  for (const { op, refusal } of results) {
    if (refusal !== undefined) continue;
    if (op.op === "remove") state.delete(keyOf(op.object));
    else state.set(keyOf(op.object), op.object);
  }
  return state;
}

export function notSynced(): Fault {
  return new Fault("not-synced", {
    what: "this host has not heard from its server yet and has no saved snapshot",
    fix: "wait for the agent to reach the server (see its log), then try again",
  });
}
