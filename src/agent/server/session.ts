// The agent's session with its server: join, follow the watch, report. While the server is away the agent goes on
// trying. It gives up only if the server refuses the host (another cluster, a name that is taken, a wrong token of a
// host that was never let in), because then a person must act.
import { isDeepStrictEqual } from "node:util";
import type { Mirror } from "../../client/mirror.ts";
import type { Transport } from "../../client/transport.ts";
import { ClockSteps } from "../../model/clock.ts";
import { type Fault, isEnd, problemOf } from "../../model/fault.ts";
import type { HostReport } from "../../model/status.ts";
import { HostJoin, type JoinOptions } from "./join.ts";
import { SavedSnapshot, type SavedSnapshotOptions } from "./savedSnapshot.ts";

export type SessionOptions = JoinOptions &
  SavedSnapshotOptions & {
    readonly transport: Transport;
    readonly mirror: Mirror;
    /** Goes on as a host that has not joined yet, with another credential. False if there is no join token. */
    readonly renew: () => boolean;
  };

/** The heartbeat is a third of the time after which the server holds a silent host for suspect, within these bounds. */
const HEARTBEAT_MOST_MS = 10_000;
const HEARTBEAT_LEAST_MS = 1_000;
/** The heartbeat while the host has no underlay address, or the server refuses its claim: that may end at any time. */
const NO_CLAIM_MS = 1_000;
/** News within this time go into one report. */
const GATHER_MS = 20;
/** Between two reports of a host that always has news: without it, attaches in a row cost a tenth of the processor. */
const SPACING_MS = 100;
/** An abort with a reason of our own creates no DOMException with its stack (0.1 ms). */
const WOKEN = "woken";
/** The longest sleep there is: until the signal aborts. */
const FOREVER_MS = 2_147_483_647;

export class Session {
  readonly #options: SessionOptions;
  readonly #join: HostJoin;
  readonly #steps: ClockSteps;
  readonly saved: SavedSnapshot;
  #report: HostReport;
  #isRefreshDue = false;
  #everyMs = HEARTBEAT_MOST_MS;
  #wake = new AbortController();

  constructor(options: SessionOptions, report: HostReport) {
    this.#options = options;
    this.#join = new HostJoin(options, () => this.resend());
    this.#steps = new ClockSteps(options.clock);
    this.saved = new SavedSnapshot(options);
    this.#report = report;
  }

  /** What the server is told now. */
  get report(): HostReport {
    const { told } = this.#steps;
    const stepped = told === undefined ? undefined : `clock-stepped: ${told}`;
    const { problem } = this.#options.mirror;
    const other = problem?.reason === "another-history" ? problem.message : undefined;
    const own = [other, this.#join.problem, stepped].filter((text) => text !== undefined);
    // What the claim has told, a report must not undo: the host's routes are read for the claim, once a heartbeat.
    const report = { ...this.#report, hostPrefixes: this.#join.prefixes ?? this.#report.hostPrefixes };
    return own.length === 0 ? report : { ...report, conditions: [...own, ...report.conditions] };
  }

  /** The same without the conditions of the session itself. */
  get own(): HostReport {
    return this.#report;
  }

  /** Changes the report. It is sent soon if the change is news, otherwise with the next heartbeat. */
  say(news: Partial<HostReport>): void {
    const before: Partial<Record<string, unknown>> = this.#report;
    this.#report = { ...this.#report, ...news };
    const isNews = Object.entries(news).some(([key, value]) => !isDeepStrictEqual(value, before[key]));
    if (isNews) this.resend();
  }

  /** The host's own addresses have changed: so may its claim, and connections may be dead. */
  async addressesChanged(): Promise<void> {
    await this.#join.claimNow().catch(() => undefined);
    this.#isRefreshDue = true;
    this.resend();
  }

  /** Whether the server answers a report that is sent now, whatever the answer. */
  async isHeard(): Promise<boolean> {
    return await this.#options.transport.report(this.report).then(
      () => true,
      (error: unknown) => !["unavailable", "timeout"].includes(problemOf(error).reason),
    );
  }

  /** Sends the report again soon: the server may be another process than before. */
  resend(): void {
    this.#wake.abort(WOKEN);
  }

  /**
   * Runs until the signal aborts; rejects with the Fault of a server that refuses to let the host join. If the server
   * has removed this host, `decommission` detaches everything. Then a reclaimed host joins again at once, and a deleted
   * one when its agent is started again; both need a join token.
   */
  async run(signal: AbortSignal, decommission: (fault: Fault) => Promise<void>): Promise<void> {
    for (let hasJoined = false; !signal.aborted; ) {
      const ended = await this.#untilRemoved(signal);
      if (ended === undefined) return;
      hasJoined ||= ended.hadJoined;
      await decommission(ended.fault);
      if (signal.aborted) return;
      const mayReturn = ended.fault.reason === "host-reclaimed" || !hasJoined;
      if (mayReturn && this.#options.renew()) continue;
      if (!hasJoined) throw ended.fault;
      await this.#options.clock.sleep(FOREVER_MS, signal);
    }
  }

  /** From joining until the server says that it has removed the host; undefined when the agent stops. */
  async #untilRemoved(signal: AbortSignal): Promise<{ fault: Fault; hadJoined: boolean } | undefined> {
    try {
      await this.#join.join(signal);
    } catch (error) {
      if (isEnd(error)) return { fault: error, hadJoined: false };
      throw error;
    }
    const { mirror } = this.#options;
    const ended = new AbortController();
    const alive = AbortSignal.any([signal, ended.signal]);
    await Promise.all([mirror.run(alive).finally(() => ended.abort(WOKEN)), this.#reportOn(alive)]);
    return signal.aborted || !isEnd(mirror.problem) ? undefined : { fault: mirror.problem, hadJoined: true };
  }

  async #reportOn(signal: AbortSignal): Promise<void> {
    const { clock, mirror, log } = this.#options;
    let claimedAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      // Making the claim takes longer than a report: with the heartbeat, not with all news.
      if (this.#isRefreshDue || clock.monotonicMs() - claimedAtMs >= this.#heartbeatMs) {
        claimedAtMs = clock.monotonicMs();
        const step = this.#steps.look(`host "${this.#report.host}"`);
        if (step !== undefined) log("clock stepped", { step });
        this.#isRefreshDue = false;
        await this.#join.refresh();
      }
      if (mirror.isSynced) await this.#send();
      const reportedAtMs = clock.monotonicMs();
      await clock.sleep(this.#heartbeatMs, AbortSignal.any([signal, this.#wake.signal]));
      await clock.sleep(Math.max(GATHER_MS, reportedAtMs + SPACING_MS - clock.monotonicMs()), signal);
    }
  }

  get #heartbeatMs(): number {
    return this.#join.isBrief ? NO_CLAIM_MS : this.#everyMs;
  }

  async #send(): Promise<void> {
    const { transport, blockLease, log } = this.#options;
    try {
      const report = await this.saved.covered(this.report);
      const sent = blockLease.sending();
      const { reclaimAfterMs, suspectAfterMs = Number.POSITIVE_INFINITY } = await transport.report(report);
      blockLease.heard(sent, reclaimAfterMs);
      this.#everyMs = Math.max(HEARTBEAT_LEAST_MS, Math.min(HEARTBEAT_MOST_MS, suspectAfterMs / 3));
    } catch (error) {
      const { reason, detail } = problemOf(error);
      log("report", { error: detail });
      if (reason !== "host-cloned") return;
      // The server took another machine for this host while it was silent, and says so when this one joins.
      this.#isRefreshDue = true;
      this.#join.invalidate();
    }
  }
}
