// The rules of a commit, shared by all stores so that they cannot differ.
import assert from "node:assert/strict";
import { Fault } from "../model/fault.ts";
import type { Change } from "../model/resource.ts";
import type { Commit, Precondition } from "./store.ts";

/** The change as the commit of `revision` makes it: a put resource carries the revision that put it. */
export function stamped(change: Change, revision: number): Change {
  return "put" in change ? { put: { ...change.put, revision } } : change;
}

/** Throws `revision-stale` unless the key is now at the revision that the writer has read (0: absent). */
export function assertHolds(precondition: Precondition, actual: number): void {
  if (precondition.revision === actual) return;
  const state = (revision: number) => (revision === 0 ? "absent" : `at revision ${revision}`);
  throw new Fault("revision-stale", {
    what: `${precondition.key} has changed`,
    why: `it was to be ${state(precondition.revision)} and is ${state(actual)}`,
    where: precondition.key,
    fix: "read it again, decide again, and repeat the write",
  });
}

/** A commit without changes would be a revision without meaning. */
export function assertMeaningful(commit: Commit): void {
  assert(commit.changes.length > 0, "a commit has at least one change");
}

export function storeClosed(): Fault {
  const fix = "try again when it has started";
  return new Fault("unavailable", { what: "the store is closed", why: "the server is stopping", fix });
}
