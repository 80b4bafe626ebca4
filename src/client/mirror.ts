// The server's resources as this process knows them: a list, then every change set after it. Holds the newest snapshot
// while the server is away and says whether it is complete and current (`isSynced`): only then may its reader conclude
// that something is gone. Knows nothing of hosts or kernels, and decides nothing.
//
//   saved snapshot -> list -> watch -> watch lost -> (backoff) -> watch from where it was -> ...
//                      ^                                 |
//                      +------- compacted ---------------+
//
// Another cluster, or the same one at an earlier revision, is not "everything was deleted": it is a problem that a
// person must look at, and until then the old snapshot stays.
import type { Ask } from "../model/check.ts";
import type { Clock } from "../model/clock.ts";
import { Fault, isEnd, problemOf, type Reason } from "../model/fault.ts";
import {
  type Change,
  type ChangeSet,
  type Kind,
  type Resource,
  type ResourceOf,
  type Snapshot,
  listIn,
  snapshotWith,
} from "../model/resource.ts";
import type { Transport } from "./transport.ts";

const BACKOFF_FIRST_MS = 200;
const BACKOFF_LAST_MS = 10_000;
/**
 * A resumed watch that lasted this long has delivered what was missed: history arrives as fast as the network carries
 * it.
 */
const SETTLED_MS = 3_000;
/** How many changes are kept separately while no one asks for the snapshot. */
const PENDING_MAX = 10_000;

const LIST_AFTER: readonly Reason[] = ["compacted", "revision-stale", "another-history"];

export type MirrorOptions = {
  readonly transport: Pick<Transport, "snapshot" | "watch">;
  readonly clock: Clock;
  /** 0 <= random() < 1: jitter, so that a thousand hosts do not come back at the same moment. */
  readonly random: () => number;
  /** What an earlier process knew: usable at once, not synced. */
  readonly saved?: Snapshot;
};

export class Mirror {
  readonly #options: MirrorOptions;
  #base: Snapshot | undefined;
  #revision: number;
  /** The history of the revision, as a server named it. */
  #history: string | undefined;
  /** Changes after `#base`, applied when the snapshot is asked for. */
  #pending: Change[] = [];
  #isSynced = false;
  #problem: Fault | undefined;
  #mustList = true;
  #failures = 0;
  readonly #pokes = new Set<() => void>();
  #hear: (ask: Ask) => void = () => undefined;
  #rewound: (revision: number) => void = () => undefined;

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#base = options.saved;
    this.#revision = options.saved?.revision ?? 0;
    this.#history = options.saved?.history;
  }

  /** Complete in this process's life, of the expected cluster, and followed at this moment. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Why it is not synced; undefined while it is, and before the first answer. */
  get problem(): Fault | undefined {
    return this.#problem;
  }

  /**
   * The newest snapshot, the same value until the next change; undefined if there never was one. A list of resources
   * that no change concerned stays the same value, too: comparing references tells what is new.
   */
  snapshot(): Snapshot | undefined {
    const history = this.#history;
    if (this.#base !== undefined && this.#base.revision !== this.#revision) {
      this.#base = applyChanges(this.#base, { revision: this.#revision, changes: this.#pending });
      if (history !== undefined) this.#base = { ...this.#base, history };
      this.#pending = [];
    }
    return this.#base;
  }

  /** Calls `poke` after each new revision and when it is synced, or no longer. Returns what ends that. */
  onChange(poke: () => void): () => void {
    this.#pokes.add(poke);
    return () => this.#pokes.delete(poke);
  }

  /** Calls `hear` with each question that the server sends. A broken connection may bring one twice, or never. */
  onAsk(hear: (ask: Ask) => void): void {
    this.#hear = hear;
  }

  /** Calls `rewound` before a list is taken whose revision is lower than that of the history followed until then. */
  onRewind(rewound: (revision: number) => void): void {
    this.#rewound = rewound;
  }

  /**
   * Follows the server until the signal aborts, or the server says that this host was removed (`isEnd` of the problem).
   * Never rejects: `problem` has what is wrong. May be run again, and then begins with a list.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#mustList) await this.#list(signal);
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#lose(faultFrom(error));
        if (isEnd(error)) return void (this.#mustList = true);
      }
      const backoffMs = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
      await this.#options.clock.sleep(backoffMs * (0.5 + this.#options.random() / 2), signal);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const history = this.#history;
    const known = history === undefined ? undefined : { history, revision: this.#revision };
    const listed = await orAborted(this.#options.transport.snapshot(known), signal);
    if (this.#base !== undefined && listed.cluster !== this.#base.cluster) throw otherCluster(this.#base, listed);
    // A server that knows this mirror's history, and named its own, has judged that better than numbers can.
    const isJudged = known !== undefined && listed.history !== undefined;
    if (!isJudged && listed.revision < this.#revision) throw earlierLife(this.#revision, listed.revision);
    if (listed.revision < this.#revision) this.#rewound(listed.revision);
    this.#base = listed;
    this.#revision = listed.revision;
    this.#history = listed.history;
    this.#pending = [];
    this.#mustList = false;
    this.#isSynced = false;
    this.#follows();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { transport, clock } = this.#options;
    const ended = new AbortController();
    const open = AbortSignal.any([signal, ended.signal]);
    if (!this.#isSynced) {
      void clock.sleep(SETTLED_MS, open).then(() => {
        if (!open.aborted) this.#follows();
      });
    }
    try {
      for await (const set of transport.watch(this.#revision, open, this.#history)) this.#take(set);
    } finally {
      ended.abort();
    }
    throw new Fault("unavailable", { what: "the server ended the watch", fix: "nothing: it is resumed by itself" });
  }

  #take(set: ChangeSet): void {
    if (set.history !== undefined) return void (this.#history = set.history);
    // A question comes alone, and says nothing about completeness.
    if (set.ask !== undefined) return this.#hear(set.ask);
    if (set.revision <= this.#revision) {
      // The server repeats its newest revision, empty, when it has sent everything: then nothing is missing here.
      if (set.revision === this.#revision && set.changes.length === 0) this.#follows();
      return;
    }
    // Revisions may be skipped: the set is everything that happened up to its own.
    for (const change of set.changes) this.#pending.push(change);
    this.#revision = set.revision;
    this.#failures = 0;
    if (this.#pending.length > PENDING_MAX) this.snapshot();
    this.#poke();
  }

  #follows(): void {
    this.#problem = undefined;
    this.#failures = 0;
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#poke();
  }

  #lose(fault: Fault): void {
    const wasSynced = this.#isSynced;
    this.#isSynced = false;
    this.#problem = fault;
    // `compacted`: the missed sets are no longer available. The others: the list will show which history this is.
    if (LIST_AFTER.includes(fault.reason)) this.#mustList = true;
    if (wasSynced) this.#poke();
  }

  #poke(): void {
    for (const poke of this.#pokes) poke();
  }
}

/** The snapshot after a change set. Lists without changes are the same values as before. */
export function applyChanges(snapshot: Snapshot, { revision, changes }: ChangeSet): Snapshot {
  // By kind and name, because the last change of a resource decides, and names are hashed already.
  const last = new Map<string, Map<string, Resource | undefined>>();
  const note = (kind: string, name: string, resource: Resource | undefined) => {
    const names = last.get(kind) ?? new Map<string, Resource | undefined>();
    last.set(kind, names.set(name, resource));
  };
  for (const change of changes) {
    if ("put" in change) note(change.put.kind, change.put.name, change.put);
    else {
      const slash = change.remove.indexOf("/");
      note(change.remove.slice(0, slash), change.remove.slice(slash + 1), undefined);
    }
  }
  const after = <K extends Kind>(kind: K, list: readonly ResourceOf<K>[]): readonly ResourceOf<K>[] => {
    const names = last.get(kind);
    if (names === undefined) return list;
    const isOfKind = (resource: Resource | undefined): resource is ResourceOf<K> => resource?.kind === kind;
    return [...list.filter((resource) => !names.has(resource.name)), ...[...names.values()].filter(isOfKind)];
  };
  return snapshotWith({ cluster: snapshot.cluster, revision }, (kind) => after(kind, listIn(snapshot, kind)));
}

/** The promise's outcome, or a rejection as soon as the signal aborts. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Fault("unavailable", { what: "stopped", fix: "nothing" }));
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A bug in a transport must not end the agent: it becomes a problem, and the next attempt may succeed. */
function faultFrom(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const why = error instanceof Error ? error.message : problemOf(error).detail;
  return new Fault("internal", { what: "following the server failed", why, fix: "this is a bug" }, { cause: error });
}

function otherCluster(known: Snapshot, listed: Snapshot): Fault {
  return new Fault("host-claimed", {
    what: `the server is of cluster ${listed.cluster}, this host belongs to cluster ${known.cluster}`,
    why: "the state of one cluster must not be taken for another's, so nothing is changed here",
    fix: "point the agent at the right server, or make the host leave its cluster first",
  });
}

function earlierLife(known: number, listed: number): Fault {
  return new Fault("revision-stale", {
    what: `the server is at revision ${listed}, and this host has seen revision ${known}`,
    why: "the server has lost writes, as after the restore of a backup, so nothing is changed here",
    fix: "start the newer server; or, if the backup is the truth now, remove the host's saved snapshot and restart it",
  });
}
