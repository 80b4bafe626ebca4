// The host's report: what rounds, the comparison with the server, memberships and path probes came to. The session
// sends it when it changes.
import type { KernelObject, ObjectOf } from "../../datapath/kinds.ts";
import { printOp } from "../../datapath/state/print.ts";
import { nsOfNamed } from "../../datapath/world/placement.ts";
import { deviceOf } from "../../datapath/state/state.ts";
import type { Kernel, OpResult } from "../../kernel/kernel.ts";
import { vrfsOn } from "../../model/carrying.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import type { KernelView } from "../reconcile/kernelView.ts";
import type { Reconciled } from "../reconcile/reconcile.ts";
import type { RoundListener } from "../reconcile/rounds.ts";
import type { SnapshotSource } from "../reconcile/snapshotSource.ts";
import type { GroupProbes } from "./groupProbes.ts";
import type { OffloadProbes } from "./offloadProbes.ts";
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
  readonly groups: GroupProbes;
  readonly offloads: OffloadProbes;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Conditions of the host that are not the reporter's own, a line each. */
  readonly conditions: () => readonly string[];
  /** Called after each round. */
  readonly onNews: () => void;
};

export class Reporter implements RoundListener {
  readonly #options: ReporterOptions;
  /** A line for each endpoint whose workload had ended without a detach at the last round. */
  endedWorkloads: readonly string[] = [];
  #unregistered: readonly string[] = [];
  #unjoined: readonly string[] = [];

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { session, probes, groups, offloads } = options;
    probes.onNews = () => {
      session.say({ paths: probes.report });
      groups.poke();
      offloads.meet();
    };
    probes.onOther = (seen) => {
      groups.take(seen);
      offloads.take(seen);
    };
    probes.othersWait = () => offloads.isWaiting;
    groups.onNews = () => session.say({ groups: groups.report });
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
    const { log, host, kernel, journal, snapshots, session, view, probes, groups } = this.#options;
    const repaired = isDrift ? ops.length - refused.length : 0;
    if (ops.length > 0)
      log("round", { revision: local.revision, ops: ops.length, refused: refused.length, drift: isDrift });
    const carried = vrfsOn(local, host);
    this.endedWorkloads = endedWorkloads(journal.entries.values(), (entry) => snapshots.isAlive(entry));
    const broken = new Set(refused.map(({ op }) => op.object.ns));
    const complete = local.networks.filter(
      ({ spec: { vrf } }) => carried.has(vrf) && !broken.has(nsOfNamed(local.vrfs, vrf)),
    );
    probes.follow(local);
    groups.follow(local);
    session.say({
      ...outcomeOf(local, refused, session.own, kernel.netnsPrefix),
      networks: complete.map((network) => network.name),
      driftRepaired: session.own.driftRepaired + repaired,
      conditions: this.#conditions(),
      objects: view.state.size,
      paths: probes.report,
      groups: groups.report,
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
    return [...this.#options.conditions(), ...this.endedWorkloads, ...this.#unregistered, ...this.#unjoined];
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
    .map(({ endpoint: { name, spec } }) => {
      return `endpoint ${name}: ${spec.netns} is gone; detach it to free ${spec.addresses.join(", ")}`;
    });
}

type Outcome = Partial<HostReport> & Pick<HostReport, "errors">;

/** Errors, and endpoints, named in a report; more would make it large and say nothing new. */
const ERRORS_MAX = 20;
const FAILED_MAX = 1_000;

/**
 * Of a round that ended. A refusal holds the revision back, also the refusal to repair what was there before. Refusals
 * in a workload's own namespace do not: the workload's root could keep the whole cluster waiting. `prefix`: of the
 * names of VRF namespaces.
 */
export function outcomeOf(local: Snapshot, refused: readonly OpResult[], before: HostReport, prefix: string): Outcome {
  // Near ends of pairs that could not be made or changed: what is on them was refused because of that.
  const broken = new Set(
    refused.flatMap(({ op: { object } }) => (isPort(object) ? `${object.ns} ${object.name}` : [])),
  );
  const isHeldBack = refused.some(({ op }) => !isOfWorkload(op.object, broken));
  return {
    revision: isHeldBack ? heldBack(before.revision, local) : local.revision,
    ...policyOutcome(refused, local, before.host),
    errors: refused.slice(0, ERRORS_MAX).map(({ op, refusal }) => `${printOp(op, prefix).at(0)}: ${refusal?.message}`),
  };
}

/** Of a round that broke off: it is not known how far it got. */
export function failedOutcome(snapshot: Snapshot | undefined, error: unknown, before: HostReport): Outcome {
  const { revision, policyRevision } = before;
  const why = error instanceof Error ? error.message : String(error);
  return {
    revision: heldBack(revision, snapshot),
    ...(policyRevision === undefined ? {} : { policyRevision: heldBack(policyRevision, snapshot) }),
    errors: [`this host could not be looked at, or not be changed, and the agent tries again: ${why}`],
  };
}

/** Below the revision that is wanted: reporting that one would mean that everything is in the kernel. */
function heldBack(before: number, wanted: Snapshot | undefined): number {
  return wanted === undefined ? before : Math.min(before, Math.max(0, wanted.revision - 1));
}

/** The policy's revision; or, if a table or element was refused, this host's endpoints in that VRF. */
export function policyOutcome(
  refused: readonly OpResult[],
  snapshot: Snapshot,
  host: string,
): Pick<HostReport, "policyRevision" | "policyFailed"> {
  const isPolicy = ({ kind }: KernelObject) => kind === "nft" || kind === "element";
  const failed = new Set(refused.filter(({ op }) => isPolicy(op.object)).map(({ op }) => op.object.ns));
  if (failed.size === 0) return { policyRevision: snapshot.revision, policyFailed: [] };
  const vrfs = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const endpoints = snapshot.endpoints
    .filter(({ spec }) => spec.host === host && failed.has(nsOfNamed(snapshot.vrfs, vrfs.get(spec.network) ?? "")))
    .map(({ name }) => name)
    .sort();
  return { policyFailed: endpoints.slice(0, FAILED_MAX) };
}

function isOfWorkload(object: KernelObject, broken: ReadonlySet<string>): boolean {
  const dev = deviceOf(object);
  return object.ns.startsWith("/") || isPort(object) || (dev !== undefined && broken.has(`${object.ns} ${dev}`));
}

/** A pair with one end in a workload's namespace. */
function isPort(object: KernelObject): object is ObjectOf<"veth"> {
  return object.kind === "veth" && object.peer.ns.startsWith("/");
}
