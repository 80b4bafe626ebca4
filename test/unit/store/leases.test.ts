// What the lease log forgets: by number and by age the longest ended, and nothing beside, at one address and at many.
import assert from "node:assert/strict";
import { test } from "node:test";
import { leasing } from "../../contract/store/leaseContract.ts";
import { LeaseLog } from "../../../src/store/leases.ts";

const at = (log: LeaseLog, address: string) =>
  log.find({ address, limit: 100 }).map(({ owner, fromMs, untilMs }) => `${owner} ${fromMs}-${untilMs ?? ""}`);

/** Each lease: an address, an owner, a beginning and an end, if it has ended. */
function logged(bounds: { records: number; ageMs: number }, ...leases: readonly [string, string, number, number?][]) {
  const log = new LeaseLog(bounds);
  const events = leases.flatMap(([address, owner, from, until]) => [
    leasing("blue", address, from, owner),
    ...(until === undefined ? [] : [leasing("blue", address, until)]),
  ]);
  log.append(events.toSorted((a, b) => a.atMs - b.atMs));
  return log;
}

test("of one address the longest ended goes, and the others stay, however few there are", () => {
  for (const kept of [1, 2, 3]) {
    const log = logged(
      { records: kept, ageMs: 1e9 },
      ["a", "w1", 1, 2],
      ["a", "w2", 3, 4],
      ["a", "w3", 5, 6],
      ["a", "w4", 7],
    );
    const ended = ["w3 5-6", "w2 3-4", "w1 1-2"];
    assert.deepEqual(at(log, "a"), ["w4 7-", ...ended.slice(0, kept)]);
  }
});

test("of several addresses it is the end that counts, not the beginning; what is in use stays", () => {
  const log = logged({ records: 1, ageMs: 1e9 }, ["a", "long", 1, 9], ["b", "short", 2, 3], ["c", "still", 0]);
  assert.deepEqual([at(log, "a"), at(log, "b"), at(log, "c")], [["long 1-9"], [], ["still 0-"]]);
});

test("what ended longer ago than the age goes with the next event, to the millisecond", () => {
  const log = logged({ records: 100, ageMs: 10 }, ["a", "w1", 1, 2], ["a", "w2", 3, 5]);
  log.append([leasing("blue", "b", 12, "w3")]);
  assert.deepEqual(at(log, "a"), ["w2 3-5", "w1 1-2"]);
  log.append([leasing("blue", "b", 13)]);
  assert.deepEqual(at(log, "a"), ["w2 3-5"]);
  log.append([leasing("blue", "b", 16, "w4")]);
  assert.deepEqual([at(log, "a"), at(log, "b")], [[], ["w4 16-", "w3 12-13"]]);
});
