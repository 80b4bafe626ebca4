// Forecasts of straight lines, of noise, and of what does not grow.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Forecast, secondsLeft } from "../../../../src/control/report/forecast.ts";

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
    forecast.of(minute * MINUTE_MS, [{ network: name, family: 4, used, total: 1000 }])[0]?.fullInSeconds;
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

test("the line has the least squares, as sums say it; beside each use stands its own", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 6, maxLength: 40 }), fc.nat(1000), (used, free) => {
      const points = series(used).map(({ atMs, used: y }) => [atMs / 1000, y] as const);
      const sum = (of: (x: number, y: number) => number) => points.reduce((total, [x, y]) => total + of(x, y), 0);
      const [n, x, y] = [points.length, sum((a) => a), sum((_, b) => b)];
      const perSecond = (n * sum((a, b) => a * b) - x * y) / (n * sum((a) => a * a) - x * x);
      const left = secondsLeft(series(used), free);
      if (perSecond < 1e-9) return assert.ok(left === undefined || perSecond > -1e-9);
      assert.ok(left !== undefined && Math.abs(left - free / perSecond) < 1e-6 * (left + 1), `${left}`);
    }),
  );
  const forecast = new Forecast();
  const uses = (used: number) => [
    { network: "blue", family: 4, used, total: 100 },
    { network: "blue", family: 6, used: 5, total: 100 },
    { network: "green", family: 4, used: 2 * used, total: 100 },
  ];
  let told: readonly { readonly fullInSeconds?: number }[] = [];
  for (let minute = 0; minute <= 5; minute++) told = forecast.of(minute * MINUTE_MS, uses(minute));
  assert.deepEqual(
    told.map(({ fullInSeconds, ...use }) => ({ ...use, inMinutes: fullInSeconds && Math.round(fullInSeconds / 60) })),
    uses(5).map((use, i) => ({ ...use, inMinutes: [95, undefined, 45][i] })),
  );
});

test("bounds: an hour, ten seconds, five minutes", () => {
  const ask = (times: readonly (readonly [atMs: number, used: number])[]) => {
    const forecast = new Forecast();
    let left: number | undefined;
    for (const [atMs, used] of times)
      left = forecast.of(atMs, [{ network: "x", family: 4, used, total: 100 }])[0]?.fullInSeconds;
    return left === undefined ? undefined : Math.round(left);
  };
  assert.equal(
    ask([
      [0, 0],
      [299_999, 50],
    ]),
    undefined,
  );
  assert.equal(
    ask([
      [0, 0],
      [300_000, 50],
    ]),
    300,
  );
  // Nearer than ten seconds is no further sample.
  assert.equal(
    ask([
      [0, 0],
      [300_000, 50],
      [309_999, 90],
    ]),
    60,
  );
  assert.equal(
    ask([
      [0, 0],
      [300_000, 50],
      [310_000, 90],
    ]),
    43,
  );
  // What is an hour old counts no more.
  assert.equal(
    ask([
      [0, 90],
      [1, 90],
      [3_300_000, 0],
      [3_600_000, 50],
    ]),
    300,
  );
  assert.equal(
    ask([
      [0, 0],
      [3_599_999, 50],
    ]),
    3600,
  );
  assert.equal(
    ask([
      [0, 0],
      [300_000, 100],
    ]),
    0,
  );
  assert.equal(
    ask([
      [0, 0],
      [300_000, 150],
    ]),
    0,
    "more than there is is full",
  );
});
