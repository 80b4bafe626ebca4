// A flood of refusals becomes few records, and hides nobody else's.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuditEntry } from "../../../../src/model/audit.ts";
import { Refusals } from "../../../../src/control/audit/refusals.ts";

function refusal(atMs: number, more: Partial<AuditEntry> = {}): AuditEntry {
  const nobody = { who: "nobody", credential: "none", from: "10.0.0.9" };
  return { atMs, ...nobody, verb: "GET /v1/status", result: "token-wrong", ...more };
}

test("the first is written at once, those alike in the next minute with their number", () => {
  const refusals = new Refusals();
  refusals.take(refusal(1000), 0);
  assert.deepEqual(refusals.due(0), [refusal(1000)]);
  for (let n = 1; n <= 5; n++) refusals.take(refusal(1000 + n), n);
  assert.deepEqual(refusals.due(59_999), []);
  assert.deepEqual(refusals.due(60_000), [{ ...refusal(1001), untilMs: 1005, count: 5 }]);
  assert.deepEqual(refusals.due(120_000), []);
  refusals.take(refusal(5000), 130_000);
  assert.deepEqual(refusals.due(130_000), [refusal(5000)]);
});

test("several before the first writing are one record; another caller, place, verb or reason is another", () => {
  const refusals = new Refusals();
  for (let n = 0; n < 3; n++) refusals.take(refusal(n), 0);
  const others = [
    { from: "10.0.0.8" },
    { verb: "put" },
    { object: "network/a" },
    { result: "forbidden" },
    { who: "x" },
  ];
  for (const other of others) refusals.take(refusal(9, other), 0);
  assert.equal(refusals.due(0)[0]?.count, 3);
  for (const other of others) refusals.take(refusal(9, other), 1);
  assert.equal(refusals.due(1, true).length, others.length);
});

test("a caller that is known has a budget of its own: its flood hides nobody else's", () => {
  const refusals = new Refusals();
  for (let n = 0; n < 5000; n++) refusals.take(refusal(n, { who: "user/eve", object: `network/n${n}` }), 0);
  refusals.take(refusal(1, { who: "user/ann", result: "forbidden", object: "network/a" }), 0);
  const due = refusals.due(0, true);
  assert.equal(due.find(({ who }) => who === "user/ann")?.object, "network/a");
  const hers = due.filter(({ who }) => who === "user/eve");
  assert.equal(hers.length, 201, "what she asks beyond her budget is one record, which names her");
  assert.equal(hers.at(-1)?.count, 4800);
});

test("of a great many callers that flood, the records are bounded", () => {
  const refusals = new Refusals();
  for (let n = 0; n < 20; n++)
    for (let user = 0; user < 5000; user++)
      refusals.take(refusal(n, { who: `user/u${user}`, object: `network/n${n}` }), 0);
  assert.ok(refusals.due(0, true).length <= 1000 * 20 + 200 + 1);
});

test("a flood from ever new places is counted in one record, and those who are known keep theirs", () => {
  const refusals = new Refusals();
  let written = 0;
  let counted = 0;
  const day = 24 * 3600;
  for (let second = 0; second < day; second++) {
    const nowMs = second * 1000;
    for (let n = 0; n < 3; n++) refusals.take(refusal(nowMs, { from: `2001:db8::${second}:${n}` }), nowMs);
    const due = refusals.due(nowMs);
    written += due.length;
    for (const { count = 1 } of due) counted += count;
  }
  refusals.take(refusal(1, { who: "host/h1", result: "forbidden", object: "network/a" }), day * 1000);
  const last = refusals.due(day * 1000, true);
  assert.equal(last.find(({ who }) => who === "host/h1")?.object, "network/a");
  for (const { who, count = 1 } of last) counted += who === "nobody" ? count : 0;
  assert.equal(counted, 3 * day, "every one is counted");
  assert.ok(written < 200 + day / 30 + day / 600 + 10, `${written} records`);
});
