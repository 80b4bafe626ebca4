// A copy of some columns of some tables, kept by the server's updates: what is in the database is known without asking.
//
// By `monitor` (RFC 7047, 4.1.5) and not by its younger kin `monitor_cond`: that could leave out rows that are not
// Weft's only by a whole key and value, and says of a changed set or map what differs, which one lost message makes
// wrong for good. Updates of `monitor` have each changed row as it is now.
import { garbled } from "./frames.ts";
import { textsIn } from "./values.ts";

/** Columns by table. */
export type Watched = Readonly<Record<string, readonly string[]>>;
/** A row as the server wrote it. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows that are kept, and their bytes as JSON. A host with a thousand ports has some 3,000, and 1 MB. */
const ROWS_MAX = 500_000;
const BYTES_MAX = 64 * 1024 * 1024;

export class Replica {
  readonly #tables: ReadonlyMap<string, Map<string, Row>>;
  /** UUIDs by the rows' names, of tables that were asked for since they changed. */
  readonly #byName = new Map<string, ReadonlyMap<string, string>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(watched: Watched) {
    this.#tables = new Map(Object.keys(watched).map((table) => [table, new Map()]));
  }

  /** By UUID. */
  table(name: string): ReadonlyMap<string, Row> {
    return this.#tables.get(name) ?? new Map();
  }

  /** UUID of the row of a table with this name. */
  idOf(table: string, name: string): string | undefined {
    const known = this.#byName.get(table);
    if (known !== undefined) return known.get(name);
    const ids = new Map([...this.table(table)].map(([id, row]) => [textsIn(row["name"])[0] ?? "", id]));
    this.#byName.set(table, ids);
    return ids.get(name);
  }

  /** Takes in what `monitor` answered, or an update. Throws a Fault if it cannot be understood. */
  update(updates: unknown): void {
    for (const [table, rows] of membersOf(updates, "updates")) {
      const into = this.#tables.get(table);
      if (into === undefined) throw garbled(`an update of table ${table}, which was not asked for`);
      this.#byName.delete(table);
      for (const [id, change] of membersOf(rows, table)) this.#change(into, id, change);
    }
  }

  #change(into: Map<string, Row>, id: string, change: unknown): void {
    const { new: now } = Object.fromEntries(membersOf(change, id)) as { readonly new?: unknown };
    this.#bytes -= this.#sizes.get(id) ?? 0;
    if (now === undefined || now === null) {
      this.#sizes.delete(id);
      into.delete(id);
      return;
    }
    const size = JSON.stringify(now).length;
    this.#sizes.set(id, size);
    this.#bytes += size;
    if (this.#sizes.size > ROWS_MAX) throw garbled(`it has more than ${ROWS_MAX} rows`);
    if (this.#bytes > BYTES_MAX) throw garbled(`its rows have more than ${BYTES_MAX} bytes`);
    into.set(id, Object.fromEntries(membersOf(now, id)));
  }
}

function membersOf(value: unknown, where: string): readonly [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw garbled(`${where} is no object`);
  return Object.entries(value);
}
