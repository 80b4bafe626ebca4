// The window of change sets against a plain list, and those who watch it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import type { ChangeSet } from "../../../src/model/resource.ts";
import { refusal } from "../../contract/store/contract.ts";
import { ChangeLog } from "../../../src/store/changeLog.ts";

const never = new AbortController().signal;
const set = (revision: number, weight: number): ChangeSet => ({
  revision,
  changes: Array.from({ length: weight }, (_, n) => ({ remove: `host/h${n}` as const })),
});

async function first(window: ChangeLog, from: number, count: number): Promise<ChangeSet[]> {
  const found: ChangeSet[] = [];
  if (count === 0) return found;
  for await (const each of window.watch(from, never)) if (found.push(each) === count) break;
  return found;
}

test("the newest sets up to the limit, an empty one counts as one, and the newest whatever its size", async () => {
  const batches = fc.array(fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.nat(50), fc.integer({ min: 1, max: 12 }), batches, async (floor, limit, all) => {
      const window = new ChangeLog(floor, limit);
      const log: ChangeSet[] = [];
      for (const batch of all) {
        const sets = batch.map((weight, i) => set(floor + log.length + i + 1, weight));
        log.push(...sets);
        window.appendAll(sets);
        let kept = 0;
        for (let weight = 0; kept < log.length; kept++) {
          weight += Math.max(1, log.at(-1 - kept)?.changes.length ?? 0);
          if (weight > limit && kept > 0) break;
        }
        const expected = kept === 0 ? [] : log.slice(-kept);
        assert.deepEqual([window.revision, window.floor], [floor + log.length, floor + log.length - kept]);
        assert.deepEqual(await first(window, window.floor, kept), expected);
        assert.throws(() => window.watch(window.floor - 1, never), refusal("compacted"));
        assert.throws(() => window.watch(window.revision + 1, never), refusal("revision-stale"));
      }
    }),
    { numRuns: 200 },
  );
});

test("a gap is a bug of the store", () => {
  const window = new ChangeLog(3, 10);
  for (const revision of [3, 5]) assert.throws(() => window.appendAll([set(revision, 1)]), /without gaps/);
});

test("a watcher that waits is told each set, and ends with its signal or the window", async () => {
  for (const end of ["signal", "close"] as const) {
    const window = new ChangeLog(0, 10);
    const stop = new AbortController();
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { revision } of window.watch(0, stop.signal)) seen.push(revision);
    })();
    for (let revision = 1; revision <= 3; revision++) {
      window.appendAll([set(revision, 1)]);
      // A few turns: an async iterator takes some.
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      assert.deepEqual(seen.at(-1), revision);
    }
    if (end === "signal") stop.abort();
    else window.close();
    await watching;
    assert.deepEqual(await first(window, 0, end === "signal" ? 1 : 0), end === "signal" ? [set(1, 1)] : []);
  }
});

test("what has left the window is not kept in memory, however it left", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const window = new ChangeLog(0, 20);
  const refs: WeakRef<ChangeSet>[] = [];
  const append = (weight: number) => {
    const one = set(window.revision + 1, weight);
    refs.push(new WeakRef(one));
    window.appendAll([one]);
  };
  for (let n = 0; n < 20; n++) append(1);
  // The first of these pushes out all of those at once.
  for (let n = 0; n < 100; n++) append(20);
  // A WeakRef holds what it was made of until the end of its turn.
  await new Promise((resolve) => void setImmediate(resolve));
  collect();
  const kept = refs.filter((ref) => ref.deref() !== undefined).length;
  assert(
    kept < 10,
    `${kept} of ${refs.length} sets are in memory, and ${window.revision - window.floor} in the window`,
  );
});
