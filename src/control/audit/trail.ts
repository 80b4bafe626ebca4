// What the server does with its audit log besides writing records with commits: takes refusals, removes what is too
// old, and answers what was asked for. A search reads some thousand records at most, and lets others have a turn
// between two pages; its answer says from where to go on.
import type { AuditEntry, AuditRecord, AuditVerdict } from "../../model/audit.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault, REASONS } from "../../model/fault.ts";
import type { AuditRow } from "../../store/audit.ts";
import type { Store } from "../../store/store.ts";
import type { Job } from "../commit/committer.ts";
import type { Asked } from "./entry.ts";
import { type AuditFilter, briefOf, isBefore, isMatch } from "./filter.ts";
import { Refusals } from "./refusals.ts";
import { verifyAudit } from "./verify.ts";

/** Who was refused; it need not be known who that is. */
export type RefusedCaller = Pick<AuditEntry, "who" | "uid" | "credential" | "from">;

export type AuditQuery = AuditFilter & {
  readonly order: "newest" | "oldest";
  readonly limit: number;
  /** Only what follows this record in the order. */
  readonly cursor?: number;
  /** With what every change was before and after. */
  readonly isFull: boolean;
};
export type AuditPage = {
  readonly items: readonly AuditRecord[];
  /** The last record that was looked at. */
  readonly reached: number;
  /** There may be more: go on after it. */
  readonly cursor?: number;
};

export type TrailOptions = {
  readonly clock: Clock;
  readonly submit: (job: Job) => Promise<unknown>;
  /** Runs the function when others have had their turn. */
  readonly turn: (run: () => void) => void;
};

const PAGE = 500;
const SEARCHED_MAX = 10_000;
const ANSWER_CHARS = 8 * 1024 * 1024;
const MESSAGE_CHARS = 500;

export class AuditTrail {
  readonly #store: Store;
  readonly #options: TrailOptions;
  readonly #refusals = new Refusals();
  readonly #seen = new WeakSet<object>();
  #unwritten: readonly AuditEntry[] = [];

  constructor(store: Store, options: TrailOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** As `refused`, unless the error is known from there: for whoever only passes on what was refused. */
  refusedFirst(by: RefusedCaller, asked: Asked, error: unknown): void {
    if (typeof error !== "object" || error === null || !this.#seen.has(error)) this.refused(by, asked, error);
  }

  /** Records the refusal. It is written soon: what is refused waits for no disk. */
  refused(by: RefusedCaller, { verb, object, isDry = false }: Asked, error: unknown): void {
    this.ignore(error);
    const { clock } = this.#options;
    const message = [...(isDry ? ["dry run"] : []), messageOf(error)].filter((part) => part !== "").join(": ");
    const entry = {
      atMs: clock.nowMs(),
      ...by,
      verb,
      result: error instanceof Fault ? error.reason : "internal",
      ...(object === undefined ? {} : { object: object.slice(0, MESSAGE_CHARS) }),
      ...(message === "" ? {} : { message }),
    };
    this.#refusals.take(entry, clock.monotonicMs());
  }

  /** What is refused to the server itself has no record. */
  ignore(error: unknown): void {
    if (typeof error === "object" && error !== null) this.#seen.add(error);
  }

  /** Writes the refusals whose time has come, or all. Call it every second. */
  async flush(isAll = false): Promise<void> {
    if (this.#unwritten.length === 0) this.#unwritten = this.#refusals.due(this.#options.clock.monotonicMs(), isAll);
    if (this.#unwritten.length === 0) return;
    await this.#options.submit({ about: undefined, entries: this.#unwritten });
    this.#unwritten = [];
  }

  /** Removes what is older or more than the settings say. */
  async trim(): Promise<void> {
    while (this.#store.audit.trim(this.#options.clock.nowMs())) await this.#pause();
  }

  async list(query: AuditQuery): Promise<AuditPage> {
    const { order, limit, isFull } = query;
    const items: AuditRecord[] = [];
    let reached = query.cursor ?? (order === "oldest" ? 0 : Number.MAX_SAFE_INTEGER);
    for (let searched = 0, chars = 0; searched < SEARCHED_MAX; ) {
      const span = order === "oldest" ? { after: reached } : { before: reached };
      const rows = this.#store.audit.rows({ ...span, limit: PAGE });
      searched += rows.length;
      for (const row of rows) {
        if (order === "newest" && isBefore(row, query)) return { items, reached };
        reached = row.seq;
        if (!isMatch(row, query)) continue;
        const record = recordOf(row);
        items.push(isFull ? record : briefOf(record));
        chars += isFull ? row.text.length : 0;
        if (items.length === limit || chars > ANSWER_CHARS) return { items, reached, cursor: reached };
      }
      if (rows.length === 0) return { items, reached };
      await this.#pause();
    }
    return { items, reached, cursor: reached };
  }

  find(seq: number): AuditRecord | undefined {
    const [row] = this.#store.audit.rows({ after: seq - 1, limit: 1 });
    return row?.seq === seq ? recordOf(row) : undefined;
  }

  /** Where the log ends now. */
  get head(): { readonly seq: number; readonly hash: string } {
    return this.#store.audit.ends().head;
  }

  /** `known`: a record's hash as it was noted earlier, elsewhere. */
  verify(known?: { readonly seq: number; readonly hash: string }): Promise<AuditVerdict> {
    return verifyAudit(this.#store, () => this.#pause(), known);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.turn(resolve));
  }
}

/** Only the store writes records, so their shape is known. */
function recordOf({ text, hash }: AuditRow): AuditRecord {
  return { ...(JSON.parse(text) as Omit<AuditRecord, "hash">), hash };
}

/** Of a request that is wrong in itself only where it is: what it says may be anything, also a password. */
function messageOf(error: unknown): string {
  if (!(error instanceof Fault)) return "";
  const { what, why, where = "" } = error.detail;
  if (REASONS[error.reason].status === 400) return /^[\w.[\]-]+$/.test(where) ? `wrong at ${where.slice(0, 100)}` : "";
  return (why === undefined ? what : `${what}: ${why}`).slice(0, MESSAGE_CHARS);
}
