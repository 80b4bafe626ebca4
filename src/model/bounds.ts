// How large a value may be: the first text, list or object in it that is larger than its schema allows. Looked for
// before anything else is said of a wrong value, because a list of all that is wrong takes long if nothing bounds it.
import type { TSchema } from "typebox";

export type Excess = {
  /** Names of fields and numbers of items that lead there. */
  readonly path: readonly string[];
  readonly unit: "characters" | "items" | "fields";
  readonly most: number;
  readonly found: number;
};

/** What of a JSON schema says how large a value may be, and what is inside of it. */
type Sized = {
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly items?: Sized;
  readonly properties?: Readonly<Record<string, Sized>>;
  readonly patternProperties?: Readonly<Record<string, Sized>>;
  readonly additionalProperties?: unknown;
  readonly anyOf?: readonly Sized[];
};

/** Undefined if nothing is too large, whatever else is wrong. */
export function excessIn(schema: TSchema, value: unknown): Excess | undefined {
  return excess(schema as Sized, value, []);
}

function excess(schema: Sized, value: unknown, path: readonly string[]): Excess | undefined {
  const { anyOf } = schema;
  // Of several forms one has to fit; if it fits in none by its size, the first says by how much.
  if (anyOf !== undefined) {
    const found = anyOf.map((form) => excess(form, value, path));
    return found.includes(undefined) ? undefined : found[0];
  }
  if (typeof value === "string") return over(path, "characters", schema.maxLength, lengthOf(value));
  if (Array.isArray(value)) return inList(schema, value, path);
  if (typeof value === "object" && value !== null) return inFields(schema, value, path);
  return undefined;
}

/** As JSON schema counts: what takes two units of UTF-16 is one character. */
function lengthOf(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

function over(path: readonly string[], unit: Excess["unit"], most: number | undefined, found: number) {
  return most === undefined || found <= most ? undefined : { path, unit, most, found };
}

function inList({ maxItems, items }: Sized, list: readonly unknown[], path: readonly string[]): Excess | undefined {
  const whole = over(path, "items", maxItems, list.length);
  if (whole !== undefined || items === undefined) return whole;
  for (const [i, item] of list.entries()) {
    const found = excess(items, item, [...path, String(i)]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** How many unknown fields are looked at to name one. */
const UNKNOWN_MAX = 16;

function inFields(schema: Sized, value: object, path: readonly string[]): Excess | undefined {
  const { properties = {}, patternProperties, maxProperties, additionalProperties } = schema;
  const names = Object.keys(value);
  const known = Object.keys(properties).length;
  const most = maxProperties ?? (additionalProperties === false ? known : names.length);
  if (names.length > most + (maxProperties === undefined ? UNKNOWN_MAX : 0))
    return { path, unit: "fields", most, found: names.length };
  const [other] = Object.values(patternProperties ?? {});
  for (const name of names) {
    const field = Object.hasOwn(properties, name) ? properties[name] : other;
    const found =
      field === undefined
        ? undefined
        : excess(field, (value as { readonly [name: string]: unknown })[name], [...path, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}
