// Durations such as `90s` and `1h30m`, read and printed.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../../src/model/duration.ts";
import { Fault } from "../../../src/model/fault.ts";

test("a span is a whole number and a unit", () => {
  for (const [text, ms] of [
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    [" 7d ", 604_800_000],
  ] as const)
    assert.equal(parseDuration(text, "x"), ms);
});

test("anything else is refused with how to write it", () => {
  for (const text of ["", "30", "s", "-5s", "1.5h", "0s", "5 m", "1w", "9999999999s", "99999d", "never"]) {
    assert.throws(
      () => parseDuration(text, "--lost-after"),
      (e) => e instanceof Fault && e.reason === "request-invalid" && /30s, 5m.*/.test(e.message),
      text,
    );
  }
});

test("what is shown is at most the span, and short of it by less than its smallest unit shown", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 10 * 86_400_000 }), (ms) => {
      const parts = formatDuration(ms).split(" ");
      const shown = parts.map((part) => parseDuration(part, "x")).reduce((a, b) => a + b, 0);
      assert(parts.length <= 2 && shown <= ms);
      const smallest = parseDuration(`1${parts.at(-1)?.at(-1)}`, "x");
      assert(ms - shown < (parts.length === 2 ? smallest : 60 * smallest));
    }),
  );
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(125_000), "2m 5s");
});
