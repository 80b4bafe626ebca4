// What a store does: keeps resources at revisions, and what changed since. Its model is etcd's revision, watch and
// compaction. Implementations: memory.ts (the reference) and sqlite.ts (one machine); test/contract/store/contract.ts
// holds both to the same promises. The rules of a commit are here, so that they cannot differ.
import assert from "node:assert/strict";
import { Fault } from "../model/fault.ts";
import type { Change, ChangeSet, Key, Resource } from "../model/resource.ts";
import type { AuditEntry } from "../model/audit.ts";
import type { LeaseRecord } from "../model/lease.ts";
import type { AuditBounds, AuditLog } from "./audit.ts";
import type { LeaseBounds, LeaseEvent, LeaseQuery } from "./leases.ts";

/** A key must still be as it was: at this revision, or absent (0). */
export type Precondition = { readonly key: Key; readonly revision: number };
export type Commit = {
  readonly changes: readonly Change[];
  readonly preconditions: readonly Precondition[];
  /** What the audit log says of it. */
  readonly audit: AuditEntry;
  /** What it means for the lease log. */
  readonly leases?: readonly LeaseEvent[];
};

/** A record that is not a resource and never leaves the server: credentials, the cluster's id, counters. */
export type Secret = { readonly key: string; readonly value: string | undefined };

export type StoreOptions = {
  /** Of a store that is created. Default: random. */
  readonly cluster?: string;
  /** How many changes a late watcher can still get. Default: WINDOW_CHANGES. */
  readonly history?: number;
  /** How much of the lease log is kept. Default: LEASE_BOUNDS. */
  readonly leases?: LeaseBounds;
  /** How much of the audit log is kept. Default: AUDIT_BOUNDS. */
  readonly audit?: AuditBounds;
};

type StoreState = {
  readonly cluster: string;
  readonly revision: number;
  readonly resources: readonly Resource[];
};

export interface Store {
  /** Created once, with the store: two stores never share it. */
  readonly cluster: string;
  /** The last durable revision. Never goes back, not even over a crash. */
  readonly revision: number;
  /** Everything, at `revision`. */
  read(): Promise<StoreState>;
  /**
   * All commits or none, in order, each at a revision of its own (its resources get that `revision`); resolves with the
   * revisions once they are durable. A failed precondition rejects with Fault `revision-stale` and changes nothing.
   * A commit without changes is an error of the caller. `entries` go to the audit log, after those of the commits.
   */
  commit(
    commits: readonly Commit[],
    secrets?: readonly Secret[],
    entries?: readonly AuditEntry[],
  ): Promise<readonly number[]>;
  /**
   * Every change set after `from`, in order, without gaps or repeats, first from history and then as commits become
   * durable. Throws Fault `compacted` if history no longer reaches back to `from`, and `revision-stale` if `from` is in
   * the future (the reader followed another history). Ends with the signal. A slow reader never delays a commit.
   */
  watch(from: number, signal: AbortSignal): AsyncIterable<ChangeSet>;
  secret(key: string): string | undefined;
  /** Who had an address, the newest first; as far back as the log is kept (leases.ts). */
  leases(query: LeaseQuery): Promise<readonly LeaseRecord[]>;
  /** Who asked for each commit, and what else was recorded; as far back as it is kept (audit.ts). */
  readonly audit: AuditLog;
  close(): Promise<void>;
}

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
