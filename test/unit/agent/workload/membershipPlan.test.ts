// What memberships and moves ask of a host, by its journal.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Move, type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { nextInterface, planMemberships } from "../../../../src/agent/workload/members.ts";
import { entryNamed, localNetwork as network, make, membership, move as moveOf } from "../samples.ts";

const move = (endpoint: string, to: string, more: Partial<Move["spec"]> = {}) =>
  moveOf(endpoint, { migration: "m1", to, ...more });
const entry = (...[name, ...rest]: Parameters<typeof entryNamed>) => [name, entryNamed(name, ...rest)] as const;
type Given = { readonly dead?: readonly string[]; readonly isComplete?: boolean };
function wishes(resources: readonly Resource[], entries: readonly ReturnType<typeof entry>[], given: Given = {}) {
  const snapshot = snapshotOf("c", 1, [network("a"), network("b"), ...resources]);
  const isAlive = ({ endpoint }: Entry) => given.dead?.includes(endpoint.name) !== true;
  const { joins, leaves, moves } = planMemberships(snapshot, {
    host: "h1",
    entries: new Map(entries),
    isAlive,
    isComplete: given.isComplete ?? true,
  });
  return { joins: joins.map(({ network: of, owner }) => `${owner} ${of}`), leaves, moves: moves.map((m) => m.name) };
}
const web = { workload: "web" };
const joined = { workload: "web", joined: true };

test("each instance lacks what its workload's memberships name, once", () => {
  const entries = [
    entry("w1.eth0", "a", web),
    entry("w1.eth1", "c", web),
    entry("w2.eth0", "a", web),
    entry("x.eth0", "a"),
  ];
  assert.deepEqual(wishes([membership("b", "web"), membership("a", "web"), membership("b", "db")], entries), {
    joins: ["w1 b", "w2 b"],
    leaves: [],
    moves: [],
  });
});

test("what is there, on its way out, dead, or of no network that is there, is not asked for", () => {
  const entries = [
    entry("w1.eth0", "a", web),
    entry("w1.eth1", "b", web),
    entry("w2.eth0", "a", web),
    entry("w2.eth1", "b", joined, "detaching"),
    entry("w3.eth0", "a", web),
    entry("w4.eth0", "a", web, "detaching"),
  ];
  const memberships = [membership("b", "web"), membership("gone", "web")];
  assert.deepEqual(wishes(memberships, entries, { dead: ["w3.eth0"] }).joins, []);
});

test("a user's membership takes in the user's instances, and nobody else's of the same name", () => {
  const of = (user: string) => ({ ...web, user });
  const entries = [
    entry("w1.eth0", "a", of("ann")),
    entry("w2.eth0", "a", of("ben")),
    entry("w3.eth0", "a", web),
    entry("w4.eth0", "a", of("ann")),
    entry("w4.eth1", "b", { ...joined, user: "ann" }),
  ];
  assert.deepEqual(wishes([membership("b", "web", "ann")], entries).joins, ["w1 b"]);
  assert.deepEqual(wishes([membership("b", "web")], entries).joins, ["w3 b"]);
  assert.deepEqual(wishes([membership("b", "web", "ben")], entries), {
    joins: ["w2 b"],
    leaves: ["w4.eth1"],
    moves: [],
  });
  assert.deepEqual(wishes([membership("b", "web")], entries).leaves, ["w4.eth1"]);
  // The server says whose it is now; the journal, whose it was.
  const given = make("endpoint", "w1.eth0", { ...entryNamed("w1.eth0", "a", of("ben")).endpoint.spec });
  assert.deepEqual(wishes([given, membership("b", "web", "ben")], entries).joins, ["w1 b", "w2 b"]);
});

test("what a membership made goes with it, if its absence is an answer; what was made by hand stays", () => {
  const entries = [entry("w1.eth0", "a", web), entry("w1.eth1", "b", joined), entry("w2.eth1", "b", web)];
  assert.deepEqual(wishes([], entries).leaves, ["w1.eth1"]);
  assert.deepEqual(wishes([], entries, { isComplete: false }).leaves, []);
  assert.deepEqual(wishes([membership("b", "web")], entries).leaves, []);
  assert.deepEqual(wishes([membership("b", "db")], entries).leaves, ["w1.eth1"]);
  // An instance that has ended is nobody's, whatever is asked.
  assert.deepEqual(wishes([membership("b", "web")], entries, { dead: ["w1.eth1"], isComplete: false }).leaves, [
    "w1.eth1",
  ]);
});

test("a move looks after both its ends: nobody else makes the new one or takes the old one away", () => {
  const entries = [entry("w1.eth0", "a", joined), entry("w2.eth0", "a", joined), entry("w2.eth1", "b", joined)];
  const resources = [membership("b", "web"), move("w1.eth0", "b"), move("w2.eth0", "b")];
  assert.deepEqual(wishes(resources, entries), { joins: [], leaves: [], moves: ["m1~w1.eth0", "m1~w2.eth0"] });
  const others = [move("w1.eth0", "b", { state: "left" }), move("w2.eth0", "b", { host: "h2" })];
  assert.deepEqual(wishes([membership("b", "web"), ...others], entries), {
    joins: ["w1 b"],
    leaves: ["w1.eth0", "w2.eth0"],
    moves: [],
  });
});

test("a further interface comes after the last one by name, and is free", () => {
  const next = (last: string, ...taken: string[]) => nextInterface(last, (name) => taken.includes(name));
  assert.equal(next("eth0"), "eth1");
  assert.equal(next("eth1"), "eth2");
  assert.equal(next("eth0", "eth1", "eth2"), "eth3");
  assert.equal(next("eth9"), "eth90");
  assert.equal(next("net"), "net0");
  assert.equal(next("ens3"), "ens4");
});

test("an interface name has fifteen characters at most, and there is an end to trying", () => {
  const long = "abcdefghijklmn9";
  assert.throws(() => nextInterface(long, () => false), /no interface name is free after abcdefghijklmn9/);
  assert.equal(
    nextInterface("abcdefghijklm9", () => false),
    "abcdefghijklm90",
  );
  assert.throws(() => nextInterface("eth0", () => true), /no interface name is free after eth0/);
  assert.equal(
    nextInterface("", () => false),
    "0",
  );
  assert.equal(
    nextInterface("eth0", (name) => name !== "eth9999"),
    "eth9999",
  );
});

test("an instance is an owner in a namespace: another owner there, or it elsewhere, is another", () => {
  const entries = [
    entry("w1.eth0", "a", web),
    entry("w2.eth1", "b", { ...web, netns: "/n/w1" }),
    entry("w1.eth2", "b", { netns: "/n/other" }),
  ];
  assert.deepEqual(wishes([membership("b", "web")], entries).joins, ["w1 b"]);
});

test("what a move brings is not joined a second time, and what has joined is of its owner alone", () => {
  const entries = [entry("w1.eth0", "a", web), entry("w2.eth0", "a", web), entry("w3.eth1", "b", joined)];
  const resources = [membership("b", "web"), move("w1.eth0", "b")];
  assert.deepEqual(wishes(resources, entries).joins, ["w2 b"]);
  // A move to another network, or of another owner, takes care of nothing here.
  const elsewhere = [entry("w1.eth0", "b", joined), entry("w1.eth1", "c", joined)];
  assert.deepEqual(wishes([move("w9.eth0", "b"), move("w1.eth0", "a")], elsewhere).leaves, ["w1.eth1"]);
});
