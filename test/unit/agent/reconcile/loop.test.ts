// When rounds run: at once, gathered, again after a failure, and periodically.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { settle, VirtualClock } from "../../../sim/lab/clock.ts";
import { Loop } from "../../../../src/agent/reconcile/loop.ts";

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
    const done = loop.now().then(() => (isDone = true));
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
    const waiting = loop.now();
    await stop();
    await waiting;
  });

  test("backs off up to half a minute while nobody pokes, a poke cuts that short after two seconds", async () => {
    const { clock, loop, at, stop } = started(async () => false);
    await clock.advance(150_000);
    const gaps = at.slice(1, 11).map((t, i) => t - (at[i] ?? 0));
    assert.deepEqual(gaps, [205, 405, 805, 1605, 3205, 6405, 12_805, 25_605, 30_005, 30_005]);
    const last = at.at(-1) ?? 0;
    await clock.advance(last + 30_005 - 150_000 + 100);
    const before = at.length;
    loop.poke();
    await clock.advance(1_900);
    assert.equal(at.length, before, "it is deaf for two seconds");
    await clock.advance(105);
    assert.equal(at.length, before + 1);
    await stop();
  });

  test("a round takes at most a quarter of the time, unless somebody waits for the next", async () => {
    const slow = { clock: new VirtualClock(), rounds: [] as number[] };
    const { clock, rounds } = slow;
    const startMs = clock.nowMs();
    const loop = new Loop({ clock, random: () => 0.5, periodMs: 30_000, gatherMs: 5 }, async () => {
      rounds.push(clock.nowMs() - startMs);
      await clock.sleep(100);
      return true;
    });
    const ends = new AbortController();
    const ended = loop.run(ends.signal);
    await clock.advance(50);
    loop.poke();
    await clock.advance(1_000);
    assert.deepEqual(rounds, [0, 405]);
    // Who waits has the next round at once.
    loop.poke();
    await clock.advance(10);
    const waiting = loop.now();
    await clock.advance(200);
    await waiting;
    assert.equal(rounds.length, 4);
    assert.equal((rounds[3] ?? 0) - (rounds[2] ?? 0), 100);
    ends.abort();
    await clock.advance(1_000);
    await ended;
  });

  test("rests half a quarter of its period earlier or later, as chance has it", async () => {
    for (const [random, restMs] of [
      [0, 22_500],
      [0.999, 37_485],
    ] as const) {
      const clock = new VirtualClock();
      const startMs = clock.nowMs();
      const rounds: number[] = [];
      const loop = new Loop({ clock, random: () => random, periodMs: 30_000, gatherMs: 5 }, async () => {
        rounds.push(clock.nowMs() - startMs);
        return true;
      });
      const ends = new AbortController();
      const ended = loop.run(ends.signal);
      await clock.advance(40_000);
      assert.equal(rounds[1], restMs + 5);
      ends.abort();
      await clock.advance(1);
      await ended;
    }
  });

  test("is at rest when no round runs and none was asked for; after its end nobody waits", async () => {
    let release = () => {};
    const { clock, loop, at, stop } = started((n) =>
      n === 2 ? new Promise((resolve) => (release = () => resolve(true))) : Promise.resolve(true),
    );
    assert.equal(loop.isAtRest, false);
    await clock.advance(100);
    assert.equal(loop.isAtRest, true);
    loop.poke();
    assert.equal(loop.isAtRest, false);
    await clock.advance(100);
    assert.deepEqual([at.length, loop.isAtRest], [2, false]);
    release();
    await clock.advance(100);
    assert.equal(loop.isAtRest, true);
    await stop();
    await loop.now();
    assert.equal(at.length, 2);
  });

  test("all who wait are told when a round that began after they asked has ended, also if it failed", async () => {
    const { clock, loop, at, stop } = started(async (n) => n === 1);
    await clock.advance(100);
    const told: string[] = [];
    for (const name of ["a", "b"]) void loop.now().then(() => told.push(`${name} ${at.length}`));
    await clock.advance(10);
    assert.deepEqual(told, ["a 2", "b 2"]);
    await stop();
  });
});
