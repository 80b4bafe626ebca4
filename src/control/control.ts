// The control plane of one server: admits writes and makes them durable, shows readers what is durable, and hosts what
// concerns them. Holds the store, the view of it, credentials and reports together; other files decide about each.
// After `kill -9` at any point, opening the same store again continues at the last answer.
import type { PreflightReport, PreflightRequest } from "../model/preflight.ts";
import type { CheckReport, CheckRequest, InventoryAnswer } from "../model/check.ts";
import type { HostClaim } from "../model/input.ts";
import type { LeaseRecord } from "../model/lease.ts";
import type { NetworkProgress } from "../model/progress.ts";
import type { SpaceMap } from "../model/map.ts";
import type { ChangeSet, Host, Kind, Position, ResourceOf, Snapshot } from "../model/resource.ts";
import type { HostReport } from "../model/status.ts";
import type { LeaseQuery } from "../store/leases.ts";
import type { Store } from "../store/store.ts";
import type { AuditTrail } from "./audit/trail.ts";
import { runCheck } from "./check/check.ts";
import { preflight } from "./check/preflight.ts";
import type { Job } from "./commit/committer.ts";
import { expireOn } from "./commit/expire.ts";
import { convertOn } from "./hosts/conversions.ts";
import { followAs } from "./commit/follow.ts";
import type { Role } from "./hosts/credentials.ts";
import type { JoinTokens } from "./hosts/joinTokens.ts";
import { acceptHistoryOf, joinWith, setRoleToken } from "./hosts/joins.ts";
import type { LivenessSettings } from "./hosts/liveness.ts";
import { type ReclaimOptions, reclaimHost, reclaimLost, removeHost } from "./hosts/removal.ts";
import { type ControlOptions, type Parts, assemble } from "./parts.ts";
import { callerOf } from "./logins/caller.ts";
import { type Logins, secretsWith } from "./logins/logins.ts";
import type { Authority } from "./hosts/authority.ts";
import type { Condition } from "./report/conditions.ts";
import type { Foreseen } from "./report/forecast.ts";
import { progressFor, statusFor } from "./report/ownStatus.ts";
import { type ControlStatus, takeReport } from "./report/status.ts";
import { managedNetwork, ownLeases } from "./rights/own.ts";
import { type Listing, type Page, findIn, listingOf, snapshotForUser } from "./state/listing.ts";
import { spaceMapNamed } from "./state/spaceMap.ts";
import { type AddressUse, addressUseOf } from "./state/usage.ts";
import type { View } from "./state/view.ts";
import { fullSnapshot, snapshotFor } from "./state/visibility.ts";
import { type Caller, type Identity, type Outcome, SERVER, type Viewer, type Write } from "./write.ts";

export type { ControlOptions } from "./parts.ts";
export type { Meter } from "./commit/committer.ts";

/** Joins have a way of their own: `join`. */
type Asked = Exclude<Write, { readonly verb: "join" }>;
const ADMIN = { role: "admin" } as const;
type WriteOptions = Pick<Job, "dryRun" | "decided">;
export type Joined = { readonly cluster: string; readonly token: string; readonly host: Host };

export class Control {
  readonly #parts: Parts;
  /** Reads the store; the store stays the caller's to close, after the control plane. */
  static async open(store: Store, options: ControlOptions): Promise<Control> {
    return new Control(await assemble(store, options));
  }
  private constructor(parts: Parts) {
    this.#parts = parts;
  }
  /** After how much silence hosts are suspect, lost, and given up. */
  get liveness(): LivenessSettings {
    return this.#parts.liveness;
  }
  get cluster(): string {
    return this.#parts.store.cluster;
  }
  /** Who asked for what. */
  get audit(): AuditTrail {
    return this.#parts.audit;
  }
  /** The last durable revision. */
  get revision(): number {
    return this.#parts.committer.replayLog.revision;
  }

  /**
   * Decides and makes durable; rejects with the Fault of the refusal. `dryRun` only decides. The server's own: joins
   * go through `join`, and what comes from outside through `writeAs`.
   */
  write(write: Asked, options: WriteOptions = {}): Promise<Outcome> {
    return this.writeAs(SERVER, write, options);
  }

  /** As `write`, for this caller: refused where the caller lacks a right. */
  async writeAs(caller: Caller, write: Asked, options: WriteOptions = {}): Promise<Outcome> {
    if (write.verb === "delete" && write.kind === "host") return removeHost(this.#parts, write, { ...options, caller });
    return this.#parts.committer.submit({ write, caller, ...options, ...secretsWith(write) });
  }

  /**
   * Frees everything a lost host had; its token is worth nothing from then on. `dryRun` only says what would go.
   * Throws `in-use` for a host that is not lost, unless forced, and `host-unknown`.
   */
  reclaim(host: string, options: ReclaimOptions = {}): Promise<Outcome> {
    return reclaimHost(this.#parts, host, options);
  }

  /** Reclaims at most one silent host, by the settings, and gives it. For one server of a store, every few seconds. */
  reclaimLost(): Promise<string | undefined> {
    return reclaimLost(this.#parts);
  }

  /** Claims a host's name, or confirms it; see joins.ts. */
  async join(claim: HostClaim, token: string | undefined, proposed?: string, caller?: Caller): Promise<Joined> {
    return { cluster: this.cluster, ...(await joinWith(this.#parts, claim, { token, proposed, caller })) };
  }

  /** What the viewer sees, at one durable revision. Throws `another-history` if `known`, a host's, is of one. */
  async snapshot(viewer: Viewer, known?: Position): Promise<Snapshot> {
    await this.#parts.committer.settled();
    const { view } = this.#parts.committer;
    if (viewer.role === "admin") return fullSnapshot(view);
    if (viewer.role === "user") return snapshotForUser(view, viewer);
    if (known !== undefined) this.#parts.histories.check(viewer.host, known);
    const history = this.#parts.histories.current;
    return { ...snapshotFor(view, viewer.host), ...(history === undefined ? {} : { history }) };
  }

  /** From now on this host follows what this server has, although it knows another past. */
  async acceptHistory(host: string, caller = SERVER): Promise<void> {
    await acceptHistoryOf(this.#parts, host, caller);
  }

  /**
   * Every revision after `from` as the viewer sees it, in order and without gaps, until the signal aborts or the
   * server stops. A mirror of `snapshot(viewer)` that takes them is always what `snapshot` would give. Throws
   * `compacted`, at once or when the reader is too slow, and at once `revision-stale` for a revision that is not
   * there yet. `history`: of which the revision is; then the first set says of which the others are.
   */
  watch(from: number, viewer: Viewer, signal: AbortSignal, history?: string): AsyncIterable<ChangeSet> {
    if (viewer.role === "admin") return this.#parts.store.watch(from, signal);
    const known = viewer.role === "host" ? history : undefined;
    if (viewer.role === "host" && known !== undefined)
      this.#parts.histories.check(viewer.host, { history: known, revision: from });
    this.#parts.committer.replayLog.after(from);
    const named = known === undefined ? undefined : this.#parts.histories.current;
    return followAs(viewer, this.#parts.committer, { from, history: named }, signal);
  }

  /** In order of names: those after `after` (default: all), at most `limit` of them. */
  async list<K extends Kind>(kind: K, viewer: Viewer, page: Page = {}): Promise<Listing<K>> {
    return this.read((view) => listingOf(view, kind, viewer, page));
  }

  /** Undefined if it is not there, or not this viewer's to see. */
  async find<K extends Kind>(kind: K, name: string, viewer: Viewer): Promise<ResourceOf<K> | undefined> {
    return this.read((view) => findIn(view, kind, name, viewer));
  }

  /** Takes what a host says it reached, and by which CA its certificate is. Throws `host-unknown`. */
  report(report: HostReport, issuer?: string): Promise<void> {
    return takeReport(this.#parts, report, issuer);
  }

  /** The cluster's CA; undefined if the control plane was opened without a certifier. */
  get authority(): Authority | undefined {
    return this.#parts.authority;
  }
  /** A user is told of its own. */
  status(viewer: Viewer = ADMIN): Promise<ControlStatus> {
    return statusFor(this.#parts, viewer);
  }

  /** How far those endpoints of a network that the viewer sees are with its latest change; undefined without it. */
  async progress(name: string, viewer: Viewer = ADMIN): Promise<NetworkProgress | undefined> {
    return this.read((view) => progressFor(view, this.#parts, name, viewer));
  }
  /** Every address of a network, by state; undefined if there is no such network, `forbidden` without manage. */
  async spaceMap(name: string, viewer: Viewer = ADMIN): Promise<SpaceMap | undefined> {
    return this.read((view) => managedNetwork(view, name, viewer) && spaceMapNamed(view, name));
  }

  /** What `look` makes of what is durable. */
  async read<T>(look: (view: View) => T): Promise<T> {
    await this.#parts.committer.settled();
    return look(this.#parts.committer.view);
  }
  /** Compares what the store, the journals and the kernels of hosts say about addresses; see check/check.ts. */
  check(request: CheckRequest): Promise<CheckReport> {
    return runCheck(this.#parts, request);
  }

  /** Lets hosts try the ways to each other; see check/preflight.ts. */
  preflight(request: PreflightRequest): Promise<PreflightReport> {
    return preflight(this.#parts, request);
  }

  /** Takes a host's answer to a question of `check` or `preflight`. */
  answer(host: string, answer: InventoryAnswer): void {
    this.#parts.inquiry.take(host, answer);
  }

  /** What a user should know that no answer said. */
  async conditions(): Promise<readonly Condition[]> {
    return (await this.status()).conditions;
  }

  /** How full each network is, by family, and when it will be full if it goes on growing; for metrics. */
  async addressUse(): Promise<readonly Foreseen<AddressUse>[]> {
    return this.read((view) => this.#parts.forecast.of(this.#parts.clock.monotonicMs(), addressUseOf(view)));
  }

  /** Who had an address or, for leases without any, a MAC: the newest first, and a user's own. */
  async leaseHistory(query: LeaseQuery, viewer: Viewer = ADMIN): Promise<readonly LeaseRecord[]> {
    return this.read((view) => this.#parts.store.leases(ownLeases(view, query, viewer)));
  }
  /** Ends quarantines and holds whose time has come, and moves conversions on, until the signal aborts. */
  async tendOn(signal: AbortSignal): Promise<void> {
    const { committer, clock, quarantineTime } = this.#parts;
    await Promise.all([expireOn(committer, clock, quarantineTime, signal), convertOn(this.#parts, signal)]);
  }
  /** The owner of the token; a Fault `token-wrong` if there is none. */
  identify(token: string | undefined): Identity {
    return this.caller(token, "").identity;
  }
  /** Who asks, by the token and from where; on the server's own socket (`unix`) root needs none. */
  caller(token: string | undefined, from: string): Caller {
    return callerOf(this.#parts, token, from);
  }
  /** Logins and tokens of people. */
  get logins(): Logins {
    return this.#parts.logins;
  }
  /** What lets new hosts in. */
  get joinTokens(): JoinTokens {
    return this.#parts.joinTokens;
  }
  /** Whether a token of this role was ever set in this store. */
  hasToken(role: Role): boolean {
    return this.#parts.credentials.has(role);
  }
  /** From now on, durably, this is the token of the role; the one before is worth nothing. */
  setToken(role: Role, token: string): Promise<void> {
    return setRoleToken(this.#parts, role, token);
  }
  /** A token that cannot be guessed. */
  newToken(): string {
    return this.#parts.entropy.token();
  }
  /** Resolves if it can answer; throws `unavailable` otherwise. */
  async ready(): Promise<void> {
    await this.#parts.committer.settled();
  }
  /** Finishes what was asked, refuses the rest, ends every host's watch. */
  async close(): Promise<void> {
    await this.#parts.audit.flush(true).catch(() => undefined);
    await this.#parts.committer.close();
    await this.#parts.histories.withdraw();
  }
}
