// The Prometheus page says what the report says, in a form that scrapers take.
import assert from "node:assert/strict";
import { test } from "node:test";
import { agentMetrics } from "../../../../src/agent/socket/metrics.ts";

const REPORT = {
  host: 'h"1',
  bootId: "b",
  version: "1.2.3",
  revision: 7,
  driftRepaired: 3,
  errors: ["e1", "e2"],
  networks: ["blue"],
  conditions: [],
  hostPrefixes: [],
  objects: 42,
};
const COUNTERS = {
  endpoint: "web.eth0",
  sentPackets: 1,
  sentBytes: 2,
  receivedPackets: 3,
  receivedBytes: 4,
  drops: { "source-mac": 5 },
};
const SAMPLE = /^# (HELP|TYPE) \w+ .+$|^\w+(\{.*\})? \d+$/;

test("every line is a comment or a sample, and the numbers are the report's", async () => {
  const page = await agentMetrics(REPORT, [], [COUNTERS]);
  for (const line of page.trimEnd().split(/\n+/)) assert.match(line, SAMPLE);
  const samples = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(samples, [
    "weft_agent_revision 7",
    "weft_agent_objects 42",
    "weft_agent_networks 1",
    "weft_agent_errors 2",
    "weft_agent_conditions 0",
    "weft_agent_peers 0",
    "weft_agent_paths_proven 0",
    "weft_agent_drift_repaired_total 3",
    'weft_agent_info{version="1.2.3",host="h\\"1",boot_id="b"} 1',
    'weft_endpoint_packets_total{endpoint="web.eth0",direction="out"} 1',
    'weft_endpoint_packets_total{endpoint="web.eth0",direction="in"} 3',
    'weft_endpoint_bytes_total{endpoint="web.eth0",direction="out"} 2',
    'weft_endpoint_bytes_total{endpoint="web.eth0",direction="in"} 4',
    'weft_endpoint_drops_total{endpoint="web.eth0",reason="source-mac"} 5',
  ]);
});

test("a limit has its counters by endpoint and direction", async () => {
  const counters = { bytes: 1500, packets: 2, drops: 3, backlog: 4 };
  const page = await agentMetrics(REPORT, [{ endpoint: "web.eth0", direction: "outbound", ...counters }], []);
  for (const line of page.trimEnd().split(/\n+/)) assert.match(line, SAMPLE);
  const labels = '{endpoint="web.eth0",direction="outbound"}';
  assert.deepEqual(
    page.split("\n").filter((line) => line.startsWith("weft_endpoint")),
    [
      `weft_endpoint_limit_bytes_total${labels} 1500`,
      `weft_endpoint_limit_packets_total${labels} 2`,
      `weft_endpoint_limit_drops_total${labels} 3`,
      `weft_endpoint_limit_backlog_bytes${labels} 4`,
    ],
  );
});

test("each metric is of one kind and told once, and ways to peers are numbers of the report", async () => {
  const counters = { bytes: 1, packets: 2, drops: 3, backlog: 4 };
  const queues = [
    { endpoint: "a", direction: "inbound", ...counters },
    { endpoint: "b", direction: "outbound", ...counters },
  ] as const;
  const paths = { peers: 5, proven: 4, named: [] };
  const report = { ...REPORT, conditions: ["c"], paths };
  const page = await agentMetrics(report, queues, [COUNTERS, { ...COUNTERS, endpoint: "db.eth0", drops: {} }]);
  const kinds = page.split("\n").flatMap((line) => /^# TYPE (\w+) (\w+)$/.exec(line)?.slice(1).join(" ") ?? []);
  assert.deepEqual(kinds, [
    "weft_agent_revision gauge",
    "weft_agent_objects gauge",
    "weft_agent_networks gauge",
    "weft_agent_errors gauge",
    "weft_agent_conditions gauge",
    "weft_agent_peers gauge",
    "weft_agent_paths_proven gauge",
    "weft_agent_drift_repaired_total counter",
    "weft_agent_info gauge",
    "weft_endpoint_limit_bytes_total counter",
    "weft_endpoint_limit_packets_total counter",
    "weft_endpoint_limit_drops_total counter",
    "weft_endpoint_limit_backlog_bytes gauge",
    "weft_endpoint_packets_total counter",
    "weft_endpoint_bytes_total counter",
    "weft_endpoint_drops_total counter",
  ]);
  // Every sample stands below its own metric's comments.
  let metric = "";
  for (const line of page.trimEnd().split(/\n+/)) {
    const [, comment] = /^# HELP (\w+)/.exec(line) ?? [];
    metric = comment ?? metric;
    assert(line.startsWith("# TYPE ") || line.startsWith("# HELP ") || line.startsWith(metric), line);
  }
  for (const sample of ["weft_agent_peers 5", "weft_agent_paths_proven 4", "weft_agent_conditions 1"])
    assert(page.includes(`\n${sample}\n`), sample);
  assert.equal(page.split("\n").filter((line) => line.startsWith("weft_endpoint_limit_bytes_total{")).length, 2);
  assert.equal(page.split("\n").filter((line) => line.startsWith("weft_endpoint_packets_total{")).length, 4);
  assert.equal(page.split("\n").filter((line) => line.startsWith("weft_endpoint_drops_total{")).length, 1);
});
