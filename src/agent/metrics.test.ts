// The Prometheus page says what the report says, in a form that scrapers take.
import assert from "node:assert/strict";
import { test } from "node:test";
import { agentMetrics } from "./metrics.ts";

test("every line is a comment or a sample, and the numbers are the report's", () => {
  const page = agentMetrics({
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
  });
  for (const line of page.trimEnd().split("\n")) assert.match(line, /^# (HELP|TYPE) \w+ .+$|^\w+(\{.*\})? \d+$/);
  const samples = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(samples, [
    "weft_agent_revision 7",
    "weft_agent_objects 42",
    "weft_agent_networks 1",
    "weft_agent_errors 2",
    "weft_agent_conditions 0",
    "weft_agent_drift_repaired_total 3",
    'weft_agent_info{version="1.2.3",host="h\\"1",boot_id="b"} 1',
  ]);
});
