// Forecasts of straight lines, of noise, and of what does not grow.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Forecast, secondsLeft } from "./forecast.ts";

const MINUTE_MS = 60_000;
const series = (used: readonly number[]) => used.map((n, i) => ({ atMs: i * MINUTE_MS, used: n }));

test("a straight line is full when it gets there", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 6, max: 60 }),
      fc.nat(10_000),
      (perMinute, n, free) => {
        const left = secondsLeft(series(Array.from({ length: n }, (_, i) => 7 + i * perMinute)), free) ?? assert.fail();
        assert(Math.abs(left - (free / perMinute) * 60) < 1e-6 * (left + 1), `${left}`);
      },
    ),
  );
});

test("what shrinks or stands still has no forecast, nor has what is not known for long enough", () => {
  assert.equal(secondsLeft(series([9, 9, 9, 9, 9, 9, 9]), 100), undefined);
  assert.equal(secondsLeft(series([9, 8, 7, 6, 5, 4, 3]), 100), undefined);
  assert.equal(secondsLeft(series([0, 50]), 100), undefined);
  assert.equal(secondsLeft([], 100), undefined);
  assert.equal(secondsLeft(series([0, 1, 2, 3, 4, 5, 6]), 0), 0);
});

test("only the last hour counts, questions close together are one, and networks that went are forgotten", () => {
  const forecast = new Forecast();
  const ask = (minute: number, used: number, name = "blue") =>
    forecast.next(minute * MINUTE_MS, new Map([[name, { used, total: 1000 }]])).get(name);
  for (let minute = 0; minute < 120; minute++) assert.equal(ask(minute, 500), undefined);
  for (let minute = 120; minute < 181; minute++) {
    ask(minute, 500 + minute - 120);
    // A burst of one moment, seen by a second who asks: not a sample.
    ask(minute + 0.05, 900);
  }
  assert.equal(Math.round(ask(181, 561) ?? 0), (1000 - 561) * 60);
  ask(182, 1, "green");
  assert.equal(ask(183, 562), undefined, "blue was gone in between");
});
