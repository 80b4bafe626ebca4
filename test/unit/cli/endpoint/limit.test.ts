// Limits as flags, and as people see them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countersText, limitText, qosOf, shortLimits } from "../../../../src/cli/endpoint/limit.ts";

test("flags become a request; units are left to whoever reads it", () => {
  assert.equal(qosOf({}), undefined);
  assert.deepEqual(qosOf({ inbound: "avg=10mbit", outbound: "none" }), {
    inbound: { average: "10mbit" },
    outbound: "none",
  });
  assert.deepEqual(qosOf({ outbound: "burst=64kB,average=1gbit,peak=2gbit" }), {
    outbound: { average: "1gbit", peak: "2gbit", burst: "64kB" },
  });
  assert.deepEqual(qosOf({ inbound: "inherit" }), { inbound: "inherit" });
});

test("what is no limit is refused, at its flag", () => {
  for (const text of ["", "avg=", "avg=1mbit,avg=2mbit", "avg=1mbit,speed=3", "peak=2mbit", "avg=1=2", "unlimited"])
    assert.throws(() => qosOf({ outbound: text }), /is not a limit.*--outbound/);
});

test("a limit says where it comes from", () => {
  const levels = [
    ["endpoint", { inbound: "none" }],
    ["network", { inbound: { average: 1e6 }, outbound: { average: 2e7, burst: 5000 } }],
  ] as const;
  assert.equal(limitText(levels, "inbound"), "no limit (from endpoint)");
  assert.equal(limitText(levels, "outbound"), "20mbit, burst 5kB (from network)");
  assert.equal(limitText([["endpoint", undefined]], "outbound"), undefined);
  assert.equal(shortLimits(levels[1][1]), "in 1mbit, out 20mbit");
  const queue = { endpoint: "a", direction: "inbound", bytes: 1500, packets: 2, drops: 1, backlog: 0 } as const;
  assert.equal(countersText(queue), "2 packets, 1.5kB; 1 dropped, 0B waiting");
});
