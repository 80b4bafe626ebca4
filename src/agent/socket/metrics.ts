// The agent's report as Prometheus metrics. The numbers are the report's, so that a graph and `weft status` never
// differ. Labels are endpoints of this host, never addresses.
import { Counter, Gauge, Registry } from "prom-client";
import type { EndpointCounters, HostReport, QueueCounters } from "../../model/status.ts";

export const METRICS_TYPE = "text/plain; version=0.0.4";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** The page: everything that these say, and nothing that was said before. */
export async function agentMetrics(
  report: HostReport,
  queues: readonly QueueCounters[],
  counters: readonly EndpointCounters[],
): Promise<string> {
  const registry = new Registry();
  const metric = (name: string, help: string, ...samples: readonly Sample[]) => {
    // A metric without labels has a value even before it has one: of endpoints there may be none.
    const labelNames = Object.keys(samples[0]?.[0] ?? { endpoint: "" });
    const options = { name, help, labelNames, registers: [registry] };
    // The convention for names: what only grows ends in _total.
    const made = name.endsWith("_total") ? new Counter(options) : new Gauge(options);
    for (const [labels, value] of samples) made.inc(labels, value);
  };
  const { version, host, bootId, paths } = report;
  metric("weft_agent_revision", "Revision that the kernel holds.", [{}, report.revision]);
  metric("weft_agent_objects", "Kernel objects held.", [{}, report.objects]);
  metric("weft_agent_networks", "Networks in the kernel.", [{}, report.networks.length]);
  metric("weft_agent_errors", "What the kernel refused last.", [{}, report.errors.length]);
  metric("weft_agent_conditions", "Conditions to look at.", [{}, report.conditions.length]);
  metric("weft_agent_peers", "Hosts that share a VRF.", [{}, paths?.peers ?? 0]);
  const proven = "Peers with which packets of full size are exchanged.";
  metric("weft_agent_paths_proven", proven, [{}, paths?.proven ?? 0]);
  const repaired = "Operations that repaired what others had changed.";
  metric("weft_agent_drift_repaired_total", repaired, [{}, report.driftRepaired]);
  metric("weft_agent_info", "This agent.", [{ version, host, boot_id: bootId }, 1]);
  for (const [name, help, of] of queues.length === 0 ? [] : QUEUE_METRICS)
    metric(
      name,
      help,
      ...queues.map(({ endpoint, direction, ...sums }): Sample => [{ endpoint, direction }, sums[of]]),
    );
  const [traffic, dropped] = ["What an endpoint sent and received.", "Packets dropped by groups and spoofing filters."];
  metric("weft_endpoint_packets_total", traffic, ...counters.flatMap((one) => both(one, "Packets")));
  metric("weft_endpoint_bytes_total", traffic, ...counters.flatMap((one) => both(one, "Bytes")));
  metric("weft_endpoint_drops_total", dropped, ...counters.flatMap(dropsOf));
  return registry.metrics();
}

/** Only if something is limited. */
const QUEUE_METRICS = [
  ["weft_endpoint_limit_bytes_total", "Bytes that passed a limit.", "bytes"],
  ["weft_endpoint_limit_packets_total", "Packets that passed a limit.", "packets"],
  ["weft_endpoint_limit_drops_total", "Packets that a limit dropped.", "drops"],
  ["weft_endpoint_limit_backlog_bytes", "Bytes that wait at a limit.", "backlog"],
] as const;

/** Directions are the workload's: out is what it sent. */
function both(one: EndpointCounters, unit: "Packets" | "Bytes"): readonly Sample[] {
  const { endpoint } = one;
  return [
    [{ endpoint, direction: "out" }, one[`sent${unit}`]],
    [{ endpoint, direction: "in" }, one[`received${unit}`]],
  ];
}

function dropsOf({ endpoint, drops }: EndpointCounters): readonly Sample[] {
  return Object.entries(drops).map(([reason, packets]) => [{ endpoint, reason }, packets]);
}
