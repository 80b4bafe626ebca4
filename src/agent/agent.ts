// The agent of one host: mirror -> compile -> observe -> diff -> apply -> report, and the door for local workloads. It
// holds no truth of its own but the journal; everything else is read anew each round. It never tears down what it built
// when it stops.
//
//   server --watch--> mirror --+
//   workload --attach--> journal --> compile --> diff <-- observe <-- kernel
//                                      |          +--> apply ------> kernel
//                                      +-- report --> server
import { compile } from "../datapath/compile.ts";
import { diff } from "../datapath/state/diff.ts";
import { portName } from "../datapath/state/names.ts";
import type { KernelObject } from "../datapath/kinds.ts";
import type { KernelState, Op } from "../datapath/state/state.ts";
import type { OpResult } from "../kernel/kernel.ts";
import { vrfsOn } from "../model/membership.ts";
import type { Snapshot } from "../model/resource.ts";
import type { HostReport } from "../model/status.ts";
import { Adopter } from "./reconcile/adopt.ts";
import { portsWithAddresses } from "./endpoint/endedFlows.ts";
import { Session, refusalsOf, type Step } from "./server/session.ts";
import {
  merged,
  pairsIn,
  linkOf,
  portsIn,
  record,
  inverse,
  withoutRemovals,
  withoutWorkloadAddresses,
} from "./reconcile/knownState.ts";
import { recordSettings } from "./endpoint/limits.ts";
import { disagreement, freeIn, endedWorkloads, isSameExceptOwn, ownOf, rewind } from "./reconcile/localSnapshot.ts";
import { Loop } from "./reconcile/loop.ts";
import { NextHops } from "./reconcile/nextHops.ts";
import { Observer } from "./reconcile/observe.ts";
import { Decommission } from "./server/decommission.ts";
import type { AgentOptions } from "./options.ts";
import { rejoin, saveSnapshots } from "./server/savedSnapshot.ts";
import { PathProbes } from "./server/pathProbes.ts";
import { limitFlowShares } from "./reconcile/flowShares.ts";
import { START_GRACE_MS, SnapshotSource } from "./reconcile/snapshotSource.ts";
import { brokenOff, outcomeOf } from "./reconcile/outcome.ts";
import { flowCutter } from "./reconcile/policy.ts";
import type { BlockLease } from "./server/blockLease.ts";
import { together } from "./together.ts";

const PERIOD_MS = 30_000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #loop: Loop;
  /** Tells the server what the journal knows; of its own, because a slow server must not keep the kernel waiting. */
  readonly #serverLoop: Loop;
  readonly #line: Session;
  readonly #paths: PathProbes;
  readonly #hops: NextHops;
  readonly #bootId: string;
  /** Attaches between the server's answer and the journal: neither to be released nor to be adopted meanwhile. */
  readonly inFlight = new Set<string>();
  /**
   * What no round may judge: made for attaches that the server has not answered yet, or cut off and about to be
   * removed. A round would remove the first, bring up the second.
   */
  readonly unreconciled = new Set<KernelObject>();
  /** What to act on: see SnapshotSource. */
  readonly snapshots: SnapshotSource;
  #held = new Map<string, KernelObject>();
  #settled: { readonly snapshot: Snapshot; readonly journalVersion: number } | undefined;
  readonly #looks: Observer;
  readonly #cut = flowCutter();
  /** What attaches and detaches did since the look of the running round began, or since it decided what to do. */
  #sinceLook: OpResult[] = [];
  /** Links that attaches and detaches changed since the running round decided what to do: its word on them is old. */
  readonly #touched = new Set<string>();
  #isSynced = false;
  /** What only this host knows, and what the server said no to: both are conditions for people. */
  #gone: readonly string[] = [];
  #refused: readonly string[] = [];
  readonly #lost: Decommission;
  readonly #adopter: Adopter;
  /** Whether ports that the journal had lost are in it again: before that, what is free there may be in use. */
  hasAdopted = false;
  #unjoined: readonly string[] = [];
  /** Called whenever the snapshot or the journal may have changed: after rounds, attaches and detaches. */
  onNews: () => void = () => undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.snapshots = new SnapshotSource(options, () => this.#held.size > 0);
    this.#lost = new Decommission(options);
    this.#hops = new NextHops(options);
    this.#adopter = new Adopter(options);
    this.#bootId = options.kernel.facts().bootId;
    this.#looks = new Observer({ ...options, periodMs: PERIOD_MS / 2, poke: () => this.#loop.poke() });
    const { clock, random } = options;
    this.#loop = new Loop({ clock, random, periodMs: PERIOD_MS, gatherMs: 5 }, () => this.#tryRound());
    this.#serverLoop = new Loop({ clock, random, periodMs: PERIOD_MS, gatherMs: 100 }, () => this.#settle());
    this.#paths = new PathProbes(options);
    this.#paths.onNews = () => this.#line.say({ paths: this.#paths.report });
    this.#line = new Session(options, {
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
    });
  }

  /** Runs until the signal aborts; the kernel is left as it is. Rejects when the server says no to this host. */
  async run(until: AbortSignal): Promise<void> {
    this.snapshots.start();
    const left = () => this.roundNow().then(() => portsIn(this.#held));
    await together(until, [
      (signal) => this.#line.run(signal, (fault) => this.#lost.letGo(fault, signal, left)),
      (signal) => this.#loop.run(signal),
      (signal) => this.#serverLoop.run(signal),
      (signal) => this.#paths.run(signal),
      (signal) => saveSnapshots(this.#options, signal),
      (signal) =>
        limitFlowShares(this.#options, signal, () => ({ held: this.#held, snapshot: this.snapshots.known() })),
      (signal) => this.#listen(signal),
    ]);
  }

  /** To the kernel and to the server; and one look without either, after a grace. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { kernel, mirror, clock } = this.#options;
    const heard = () => this.#looks.event(signal);
    kernel.watch(heard, signal, () => void this.#line.addressesChanged());
    mirror.onChange(() => this.#heard(signal));
    mirror.onRewind((revision) => rewind(this.#options.journal, revision));
    await clock.sleep(START_GRACE_MS, signal);
    this.poke();
  }

  /** A new revision; or the line is back, and the server may have forgotten what it was told, or never heard it. */
  #heard(signal: AbortSignal): void {
    const { isSynced } = this.#options.mirror;
    if (isSynced && !this.#isSynced) {
      void rejoin(this.#options, signal, () => this.#loop.poke());
      this.#serverLoop.poke();
      this.#line.resend();
    }
    this.#isSynced = isSynced;
    this.#loop.poke();
  }

  /** What instances of workloads should have and could not get. */
  unjoined(refused: readonly string[]): void {
    if (refused.length === 0 && this.#unjoined.length === 0) return;
    this.#unjoined = refused;
    this.#line.say({ conditions: this.#conditions() });
  }

  /** A line for each endpoint whose workload had ended without a detach when the last round looked. */
  get endedWorkloads(): readonly string[] {
    return this.#gone;
  }
  get report(): HostReport {
    return this.#line.report;
  }
  get blockLease(): BlockLease {
    return this.#options.blockLease;
  }
  /** Throws why nothing may be asked of a server that has another past. */
  checkFollows(): void {
    const { problem } = this.#options.mirror;
    if (problem?.reason === "another-history") throw problem;
  }
  /** Whether the server is being followed at this moment. */
  get isServerThere(): boolean {
    return this.#options.mirror.isSynced;
  }
  get bootId(): string {
    return this.#bootId;
  }
  /** What the kernel held after the last round and the attaches since. */
  get held(): KernelState {
    return this.#held;
  }
  /** Look again at the kernel, at all of it. */
  poke(): void {
    this.#looks.requestFull();
    this.#loop.poke();
  }
  /** The journal has news for the server. */
  pokeServer(): void {
    this.#serverLoop.poke();
  }
  /** Whether the server is told what the journal knows, or will be in a moment. */
  get isTelling(): boolean {
    return !this.#serverLoop.isAtRest;
  }
  /** Resolves when journal and server have been compared, by a comparison that began after this call. */
  async settleNow(): Promise<void> {
    await this.#serverLoop.roundNow();
  }
  async roundNow(): Promise<void> {
    this.#looks.requestFull();
    await this.#loop.roundNow();
  }

  /** What asked for a round that failed in the middle, asks again: nobody knows how far it came. */
  async #tryRound(): Promise<boolean> {
    try {
      return await this.#round();
    } catch (error) {
      this.#options.log("round", { error: String(error) });
      this.#line.say(brokenOff(this.snapshots.current(), error, this.#line.own));
      this.#looks.requestFull();
      return false;
    }
  }

  /** `isJudged`: strays were judged a moment ago, and the look before that is an old one. */
  async #round(isJudged = false): Promise<boolean> {
    const { kernel, mirror, journal, host, blockLease } = this.#options;
    const snapshot = this.snapshots.current();
    if (snapshot === undefined) return true;
    // A new revision of no concern to this host, as most are, needs no look; a poke of the kernel and the period do.
    if (!this.#looks.isDue && this.#isSettled(snapshot)) {
      this.#line.say({ revision: snapshot.revision, policyRevision: snapshot.revision });
      this.onNews();
      return true;
    }
    this.#sinceLook = [];
    const look = await this.#looks.observe(this.#held, () => pairsIn(this.#sinceLook, this.unreconciled));
    // From here to the start of apply() nothing is awaited: an attach writes its journal and tells what it does in one
    // turn, so what is in `actual` is in the journal.
    const seen = this.snapshots.current() ?? snapshot;
    const local = this.snapshots.local(seen);
    const actual = withoutWorkloadAddresses(merged(look, this.#sinceLook, this.unreconciled), local.endpoints, host);
    const strays = blockLease.ended === undefined ? this.#adopter.strays(actual, this.inFlight) : [];
    if (strays.length > 0 && !isJudged) {
      await this.#adopter.adopt(actual, strays, seen, mirror.isSynced);
      this.#looks.requestFull();
      return this.#round(true);
    }
    this.hasAdopted ||= this.#adopter.isDone;
    this.#sinceLook = [];
    this.#touched.clear();
    const wanted = this.#hops.addTo(compile(local, host, this.#options.management?.() ?? []));
    const desired = this.#adopter.withStrays(wanted, actual, strays);
    const isSaid = mirror.isSynced || blockLease.ended !== undefined;
    const ops = diff(
      actual,
      isSaid ? desired : withoutRemovals(this.#adopter.withoutUnexplained(actual), desired, journal.entries.values()),
    );
    const isDrift = this.#isSettled(seen);
    const journalVersion = journal.version;
    // What is going is not there any more for an attach: it must not build on a bridge that is about to be removed.
    const going = ops.filter(({ op }) => op === "remove").map((op) => ({ op }));
    this.#held = record(new Map(actual), going);
    const results = await kernel.apply(ops, ({ object }) => this.#touched.has(linkOf(object)));
    if (ops.length > 0) this.#looks.changed();
    const missed = this.#hops.withoutHops(results).filter((result) => result.refusal !== undefined);
    if (missed.length > 0) this.#looks.requestFull();
    this.#held = record(record(new Map(actual), results), this.#sinceLook);
    // What was refused does not keep the server from hearing of the rest.
    this.#settled = { snapshot: seen, journalVersion: missed.length === 0 ? journalVersion : -1 };
    const refused = missed.filter((result) => result.refusal?.class !== "stale");
    await this.#cut(kernel, local, host, ops);
    this.#say(local, ops, refused, isDrift);
    if (!isDrift) this.#serverLoop.poke();
    if (missed.length > refused.length) this.poke();
    return refused.length === 0;
  }

  /** Whether the kernel was made to hold exactly what these lists and the journal ask for. */
  #isSettled(snapshot: Snapshot): boolean {
    const settled = this.#settled;
    if (settled === undefined || settled.journalVersion !== this.#options.journal.version) return false;
    if (!isSameExceptOwn(settled.snapshot, snapshot, this.#options.host)) return false;
    this.#settled = { ...settled, snapshot };
    return true;
  }

  #say(local: Snapshot, ops: readonly Op[], refused: readonly OpResult[], isDrift: boolean): void {
    const { log, host, journal } = this.#options;
    const repaired = isDrift ? ops.length - refused.length : 0;
    if (ops.length > 0)
      log("round", { revision: local.revision, ops: ops.length, refused: refused.length, drift: isDrift });
    const carried = vrfsOn(local, host);
    this.#gone = endedWorkloads(journal.entries.values(), (entry) => this.snapshots.isAlive(entry));
    const broken = new Set(refused.map(({ op }) => op.object.ns));
    const whole = local.networks.filter(({ spec: { vrf } }) => carried.has(vrf) && !broken.has(`vrf:${vrf}`));
    this.#paths.follow(local);
    this.#line.say({
      ...outcomeOf(local, refused, this.#line.own, this.#options.kernel.netnsPrefix),
      networks: whole.map((network) => network.name),
      driftRepaired: this.report.driftRepaired + repaired,
      conditions: this.#conditions(),
      objects: this.#held.size,
      paths: this.#paths.report,
    });
    this.onNews();
  }

  #conditions(): readonly string[] {
    const { journal, troubles } = this.#options;
    const files = [...journal.troubles, ...troubles(), ...this.#hops.conditions, ...this.#adopter.conditions];
    return [...this.#lost.conditions(), ...files, ...this.#gone, ...this.#refused, ...this.#unjoined];
  }

  /** Journal and server agree again: each is told what the other knows. */
  async #settle(): Promise<boolean> {
    const { mirror, host, journal, transport, log } = this.#options;
    const snapshot = mirror.snapshot();
    if (snapshot === undefined || !mirror.isSynced || this.#settled === undefined) return true;
    const kept = () => portsWithAddresses(this.#options, snapshot, portsIn(this.#held), this.inFlight);
    const ports = kept();
    const hasPort = (name: string) => ports.has(portName(name));
    const { register, release, detach } = disagreement(snapshot, host, journal.entries, this.inFlight, hasPort);
    recordSettings(snapshot, journal);
    for (const name of detach) {
      const entry = journal.entries.get(name);
      if (entry !== undefined) journal.put({ ...entry, state: "detaching" });
    }
    if (detach.length > 0) await this.roundNow();
    // First what is let go: a local address may have gone to another endpoint since.
    const steps = [
      ...release.map((name): Step => [`endpoint ${name} is not released`, () => transport.detach(name)]),
      ...register.map(
        ({ name, spec: { detaching: _, ...claim } }): Step => [
          `endpoint ${name} is not registered`,
          () => transport.attach(claim),
        ],
      ),
    ];
    this.#refused = await refusalsOf(steps);
    for (const error of this.#refused) log("settle", { error });
    this.#line.say({ conditions: this.#conditions() });
    const own = ownOf(snapshot, host);
    const free = this.#refused.length > 0 ? [] : freeIn(journal.entries, this.inFlight, kept(), own, release);
    for (const name of free) journal.remove(name, this.#options.clock.monotonicMs());
    this.onNews();
    return this.#refused.length === 0;
  }

  /**
   * What an attach or detach does to the kernel between two rounds, or in the middle of one. It counts as done at once,
   * so that a round never does it again, and as undone if it was refused.
   */
  async apply(ops: readonly Op[]): Promise<readonly OpResult[]> {
    this.note(ops.map((op) => ({ op })));
    const results = await this.#options.kernel.apply(ops);
    this.note(results.filter((result) => result.refusal !== undefined).map(({ op }) => ({ op: inverse(op) })));
    return results;
  }

  /** What was just done to the kernel: a round that runs cannot have seen it, and leaves these links alone. */
  note(results: readonly OpResult[]): void {
    this.#looks.changed();
    record(this.#held, results);
    if (this.#loop.isAtRest) return;
    for (const { op } of results) {
      this.#touched.add(linkOf(op.object));
      if (op.object.kind === "veth") this.#touched.add(`${op.object.peer.ns} ${op.object.peer.name}`);
    }
    this.#sinceLook.push(...results);
  }

  /** Whether the kernel is known to hold what snapshot and journal ask for. */
  get isSettled(): boolean {
    const snapshot = this.#options.mirror.snapshot();
    return snapshot !== undefined && this.#isSettled(snapshot);
  }

  /** What was to be done to the kernel was not: a round does it, and that is no repair of somebody else's doing. */
  missed(): void {
    this.#settled = undefined;
    this.poke();
  }

  /** The journal's last changes are in the kernel, too. */
  settled(): void {
    if (this.#settled !== undefined)
      this.#settled = { ...this.#settled, journalVersion: this.#options.journal.version };
  }
}
