// One list, five ways to print it: the table people read, the wide one, and json, yaml and name for programs. The
// formats show the same rows in the same order; json and yaml show each resource whole, as the API gave it.
import type { Io } from "../io.ts";
import { table, type Cell } from "./table.ts";

/** What -o takes; without it, a table. */
export const FORMATS = ["json", "yaml", "wide", "name"] as const;
type Format = (typeof FORMATS)[number];

export type OutputOptions = { readonly output?: Format /** False with --no-headers. */; readonly headers?: boolean };

export type Column<T> = {
  readonly header: string;
  readonly of: (row: T) => Cell;
  /** Only with -o wide. */
  readonly wide?: true;
};

export type Listing<T> = {
  readonly columns: readonly Column<T>[];
  /** What json and yaml show; the row itself by default. */
  readonly whole?: (row: T) => unknown;
  /** What name shows, like `network/blue`. */
  readonly name: (row: T) => string;
  /** Said on stderr instead of a table without rows. */
  readonly empty: string;
};

export async function printList<T>(
  io: Io,
  options: OutputOptions,
  listing: Listing<T>,
  rows: readonly T[],
): Promise<void> {
  const format = options.output;
  const whole = listing.whole ?? ((row: T): unknown => row);
  if (format === "json" || format === "yaml") return printValue(io, format, rows.map(whole));
  if (format === "name") return io.out(rows.map((row) => `${listing.name(row)}\n`).join(""));
  if (rows.length === 0) return io.err(`${listing.empty}\n`);
  const columns = listing.columns.filter((column) => column.wide !== true || format === "wide");
  io.out(
    table(
      // Who asks for all columns wants all of them.
      format === "wide" ? { color: io.color } : io,
      options.headers === false ? undefined : columns.map((c) => c.header),
      rows.map((row) => columns.map((c) => c.of(row))),
    ),
  );
}

/** One object: json and yaml print its value, name its name (`network/blue`), and otherwise a person reads `text`. */
export async function printOne(
  io: Io,
  options: OutputOptions,
  { name, value }: { readonly name: string; readonly value: unknown },
  text: () => string | Promise<string>,
): Promise<void> {
  const format = options.output;
  if (format === "json" || format === "yaml") return printValue(io, format, value);
  io.out(format === "name" ? `${name}\n` : await text());
}

/** A value whole, for programs. */
export async function printValue(io: Io, format: "json" | "yaml", value: unknown): Promise<void> {
  if (format === "json") return io.out(`${JSON.stringify(value, undefined, 2)}\n`);
  const { stringify } = await import("yaml");
  io.out(stringify(value, { aliasDuplicateObjects: false }));
}

/** Aligned `Name:  value` lines, for one object shown to a person; absent values are left out. */
export function fields(io: Pick<Io, "color">, pairs: readonly (readonly [string, Cell | undefined])[]): string {
  return table(
    io,
    undefined,
    pairs.flatMap(([name, value]) => (value === undefined || value === "" ? [] : [[`${name}:`, value]])),
  );
}

/** In the order people look for things: web2 before web10. */
export function inOrder<T>(rows: readonly T[], keyOf: (row: T) => string): T[] {
  return rows.toSorted((a, b) => ORDER.compare(keyOf(a), keyOf(b)));
}
const ORDER = new Intl.Collator("en", { numeric: true });

export function byName<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return inOrder(rows, ({ name }) => name);
}

/** `web2, web10`, in that order. */
export function namesOf(rows: readonly { readonly name: string }[]): string {
  return byName(rows)
    .map(({ name }) => name)
    .join(", ");
}
