// The lifecycle of hosts on one server: ready, suspect or lost; how a host is removed or reclaimed; and what is
// remembered of removed ones. liveness.ts decides about the states, admit/ about what is released.
import type { Clock } from "../../model/clock.ts";
import { ClockSteps } from "../../model/clock.ts";
import { defined } from "../../model/defined.ts";
import { formatDuration } from "../../model/duration.ts";
import { Fault } from "../../model/fault.ts";
import type { Secret, Store } from "../../store/store.ts";
import { issuerSecret } from "./authority.ts";
import { bootSecret } from "./boots.ts";
import type { Admission } from "../admit/admit.ts";
import type { Committer, Job } from "../commit/committer.ts";
import { type Condition, lossesOf } from "../report/conditions.ts";
import { type Credentials, hostSecret } from "./credentials.ts";
import { type Departure, Departures, departureOf } from "./departures.ts";
import { type LivenessSettings, reclaimDecision } from "./liveness.ts";
import { type Prefixes, prefixSecret } from "./prefixes.ts";
import { type HostsStatus, Reports } from "../report/reports.ts";
import { get, getKey } from "../state/view.ts";
import type { Outcome, Write } from "../write.ts";

/** What a removal includes: credentials, and what is known of the host. */
type Parts = {
  readonly committer: Committer;
  readonly credentials: Credentials;
  readonly prefixes: Prefixes;
};
type RemoveOptions = Pick<Job, "dryRun" | "holds" | "caller">;

export class HostLifecycle {
  readonly departures: Departures;
  readonly reports: Reports;
  readonly #settings: LivenessSettings;
  readonly #clock: Clock;
  readonly #steps: ClockSteps;
  #calmSinceMs: number;
  #massLoss: readonly string[] = [];

  constructor(store: Store, settings: LivenessSettings, clock: Clock) {
    this.departures = new Departures(store);
    this.reports = new Reports(settings, clock);
    this.#settings = settings;
    this.#clock = clock;
    this.#steps = new ClockSteps(clock);
    this.#calmSinceMs = clock.monotonicMs();
  }

  /** Removes a host and what it had, and records the removal. */
  remove(
    parts: Parts,
    write: Extract<Write, { readonly verb: "delete" }>,
    as: Pick<Departure, "how" | "by">,
    { dryRun = false, holds, caller }: RemoveOptions,
  ): Promise<Outcome> {
    const { committer, credentials, prefixes } = parts;
    const host = write.name;
    return this.kept(committer, {
      write,
      dryRun,
      ...defined({ holds, caller }),
      secrets: ({ changes }): Secret[] => {
        const { view } = committer;
        const underlay = get(view, "host", host)?.spec.underlay ?? "";
        const rest = { ...as, atMs: this.#clock.nowMs() };
        const departure = departureOf({ name: host, underlay }, changes, (key) => getKey(view, key), rest);
        const told = this.departures.note(departure, credentials.digestOf(host));
        const ended = [hostSecret, prefixSecret, bootSecret, issuerSecret].map((of) => of(host, undefined));
        return [...ended, ...told];
      },
      committed: () => {
        if (dryRun) return;
        credentials.admit(host);
        prefixes.forget(host);
        this.reports.forget(host);
      },
    });
  }

  /** Throws `in-use` for a host that is not lost. */
  checkLost(host: string): void {
    const { state } = this.reports.liveness(host);
    if (state === "lost") return;
    const { heardAtMs, hasReported } = this.reports.heard(host);
    const silence = formatDuration(this.#clock.monotonicMs() - heardAtMs);
    throw new Fault("in-use", {
      what: `host "${host}" is ${state}, not lost`,
      where: `host/${host}`,
      why: hasReported
        ? `it reported ${silence} ago, and its workloads may be running`
        : `this server has run for ${silence} and not heard from it yet`,
      fix: "wait until it is lost; stop its agent and drain it first; or use force if the machine is gone for good",
    });
  }

  /**
   * The host to reclaim now, if any; remembers when many were silent. `except`: hosts that are heard but cannot report.
   */
  nextToReclaim(hosts: Iterable<string>, except: { has(host: string): boolean }): string | undefined {
    this.#steps.look("the server");
    const heard = [...hosts].filter((host) => !except.has(host)).map((host) => this.reports.heard(host));
    const decision = reclaimDecision(heard, this.#settings, this.#clock.monotonicMs(), this.#calmSinceMs);
    this.#calmSinceMs = decision.calmSinceMs;
    this.#massLoss = decision.massLoss;
    return decision.reclaim;
  }

  /** Every host with its state, and what a user should know about lost ones. */
  status({ view }: Committer): { readonly status: HostsStatus; readonly losses: readonly Condition[] } {
    const status = this.reports.status(view, this.departures.list);
    const losses = lossesOf(view, status.hosts, this.#massLoss, this.#clock.nowMs());
    const { told } = this.#steps;
    const stepped: Condition[] =
      told === undefined ? [] : [{ reason: "clock-stepped", object: "cluster", message: told }];
    return { status, losses: [...losses, ...stepped] };
  }

  /** Submits a job that notes or forgets departures: that counts only when it is durable. */
  async kept(committer: Pick<Committer, "submit">, job: Job): Promise<Outcome> {
    let isNoted = false;
    const secrets = (admission: Admission) => {
      isNoted = true;
      return job.secrets?.(admission) ?? [];
    };
    try {
      return await committer.submit({ ...job, secrets });
    } catch (error) {
      // Not when it was refused: what others have noted since may be on its way to the disk.
      if (isNoted) this.departures.reload();
      throw error;
    }
  }
}
