// A part that fails takes the others along, in order.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { test } from "node:test";
import { together } from "../../../src/agent/together.ts";

const until = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

test("when one part fails the others are stopped, and it is told when all have ended", {
  timeout: 10_000,
}, async () => {
  let hasEnded = false;
  const slow = async (signal: AbortSignal) => {
    await until(signal);
    await setTimeout(20);
    hasEnded = true;
    throw new Error("later");
  };
  const failing = () => Promise.reject(new Error("the first"));
  await assert.rejects(together(new AbortController().signal, [slow, failing]), /the first/);
  assert(hasEnded);
});

test("a signal ends all, and that is no failure", { timeout: 10_000 }, async () => {
  const stop = new AbortController();
  const all = together(stop.signal, [until, until]);
  stop.abort();
  await all;
});

test("a part that ends by itself ends no other, and one that fails when all are told to stop is told", {
  timeout: 10_000,
}, async () => {
  const stop = new AbortController();
  let isDone = false;
  const all = together(stop.signal, [() => Promise.resolve(), until]).then(() => (isDone = true));
  await setTimeout(20);
  assert.equal(isDone, false);
  stop.abort();
  await all;
  const late = new AbortController();
  const failing = async (signal: AbortSignal) => {
    await until(signal);
    throw new Error("at its end");
  };
  const both = together(late.signal, [failing, until]);
  late.abort();
  await assert.rejects(both, /at its end/);
  await together(AbortSignal.abort(), []);
});
