// The queue in front of the store. Writes that arrive in one turn of the event loop are admitted in order and share one
// durable transaction, each with a revision of its own; no one hears of a write before it is durable. A refused write
// changes nothing and delays no other. During a commit the view is ahead of the store, so readers wait for `settled`.
// If anything fails, the view is read again from the store.
import assert from "node:assert/strict";
import type { AuditEntry } from "../../model/audit.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import { type Change, keyOfResource } from "../../model/resource.ts";
import type { Commit, Precondition, Secret, Store } from "../../store/store.ts";
import { type Admission, admit } from "../admit/admit.ts";
import type { Context } from "../admit/context.ts";
import { type Asked, askedBy, auditChangesOf, doneEntry } from "../audit/entry.ts";
import type { Histories } from "./histories.ts";
import { Followers } from "./followers.ts";
import { ReplayLog } from "./replayLog.ts";
import { leaseEventsOf } from "./leaseLog.ts";
import { type Before, type View, applyChanges, getKey, viewOf } from "../state/view.ts";
import { judged } from "../rights/judge.ts";
import { type Caller, type Outcome, SERVER, type Write } from "../write.ts";

/** Told what happens, for metrics. */
export type Meter = { committed(commits: number, seconds: number): void; converged(seconds: number): void };

/** What goes with a write, in its transaction. */
export type Job = Wanted & {
  /** Who asks for it. Default: the server itself. */
  readonly caller?: Caller;
  readonly dryRun?: boolean;
  /** More for the audit log. */
  readonly entries?: readonly AuditEntry[];
  /** Asked right before it is admitted; throws what has made it void since it was submitted. */
  holds?(): void;
  /** Asked after the write was admitted. */
  secrets?(admission: Admission): readonly Secret[];
  /** Called when it is admitted, not durable: for a caller that undoes its work if it never is. Must not throw. */
  decided?(outcome: Outcome): void;
  /** Called as soon as it is durable, before any other caller hears of it. */
  committed?(): void;
};
/** A job without a write only keeps secrets; `about` is what the audit log says of it, undefined if it says nothing. */
type Wanted =
  | { readonly write: Write; readonly about?: undefined }
  | { readonly write?: undefined; readonly about: Asked | undefined };
type Queued = Job & { resolve(outcome: Outcome): void; reject(error: unknown): void };
type Decided = { readonly queued: Queued; readonly outcome: Outcome };
type Group = {
  readonly commits: Commit[];
  readonly befores: Before[];
  readonly secrets: Secret[];
  readonly entries: AuditEntry[];
  readonly decided: Decided[];
};

export type CommitterOptions = {
  readonly clock: Clock;
  readonly context: Context;
  readonly meter: Meter;
  /** Runs the function when the event loop has taken all writes of this turn. */
  readonly later: (run: () => void) => void;
  readonly turn: (run: () => void) => void;
  /** Changes remembered for watching hosts. */
  readonly history: number;
  readonly histories: Histories;
  /** Told of every job that is refused. */
  readonly refused?: (job: Job, error: unknown) => void;
};

export class Committer {
  readonly #store: Store;
  readonly #options: CommitterOptions;
  #view: View;
  #replayLog: ReplayLog;
  #queue: Queued[] = [];
  #isScheduled = false;
  #flushing: Promise<void> | undefined;
  #isLost = false;
  #isClosed = false;
  #isPublishing = false;
  /** Hosts that watch. */
  readonly followers = new Followers();

  constructor(store: Store, view: View, options: CommitterOptions) {
    this.#store = store;
    this.#options = options;
    this.#view = view;
    this.#replayLog = new ReplayLog(view.revision, options.history);
  }

  /** What is durable; only to be read right after `settled`. */
  get view(): View {
    return this.#view;
  }
  get replayLog(): ReplayLog {
    return this.#replayLog;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  submit(job: Job): Promise<Outcome> {
    if (this.#isClosed) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...job, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when the view is what the store holds; throws `unavailable` while the store cannot be read. */
  async settled(): Promise<void> {
    // A reader finds out whether it can be read again: the next write may be far away.
    while (this.#flushing !== undefined || this.#isLost) await (this.#flushing ?? this.submit({ about: undefined }));
  }

  /** Finishes what is queued, then ends every watch. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#isScheduled || this.#flushing !== undefined) {
      await (this.#flushing ?? new Promise<void>((resolve) => this.#options.turn(resolve)));
    }
    this.#publish();
    this.followers.sleepers.wake();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.turn(() => {
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = undefined;
        this.#isScheduled = false;
        // In this order, or followers would never get anything while writes keep coming.
        if (this.followers.isBehind) this.#publishLater();
        if (this.#queue.length > 0) this.#schedule();
      });
    });
  }

  /** The writer continues first, and hosts get a burst as one message. */
  #publishLater(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    this.#options.later(() => {
      this.#isPublishing = false;
      this.#publish();
    });
  }

  /** Later, if the view is ahead of the store now, or behind it. */
  #publish(): void {
    if (this.#flushing === undefined && !this.#isLost) this.followers.publish(this.#view);
  }

  async #flush(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    try {
      if (this.#isLost) await this.#reload();
    } catch {
      for (const queued of batch) this.#refuse(queued, lost());
      return;
    }
    const group: Group = { commits: [], befores: [], secrets: [], entries: [], decided: [] };
    for (const queued of batch) this.#decide(queued, group);
    for (const { queued, outcome } of group.decided) queued.decided?.(outcome);
    try {
      if (group.commits.length + group.secrets.length + group.entries.length > 0) await this.#commit(group);
    } catch (error) {
      await this.#reload().catch(() => (this.#isLost = true));
      for (const { queued } of group.decided) this.#refuse(queued, error);
      return;
    }
    for (const { queued } of group.decided) queued.committed?.();
    for (const { queued, outcome } of group.decided) queued.resolve(outcome);
  }

  /** Admits one write against everything before it in the group. */
  #decide(queued: Queued, group: Group): void {
    try {
      queued.holds?.();
      const admission = this.#admit(queued);
      const { changes } = admission;
      if (queued.dryRun !== true) {
        const secrets = queued.secrets?.(admission) ?? [];
        group.entries.push(...(queued.entries ?? []));
        group.secrets.push(...secrets);
        if (changes.length > 0) this.#enter(queued, changes, group);
        else if (secrets.length > 0) this.#note(queued, group);
      }
      // An answer without changes waits for the others too: what it found may be not durable yet.
      group.decided.push({ queued, outcome: { ...admission, revision: this.#view.revision } });
    } catch (error) {
      this.#refuse(queued, error);
    }
  }

  #admit({ write, caller = SERVER }: Queued): Admission {
    if (write === undefined) return NOTHING;
    const { identity } = caller;
    return judged(this.#view, write, caller, () => admit(this.#view, write, this.#options.context, identity));
  }

  #refuse(queued: Queued, error: unknown): void {
    this.#options.refused?.(queued, error);
    queued.reject(error);
  }

  #enter(queued: Queued, changes: readonly Change[], group: Group): void {
    const nowMs = this.#options.clock.nowMs();
    const view = this.#view;
    const leases = leaseEventsOf(view, changes, nowMs);
    const audit = doneEntry(queued.caller ?? SERVER, askedIn(queued), nowMs, auditChangesOf(view, changes));
    group.commits.push({ changes, preconditions: changes.map((change) => this.#asSeen(change)), leases, audit });
    group.befores.push(applyChanges(this.#view, changes));
    this.#view.revision += 1;
  }

  /** Records what was written although no resource has changed. */
  #note(queued: Queued, group: Group): void {
    if (queued.write === undefined && queued.about === undefined) return;
    group.entries.push(doneEntry(queued.caller ?? SERVER, askedIn(queued), this.#options.clock.nowMs()));
  }

  #asSeen(change: Change): Precondition {
    const key = "put" in change ? keyOfResource(change.put) : change.remove;
    return { key, revision: getKey(this.#view, key)?.revision ?? 0 };
  }

  async #commit(group: Group): Promise<void> {
    const { clock, meter, histories } = this.#options;
    const startedAtMs = clock.monotonicMs();
    const first = this.#replayLog.revision + 1;
    // Mostly done when the server started; a disk that was full then has room now.
    const late = histories.isBegun ? undefined : histories.beginning();
    const secrets = late === undefined ? group.secrets : [...group.secrets, late.secret];
    const revisions = await this.#store.commit(group.commits, secrets, group.entries);
    late?.begun();
    if (late !== undefined) this.followers.lose();
    // Another writer on this store would have moved the revisions.
    assert.deepEqual(
      revisions,
      group.commits.map((_, i) => first + i),
    );
    const endedAtMs = clock.monotonicMs();
    // Not read back from the replay log: a group may be longer than what it remembers.
    this.followers.append(group.befores.map((before) => this.#replayLog.record(before, endedAtMs)));
    if (group.commits.length > 0) meter.committed(group.commits.length, (endedAtMs - startedAtMs) / 1000);
  }

  async #reload(): Promise<void> {
    const { cluster, revision, resources } = await this.#store.read();
    this.#view = viewOf(cluster, revision, resources);
    if (revision !== this.#replayLog.revision) {
      // Steps between what was remembered and what is there are unknown: watchers have to list again.
      this.#replayLog = new ReplayLog(revision, this.#options.history);
      this.followers.lose();
    }
    this.#isLost = false;
  }
}

/** What a job asks for, in short. */
export function askedIn({ write, about }: Job): Asked {
  return write === undefined ? (about ?? { verb: "" }) : askedBy(write);
}

const NOTHING: Admission = { changes: [], created: false };

function stopping(): Fault {
  return new Fault("unavailable", { what: "the server is stopping", fix: "try again when it has started" });
}

function lost(): Fault {
  return new Fault("unavailable", { what: "the store cannot be read", fix: "see the server's log; check the disk" });
}
