// Which pasts a store knows as its own: pieces, where each ended, what a person has accepted, and for whom.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import type { Store } from "../../../../src/store/store.ts";
import { Histories } from "../../../../src/control/commit/histories.ts";

/** A store at a revision that the test sets, with what was written to it. */
function storeAt() {
  const inner = openMemoryStore({ cluster: "lab" });
  const at = { revision: 0 };
  const store: Store = {
    ...inner,
    get revision() {
      return at.revision;
    },
  };
  const time = { now: 1000 };
  const clock = { nowMs: () => 0, monotonicMs: () => time.now, sleep: async () => {} };
  const sighted: string[] = [];
  const open = () => new Histories(store, clock, (host) => sighted.push(host));
  const keep = async ({ secret, begun }: ReturnType<Histories["beginning"]>) => {
    await store.commit([], [secret]);
    begun();
  };
  return { at, time, store, sighted, open, keep };
}
const isNotRefused = (host: string) => (error: unknown) =>
  error instanceof Fault && error.reason === "not-found" && error.detail.where === `host/${host}`;
const isKnown = (histories: Histories, history: string, revision: number, host = "h1") => {
  try {
    histories.check(host, { history, revision });
    return true;
  } catch (error) {
    assert.ok(error instanceof Fault && error.reason === "another-history");
    return false;
  }
};

test("a piece is known up to where the next began, the last one up to what the store has", async () => {
  const { at, open, keep } = storeAt();
  const ids: string[] = [];
  for (const revision of [0, 10, 10, 20]) {
    at.revision = revision;
    const histories = open();
    assert.equal(histories.isBegun, false);
    await keep(histories.beginning());
    assert.equal(histories.isBegun, true);
    ids.push(histories.current ?? "");
  }
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/);
  at.revision = 25;
  const histories = open();
  assert.equal(histories.current, ids[3], "nothing is begun by looking");
  const ends = [10, 10, 20, 25];
  for (const [i, id] of ids.entries())
    for (const revision of [0, 9, 10, 11, 20, 21, 25, 26])
      assert.equal(isKnown(histories, id, revision), revision <= (ends[i] ?? 0), `${i} at ${revision}`);
  assert.equal(isKnown(histories, "never", 0), false);
});

test("what is written counts when it is written", async () => {
  const { open, store } = storeAt();
  const histories = open();
  const { secret, begun } = histories.beginning();
  assert.deepEqual([histories.current, histories.isBegun], [undefined, false]);
  await store.commit([], [secret]);
  const other = open().current;
  begun();
  assert.deepEqual([histories.current, histories.isBegun], [other, true]);
});

test("accepted is the piece that a host has shown, for that host alone, also after a restart", async () => {
  const { sighted, open, keep } = storeAt();
  const histories = open();
  await keep(histories.beginning());
  assert.equal(isKnown(histories, histories.current ?? "", 0, "h3"), true);
  for (const host of ["h1", "h2"]) assert.equal(isKnown(histories, "theirs", 7, host), false);
  assert.deepEqual(
    [[...histories.refused.keys()], sighted],
    [
      ["h1", "h2"],
      ["h1", "h2"],
    ],
  );
  assert.throws(() => histories.accepting("h3"), isNotRefused("h3"));
  await keep(histories.accepting("h1"));
  assert.deepEqual([...histories.refused.keys()], ["h2"]);
  for (const each of [histories, open()]) {
    assert.equal(isKnown(each, "theirs", 9, "h1"), true);
    assert.equal(isKnown(each, "other", 9, "h1"), false);
    for (const host of ["h2", "h3"]) assert.equal(isKnown(each, "theirs", 7, host), false);
  }
  // Once it shows what is known, it asks for nothing any more.
  assert.equal(isKnown(histories, "theirs", 9, "h1"), true);
  assert.equal(histories.refused.has("h1"), false);
});

test("a host that was refused is told of for a minute", async () => {
  const { open, keep, time } = storeAt();
  const histories = open();
  await keep(histories.beginning());
  isKnown(histories, "theirs", 7);
  const [told] = histories.conditions();
  assert.deepEqual([told?.reason, told?.object, told?.host], ["another-history", "host/h1", "h1"]);
  assert.match(told?.message ?? "", /revision 7 of history theirs, which it never had/);
  isKnown(histories, histories.current ?? "", 99, "h2");
  assert.match(histories.conditions()[1]?.message ?? "", /which ended here at revision 0/);
  time.now += 60_000;
  assert.equal(histories.conditions().length, 2);
  isKnown(histories, "theirs", 7, "h2");
  time.now += 1;
  assert.deepEqual(
    histories.conditions().map(({ host }) => host),
    ["h2"],
  );
  assert.throws(() => histories.accepting("h1"), isNotRefused("h1"));
});

test("the newest ten thousand pieces and acceptances are kept", async () => {
  const { open, keep, store } = storeAt();
  const pieces = Array.from({ length: 10_000 }, (_, n) => ({ id: `p${n}`, from: n }));
  const accepted = pieces.map(({ id }) => `h ${id}`);
  await store.commit([], [{ key: "history", value: JSON.stringify({ pieces, accepted }) }]);
  const histories = open();
  await keep(histories.beginning());
  assert.equal(isKnown(histories, "theirs", 7, "h1"), false);
  await keep(histories.accepting("h1"));
  const kept = JSON.parse(store.secret("history") ?? "") as { pieces: { id: string }[]; accepted: string[] };
  assert.deepEqual([kept.pieces.length, kept.pieces[0]?.id, kept.pieces.at(-1)?.id], [10_000, "p1", histories.current]);
  assert.deepEqual([kept.accepted.length, kept.accepted[0], kept.accepted.at(-1)], [10_000, "h p1", "h1 theirs"]);
});

test("a piece that nobody was told of, and that has nothing in it, is withdrawn", async () => {
  const { at, open, keep, store } = storeAt();
  const first = open();
  await keep(first.beginning());
  const known = first.current ?? "";
  assert.equal(first.withdrawing(), undefined, "a host may know it");
  const pieces = () => (JSON.parse(store.secret("history") ?? "{}") as { pieces: { id: string }[] }).pieces.length;
  for (let start = 0; start < 3; start++) {
    const histories = open();
    assert.equal(histories.withdrawing(), undefined, "it began nothing");
    await keep(histories.beginning());
    assert.equal(pieces(), 2);
    at.revision++;
    assert.equal(histories.withdrawing(), undefined, "something was written");
    at.revision--;
    const secret = histories.withdrawing();
    await store.commit([], secret === undefined ? [] : [secret]);
    assert.equal(pieces(), 1);
  }
  assert.equal(isKnown(open(), known, 0), true);
});
