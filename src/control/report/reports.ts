// The latest report of each host, in memory only, because each agent repeats it. Reports and the times of commits show
// how far the cluster is, how each host is, and how long a change takes to reach a kernel.
import { type Clock, wallOf } from "../../model/clock.ts";
import type { ClusterStatus, HostCondition, HostReport, HostStatus } from "../../model/status.ts";
import type { Departure } from "../hosts/departures.ts";
import { concerns } from "../state/visibility.ts";
import type { ReplayLog } from "../commit/replayLog.ts";
import { type Heard, type Liveness, type LivenessSettings, livenessOf } from "../hosts/liveness.ts";
import { clusterGroups, clusterPaths } from "./paths.ts";
import { type View, hostsInOrder } from "../state/view.ts";

/** Conditions do not come from reports alone: the caller adds them. */
export type HostsStatus = Omit<ClusterStatus, "conditions">;

export class Reports {
  readonly #settings: LivenessSettings;
  readonly #clock: Clock;
  /** Before it, this server heard no host. All times here are of the monotonic clock until they are shown. */
  readonly #openedAtMs: number;
  readonly #latest = new Map<string, HostStatus>();
  /** When a host was first heard of that is ready, or joined. */
  readonly #sinceMs = new Map<string, number>();
  readonly #sightedAtMs = new Map<string, number>();

  constructor(settings: LivenessSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#openedAtMs = clock.monotonicMs();
  }

  /**
   * Takes a report; returns the lag if this one shows it: from the newest commit that concerns the host to its
   * report.
   */
  receive(report: HostReport, view: View, replayLog: ReplayLog): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const earlier = this.#latest.get(report.host);
    const committedAtMs =
      earlier === undefined
        ? undefined
        : replayLog.lastCommit(earlier.revision, report.revision, (before) => concerns(view, before, report.host));
    const measured = committedAtMs === undefined ? undefined : Math.max(0, nowMs - committedAtMs);
    const lagMs = measured ?? earlier?.lagMs;
    if (earlier === undefined || this.liveness(report.host).state !== "ready") this.#sinceMs.set(report.host, nowMs);
    this.#latest.set(report.host, { ...report, reportedAtMs: nowMs, ...(lagMs === undefined ? {} : { lagMs }) });
    return measured;
  }

  /** A host that has just joined has been heard, too. */
  joined(host: string): void {
    if (!this.#latest.has(host)) this.#sinceMs.set(host, this.#clock.monotonicMs());
  }

  /** It is there, although what it says cannot be taken. */
  sighted(host: string): void {
    this.#sightedAtMs.set(host, this.#clock.monotonicMs());
  }

  forget(host: string): void {
    this.#latest.delete(host);
    this.#sinceMs.delete(host);
    this.#sightedAtMs.delete(host);
  }

  /** What it said last; times are of the monotonic clock. */
  latest(host: string): HostStatus | undefined {
    return this.#latest.get(host);
  }

  heard(host: string): Heard {
    const status = this.#latest.get(host);
    const saidAtMs = status?.reportedAtMs ?? this.#sinceMs.get(host) ?? this.#openedAtMs;
    const sightedAtMs = this.#sightedAtMs.get(host);
    const heardAtMs = Math.max(saidAtMs, sightedAtMs ?? 0);
    return { host, heardAtMs, hasReported: status !== undefined || sightedAtMs !== undefined };
  }

  liveness(host: string): Liveness {
    const liveness = livenessOf(this.heard(host), this.#settings, this.#clock.monotonicMs());
    return liveness.state === "ready"
      ? { ...liveness, sinceMs: this.#sinceMs.get(host) ?? liveness.sinceMs }
      : liveness;
  }

  /** Hosts in registration order, then those that were reclaimed, then those that a configuration only names. */
  status(view: View, departures: readonly Departure[]): HostsStatus {
    const shown = (monotonicMs: number) => Math.round(wallOf(this.#clock, monotonicMs));
    const hosts = hostsInOrder(view).map((host): HostCondition => {
      const status = this.#latest.get(host.name);
      const { state, sinceMs } = this.liveness(host.name);
      const known = { host: host.name, underlay: host.spec.underlay, state, sinceMs: shown(sinceMs) };
      return status === undefined
        ? known
        : { ...known, status: { ...status, reportedAtMs: shown(status.reportedAtMs) } };
    });
    const reclaimed = departures
      .filter((one) => one.how === "reclaimed" && !view.host.has(one.host))
      .map(({ host, underlay, atMs }): HostCondition => ({ host, underlay, state: "reclaimed", sinceMs: atMs }));
    const named = [...view.vrf.values()].flatMap(({ spec: { dcos } }) =>
      dcos === undefined ? [] : [...dcos.masters, ...dcos.agents],
    );
    const expected = [...new Set(named)]
      .filter((address) => !view.underlays.has(address))
      .map((address): HostCondition => ({ host: address, underlay: address, state: "expected" }));
    const paths = clusterPaths(hosts);
    const groups = clusterGroups(hosts);
    const { cluster, revision } = view;
    const told = { ...(paths && { paths }), ...(groups.length > 0 && { groups }) };
    return { cluster, revision, ...told, hosts: [...hosts, ...reclaimed, ...expected] };
  }
}
