// The host's report: what rounds, the comparison with the server, memberships and path probes came to. The session
// sends it when it changes.
import type { Kernel } from "../../kernel/kernel.ts";
import { vrfsOn } from "../../model/membership.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import type { KernelView } from "../reconcile/kernelView.ts";
import type { Reconciled } from "../reconcile/reconcile.ts";
import type { RoundListener } from "../reconcile/rounds.ts";
import type { SnapshotSource } from "../reconcile/snapshotSource.ts";
import { failedOutcome, outcomeOf } from "./outcome.ts";
import type { PathProbes } from "./pathProbes.ts";
import type { Session } from "./session.ts";

export type ReporterOptions = {
  readonly host: string;
  readonly session: Session;
  readonly view: Pick<KernelView, "state">;
  readonly snapshots: Pick<SnapshotSource, "isAlive">;
  readonly journal: Pick<Journal, "entries">;
  readonly kernel: Pick<Kernel, "netnsPrefix">;
  readonly probes: PathProbes;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Conditions of the host that are not the reporter's own, a line each. */
  readonly conditions: () => readonly string[];
  /** Called after each round. */
  readonly onNews: () => void;
};

export class Reporter implements RoundListener {
  readonly #options: ReporterOptions;
  #endedWorkloads: readonly string[] = [];
  #unregistered: readonly string[] = [];
  #unjoined: readonly string[] = [];

  constructor(options: ReporterOptions) {
    this.#options = options;
    options.probes.onNews = () => options.session.say({ paths: options.probes.report });
  }

  /** A line for each endpoint whose workload had ended without a detach at the last round. */
  get endedWorkloads(): readonly string[] {
    return this.#endedWorkloads;
  }

  unchanged({ revision }: Snapshot): void {
    this.#options.session.say({ revision, policyRevision: revision });
    this.#options.onNews();
  }

  failed(snapshot: Snapshot | undefined, error: unknown): void {
    const { session, log } = this.#options;
    log("round", { error: String(error) });
    session.say(failedOutcome(snapshot, error, session.own));
  }

  reconciled({ local, ops, refused, isDrift }: Reconciled): void {
    const { log, host, kernel, journal, snapshots, session, view, probes } = this.#options;
    const repaired = isDrift ? ops.length - refused.length : 0;
    if (ops.length > 0)
      log("round", { revision: local.revision, ops: ops.length, refused: refused.length, drift: isDrift });
    const carried = vrfsOn(local, host);
    this.#endedWorkloads = endedWorkloads(journal.entries.values(), (entry) => snapshots.isAlive(entry));
    const broken = new Set(refused.map(({ op }) => op.object.ns));
    const complete = local.networks.filter(({ spec: { vrf } }) => carried.has(vrf) && !broken.has(`vrf:${vrf}`));
    probes.follow(local);
    session.say({
      ...outcomeOf(local, refused, session.own, kernel.netnsPrefix),
      networks: complete.map((network) => network.name),
      driftRepaired: session.own.driftRepaired + repaired,
      conditions: this.#conditions(),
      objects: view.state.size,
      paths: probes.report,
    });
    this.#options.onNews();
  }

  /** What the server refused to register or release. */
  unregistered(refused: readonly string[]): void {
    this.#unregistered = refused;
    this.#options.session.say({ conditions: this.#conditions() });
  }

  /** What instances of workloads should have by their memberships, and could not get. */
  unjoined(refused: readonly string[]): void {
    if (refused.length === 0 && this.#unjoined.length === 0) return;
    this.#unjoined = refused;
    this.#options.session.say({ conditions: this.#conditions() });
  }

  #conditions(): readonly string[] {
    return [...this.#options.conditions(), ...this.#endedWorkloads, ...this.#unregistered, ...this.#unjoined];
  }
}

/** The report of a host that has done nothing yet. */
export function firstReport(host: Pick<HostReport, "host" | "bootId" | "version" | "hostPrefixes">): HostReport {
  return { ...host, revision: 0, driftRepaired: 0, errors: [], networks: [], conditions: [], objects: 0 };
}

/** A line for each endpoint whose workload has ended without a detach. */
export function endedWorkloads(entries: Iterable<Entry>, isAlive: (entry: Entry) => boolean): string[] {
  return [...entries]
    .filter((entry) => entry.state === "attached" && !isAlive(entry))
    .map(
      ({ endpoint: { name, spec } }) =>
        `endpoint ${name}: ${spec.netns} is gone; detach it to free ${spec.addresses.join(", ")}`,
    );
}
