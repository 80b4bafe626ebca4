// Guessing is slow, for one user and from one address, also over restarts; and nobody can lock out a user where the
// user works, or the administrator.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Guess,
  type Guesses,
  isNotable,
  originOf,
  readGuesses,
  waitOf,
  withGuess,
  withoutGuess,
  writtenGuesses,
} from "../../../../src/control/logins/guesses.ts";

const NONE: Guesses = new Map();
const DAY = 86_400_000;
const from = (address: string, user = "alice", isOwn = false): Guess => ({ user, from: address, isOwn });

/** Guesses as fast as it is let, and counts how many were wrong until then. */
function hammer(guessAt: (n: number) => Guess, untilMs: number, start = NONE): { count: number; guesses: Guesses } {
  let [guesses, nowMs, count] = [start, 0, 0];
  for (let n = 0; nowMs < untilMs; n++) {
    const guess = guessAt(n);
    const wait = waitOf(guesses, guess, nowMs);
    if (wait > 0) nowMs += wait;
    else {
      guesses = withGuess(guesses, guess, nowMs);
      count++;
    }
  }
  return { count, guesses };
}

test("a user's password can be guessed 730 times a day, from however many addresses", () => {
  const { count } = hammer((n) => from(`10.0.${n >> 8}.${n & 255}`), DAY);
  assert.equal(count, 10 + DAY / 120_000 - 1);
});

test("from one address 8,670 guesses a day can be made, at however many users", () => {
  const { count } = hammer((n) => from("10.0.0.1", `user${n}`), DAY);
  assert.equal(count, 30 + DAY / 10_000 - 1);
});

test("a user is not locked out where the user has logged in before", () => {
  const { guesses } = hammer((n) => from(`10.0.${n >> 8}.${n & 255}`), DAY);
  assert.ok(waitOf(guesses, from("192.168.0.1"), DAY - 1) > 0);
  assert.equal(waitOf(guesses, from("192.168.0.1", "alice", true), DAY), 0);
});

test("the server's own machine is never locked out", () => {
  let guesses = NONE;
  for (let n = 0; n < 1000; n++) guesses = withGuess(guesses, from("unix"), 0);
  assert.equal(waitOf(guesses, from("unix"), 0), 0);
  assert.equal(guesses.size, 0);
});

test("a right one counts for nothing", () => {
  let guesses = NONE;
  for (let n = 0; n < 100; n++) {
    assert.equal(waitOf(guesses, from("10.0.0.1"), n), 0);
    guesses = withoutGuess(withGuess(guesses, from("10.0.0.1"), n), from("10.0.0.1"), n);
  }
  assert.equal(guesses.size, 0);
});

test("what is near a limit is written down, and counts after a restart", () => {
  let guesses = NONE;
  for (let n = 0; n < 10; n++) guesses = withGuess(guesses, from("10.0.0.1"), 1000);
  assert.ok(isNotable(guesses, from("10.0.0.1"), 1000));
  assert.equal(isNotable(withGuess(NONE, from("10.0.0.1"), 0), from("10.0.0.1"), 0), false);
  const after = readGuesses(writtenGuesses(guesses, 1000), 61_000);
  assert.equal(waitOf(after, from("10.0.0.1"), 61_000), 60_000);
  // A clock that was set back, or a text of another program, makes no wait longer and stops no server.
  const ahead = [...guesses].map(([key, [level]]) => [key, [level, 9e12]] as const);
  const back = readGuesses(writtenGuesses(new Map(ahead), 9e12), 1000);
  assert.equal(waitOf(back, from("10.0.0.1"), 1000), 120_000);
  assert.equal(readGuesses("{", 0).size, 0);
  assert.equal(readGuesses(undefined, 0).size, 0);
});

test("many names and addresses do not fill the memory, and the highest levels stay", () => {
  let guesses = NONE;
  for (let n = 0; n < 10; n++) guesses = withGuess(guesses, from("10.9.9.9"), 0);
  for (let n = 0; n < 12_000; n++) guesses = withGuess(guesses, from(`10.0.${n >> 8}.${n & 255}`, `user${n}`), 0);
  assert.ok(guesses.size <= 10_000);
  assert.ok(waitOf(guesses, from("10.77.0.1"), 0) > 0);
  assert.ok(writtenGuesses(guesses, 0).length < 50_000);
});

test("addresses of one IPv6 network count as one, and IPv4 in IPv6 as IPv4", () => {
  assert.equal(originOf("2001:db8:1:2::7"), originOf("2001:db8:1:2:3:4:5:6"));
  assert.notEqual(originOf("2001:db8:1:2::7"), originOf("2001:db8:1:3::7"));
  assert.equal(originOf("2001:db8::1"), "2001:db8:0:0::/64");
  assert.equal(originOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(originOf("::1"), "0:0:0:0::/64");
  assert.equal(originOf("::ffff:10.0.0.1"), "10.0.0.1");
  assert.equal(originOf("10.0.0.1"), "10.0.0.1");
});

test("the wait is exactly as long as it has to be", () => {
  const guess = from("10.0.0.1");
  fc.assert(
    fc.property(fc.array(fc.nat(300_000), { minLength: 10, maxLength: 60 }), (gaps) => {
      let [guesses, nowMs] = [NONE, 0];
      for (const gap of gaps) {
        guesses = withGuess(guesses, guess, (nowMs += gap));
        const wait = waitOf(guesses, guess, nowMs);
        assert.equal(waitOf(guesses, guess, nowMs + wait), 0);
        if (wait > 1) assert.ok(waitOf(guesses, guess, nowMs + wait - 2) > 0);
      }
    }),
  );
});
