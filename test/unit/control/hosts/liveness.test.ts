// A host is ready, suspect, lost or reclaimed, by its last report, the settings and the clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/model/fault.ts";
import {
  LIVENESS,
  checkLiveness,
  livenessOf,
  reclaimDecision,
  type Heard,
} from "../../../../src/control/hosts/liveness.ts";

const MINUTE = 60_000;
const settings = { ...LIVENESS, reclaimAfterMs: 10 * MINUTE };
const NOW = 1_000 * MINUTE;
const silent = (host: string, ms: number): Heard => ({ host, heardAtMs: NOW - ms, hasReported: true });
const ready = (n: number) => Array.from({ length: n }, (_, i) => silent(`r${i}`, 1_000));
const decide = (hosts: readonly Heard[], calmSinceMs = 0) => reclaimDecision(hosts, settings, NOW, calmSinceMs);

test("a host is ready, then suspect, then lost, by nothing but its silence", () => {
  for (const [ms, state, sinceMs] of [
    [30_000, "ready", NOW - 30_000],
    [30_001, "suspect", NOW - 1],
    [300_000, "suspect", NOW - 270_000],
    [300_001, "lost", NOW - 1],
  ] as const)
    assert.deepEqual(livenessOf(silent("h", ms), LIVENESS, NOW), { state, sinceMs });
  // Nobody knows yet of a host that a server which has just started has not heard.
  const unheard = (ms: number) => livenessOf({ ...silent("h", ms), hasReported: false }, LIVENESS, NOW).state;
  assert.deepEqual([unheard(0), unheard(300_000), unheard(300_001)], ["suspect", "suspect", "lost"]);
});

test("steps that do not follow each other are refused", () => {
  const wrong = (more: Partial<typeof settings>) => () => checkLiveness({ ...settings, ...more });
  const refused = (where: string) => (e: unknown) => e instanceof Fault && e.detail.where === where;
  assert.throws(wrong({ lostAfterMs: 30_000 }), refused("lost-after"));
  assert.throws(wrong({ suspectAfterMs: 2_999 }), refused("suspect-after"));
  assert.throws(wrong({ reclaimAfterMs: 299_999 }), refused("reclaim-after"));
  assert.deepEqual(checkLiveness(settings), settings);
});

test("without a setting nobody is ever given up", () => {
  assert.equal(reclaimDecision([silent("h", 1e9), ...ready(9)], LIVENESS, NOW, 0).reclaim, undefined);
});

test("one at a time, whoever is silent longest, and only after its time", () => {
  const hosts = [silent("a", 10 * MINUTE + 1), silent("b", 12 * MINUTE), silent("c", 10 * MINUTE), ...ready(9)];
  assert.equal(decide(hosts).reclaim, "b");
  assert.equal(decide(hosts.filter(({ host }) => host !== "b")).reclaim, "a");
  assert.equal(decide(hosts.filter(({ host }) => host > "b")).reclaim, undefined);
});

test("many at once are nobody's loss: none is reclaimed, and all have their time again", () => {
  const gone = [silent("a", 60 * MINUTE), silent("b", 60 * MINUTE)];
  assert.deepEqual(decide([...gone, ...ready(3)]), { reclaim: undefined, massLoss: ["a", "b"], calmSinceMs: NOW });
  assert.equal(decide([...gone, ...ready(4)]).reclaim, "a", "two of six are a third, not more");
  assert.deepEqual(decide([silent("a", 60 * MINUTE)]).massLoss, ["a"], "everybody is one host");
  assert.equal(decide([silent("a", 60 * MINUTE), ...ready(1)]).reclaim, "a", "one host is not many");
  // The network is back, and those that need longer are not given up for what was before.
  assert.equal(decide([silent("a", 60 * MINUTE), ...ready(5)], NOW - 10 * MINUTE).reclaim, undefined);
  assert.equal(decide([silent("a", 60 * MINUTE), ...ready(5)], NOW - 10 * MINUTE - 1).reclaim, "a");
});

test("property: whoever is given up was silent for all of its time, and never with a third of the others", () => {
  const hosts = fc.uniqueArray(
    fc.record({
      host: fc.stringMatching(/^[a-z]{3}$/),
      heardAtMs: fc.integer({ min: NOW - 30 * MINUTE, max: NOW }),
      hasReported: fc.boolean(),
    }),
    { selector: (one) => one.host, maxLength: 12 },
  );
  fc.assert(
    fc.property(hosts, fc.integer({ min: NOW - 30 * MINUTE, max: NOW }), (all, calm) => {
      const { reclaim, massLoss, calmSinceMs } = decide(all, calm);
      const unwell = all.filter((one) => livenessOf(one, settings, NOW).state !== "ready");
      assert(calmSinceMs === (massLoss.length > 0 ? NOW : calm));
      if (unwell.length > Math.max(1, all.length / 3)) assert.equal(massLoss.length, unwell.length);
      if (reclaim === undefined) return;
      assert.deepEqual(massLoss, []);
      const one = all.find(({ host }) => host === reclaim) ?? assert.fail();
      assert(NOW - one.heardAtMs > 10 * MINUTE && NOW - calm > 10 * MINUTE);
      assert(unwell.length === 1 || unwell.length * 3 <= all.length);
    }),
    { numRuns: 2000 },
  );
});
