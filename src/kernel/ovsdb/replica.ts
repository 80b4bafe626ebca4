// A copy of some columns of some tables, kept by the server's updates: what is in the database is known without asking.
//
// By `monitor` (RFC 7047, 4.1.5) and not by its younger kin `monitor_cond`: that could leave out rows that are not
// Weft's only by a whole key and value, and says of a changed set or map what differs, which one lost message makes
// wrong for good. Updates of `monitor` have each changed row as it is now.
import { garbled } from "./frames.ts";

/** Columns by table. */
export type Watched = Readonly<Record<string, readonly string[]>>;
/** A row as the server wrote it. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows that are kept. A host with a thousand ports has some 3,000. */
const ROWS_MAX = 500_000;

export class Replica {
  readonly #tables: ReadonlyMap<string, Map<string, Row>>;
  #count = 0;

  constructor(watched: Watched) {
    this.#tables = new Map(Object.keys(watched).map((table) => [table, new Map()]));
  }

  /** By UUID. */
  table(name: string): ReadonlyMap<string, Row> {
    return this.#tables.get(name) ?? new Map();
  }

  /** Takes in what `monitor` answered, or an update. Throws a Fault if it cannot be understood. */
  update(updates: unknown): void {
    for (const [table, rows] of membersOf(updates, "updates")) {
      const into = this.#tables.get(table);
      if (into === undefined) throw garbled(`an update of table ${table}, which was not asked for`);
      for (const [id, change] of membersOf(rows, table)) this.#change(into, id, change);
    }
  }

  #change(into: Map<string, Row>, id: string, change: unknown): void {
    const { new: now } = Object.fromEntries(membersOf(change, id)) as { readonly new?: unknown };
    if (now === undefined || now === null) {
      if (into.delete(id)) this.#count--;
      return;
    }
    if (!into.has(id) && ++this.#count > ROWS_MAX) throw garbled(`it has more than ${ROWS_MAX} rows`);
    into.set(id, Object.fromEntries(membersOf(now, id)));
  }
}

function membersOf(value: unknown, where: string): readonly [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw garbled(`${where} is no object`);
  return Object.entries(value);
}
