// The store in memory: the reference for other stores, and the store of tests and simulation. States in the fewest
// lines what a store promises; knows nothing of the meaning of resources.
import { randomUUID } from "node:crypto";
import { keyOfResource } from "../model/resource.ts";
import { type AuditEntry, firstAuditHash } from "../model/audit.ts";
import type { ChangeSet, Key, Resource } from "../model/resource.ts";
import { AUDIT_BOUNDS, AuditChain, auditRowsInMemory, pointOf } from "./audit.ts";
import { ChangeLog } from "./changeLog.ts";
import { LEASE_BOUNDS, LeaseLog } from "./leases.ts";
import {
  type Commit,
  type Secret,
  type Store,
  type StoreOptions,
  assertHolds,
  assertMeaningful,
  stamped,
  storeClosed,
} from "./store.ts";

/** An empty store. */
export function openMemoryStore(options: StoreOptions = {}): Store {
  const cluster = options.cluster ?? randomUUID();
  const resources = new Map<Key, Resource>();
  const secrets = new Map<string, string>();
  const log = new LeaseLog(options.leases ?? LEASE_BOUNDS);
  const history = new ChangeLog(0, options.history);
  const auditRows = auditRowsInMemory();
  const begin = { seq: 0, length: 0, hash: firstAuditHash(cluster), revision: 0 };
  const chain = new AuditChain(auditRows, options.audit ?? AUDIT_BOUNDS, { head: begin, anchor: begin });
  let isClosed = false;

  function commitNow(commits: readonly Commit[], wanted: readonly Secret[], entries: readonly AuditEntry[]): number[] {
    if (isClosed) throw storeClosed();
    // What the commits so far have put or removed; nothing is changed until all of them are known to hold.
    const pending = new Map<Key, Resource | undefined>();
    const current = (key: Key) => (pending.has(key) ? pending.get(key) : resources.get(key));
    const sets: ChangeSet[] = [];
    for (const commit of commits) {
      const revision = history.revision + sets.length + 1;
      assertMeaningful(commit);
      for (const precondition of commit.preconditions) {
        assertHolds(precondition, current(precondition.key)?.revision ?? 0);
      }
      const changes = commit.changes.map((change) => stamped(change, revision));
      for (const change of changes) {
        if ("put" in change) pending.set(keyOfResource(change.put), change.put);
        else pending.set(change.remove, undefined);
      }
      sets.push({ revision, changes });
    }
    for (const [key, resource] of pending) setOrDelete(resources, key, resource);
    for (const { key, value } of wanted) setOrDelete(secrets, key, value);
    log.append(commits.flatMap((commit) => commit.leases ?? []));
    chain.appendAll(commits, entries);
    history.appendAll(sets);
    return sets.map((set) => set.revision);
  }

  return {
    cluster,
    get revision() {
      return history.revision;
    },
    async read() {
      return { cluster, revision: history.revision, resources: [...resources.values()] };
    },
    async commit(commits, wanted = [], entries = []) {
      return commitNow(commits, wanted, entries);
    },
    watch: (from, signal) => history.watch(from, signal),
    secret: (key) => secrets.get(key),
    async leases(query) {
      if (isClosed) throw storeClosed();
      return log.find(query);
    },
    audit: {
      ends: () => ({ anchor: pointOf(chain.anchor), head: pointOf(chain.head) }),
      rows: (span) => auditRows.find(span),
      trim: (nowMs) => chain.isLong(nowMs) && chain.trim(nowMs),
    },
    async close() {
      isClosed = true;
      history.close();
    },
  };
}

function setOrDelete<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
