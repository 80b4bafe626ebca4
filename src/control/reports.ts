// What hosts say they reached: the latest report of each, in memory only, because each agent repeats it. From reports
// and the times of commits follow how far the cluster is and how long a change takes to reach a kernel.
import type { ClusterStatus, HostCondition, HostReport, HostStatus } from "../model/status.ts";
import { concerns } from "./interest.ts";
import type { Journey } from "./journey.ts";
import { type View, hostsInOrder } from "./view.ts";

/** A host that has not reported for longer is away: three missed heartbeats. */
const AWAY_AFTER_MS = 30_000;

export class Reports {
  readonly #latest = new Map<string, HostStatus>();

  get latest(): ReadonlyMap<string, HostStatus> {
    return this.#latest;
  }

  /**
   * Takes a report; returns the lag if this one shows it: from the newest commit that concerns the host to its
   * report.
   */
  receive(report: HostReport, view: View, journey: Journey, nowMs: number): number | undefined {
    const earlier = this.#latest.get(report.host);
    const committedAtMs =
      earlier === undefined
        ? undefined
        : journey.lastCommit(earlier.revision, report.revision, (before) => concerns(view, before, report.host));
    const measured = committedAtMs === undefined ? undefined : Math.max(0, nowMs - committedAtMs);
    const lagMs = measured ?? earlier?.lagMs;
    this.#latest.set(report.host, { ...report, reportedAtMs: nowMs, ...(lagMs === undefined ? {} : { lagMs }) });
    return measured;
  }

  forget(host: string): void {
    this.#latest.delete(host);
  }

  /** Hosts in registration order, then those that a DC/OS configuration names and that never came. */
  status(view: View, nowMs: number): ClusterStatus {
    const hosts = hostsInOrder(view).map((host): HostCondition => {
      const status = this.#latest.get(host.name);
      const isReady = status !== undefined && nowMs - status.reportedAtMs <= AWAY_AFTER_MS;
      return {
        host: host.name,
        underlay: host.spec.underlay,
        state: isReady ? "ready" : "away",
        ...(status === undefined ? {} : { status }),
      };
    });
    const named = [...view.vrf.values()].flatMap(({ spec }) => [
      ...(spec.dcos?.masters ?? []),
      ...(spec.dcos?.agents ?? []),
    ]);
    const expected = [...new Set(named)].filter((address) => !view.underlays.has(address));
    return {
      cluster: view.cluster,
      revision: view.revision,
      hosts: [
        ...hosts,
        ...expected.map((address): HostCondition => ({ host: address, underlay: address, state: "expected" })),
      ],
    };
  }
}
