// Questions to hosts: how long their answers are waited for, and who is named afterwards.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Inquiry } from "../../../../src/control/check/inquiry.ts";
import type { InventoryAnswer } from "../../../../src/model/check.ts";
import { VirtualClock } from "../../../sim/lab/clock.ts";

const TRIAL = { peers: [], channels: [] };
const answer = (ask: number, host: string): InventoryAnswer => {
  return { ask, done: [], inventory: { host, revision: 1, entries: [], ports: [], busy: [], telling: false } };
};

test("a host that does not answer a preflight is waited for ten seconds, one that is away not at all", async () => {
  const clock = new VirtualClock();
  let id = 0;
  const inquiry = new Inquiry(clock, (asks) => {
    id = asks.get("h1")?.id ?? 0;
    return new Set(["h1", "h2"]);
  });
  const question = { orders: [], trial: TRIAL };
  const asked = inquiry.ask(new Map(["h1", "h2", "h3"].map((host) => [host, question])));
  let isOver = false;
  void asked.then(() => (isOver = true));
  inquiry.take("h1", answer(id, "h1"));
  await clock.advance(9_900);
  assert.equal(isOver, false);
  await clock.advance(200);
  const { answers, unanswered } = await asked;
  assert.deepEqual([...answers.keys()], ["h1"]);
  assert.deepEqual(
    [...unanswered],
    [
      ["h2", "it did not answer within 10 s"],
      ["h3", "away: its agent does not follow the server"],
    ],
  );
});

test("when all have answered, it is over at once", async () => {
  const clock = new VirtualClock();
  const inquiry = new Inquiry(clock, (asks) => {
    for (const [host, { id }] of asks) queueMicrotask(() => inquiry.take(host, answer(id, host)));
    return new Set(asks.keys());
  });
  const { answers, unanswered } = await inquiry.ask(new Map([["h1", { orders: [], trial: TRIAL }]]));
  assert.deepEqual([[...answers.keys()], unanswered.size], [["h1"], 0]);
});
