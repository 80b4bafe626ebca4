import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { settle, VirtualClock } from "../../test/sim/clock.ts";
import { Loop } from "./loop.ts";

function started(round: (n: number) => Promise<boolean>) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const at: number[] = [];
  const startMs = clock.nowMs();
  const loop = new Loop({ clock, random: () => 0.5, periodMs: 30_000, gatherMs: 5 }, () => {
    at.push(clock.nowMs() - startMs);
    return round(at.length);
  });
  const ended = loop.run(stop.signal);
  return {
    clock,
    loop,
    at,
    stop: async () => {
      stop.abort();
      await ended;
    },
  };
}

describe("the loop", () => {
  test("looks at the start, then once a period", async () => {
    const { clock, at, stop } = started(async () => true);
    await clock.advance(65_000);
    assert.deepEqual(at, [0, 30_005, 60_010]);
    await stop();
  });

  test("any number of pokes during a round make one more round", async () => {
    const { clock, loop, at, stop } = started(async (n) => {
      if (n === 1) for (let i = 0; i < 100; i++) loop.poke();
      return true;
    });
    await clock.advance(1000);
    assert.equal(at.length, 2);
    await stop();
  });

  test("backs off while rounds fail, whoever pokes, and recovers at once when one succeeds", async () => {
    const { clock, loop, at, stop } = started(async (n) => {
      if (n < 8) loop.poke();
      if (n === 2) throw new Error("a round that throws is a round that failed");
      return n >= 8;
    });
    await clock.advance(60_000);
    const gaps = at.slice(1, 8).map((t, i) => t - (at[i] ?? 0));
    assert.deepEqual(gaps, [205, 405, 805, 1605, 2005, 2005, 2005]);
    const before = at.length;
    loop.poke();
    await clock.advance(10);
    assert.equal(at.length, before + 1);
    await stop();
  });

  test("roundNow waits for a round that began after the call", async () => {
    let release = () => {};
    const { clock, loop, at, stop } = started((n) =>
      n === 1 ? new Promise((resolve) => (release = () => resolve(true))) : Promise.resolve(true),
    );
    await settle();
    let isDone = false;
    const done = loop.roundNow().then(() => (isDone = true));
    await settle();
    assert.equal(isDone, false);
    release();
    await clock.advance(1);
    await done;
    assert.equal(at.length, 2);
    await stop();
  });

  test("ends with its signal and lets nobody wait for ever", async () => {
    const { loop, stop } = started(async () => true);
    await settle();
    const waiting = loop.roundNow();
    await stop();
    await waiting;
  });
});
