// How moments are read from options and shown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { periodOf, timeText } from "../../../../src/cli/address/time.ts";

const isRefused = (error: unknown) => error instanceof Fault && error.reason === "request-invalid";
/** A Thursday, at noon, wherever this test runs. */
const now = new Date(2026, 10, 26, 12).getTime();
const day = (text: string) => [new Date(`${text}T00:00`).getTime(), new Date(`${text}T00:00`).getTime() + 86_400_000];
const period = (text: string) => {
  const { sinceMs, beforeMs } = periodOf(text, now, "--at");
  return [sinceMs, beforeMs];
};

test("moments and days", () => {
  const noon = new Date(2026, 10, 24, 12, 30).getTime();
  assert.deepEqual(period("2026-11-24 12:30"), [noon, noon + 1]);
  assert.deepEqual(period("2026-11-24T12:30"), [noon, noon + 1]);
  const utc = Date.UTC(2026, 10, 24, 12, 30);
  assert.deepEqual(period("2026-11-24T12:30:00Z"), [utc, utc + 1]);
  assert.deepEqual(period("2h ago"), [now - 7_200_000, now - 7_199_999]);
  assert.deepEqual(period("2026-11-24"), day("2026-11-24"));
  assert.deepEqual(period("today"), day("2026-11-26"));
  assert.deepEqual(period("Yesterday"), day("2026-11-25"));
  assert.deepEqual(period("tuesday"), day("2026-11-24"));
  assert.deepEqual(period("thu"), day("2026-11-26"));
  assert.deepEqual(period("friday"), day("2026-11-20"));
  for (const text of ["", "soon", "2026-13-40", "12:30", "2026", "tues", "5 ago"])
    assert.throws(() => periodOf(text, now, "--at"), isRefused, text);
});

test("times are shown as they may be asked for", () => {
  const text = timeText(now + 5000);
  assert.equal(text, "2026-11-26 12:00:05");
  assert.equal(periodOf(text, now, "--at").sinceMs, now + 5000);
});
