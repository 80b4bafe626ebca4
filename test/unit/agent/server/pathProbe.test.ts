// What is known of one way to a peer, packet by packet.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Path } from "../../../../src/datapath/network/paths.ts";
import { PathProbe } from "../../../../src/agent/server/pathProbes.ts";
import { SMALL_BYTES } from "../../../../src/model/paths.ts";

const SIZE = 1450;
const AGAIN_MS = 5_000;
const path = (to: string | undefined) =>
  ({ host: "h2", ends: "192.0.2.1 192.0.2.2", size: SIZE, port: 4789, ...(to === undefined ? {} : { to }) }) as Path;

/** A way that is tried whenever it is due; `passes` answers at once. */
function legWith(isProven: boolean) {
  let nowMs = 1_000;
  let passes = (_size: number): boolean => isProven;
  const leg = new PathProbe(path("fd00::2"), nowMs, () => 7_000_000 + nowMs);
  const sent: string[] = [];
  const until = (ms: number) => {
    const endMs = nowMs + ms;
    for (; nowMs < endMs; nowMs++) {
      if (leg.nextAtMs > nowMs) continue;
      const sizes = leg.take(nowMs);
      sent.push(`${nowMs} ${sizes.join(" ")}`);
      for (const size of sizes) if (passes(size)) leg.answered(size, nowMs, AGAIN_MS);
    }
  };
  if (isProven) until(1);
  sent.length = 0;
  return {
    leg,
    sent,
    until,
    now: () => nowMs,
    let: (decide: (size: number) => boolean) => (passes = decide),
  };
}

test("a new way is tried fast, slower each time, and has failed after three packets and two and a half seconds", () => {
  const { leg, sent, until } = legWith(false);
  until(2_900);
  assert.deepEqual(sent, [
    "1000 1450",
    "1100 1450 200",
    "1300 1450 200",
    "1700 1450 200",
    "2500 1450 200",
    "3500 1450 200",
  ]);
  assert.equal(leg.state, "unknown");
  until(2_000);
  assert.deepEqual([leg.state, leg.sinceMs], ["failed", 7_004_500]);
  sent.length = 0;
  until(10_000);
  assert.deepEqual(
    sent.map((line) => Number(line.split(" ")[0])),
    [7_500, 10_500, 13_500],
  );
});

test("a way that is proven is tried again in its time with one packet, and one that is lost is no failure", () => {
  const { leg, sent, until, let: decide } = legWith(true);
  assert.deepEqual([leg.state, leg.sinceMs, leg.isAwaited], ["proven", 7_001_000, false]);
  until(10_001);
  assert.deepEqual(sent, ["6000 1450", "11000 1450"]);
  decide(() => false);
  until(5_001);
  assert.equal(leg.isAwaited, true);
  decide((size) => size === SIZE);
  until(1_000);
  assert.deepEqual([leg.state, leg.sinceMs, leg.isAwaited], ["proven", 7_001_000, false]);
  // The count begins anew: two lost ones here and there are no three in a row.
  for (let n = 0; n < 5; n++) {
    decide(() => false);
    until(5_000);
    decide(() => true);
    until(2_000);
    assert.equal(leg.state, "proven");
  }
});

test("three in a row are a failure, not before two and a half seconds; the time of a state is when it came", () => {
  const { leg, until, let: decide } = legWith(true);
  decide(() => false);
  until(5_000 + 1_000 + 1_000 + 1_000);
  assert.equal(leg.state, "proven");
  until(998);
  assert.equal(leg.state, "proven");
  until(2);
  assert.deepEqual([leg.state, leg.sinceMs], ["failed", 7_010_000]);
  const sinceMs = leg.sinceMs;
  until(30_000);
  assert.equal(leg.sinceMs, sinceMs);
  decide(() => true);
  until(3_000);
  assert.equal(leg.state, "proven");
  assert.notEqual(leg.sinceMs, sinceMs);
});

test("where only small packets pass that is said, and told apart from nothing at all, both ways", () => {
  const { leg, until, let: decide } = legWith(true);
  decide((size) => size === SMALL_BYTES);
  until(20_000);
  assert.equal(leg.state, "small");
  decide(() => false);
  until(10_000);
  assert.equal(leg.state, "failed");
  decide((size) => size === SMALL_BYTES);
  until(10_000);
  assert.equal(leg.state, "small");
  decide(() => true);
  until(4_000);
  assert.equal(leg.state, "proven");
  // A small answer that comes late says nothing of the next failure.
  leg.answered(SMALL_BYTES, 0, AGAIN_MS);
  decide(() => false);
  until(20_000);
  assert.equal(leg.state, "failed");
});

test("a peer is heard while its own tries arrive, and only since the state has turned", () => {
  const { leg, until, now, let: decide } = legWith(true);
  leg.heardAtMs = now();
  assert.equal(leg.isHeard(now()), true);
  assert.equal(leg.isHeard(now() + 11_999), true);
  assert.equal(leg.isHeard(now() + 12_000), false);
  decide(() => false);
  until(20_000);
  leg.heardAtMs = 6_000;
  assert.equal(leg.isHeard(6_001), false, "that was before it failed");
});

test("no address there: no time will prove it", () => {
  assert.equal(new PathProbe(path(undefined), 0, () => 0).state, "failed");
});
