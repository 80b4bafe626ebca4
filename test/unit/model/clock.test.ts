// Steps of the wall clock are noticed against the monotonic one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockSteps } from "../../../src/model/clock.ts";

const time = { now: 1_700_000_000_000, offset: 0 };
const clock = { nowMs: () => time.now + time.offset, monotonicMs: () => time.now, sleep: () => Promise.resolve() };

test("a step is named once when it is seen, with its size and way, and told for an hour", () => {
  const steps = new ClockSteps(clock);
  time.now += 10_000;
  time.offset += 1_000;
  assert.equal(steps.look("host h1"), undefined, "a leap second is none");
  time.offset -= 3_600_000;
  assert.match(steps.look("host h1") ?? "", /^the clock of host h1 was set back by 59m 59s, to 2023-11-14T21:1\S+Z$/);
  assert.equal(steps.look("host h1"), undefined);
  assert.match(steps.told ?? "", /set back/);
  time.offset += 86_400_000;
  assert.match(steps.look("host h1") ?? "", /set forward by 1d, to \S+, or the machine slept for so long$/);
  time.now += 3_599_999;
  assert.match(steps.told ?? "", /set forward/);
  time.now += 1;
  assert.equal(steps.told, undefined);
});
