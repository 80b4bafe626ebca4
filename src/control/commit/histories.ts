// The history of this server's store. Revisions are numbers, and two histories may have the same ones: a server that
// was restored from a backup, a file that lost its last commits, a copy that continued separately. So every start of a
// server begins a piece of history with a random id, written with its first commit at the latest, and the store keeps
// the list:
//
//   a0c1… from 0, 77fe… from 120, 19b2… from 4711
//
// A host names the piece and revision that it has followed. It has this history if the list has the piece and the piece
// went on to that revision or further. Otherwise it has another history, and is refused until a person decides that
// this one counts (decision 23). A host cannot be mistaken: it repeats the piece that the server named.
import { randomBytes } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { Position } from "../../model/resource.ts";
import type { Secret, Store } from "../../store/store.ts";
import type { Condition } from "../report/conditions.ts";

type Piece = { readonly id: string; readonly from: number };
/** `accepted`: `host piece` for which a person has decided that this history counts. */
type HistoryRecord = { readonly pieces: readonly Piece[]; readonly accepted: readonly string[] };
type Refused = { readonly piece: string; readonly message: string; readonly atMs: number };

const KEY = "history";
/** How many starts of a server, and how many accepted hosts, are remembered: far more than are needed. */
const REMEMBERED_MAX = 10_000;
/** A host that is refused asks again within seconds. */
const ASKED_AGAIN_MS = 60_000;

export class Histories {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #sighted: (host: string) => void;
  readonly #refused = new Map<string, Refused>();
  #record: HistoryRecord;
  #isBegun = false;
  #isTold = false;

  /** `sighted` is told of hosts that are refused: they live, and must not be given up for what this server has lost. */
  constructor(store: Store, clock: Clock, sighted: (host: string) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#sighted = sighted;
    const text = store.secret(KEY);
    this.#record = text === undefined ? { pieces: [], accepted: [] } : (JSON.parse(text) as HistoryRecord);
  }

  /** The piece of this process; undefined for a store that no server has ever written. */
  get current(): string | undefined {
    this.#isTold = true;
    return this.#record.pieces.at(-1)?.id;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** Records for the first commit of this process; then call `begun`. */
  beginning(): { readonly secret: Secret; readonly begun: () => void } {
    const piece = { id: randomBytes(8).toString("hex"), from: this.#store.revision };
    return this.#change({ ...this.#record, pieces: [...this.#record.pieces, piece].slice(-REMEMBERED_MAX) }, () => {
      this.#isBegun = true;
    });
  }

  /** Writes what `beginning` says. A disk on which nothing can be written now is still one to read from. */
  async begin(): Promise<void> {
    const { secret, begun } = this.beginning();
    await this.#store.commit([], [secret]).then(begun, () => undefined);
  }

  /**
   * Records without the piece of this process, if no host was told of it and it has no commit: a server that cannot
   * listen, and is started again and again, must not push out the pieces that hosts know. Undefined if the piece stays.
   */
  withdrawing(): Secret | undefined {
    const { pieces } = this.#record;
    const isUnknown = this.#isBegun && !this.#isTold && pieces.at(-1)?.from === this.#store.revision;
    return isUnknown
      ? { key: KEY, value: JSON.stringify({ ...this.#record, pieces: pieces.slice(0, -1) }) }
      : undefined;
  }

  /** Writes what `withdrawing` says. */
  async withdraw(): Promise<void> {
    const secret = this.withdrawing();
    if (secret !== undefined) await this.#store.commit([], [secret]).catch(() => undefined);
  }

  /** The same for a person's decision: this host may follow this history. Throws `not-found` if it is not refused. */
  accepting(host: string): { readonly secret: Secret; readonly begun: () => void } {
    const refused = this.refused.get(host);
    if (refused === undefined) throw notRefused(host);
    const accepted = [...this.#record.accepted, markOf(host, refused.piece)].slice(-REMEMBERED_MAX);
    return this.#change({ ...this.#record, accepted }, () => this.#refused.delete(host));
  }

  /** Hosts that were refused lately, and with what. */
  get refused(): ReadonlyMap<string, Refused> {
    const now = this.#clock.monotonicMs();
    for (const [host, { atMs }] of this.#refused) if (now - atMs > ASKED_AGAIN_MS) this.#refused.delete(host);
    return this.#refused;
  }

  /** Throws `another-history` for a host whose history this store does not have. */
  check(host: string, { history, revision }: Position): void {
    const { pieces, accepted } = this.#record;
    const index = pieces.findIndex((piece) => piece.id === history);
    const endedAt = index < 0 ? undefined : (pieces[index + 1]?.from ?? this.#store.revision);
    const isKnown = endedAt !== undefined && revision <= endedAt;
    if (isKnown || accepted.includes(markOf(host, history))) return void this.#refused.delete(host);
    const fault = foreign(host, { history, revision }, endedAt);
    this.#refused.set(host, { piece: history, message: fault.message, atMs: this.#clock.monotonicMs() });
    this.#sighted(host);
    throw fault;
  }

  conditions(): Condition[] {
    return [...this.refused].map(([host, { message }]) => ({
      reason: "another-history",
      object: `host/${host}`,
      host,
      message,
    }));
  }

  #change(record: HistoryRecord, then: () => unknown): { readonly secret: Secret; readonly begun: () => void } {
    const begun = () => {
      this.#record = record;
      then();
    };
    return { secret: { key: KEY, value: JSON.stringify(record) }, begun };
  }
}

function markOf(host: string, piece: string): string {
  return `${host} ${piece}`;
}

function notRefused(host: string): Fault {
  return new Fault("not-found", {
    what: `host "${host}" asks for nothing: it has not shown another history in the last minute`,
    where: `host/${host}`,
    fix: "see weft status; a host that knows another history asks every few seconds while its agent runs",
  });
}

function foreign(host: string, { history, revision }: Position, endedAt: number | undefined): Fault {
  const here = endedAt === undefined ? "which it never had" : `which ended here at revision ${endedAt}`;
  return new Fault("another-history", {
    what: `host "${host}" has newer data than this server (revision ${revision} of history ${history}, ${here})`,
    where: `host/${host}`,
    why: "the server was probably restored from a backup; or its store lost writes, or is a copy",
    fix:
      "the host keeps what it has. Start the server with the newer store. Or, if what this server has is to hold " +
      "from now on: weft network list and weft endpoint list say what the host will keep; everything else on it is " +
      `removed by weft host accept-history ${host}`,
  });
}
