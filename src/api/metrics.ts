// Metrics in Prometheus' text form. Events are counted when they happen; states are read at each scrape. Labels are
// networks, hosts and states: never an endpoint or an address.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { CONDITION_REASONS } from "../control/report/conditions.ts";
import type { Control, Meter } from "../control/control.ts";

export type Metrics = {
  /** For the control plane, which is built first. */
  readonly meter: Meter;
  /** Counts a login, or one that was refused. */
  login(way: LoginWay, result: LoginResult): void;
  readonly type: string;
  /** All values, now. */
  render(control: Control, watchers: number): Promise<string>;
};

const LOGIN_WAYS = ["password", "browser", "device"] as const;
/** By a password; by the OpenID provider, in a browser or with a device code. */
export type LoginWay = (typeof LOGIN_WAYS)[number];
const LOGIN_RESULTS = ["succeeded", "refused"] as const;
type LoginResult = (typeof LOGIN_RESULTS)[number];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const commits = new Counter({ name: "weft_commits_total", help: "Commits, each one revision.", registers });
  const commitSeconds = new Histogram({
    name: "weft_commit_seconds",
    help: "Time of a durable transaction, which may carry several commits.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
    registers,
  });
  const lag = new Histogram({
    name: "weft_convergence_lag_seconds",
    help: "From a commit to the report of a host it concerns that its kernel has it.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const logins = new Counter({
    name: "weft_logins_total",
    help: `Logins by way (${LOGIN_WAYS.join(", ")}) and result. Who it was, the audit log says.`,
    labelNames: ["way", "result"],
    registers,
  });
  // From the first scrape on, so that the first refusal is a change.
  for (const way of LOGIN_WAYS) for (const result of LOGIN_RESULTS) logins.inc({ way, result }, 0);
  const states = createStates(registers);
  return {
    login: (way, result) => logins.inc({ way, result }),
    meter: {
      committed(count, seconds) {
        commits.inc(count);
        commitSeconds.observe(seconds);
      },
      converged: (seconds) => lag.observe(seconds),
    },
    type: registry.contentType,
    async render(control, watchers) {
      await states.read(control);
      states.watchers.set(watchers);
      return registry.metrics();
    },
  };
}

function createStates(registers: Registry[]) {
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers });
  const revision = gauge("weft_revision", "The last durable revision.");
  const perState = ["network", "family", "state"];
  const addresses = gauge("weft_addresses", "Addresses of endpoints by network and state.", ...perState);
  const ifItGrows = "When the network is full if it grows as in the last hour; absent while it does not grow.";
  const fullIn = gauge("weft_addresses_full_in_seconds", ifItGrows, "network", "family");
  const blocks = gauge("weft_blocks", "Blocks of local networks by state.", ...perState);
  const hosts = gauge("weft_hosts", "Hosts by state.", "state");
  const hostRevision = gauge("weft_host_revision", "The revision that a host's kernel holds.", "host");
  const hostLag = gauge("weft_host_lag_seconds", "The convergence lag that a host last showed.", "host");
  const repaired = "Foreign changes that a host's agent repaired since it started.";
  const drift = gauge("weft_host_drift_repaired", repaired, "host");
  const reasons = CONDITION_REASONS.join(", ");
  const conditions = gauge("weft_conditions", `Things a user should know, by reason: ${reasons}.`, "reason");
  const paths = gauge("weft_paths", "Pairs of hosts that share a VRF.");
  const proven = gauge("weft_paths_proven", "Pairs between which packets of full size pass, both ways.");
  const watchers = gauge("weft_watchers", "Open watches.");

  async function read(control: Control): Promise<void> {
    for (const state of [addresses, fullIn, blocks, hosts, hostRevision, hostLag, drift, conditions]) state.reset();
    revision.set(control.revision);
    for (const use of await control.addressUse()) {
      const { network, family, used, total, held, quarantined, blocksUsed, blocksTotal, fullInSeconds } = use;
      const label = { network, family: `ipv${family}` };
      addresses.set({ ...label, state: "used" }, used);
      addresses.set({ ...label, state: "held" }, held);
      addresses.set({ ...label, state: "quarantined" }, quarantined);
      // A hold may contain addresses that no endpoint could have.
      addresses.set({ ...label, state: "free" }, Math.max(0, total - used - held - quarantined));
      if (fullInSeconds !== undefined) fullIn.set(label, fullInSeconds);
      if (blocksTotal === 0) continue;
      blocks.set({ ...label, state: "used" }, blocksUsed);
      blocks.set({ ...label, state: "free" }, blocksTotal - blocksUsed);
    }
    const status = await control.status();
    paths.set(status.paths?.pairs ?? 0);
    proven.set(status.paths?.proven ?? 0);
    for (const state of ["ready", "suspect", "lost", "reclaimed", "expected"]) hosts.set({ state }, 0);
    for (const reason of CONDITION_REASONS) conditions.set({ reason }, 0);
    for (const { reason } of status.conditions) conditions.inc({ reason });
    for (const { host, state, status: report } of status.hosts) {
      hosts.inc({ state });
      if (report === undefined) continue;
      hostRevision.set({ host }, report.revision);
      drift.set({ host }, report.driftRepaired);
      if (report.lagMs !== undefined) hostLag.set({ host }, report.lagMs / 1000);
    }
  }
  return { read, watchers };
}
