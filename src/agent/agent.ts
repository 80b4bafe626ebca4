// The agent of one host, put together from its parts. What a round does is in reconcile/reconcile.ts, what an attach
// does in endpoint/attach.ts. Each folder uses only those before it: journal, reconcile, endpoint, workload, server,
// socket. The agent keeps only its journal and the files of server/stateDir.ts; everything else is read anew by each
// round. When it stops, the kernel stays as it is.
//
//   server --watch--> mirror --+
//   workload --attach--> journal --> compile --> diff <-- observe <-- kernel
//                                      |          +--> apply ------> kernel
//                                      +-- report --> server
import type { KernelState } from "../datapath/state/state.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { devicesToTell } from "../model/hostDevices.ts";
import type { Trial } from "../model/preflight.ts";
import type { HostReport } from "../model/status.ts";
import { Attacher } from "./endpoint/attach.ts";
import { NetworkContexts } from "./endpoint/compile.ts";
import { Inspection } from "./endpoint/inspection.ts";
import type { EndpointParts } from "./endpoint/parts.ts";
import type { BlockLease } from "./journal/blockLease.ts";
import type { Journal } from "./journal/journal.ts";
import { Adopter } from "./reconcile/adopt.ts";
import { flowCutter, limitFlowShares } from "./reconcile/cutFlows.ts";
import { KernelView } from "./reconcile/kernelView.ts";
import { portsIn } from "./reconcile/knownState.ts";
import type { Loop } from "./reconcile/loop.ts";
import { HostNamespace } from "./reconcile/hostNamespace.ts";
import { GroupHolder } from "./reconcile/groupHolder.ts";
import { NextHops } from "./reconcile/nextHops.ts";
import { PERIOD_MS, Rounds } from "./reconcile/rounds.ts";
import { SnapshotSource, START_GRACE_MS } from "./reconcile/snapshotSource.ts";
import { type TakeOverOptions, TakeOvers } from "./reconcile/takeOvers.ts";
import { answerChecks } from "./server/checkResponder.ts";
import { Decommission, rejoin } from "./server/decommission.ts";
import { GroupProbes } from "./server/groupProbes.ts";
import { OffloadProbes } from "./server/offloadProbes.ts";
import { PathProbes } from "./server/pathProbes.ts";
import { tryWays as tryAll } from "./server/preflight.ts";
import { registrarOf, rewind } from "./server/register.ts";
import { firstReport, Reporter } from "./server/report.ts";
import { Session, type SessionOptions } from "./server/session.ts";
import { together } from "./together.ts";
import { Members } from "./workload/members.ts";

export type AgentOptions = SessionOptions &
  Pick<TakeOverOptions, "takeOvers"> & {
    readonly host: string;
    readonly version: string;
    readonly kernel: Kernel;
    readonly journal: Journal;
    readonly blockLease: BlockLease;
    /** A new identifier for each endpoint of a local network. */
    readonly uid: () => string;
    /** What is wrong with this host's files or its kernel's tables, a line each; reported as conditions. */
    readonly troubles: () => readonly string[];
    /** Addresses that workloads must not reach, beside other hosts': the server's. */
    readonly management?: () => readonly string[];
  };

export class Agent {
  readonly #options: AgentOptions;
  readonly #session: Session;
  readonly #probes: PathProbes;
  readonly #groups: GroupProbes;
  readonly #offloads: OffloadProbes;
  readonly #decommission: Decommission;
  readonly #members: Members;
  readonly #takeOvers: TakeOvers;
  readonly view: KernelView;
  readonly snapshots: SnapshotSource;
  readonly rounds: Rounds;
  readonly reporter: Reporter;
  readonly registrar: Loop;
  readonly attacher: Attacher;
  readonly inspection: Inspection;
  #wasSynced = false;
  #devices = "";

  constructor(options: AgentOptions) {
    this.#options = options;
    const { host, version, kernel, journal, troubles } = options;
    const { bootId, prefixes: hostPrefixes } = kernel.facts();
    const onNews = () => {
      this.#members.poke();
      this.#tellDevices();
    };

    this.view = new KernelView({ ...options, fullEveryMs: PERIOD_MS / 2, poke: () => this.rounds.poke() });
    this.snapshots = new SnapshotSource({ ...options, bootId, hasObserved: () => this.view.state.size > 0 });
    const shared = { ...options, bootId, view: this.view, snapshots: this.snapshots, onNews };

    this.#session = new Session(options, firstReport({ host, bootId, version, hostPrefixes }));
    this.#probes = new PathProbes(options);
    this.#groups = new GroupProbes({ ...options, isProven: (peer) => this.#probes.isProven(peer) });
    this.#offloads = new OffloadProbes({
      ...options,
      paths: () => this.#probes.possible,
      onVerdict: () => this.rounds.pokeFull(),
    });
    const round = () => this.rounds.now().then(() => portsIn(this.view.state));
    this.#decommission = new Decommission({ ...options, round });
    const adopter = new Adopter(options);
    const nextHops = new NextHops(options);
    const hostNamespace = new HostNamespace(options);
    const takeOvers = this.#takeOversWith(nextHops);
    this.#takeOvers = takeOvers;
    const conditions = () => [
      ...this.#decommission.conditions(),
      ...journal.troubles,
      ...troubles(),
      ...nextHops.conditions,
      ...hostNamespace.conditions,
      ...this.#offloads.conditions(this.view.state),
      ...takeOvers.conditions,
      ...adopter.conditions,
    ];
    const probed = { probes: this.#probes, groups: this.#groups, offloads: this.#offloads };
    this.reporter = new Reporter({ ...shared, ...probed, session: this.#session, conditions });

    const cutFlows = flowCutter(kernel, host);
    const groups = new GroupHolder(options);
    const faultyIn = (actual: KernelState) => this.#offloads.faultyIn(actual);
    const roundParts = { ...shared, adopter, nextHops, hostNamespace, groups, cutFlows, takeOvers, faultyIn };
    this.rounds = new Rounds(roundParts, this.reporter, () => this.registrar.poke());
    const onRefused = (refused: readonly string[]) => this.reporter.unregistered(refused);
    this.registrar = registrarOf({ ...shared, rounds: this.rounds, onRefused });

    const contexts = new NetworkContexts(this.snapshots, host);
    const pokeRegistrar = () => this.registrar.poke();
    const errors = () => this.report.errors;
    const parts: EndpointParts = { ...shared, rounds: this.rounds, contexts, pokeRegistrar, errors };
    this.attacher = new Attacher(parts);
    this.inspection = new Inspection(parts);

    this.#members = new Members({
      ...shared,
      attacher: this.attacher,
      endedWorkloads: () => this.reporter.endedWorkloads,
      onRefused: (refused) => this.reporter.unjoined(refused),
    });
    const tryWays = async (trial: Trial) => {
      this.#groups.again();
      return tryAll({ ...options, ...(await options.claim()) }, trial);
    };
    answerChecks({ ...shared, rounds: this.rounds, registrar: this.registrar, attacher: this.attacher, tryWays });
  }

  /** When a device has changed hands, the host's routes are others, which is no drift, and so is its claim. */
  #takeOversWith(nextHops: NextHops): TakeOvers {
    return new TakeOvers(this.#options, {
      reached: () => this.#session.isHeard(),
      isSynced: () => this.snapshots.isSynced,
      poke: () => {
        nextHops.again();
        this.view.diverged();
        void this.#session.addressesChanged();
      },
    });
  }

  /** What the server is told of this host. */
  get report(): HostReport {
    return this.#session.report;
  }

  /** Runs until the signal aborts; the kernel stays as it is. Rejects if the server refuses this host. */
  async run(until: AbortSignal): Promise<void> {
    this.snapshots.start();
    const flows = () => ({ state: this.view.state, snapshot: this.snapshots.known() });
    await together(until, [
      (signal) => this.#session.run(signal, (fault) => this.#decommission.run(fault, signal)),
      (signal) => this.rounds.run(signal),
      (signal) => this.registrar.run(signal),
      (signal) => this.#members.run(signal),
      (signal) => this.#probes.run(signal),
      (signal) => this.#groups.run(signal),
      (signal) => this.#takeOvers.run(signal),
      (signal) => this.#offloads.run(signal),
      (signal) => this.#session.saved.run(signal),
      (signal) => limitFlowShares(this.#options, signal, flows),
      (signal) => this.#listen(signal),
    ]);
  }

  /** Events only poke; the first round comes after the grace if there is none. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { kernel, mirror, journal, clock } = this.#options;
    const event = () => this.view.observer.event(signal);
    const moved = () => {
      this.#offloads.addressesChanged();
      void this.#session.addressesChanged();
    };
    kernel.watch(event, signal, moved);
    mirror.onChange(() => this.#mirrorChanged(signal));
    mirror.onRewind((revision) => rewind(journal, revision));
    await clock.sleep(START_GRACE_MS, signal);
    this.rounds.pokeFull();
  }

  /**
   * A network, or an administrator, names another device: whether this host has it, its claim says. Once a round,
   * because asking the mirror at each change would fold in the changes one by one.
   */
  #tellDevices(): void {
    const names = devicesToTell(this.#options.mirror.snapshot(), this.#options.host).join(" ");
    if (names === this.#devices) return;
    this.#devices = names;
    void this.#session.addressesChanged();
  }

  /** If the server is back, it may have forgotten what it was told, or never have heard it. */
  #mirrorChanged(signal: AbortSignal): void {
    const { isSynced } = this.#options.mirror;
    if (isSynced && !this.#wasSynced) {
      void rejoin(this.#options, signal, () => this.rounds.poke());
      this.registrar.poke();
      this.#session.resend();
    }
    this.#wasSynced = isSynced;
    this.rounds.poke();
  }
}
