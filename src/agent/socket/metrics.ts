// The agent's report as a Prometheus page (text format 0.0.4). Pure: the numbers are the report's, so that what a graph
// shows and what `weft status` says never differ. Labels carry the endpoints of this host, and no addresses.
import type { EndpointCounters, HostReport, QueueCounters } from "../../model/status.ts";

type Metric = {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly value: number;
};

export function agentMetrics(
  report: HostReport,
  queues: readonly QueueCounters[],
  counters: readonly EndpointCounters[],
): string {
  const metrics: readonly Metric[] = [
    { name: "weft_agent_revision", type: "gauge", help: "Revision that the kernel holds.", value: report.revision },
    { name: "weft_agent_objects", type: "gauge", help: "Kernel objects held.", value: report.objects },
    { name: "weft_agent_networks", type: "gauge", help: "Networks in the kernel.", value: report.networks.length },
    { name: "weft_agent_errors", type: "gauge", help: "What the kernel refused last.", value: report.errors.length },
    { name: "weft_agent_conditions", type: "gauge", help: "Conditions to look at.", value: report.conditions.length },
    { name: "weft_agent_peers", type: "gauge", help: "Hosts that share a VRF.", value: report.paths?.peers ?? 0 },
    {
      name: "weft_agent_paths_proven",
      type: "gauge",
      help: "Peers with which packets of full size are exchanged.",
      value: report.paths?.proven ?? 0,
    },
    {
      name: "weft_agent_drift_repaired_total",
      type: "counter",
      help: "Operations that repaired what somebody else changed.",
      value: report.driftRepaired,
    },
  ];
  const pages = metrics.map(
    ({ name, type, help, value }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`,
  );
  const info = { version: report.version, host: report.host, boot_id: report.bootId };
  const labels = Object.entries(info).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  pages.push("# HELP weft_agent_info This agent.\n# TYPE weft_agent_info gauge\n");
  pages.push(`weft_agent_info{${labels.join(",")}} 1\n`, ...QUEUE_METRICS.map((metric) => queuePage(metric, queues)));
  return `${pages.join("")}${trafficPage(counters)}${dropsPage(counters)}`;
}

const QUEUE_METRICS = [
  { of: "bytes", name: "weft_endpoint_limit_bytes_total", type: "counter", help: "Bytes that passed a limit." },
  { of: "packets", name: "weft_endpoint_limit_packets_total", type: "counter", help: "Packets that passed a limit." },
  { of: "drops", name: "weft_endpoint_limit_drops_total", type: "counter", help: "Packets that a limit dropped." },
  { of: "backlog", name: "weft_endpoint_limit_backlog_bytes", type: "gauge", help: "Bytes that wait at a limit." },
] as const;

/** Nothing where nothing is limited. */
function queuePage({ of, name, type, help }: (typeof QUEUE_METRICS)[number], queues: readonly QueueCounters[]): string {
  if (queues.length === 0) return "";
  const lines = queues.map(
    (queue) => `${name}{endpoint=${JSON.stringify(queue.endpoint)},direction="${queue.direction}"} ${queue[of]}\n`,
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Directions are the workload's: sent is what came out of it. */
function trafficPage(counters: readonly EndpointCounters[]): string {
  const page = (unit: "packets" | "bytes") => {
    const name = `weft_endpoint_${unit}_total`;
    const lines = counters.flatMap((one) => {
      const [sent, received] =
        unit === "packets" ? [one.sentPackets, one.receivedPackets] : [one.sentBytes, one.receivedBytes];
      const label = `endpoint=${JSON.stringify(one.endpoint)}`;
      return [`${name}{${label},direction="out"} ${sent}\n`, `${name}{${label},direction="in"} ${received}\n`];
    });
    return `# HELP ${name} What an endpoint sent and received.\n# TYPE ${name} counter\n${lines.join("")}`;
  };
  return page("packets") + page("bytes");
}

function dropsPage(counters: readonly EndpointCounters[]): string {
  const name = "weft_endpoint_drops_total";
  const lines = counters.flatMap(({ endpoint, drops }) =>
    Object.entries(drops).map(
      ([reason, packets]) =>
        `${name}{endpoint=${JSON.stringify(endpoint)},reason=${JSON.stringify(reason)}} ${packets}\n`,
    ),
  );
  return `# HELP ${name} Packets dropped by groups and spoofing filters.\n# TYPE ${name} counter\n${lines.join("")}`;
}
