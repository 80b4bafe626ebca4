// A table of neighbours that was full is told once, by the kernel's own counters.
import assert from "node:assert/strict";
import { test } from "node:test";
import { neighbourOverflows } from "../../../src/kernel/overflow.ts";

/** As 6.18 shows it; the last column counts, once per CPU. */
const statistics = (...full: readonly number[]) =>
  ["entries  allocs   table_fulls", ...full.map((n) => `00000400 000008e1 ${n.toString(16).padStart(8, "0")}`)].join(
    "\n",
  );

test("a table that was full is told for a minute since it was", () => {
  const files: Record<string, string> = { arp: statistics(3, 16), ndisc: statistics(0, 0) };
  let now = 0;
  const look = neighbourOverflows(
    () => now,
    (path) => files[path.includes("arp") ? "arp" : "ndisc"] ?? "",
  );
  assert.deepEqual(look(), [], "what was before the agent's start is no news");
  files["arp"] = statistics(3, 26);
  assert.match(look().join("\n"), /^[^\n]* IPv4 [^\n]* \(10 times\): raise net\.ipv4\.neigh\.default\.gc_thresh3/);
  now = 59_999;
  assert.equal(look().length, 1);
  now = 60_000;
  assert.deepEqual(look(), []);
  files["ndisc"] = statistics(1, 1);
  assert.match(look().join("\n"), /^[^\n]* IPv6 [^\n]* \(2 times\)[^\n]*$/);
});

test("where the kernel does not show it, nothing is said", () => {
  const look = neighbourOverflows(
    () => 0,
    () => {
      throw new Error("ENOENT");
    },
  );
  assert.deepEqual(look(), []);
  assert.deepEqual(
    neighbourOverflows(
      () => 0,
      () => "entries allocs\n00000001 00000002\n",
    )(),
    [],
  );
});
