// The agent's line to its server: joins, follows, reports. However long the server is away, it goes on trying; only
// when the server says no (another cluster, a wrong token, a name that is taken) it gives up, because then a person
// must act.
import { isDeepStrictEqual } from "node:util";
import type { Mirror } from "../../client/mirror.ts";
import type { Joined, Transport } from "../../client/transport.ts";
import type { HostClaim } from "../../model/input.ts";
import type { Clock } from "../../model/clock.ts";
import { ClockSteps } from "../../model/clockSteps.ts";
import { Fault, isEnd, problemOf } from "../../model/fault.ts";
import type { HostReport } from "../../model/status.ts";
import type { BlockLease } from "./blockLease.ts";

export type SessionOptions = {
  readonly transport: Transport;
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly random: () => number;
  /** What the host says of itself now; sent at the start and when it changes. Rejects with a Fault while it cannot. */
  readonly claim: () => Promise<HostClaim>;
  /** The cluster this host belonged to before, if it ever joined one. */
  readonly cluster: string | undefined;
  /** Called with the host's own credential, to be kept; again with the next heartbeat if it throws. */
  readonly saveIdentity: (joined: Joined) => void;
  readonly blockLease: BlockLease;
  /** Goes on as a host that has not joined yet, with another credential. False if there is no join token. */
  readonly renew: () => boolean;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const HEARTBEAT_MS = 10_000;
/** The same while the host has no address for its tunnels: a route may come after the address. */
const ASTRAY_MS = 1_000;
/** News of this long go out as one report. */
const GATHER_MS = 20;
/** Between two reports of a host that always has news: they took attaches in a row a tenth of the processor. */
const SPACING_MS = 100;
/** A reason given spares the making of a DOMException with its stack (0.1 ms). */
const WOKEN = "woken";
/** Until the signal. */
const FOREVER_MS = 2_147_483_647;
const JOIN_FIRST_MS = 200;
const JOIN_LAST_MS = 10_000;

export class Session {
  readonly #options: SessionOptions;
  readonly #steps: ClockSteps;
  #report: HostReport;
  #claimed = "";
  /** The underlay address of the last claim; undefined before the first, and while there is none. */
  #address: string | undefined;
  /** Why what the host would say of itself cannot be said, or was refused: a condition for people. */
  #astray: string | undefined;
  #isClaimDue = false;
  /** What the disk refused to keep. */
  #unkept: Joined | undefined;
  #wake = new AbortController();

  constructor(options: SessionOptions, report: HostReport) {
    this.#options = options;
    this.#steps = new ClockSteps(options.clock);
    this.#report = report;
  }

  get report(): HostReport {
    const { told } = this.#steps;
    const stepped = told === undefined ? undefined : `clock-stepped: ${told}`;
    const { problem } = this.#options.mirror;
    const other = problem?.reason === "another-history" ? problem.message : undefined;
    const own = [other, this.#astray, stepped].filter((text) => text !== undefined);
    return own.length === 0 ? this.#report : { ...this.#report, conditions: [...own, ...this.#report.conditions] };
  }

  /** What was said, without what the line itself knows. */
  get own(): HostReport {
    return this.#report;
  }

  /** The server hears of it soon if it is news, else with the next heartbeat. */
  say(news: Partial<HostReport>): void {
    const before: Partial<Record<string, unknown>> = this.#report;
    this.#report = { ...this.#report, ...news };
    const isNews = Object.entries(news).some(([key, value]) => !isDeepStrictEqual(value, before[key]));
    if (isNews) this.#wake.abort(WOKEN);
  }

  /** The host's own addresses have changed: what it says of itself may be otherwise, and its connections dead. */
  async addressesChanged(): Promise<void> {
    await this.#claimNow().catch(() => undefined);
    this.#isClaimDue = true;
    this.#wake.abort(WOKEN);
  }

  /** Send the report again, news or not: the server may be another process than before. */
  resend(): void {
    this.#wake.abort(WOKEN);
  }

  /**
   * Until the signal aborts; rejects with the Fault of a server that says no to joining. When the server says that this
   * host is no longer, `cease` lets go of all it had. Then a host that was reclaimed joins anew, and one that somebody
   * deleted does when its agent is started again; both only with a join token.
   */
  async run(signal: AbortSignal, cease: (fault: Fault) => Promise<void>): Promise<void> {
    for (let hasJoined = false; !signal.aborted; ) {
      const ended = await this.#live(signal);
      if (ended === undefined) return;
      hasJoined ||= ended.hadJoined;
      await cease(ended.fault);
      if (signal.aborted) return;
      const mayReturn = ended.fault.reason === "host-reclaimed" || !hasJoined;
      if (mayReturn && this.#options.renew()) continue;
      if (!hasJoined) throw ended.fault;
      await this.#options.clock.sleep(FOREVER_MS, signal);
    }
  }

  /** One life of the host, from joining to the word that it is no longer; undefined when the agent stops. */
  async #live(signal: AbortSignal): Promise<{ readonly fault: Fault; readonly hadJoined: boolean } | undefined> {
    try {
      await this.#joinAtLast(signal);
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

  async #joinAtLast(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    for (let waitMs = JOIN_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, JOIN_LAST_MS)) {
      try {
        return await this.#join();
      } catch (error) {
        const { reason, detail } = problemOf(error);
        if (reason !== "unavailable" && reason !== "timeout" && reason !== "host-cloned") throw error;
        log("join", { error: detail });
        await clock.sleep(waitMs * (0.5 + random()), signal);
      }
    }
  }

  /** A connection from an address that the host no longer has is only noticed after its time: it is let go of here. */
  async #claimNow(): Promise<HostClaim> {
    const { claim, transport } = this.#options;
    const claimed = await claim().catch((error: unknown) => problemOf(error));
    const address = "underlay" in claimed ? claimed.underlay : undefined;
    if (this.#address !== undefined && address !== this.#address) transport.reconnect();
    this.#address = address;
    if ("underlay" in claimed) return claimed;
    this.#strays(claimed.detail);
    const fix = "nothing: it goes on by itself when the host has an address";
    throw new Fault("unavailable", { what: claimed.detail, fix });
  }

  #strays(why: string | undefined): void {
    if (this.#astray === why) return;
    this.#astray = why;
    if (why !== undefined) this.#options.log("claim", { error: why });
    this.#wake.abort(WOKEN);
  }

  async #join(): Promise<void> {
    await this.#joinAs(await this.#claimNow());
  }

  async #joinAs(claimed: HostClaim): Promise<void> {
    const { transport, cluster, blockLease } = this.#options;
    const sent = blockLease.sending();
    const joined = await transport.join(claimed);
    if (cluster !== undefined && cluster !== joined.cluster) {
      throw new Fault("host-claimed", {
        what: `this host belongs to cluster ${cluster}, and the server is of cluster ${joined.cluster}`,
        why: "the kernel state of one cluster must not be taken for another's",
        fix: "point --server at the right one; to change clusters, run `weft purge` and remove the state directory",
      });
    }
    this.#claimed = JSON.stringify(claimed);
    // What the host has itself is read for the claim, once a heartbeat: a dump of its routes costs more than the rest
    // of a quiet round. A report that still said otherwise would undo what the claim has told.
    this.#report = { ...this.#report, hostPrefixes: claimed.hostPrefixes };
    this.#keep(joined);
    blockLease.heard(sent, joined.reclaimAfterMs);
  }

  /** A join need not be repeated because a disk is full: what was proposed is on it, and is the same credential. */
  #keep(joined: Joined): void {
    try {
      this.#options.saveIdentity(joined);
      this.#unkept = undefined;
    } catch (error) {
      this.#unkept = joined;
      this.#options.log("save", { error: problemOf(error).detail });
    }
  }

  async #reportOn(signal: AbortSignal): Promise<void> {
    const { clock, transport, mirror, blockLease, log } = this.#options;
    let claimedAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      // Asking the kernel takes longer than reporting: with the heartbeat, not with every piece of news.
      const claimAfterMs = this.#astray === undefined ? HEARTBEAT_MS : ASTRAY_MS;
      if (this.#isClaimDue || clock.monotonicMs() - claimedAtMs >= claimAfterMs) {
        claimedAtMs = clock.monotonicMs();
        const step = this.#steps.look(`host "${this.#report.host}"`);
        if (step !== undefined) log("clock stepped", { step });
        if (this.#unkept !== undefined) this.#keep(this.#unkept);
        await this.#reclaim();
      }
      if (mirror.isSynced) {
        try {
          const sent = blockLease.sending();
          const { reclaimAfterMs } = await transport.report(this.report);
          blockLease.heard(sent, reclaimAfterMs);
        } catch (error) {
          const { reason, detail } = problemOf(error);
          log("report", { error: detail });
          // Another machine was taken for this host while it was not heard: it is told so when it claims to be it.
          if (reason === "host-cloned") this.#isClaimDue = true;
          if (reason === "host-cloned") this.#claimed = "";
        }
      }
      const reportedAtMs = clock.monotonicMs();
      const restMs = this.#astray === undefined ? HEARTBEAT_MS : ASTRAY_MS;
      await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal]));
      await clock.sleep(Math.max(GATHER_MS, reportedAtMs + SPACING_MS - clock.monotonicMs()), signal);
    }
  }

  /** Says anew what the host is, if that is news. Whatever becomes of it, reports go on. */
  async #reclaim(): Promise<void> {
    this.#isClaimDue = false;
    try {
      const claimed = await this.#claimNow();
      if (this.#claimed !== JSON.stringify(claimed)) await this.#joinAs(claimed);
      this.#strays(undefined);
    } catch (error) {
      const { reason, detail } = problemOf(error);
      // Told already, or the server is away: then nothing else is told it either.
      if (reason === "unavailable" || reason === "timeout") return this.#options.log("join", { error: detail });
      this.#strays(`the server does not take what this host says of itself now: ${detail}`);
    }
  }
}

/** What is so if the server says no, and how it is asked. */
export type Step = readonly [otherwise: string, ask: () => Promise<unknown>];

/** Does each step, whatever becomes of the others, and gives what was refused; a server that is away is asked once. */
export async function refusalsOf(steps: readonly Step[]): Promise<readonly string[]> {
  const refused: string[] = [];
  for (const [otherwise, ask] of steps) {
    try {
      await ask();
    } catch (error) {
      const { reason, detail } = problemOf(error);
      refused.push(`${otherwise}: ${detail}`);
      if (reason === "unavailable" || reason === "timeout") break;
    }
  }
  return refused;
}
