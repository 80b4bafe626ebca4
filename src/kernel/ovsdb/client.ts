// A client of an OVSDB server (RFC 7047) on a unix socket: transactions, and a replica of the tables that matter. It
// connects when it is first asked for something, and again whenever the connection is lost, a little later each time.
import { type Socket, connect } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { Fault } from "../../model/fault.ts";
import { garbled } from "./frames.ts";
import { Replica, type Watched } from "./replica.ts";
import { CallRefused, Rpc, lost } from "./rpc.ts";
import type { Atom, Columns } from "./values.ts";

/** A condition on a column. */
type Where = readonly (readonly [column: string, how: "==" | "!=" | "includes" | "excludes", value: unknown])[];

/** One operation of a transaction, as RFC 7047 (5.2) writes it. */
export type Operation =
  | { readonly op: "insert"; readonly table: string; readonly row: Columns; readonly "uuid-name"?: string }
  | { readonly op: "update"; readonly table: string; readonly where: Where; readonly row: Columns }
  | { readonly op: "mutate"; readonly table: string; readonly where: Where; readonly mutations: readonly unknown[] }
  | { readonly op: "delete"; readonly table: string; readonly where: Where }
  | { readonly op: "select"; readonly table: string; readonly where: Where; readonly columns?: readonly string[] }
  | {
      readonly op: "wait";
      readonly table: string;
      readonly where: Where;
      readonly columns: readonly string[];
      readonly until: "==" | "!=";
      readonly rows: readonly Columns[];
      readonly timeout: 0;
    };

/** What an operation answered: of an insert the row's UUID, of a change how many rows it met, of a select the rows. */
export type Outcome = {
  readonly uuid?: Atom;
  readonly count?: number;
  readonly rows?: readonly Readonly<Record<string, unknown>>[];
};

/** A transaction that the database refused, so that none of it was done. */
export class TransactionRefused extends Error {
  /** Place of the operation that was refused; undefined if all of them together were, by a constraint. */
  readonly at: number | undefined;
  /** As RFC 7047 names it, like `constraint violation` or `timed out` (of a `wait`). */
  readonly error: string;
  constructor(at: number | undefined, error: string, details: string) {
    super(details === "" ? error : `${error}: ${details}`);
    this.name = "TransactionRefused";
    this.at = at;
    this.error = error;
  }
}

export type OvsdbOptions = {
  /** The server's unix socket. */
  readonly path: string;
  readonly database: string;
  readonly watched: Watched;
  /** Called when the replica has changed, or came, or was lost. */
  readonly onChange: () => void;
  /** For an answer. Default: 5 s. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 5000;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_LAST_MS = 8000;

export class Ovsdb {
  readonly #options: OvsdbOptions;
  readonly #timeoutMs: number;
  #rpc: Rpc | undefined;
  #replica: Replica | undefined;
  #trouble: Fault | undefined;
  #backoffMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isWanted = false;
  #socket: Socket | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(options: OvsdbOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** What is in the database; undefined while it is not known. Another one after each connection. */
  get replica(): Replica | undefined {
    return this.#replica;
  }

  /** Why there is no replica; undefined if there is one, or nothing has been tried. */
  get trouble(): Fault | undefined {
    return this.#trouble;
  }

  get isOpen(): boolean {
    return this.#isWanted;
  }

  /** Connects, and keeps connected until close(). */
  open(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#backoffMs = 0;
    this.#connect();
  }

  /** Ends the connection; what the database has stays. */
  close(): void {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#rpc?.close(lost("the connection was ended on purpose"));
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#trouble = undefined;
  }

  /** Resolves to whether `isSo` was found to be so within this time, asked at once and after every change. */
  async until(isSo: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isSo()) return true;
    return await new Promise((resolve) => {
      const end = (answer: boolean) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve(answer);
      };
      const look = () => {
        if (isSo()) end(true);
      };
      const timer = setTimeout(() => end(isSo()), timeoutMs);
      this.#watchers.add(look);
    });
  }

  /**
   * Does all of these, or nothing; one outcome for each, in order. Rejects with TransactionRefused, or with a Fault if
   * there is no answer: then it is not known whether it was done.
   */
  async transact(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const rpc = this.#rpc;
    if (rpc === undefined || this.#replica === undefined) throw this.#trouble ?? lost("there is no connection yet");
    const results = await this.#ask(rpc, operations);
    const at = results.findIndex(isError);
    if (at < 0) return results as readonly Outcome[];
    const { error, details } = results[at] as { readonly error: string; readonly details?: unknown };
    const said = typeof details === "string" ? details : "";
    throw new TransactionRefused(at < operations.length ? at : undefined, error, said);
  }

  /** Whether the server answers now; one that does not in time loses the connection. */
  async answers(): Promise<boolean> {
    if (this.#rpc === undefined || this.#replica === undefined) return false;
    const echo = { method: "echo", params: [], timeoutMs: this.#timeoutMs };
    return await this.#rpc.call(echo, () => true).catch(() => false);
  }

  /**
   * Whether a client has this lock of the server's (RFC 7047, 4.1.8): a daemon that must be alone with its database has
   * one as long as it is connected. Undefined if there is no answer.
   */
  async isLocked(lock: string): Promise<boolean | undefined> {
    const rpc = this.#rpc;
    const ask = (method: string) => rpc?.call({ method, params: [lock], timeoutMs: this.#timeoutMs }, isGranted);
    try {
      const got = await ask("lock");
      // Granted or waited for: it is the daemon's.
      await ask("unlock");
      return got === undefined ? undefined : !got;
    } catch {
      return undefined;
    }
  }

  /** One result for each operation, and one more if the constraints of all together were not met. */
  async #ask(rpc: Rpc, operations: readonly Operation[]): Promise<readonly unknown[]> {
    const params = [this.#options.database, ...operations];
    try {
      return await rpc.call({ method: "transact", params, timeoutMs: this.#timeoutMs }, (answer) => {
        const results = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
        if (results.some(isError)) return results;
        if (results.length === operations.length && results.every(isOutcome)) return results;
        throw garbled(`${operations.length} operations have the results ${JSON.stringify(answer)?.slice(0, 100)}`);
      });
    } catch (error) {
      if (error instanceof CallRefused) throw new TransactionRefused(undefined, error.message, "");
      throw error;
    }
  }

  #connect(): void {
    const socket = connect(this.#options.path);
    this.#socket = socket;
    const failed = (cause: unknown) => {
      if (socket === this.#socket) this.#lost(lost(`${this.#options.path}: ${String(cause)}`, cause));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      if (socket !== this.#socket) return void socket.destroy();
      const replica = new Replica(this.#options.watched);
      const rpc = new Rpc(socket, {
        notified: (method, params) => this.#notified(replica, method, params),
        ended: (fault) => this.#ended(rpc, fault),
      });
      this.#rpc = rpc;
      // What goes wrong ends the connection.
      this.#begin(rpc, replica).catch((error: unknown) => {
        rpc.close(error instanceof Fault ? error : garbled(String(error), error));
      });
    });
  }

  async #begin(rpc: Rpc, replica: Replica): Promise<void> {
    const { database, watched } = this.#options;
    const timeoutMs = this.#timeoutMs;
    await rpc.call({ method: "list_dbs", params: [], timeoutMs }, (answer) => {
      if (Array.isArray(answer) && answer.includes(database)) return;
      throw garbled(`it has no database ${database}, but ${JSON.stringify(answer)?.slice(0, 100)}`);
    });
    const tables = Object.entries(watched).map(([table, columns]) => [table, [{ columns }]]);
    const params = [database, "weft", Object.fromEntries(tables)];
    await rpc.call({ method: "monitor", params, timeoutMs }, (answer) => {
      replica.update(answer);
      this.#replica = replica;
      this.#trouble = undefined;
      this.#backoffMs = 0;
    });
    this.#changed();
  }

  #notified(replica: Replica, method: string, params: readonly unknown[]): void {
    if (method !== "update") return;
    replica.update(params[1]);
    this.#changed();
  }

  #ended(rpc: Rpc, fault: Fault): void {
    if (rpc !== this.#rpc) return;
    this.#rpc = undefined;
    this.#socket = undefined;
    this.#replica = undefined;
    this.#lost(fault);
  }

  #lost(fault: Fault): void {
    this.#trouble = fault;
    if (this.#isWanted) {
      this.#backoffMs = Math.min(BACKOFF_LAST_MS, Math.max(BACKOFF_FIRST_MS, this.#backoffMs * 2));
      this.#timer = setTimeout(() => this.#connect(), this.#backoffMs);
    }
    this.#changed();
  }

  #changed(): void {
    for (const look of this.#watchers) look();
    this.#options.onChange();
  }
}

function isGranted(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "locked" in answer && answer.locked === true;
}

function isError(result: unknown): boolean {
  return typeof result === "object" && result !== null && "error" in result && typeof result.error === "string";
}

function isOutcome(result: unknown): result is Outcome {
  return typeof result === "object" && result !== null && !Array.isArray(result);
}
