// The search for the largest packet, against ways of any size, with losses; and a host whose kernel sends nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Way, tryWays } from "../../../../src/agent/server/preflight.ts";

/** Rounds until it is decided; each size that passes is answered unless it is lost. */
function search(most: number, passes: number, isLost: (size: number) => boolean = () => false): [Way, number] {
  const way = new Way("10.0.0.2", { kind: "udp", port: 4789 }, most);
  for (let rounds = 1; rounds <= 100; rounds++) {
    const sizes = way.next();
    for (const size of sizes) if (size <= passes && !isLost(size)) way.answered(size);
    if (way.isDecided) return [way, rounds];
  }
  assert.fail(`not decided: ${way.passed}`);
}

test("whole packets that pass are one round", () => {
  const [way, rounds] = search(1500, 1500);
  assert.deepEqual([way.passed, rounds], [1500, 1]);
});

test("every size between is found to the byte, within the time of a preflight", () => {
  for (const most of [1280, 1500, 9000, 65_535]) {
    for (const passes of [200, 201, 577, 1279, 1280, most - 1, most]) {
      const [way, rounds] = search(most, Math.min(passes, most));
      assert.equal(way.passed, Math.min(passes, most), `${passes} of ${most}`);
      assert.ok(rounds * 150 < 8_000, `${passes} of ${most}: ${rounds} rounds`);
    }
  }
});

test("nothing that passes is given up after ten rounds", () => {
  const [way, rounds] = search(1500, 0);
  assert.deepEqual([way.passed, rounds <= 11], [0, true]);
});

test("the first packet may be lost", () => {
  let lost = 0;
  const [way] = search(1500, 1500, (size) => size === 1500 && lost++ === 0);
  assert.equal(way.passed, 1500);
});

test("an answer that comes late counts", () => {
  const way = new Way("10.0.0.2", { kind: "udp", port: 4789 }, 1500);
  way.next();
  way.answered(200);
  for (let i = 0; i < 5; i++) way.next();
  way.answered(1500);
  assert.deepEqual([way.passed, way.isDecided], [1500, true]);
});

test("a host whose kernel sends nothing, or refuses, says so", async () => {
  const options = { clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async () => undefined } };
  const underlay = { underlay: "10.0.0.1", underlayMtu: 1500 };
  const trial = { peers: [{ host: "b", underlay: "10.0.0.2" }], channels: [] };
  const none = { trials: () => undefined, blockingFilters: () => [] };
  const mute = await tryWays({ ...options, ...underlay, kernel: none }, trial);
  assert.match(mute.obstacle ?? "", /cannot send/);
  const broken = { trials: () => assert.fail("no permission"), blockingFilters: () => [] };
  const refused = await tryWays({ ...options, ...underlay, kernel: broken }, trial);
  assert.match(refused.obstacle ?? "", /no permission/);
});
