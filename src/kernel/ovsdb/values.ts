// Values as OVSDB writes them (RFC 7047, 5.1): a set of one is the atom itself, other sets and maps are tagged lists.
import { garbled } from "./frames.ts";

export type Atom = string | number | boolean | readonly ["uuid" | "named-uuid", string];
export type Value = Atom | readonly ["set", readonly Atom[]] | readonly ["map", readonly (readonly [Atom, Atom])[]];
/** Columns of a row that is written. */
export type Columns = Readonly<Record<string, Value>>;

/** A row that the same transaction inserts under this name. */
export function named(name: string): Atom {
  return ["named-uuid", name];
}

export function setOf(atoms: readonly Atom[]): Value {
  return ["set", atoms];
}

export function mapOf(entries: Readonly<Record<string, string>>): Value {
  return ["map", Object.entries(entries)];
}

/** The atoms of a value that was read, each of its own type; a Fault for anything else. UUIDs are their text. */
export function atomsIn(value: unknown): readonly (string | number | boolean)[] {
  if (isTagged(value, "set")) return value[1].map(atomIn);
  return [atomIn(value)];
}

export function textsIn(value: unknown): readonly string[] {
  return atomsIn(value).map((atom) => (typeof atom === "string" ? atom : wrong(value)));
}

export function numbersIn(value: unknown): readonly number[] {
  return atomsIn(value).map((atom) => (typeof atom === "number" ? atom : wrong(value)));
}

/** A map of texts. */
export function entriesIn(value: unknown): ReadonlyMap<string, string> {
  if (!isTagged(value, "map")) return wrong(value);
  return new Map(
    value[1].map((pair): [string, string] => {
      if (!Array.isArray(pair) || pair.length !== 2) return wrong(value);
      const [key, of] = pair.map(atomIn);
      return typeof key === "string" && typeof of === "string" ? [key, of] : wrong(value);
    }),
  );
}

function atomIn(value: unknown): string | number | boolean {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  const [tag, id] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return (tag === "uuid" || tag === "named-uuid") && typeof id === "string" ? id : wrong(value);
}

function isTagged(value: unknown, tag: string): value is readonly [string, readonly unknown[]] {
  return Array.isArray(value) && value.length === 2 && value[0] === tag && Array.isArray(value[1]);
}

function wrong(value: unknown): never {
  throw garbled(`a column is ${JSON.stringify(value)?.slice(0, 100)}`);
}
