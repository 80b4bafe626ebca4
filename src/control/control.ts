// The control plane of one server: admits writes and makes them durable, shows readers what is durable, and hosts what
// concerns them. Holds the store, the view of it, credentials and reports together; other files decide about each.
// After `kill -9` at any point, opening the same store again continues at the last answer.
import { randomBytes, randomUUID } from "node:crypto";
import type { CheckReport, CheckRequest, InventoryAnswer } from "../model/check.ts";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { HostClaim } from "../model/input.ts";
import type { SpaceMap } from "../model/map.ts";
import type { ChangeSet, Host, Kind, Position, ResourceOf, Snapshot } from "../model/resource.ts";
import type { QuarantineTime } from "../model/quarantine.ts";
import type { ClusterStatus, HostReport } from "../model/status.ts";
import type { LeaseRecord } from "../model/lease.ts";
import { WINDOW_CHANGES } from "../store/window.ts";
import type { LeaseQuery } from "../store/leases.ts";
import type { Store } from "../store/store.ts";
import { Boots } from "./hosts/boots.ts";
import { check } from "./check/check.ts";
import { Inquiry } from "./check/inquiry.ts";
import { Committer, type Job, type Meter } from "./commit/committer.ts";
import { type Condition, conditionsOf } from "./report/conditions.ts";
import { type Listing, type Page, findIn, listingOf } from "./state/listing.ts";
import { Credentials, type Role, roleSecret } from "./hosts/credentials.ts";
import type { Departure } from "./hosts/departures.ts";
import { expireOn, quarantineClock } from "./commit/expire.ts";
import { followAs } from "./commit/follow.ts";
import { Forecast, type Foreseen } from "./report/forecast.ts";
import { fullSnapshot, snapshotFor } from "./state/visibility.ts";
import { Histories, notRefused } from "./commit/histories.ts";
import { joinWith } from "./hosts/joins.ts";
import { LIVENESS, type LivenessSettings, checkLiveness } from "./hosts/liveness.ts";
import { HostLifecycle } from "./hosts/hostLifecycle.ts";
import { spaceMapOf } from "./state/spaceMap.ts";
import { Prefixes, prefixSecret } from "./hosts/prefixes.ts";
import { type AddressUse, addressUseOf } from "./state/usage.ts";
import { get, viewOf } from "./state/view.ts";
import type { Identity, Outcome, Viewer, Write } from "./write.ts";

export type { Meter } from "./commit/committer.ts";

/** The source of randomness: uids of resources, and tokens that cannot be guessed. */
export type Entropy = { uid(): string; token(): string };

export type ControlOptions = {
  readonly clock: Clock;
  readonly entropy?: Entropy;
  readonly meter?: Meter;
  readonly newNetworkGroups?: readonly string[] /** Of new networks that name none. Default: none. */;
  /** Changes that a watching host may be behind before it has to list again. Default: WINDOW_CHANGES. */
  readonly history?: number;
  /** When a host is suspect, lost, and given up. */
  readonly liveness?: LivenessSettings;
  /** When to commit what has been asked for: by default after everything that this turn of the event loop brings. */
  readonly turn?: (run: () => void) => void;
  /** When hosts that watch hear of it: by default 5 ms later, so that the writer continues first. */
  readonly later?: (run: () => void) => void;
};

export type Joined = { readonly cluster: string; readonly token: string; readonly host: Host };
export type ControlStatus = ClusterStatus & { readonly conditions: readonly Condition[] };

const SYSTEM_ENTROPY: Entropy = { uid: () => randomUUID(), token: () => randomBytes(32).toString("base64url") };
const NO_METER: Meter = { committed: () => {}, converged: () => {} };
// oxlint-disable-next-line no-restricted-globals -- not time but order: the end of this turn of the event loop
const END_OF_TURN = (run: () => void): void => void setImmediate(run);
// oxlint-disable-next-line no-restricted-globals -- nothing depends on the time: after those who are served first
const SOON = (run: () => void): void => void setTimeout(run, 5);

export class Control {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #entropy: Entropy;
  readonly #meter: Meter;
  readonly #committer: Committer;
  readonly #credentials: Credentials;
  readonly #prefixes: Prefixes;
  readonly #inquiry: Inquiry;
  readonly #forecast = new Forecast();
  readonly #liveness: LivenessSettings;
  readonly #hosts: HostLifecycle;
  readonly #boots: Boots;
  readonly #histories: Histories;
  readonly #quarantineTime: () => QuarantineTime;

  /** Reads the store; the store stays the caller's to close, after the control plane. */
  static async open(store: Store, options: ControlOptions): Promise<Control> {
    const { cluster, revision, resources } = await store.read();
    const control = new Control(store, viewOf(cluster, revision, resources), options);
    await control.#begin();
    return control;
  }

  private constructor(store: Store, view: ReturnType<typeof viewOf>, options: ControlOptions) {
    const entropy = options.entropy ?? SYSTEM_ENTROPY;
    const hosts = [...view.host.keys()];
    this.#store = store;
    this.#clock = options.clock;
    this.#entropy = entropy;
    this.#meter = options.meter ?? NO_METER;
    this.#prefixes = new Prefixes(store, hosts);
    this.#quarantineTime = quarantineClock(options.clock, view);
    this.#liveness = checkLiveness(options.liveness ?? LIVENESS);
    this.#hosts = new HostLifecycle(store, this.#liveness, options.clock);
    this.#boots = new Boots(store, options.clock, this.#hosts.reports, this.#liveness);
    this.#credentials = new Credentials(store, this.#hosts.departures, hosts);
    this.#histories = new Histories(store, options.clock);
    this.#committer = new Committer(store, view, {
      histories: this.#histories,
      clock: options.clock,
      context: {
        uid: () => entropy.uid(),
        nowMs: () => options.clock.nowMs(),
        quarantineTime: this.#quarantineTime,
        prefixes: this.#prefixes.byHost,
        ...(options.newNetworkGroups === undefined ? {} : { newNetworkGroups: options.newNetworkGroups }),
      },
      meter: this.#meter,
      turn: options.turn ?? END_OF_TURN,
      later: options.later ?? SOON,
      history: options.history ?? WINDOW_CHANGES,
    });
    this.#inquiry = new Inquiry(options.clock, (asks) => this.#committer.followers.ask(asks));
  }

  /** A disk on which nothing can be written now is still one to read from. */
  async #begin(): Promise<void> {
    const { secret, begun } = this.#histories.beginning();
    await this.#store.commit([], [secret]).then(begun, () => undefined);
  }

  /** After how much silence this server gives hosts up by itself. */
  get reclaimAfterMs(): number | undefined {
    return this.#liveness.reclaimAfterMs;
  }

  get cluster(): string {
    return this.#store.cluster;
  }
  /** The last durable revision. */
  get revision(): number {
    return this.#committer.replayLog.revision;
  }

  /**
   * Decides and makes durable; rejects with the Fault of the refusal. `dryRun` only decides. Joins go through `join`.
   */
  async write(
    write: Exclude<Write, { readonly verb: "join" }>,
    options: Pick<Job, "dryRun" | "decided"> = {},
  ): Promise<Outcome> {
    if (write.verb !== "delete" || write.kind !== "host") return this.#committer.submit({ write, ...options });
    // One that was reclaimed is only a line in lists.
    if (options.dryRun !== true && (await this.forgetDeparture(write.name)))
      return { revision: this.revision, changes: [], created: false };
    return this.#hosts.remove(this.#parts(), write, { how: "deleted", by: "person" }, options);
  }

  /**
   * Frees everything a lost host had; its token is worth nothing from then on. `dryRun` only says what would go.
   * Throws `in-use` for a host that is not lost, unless forced, and `host-unknown`.
   */
  reclaim(
    host: string,
    options: { readonly dryRun?: boolean; readonly force?: boolean; readonly by?: Departure["by"] } = {},
  ): Promise<Outcome> {
    // Asked at the time of the decision: it may have been heard meanwhile.
    const holds = () => {
      if (options.force !== true && this.#committer.view.host.has(host)) this.#hosts.checkLost(host);
    };
    const write = { verb: "delete", kind: "host", name: host, force: true } as const;
    return this.#hosts.remove(
      this.#parts(),
      write,
      { how: "reclaimed", by: options.by ?? "person" },
      { ...options, holds },
    );
  }

  /** What the removal of a host takes along. */
  #parts() {
    return {
      committer: this.#committer,
      credentials: this.#credentials,
      prefixes: this.#prefixes,
    };
  }

  /** Forgets that a host was reclaimed; its token stays worth nothing. False if there is nothing to forget. */
  async forgetDeparture(host: string): Promise<boolean> {
    const { departures } = this.#hosts;
    if (this.#committer.view.host.has(host) || !departures.list.some((one) => one.host === host)) return false;
    await this.#hosts.kept(() => this.#committer.submit({ secrets: () => departures.forget(host) }));
    return true;
  }

  /**
   * Reclaims at most one silent host, if the settings say so, and returns it. Call it every few seconds, from one
   * server of a store.
   */
  async reclaimLost(): Promise<string | undefined> {
    await this.#committer.settled();
    const host = this.#hosts.nextToReclaim(this.#committer.view.host.keys(), this.#histories.refused);
    if (host === undefined) return undefined;
    try {
      await this.reclaim(host, { by: "server" });
      return host;
    } catch (error) {
      // It was heard, or removed, in the last moment.
      if (error instanceof Fault && (error.reason === "in-use" || error.reason === "host-unknown")) return undefined;
      throw error;
    }
  }

  /** Claims a host's name, or confirms it; see joins.ts. */
  async join(claim: HostClaim, token: string | undefined, proposed?: string): Promise<Joined> {
    const parts = { ...this.#parts(), lives: this.#hosts, boots: this.#boots, newToken: () => this.#entropy.token() };
    return { cluster: this.cluster, ...(await joinWith(parts, claim, { token, proposed })) };
  }

  /** What the viewer sees, at one durable revision. Throws `another-history` if `known`, a host's, is of one. */
  async snapshot(viewer: Viewer, known?: Position): Promise<Snapshot> {
    await this.#committer.settled();
    const { view } = this.#committer;
    if (viewer.role === "admin") return fullSnapshot(view);
    if (known !== undefined) this.#checkHistory(viewer.host, known);
    const history = this.#histories.current;
    return { ...snapshotFor(view, viewer.host), ...(history === undefined ? {} : { history }) };
  }

  #checkHistory(host: string, known: Position): void {
    try {
      this.#histories.check(host, known);
    } catch (error) {
      // It is alive, and must not be given up for what this server has lost.
      this.#hosts.reports.sighted(host);
      throw error;
    }
  }

  /** From now on this host follows what this server has, although it knows another past. */
  async acceptHistory(host: string): Promise<void> {
    await this.#committer.settled();
    if (!this.#histories.refused.has(host)) throw notRefused(host);
    const { secret, begun } = this.#histories.accepting([host]);
    await this.#committer.submit({ secrets: () => [secret], committed: begun });
  }

  /**
   * Every revision after `from` as the viewer sees it, in order and without gaps, until the signal aborts or the
   * server stops. A mirror of `snapshot(viewer)` that takes them is always what `snapshot` would give. Throws
   * `compacted`, at once or when the reader is too slow, and at once `revision-stale` for a revision that is not
   * there yet. `history`: of which the revision is; then the first set says of which the others are.
   */
  watch(from: number, viewer: Viewer, signal: AbortSignal, history?: string): AsyncIterable<ChangeSet> {
    if (viewer.role === "admin") return this.#store.watch(from, signal);
    if (history !== undefined) this.#checkHistory(viewer.host, { history, revision: from });
    this.#committer.replayLog.after(from);
    const named = history === undefined ? undefined : this.#histories.current;
    return followAs(viewer.host, this.#committer, { from, history: named }, signal);
  }

  /** In order of names: those after `after` (default: all), at most `limit` of them. */
  async list<K extends Kind>(kind: K, viewer: Viewer, page: Page = {}): Promise<Listing<K>> {
    await this.#committer.settled();
    return listingOf(this.#committer.view, kind, viewer, page);
  }

  /** Undefined if it is not there, or not this viewer's to see. */
  async find<K extends Kind>(kind: K, name: string, viewer: Viewer): Promise<ResourceOf<K> | undefined> {
    await this.#committer.settled();
    return findIn(this.#committer.view, kind, name, viewer);
  }

  /** Takes what a host says it reached. Throws `host-unknown`. */
  async report(report: HostReport): Promise<void> {
    await this.#committer.settled();
    const { view, replayLog } = this.#committer;
    if (!view.host.has(report.host)) {
      throw new Fault("host-unknown", { what: `there is no host "${report.host}"`, where: "host", fix: "join first" });
    }
    this.#boots.checkReport(report, view.host.get(report.host)?.spec.underlay ?? "");
    const lagMs = this.#hosts.reports.receive(report, view, replayLog);
    if (lagMs !== undefined) this.#meter.converged(lagMs / 1000);
    if (!this.#prefixes.set(report.host, report.hostPrefixes)) return;
    await this.#committer.submit({ secrets: () => [prefixSecret(report.host, report.hostPrefixes)] });
  }

  async status(): Promise<ControlStatus> {
    await this.#committer.settled();
    const { status, losses } = this.#hosts.status(this.#committer);
    const conditions = conditionsOf(this.#committer.view, this.#prefixes.byHost);
    return {
      ...status,
      conditions: [...conditions, ...losses, ...this.#boots.conditions(), ...this.#histories.conditions()],
    };
  }

  /** Every address of a network, by state; undefined if there is no such network. */
  async spaceMap(name: string): Promise<SpaceMap | undefined> {
    await this.#committer.settled();
    const { view } = this.#committer;
    const network = get(view, "network", name);
    return network === undefined ? undefined : spaceMapOf(view, network);
  }

  /** Compares what the store, the journals and the kernels of hosts say about addresses; see check/check.ts. */
  async check(request: CheckRequest): Promise<CheckReport> {
    const admin = { role: "admin" } as const;
    const parts = {
      clock: this.#clock,
      snapshot: () => this.snapshot(admin),
      ask: (questions: Parameters<Inquiry["ask"]>[0]) => this.#inquiry.ask(questions),
      release: (endpoint: string, ifRevision: number) =>
        this.write({ verb: "detach", endpoint, by: admin, force: true, ifRevision }),
    };
    return await check(parts, request);
  }

  /** Takes a host's answer to a question of `check`. */
  answer(host: string, answer: InventoryAnswer): void {
    this.#inquiry.take(host, answer);
  }

  /** What a user should know that no answer said: who waits for a block, stands in a network's way, is lost. */
  async conditions(): Promise<readonly Condition[]> {
    return (await this.status()).conditions;
  }

  /** How full each network is, by family, and when it will be full if it goes on growing; for metrics. */
  async addressUse(): Promise<readonly Foreseen<AddressUse>[]> {
    await this.#committer.settled();
    return this.#forecast.of(this.#clock.monotonicMs(), addressUseOf(this.#committer.view));
  }

  /** Who had an address or, for leases without any, a MAC: the newest first. */
  async leaseHistory(query: LeaseQuery): Promise<readonly LeaseRecord[]> {
    await this.#committer.settled();
    return this.#store.leases(query);
  }

  /** Ends quarantines and holds whose time has come, until the signal aborts. */
  async expireOn(signal: AbortSignal): Promise<void> {
    await expireOn(this.#committer, this.#clock, this.#quarantineTime, signal);
  }

  /** The owner of the token; a Fault `token-wrong` if there is none. */
  identify(token: string | undefined): Identity {
    return this.#credentials.identify(token);
  }
  /** Whether a token of this role was ever set in this store. */
  hasToken(role: Role): boolean {
    return this.#credentials.has(role);
  }
  /** From now on, durably, this is the token of the role; the one before is worth nothing. */
  async setToken(role: Role, token: string): Promise<void> {
    this.#credentials.checkRole(role, token);
    await this.#committer.submit({ secrets: () => [roleSecret(role, token)] });
  }
  /** A token that cannot be guessed. */
  newToken(): string {
    return this.#entropy.token();
  }

  /** Resolves if it can answer; throws `unavailable` otherwise. */
  async ready(): Promise<void> {
    await this.#committer.settled();
  }

  /** Finishes what was asked, refuses the rest, ends every host's watch. */
  async close(): Promise<void> {
    await this.#committer.close();
    const secret = this.#histories.withdrawing();
    if (secret !== undefined) await this.#store.commit([], [secret]).catch(() => undefined);
  }
}
