// Keeps benches working between their runs: each opens with the question it answers, and the one that needs only Node
// runs. No time is asserted.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL(".", import.meta.url).pathname;

test("every bench opens with the question it answers", () => {
  const benches = globSync("*.ts", { cwd: FOLDER }).filter((name) => !name.endsWith(".test.ts"));
  assert.ok(benches.includes("attach.ts"), benches.join(", "));
  for (const name of benches) assert.match(readFileSync(FOLDER + name, "utf8"), /^\/\/ [A-Z][^?\n]*\?/, name);
});

test("--json gives one line, with the ratio", () => {
  const printed = execFileSync(process.execPath, [`${FOLDER}compile.ts`, "--json"], { encoding: "utf8" });
  assert.equal(printed.split("\n").length, 2, printed);
  const { bench, objects, ratio } = JSON.parse(printed) as Record<string, unknown>;
  assert.equal(bench, "compile");
  assert.ok(typeof objects === "number" && objects > 10_000, `${String(objects)} objects`);
  assert.equal(typeof (ratio as { roundP50ToBudget?: unknown }).roundP50ToBudget, "number");
});
