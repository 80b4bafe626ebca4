// What an expression says of fields: whether a requirement holds, why it does not, and what a rank comes to. Compiled
// once and asked of thousands of networks. As in OpenNebula, a comparison with a field that is not there fails, also
// with `!=`, and a rank takes such a field for 0.
import type { Comparison, Rank, Requirement } from "./parse.ts";
import { patternOf } from "./pattern.ts";
import { comparisonText, requirementText } from "./text.ts";

export type Field = string | number | readonly string[] | undefined;
/** How a field of that name is read from a thing: asked once for each name, then for every thing. */
export type Resolve<T> = (name: string) => (thing: T) => Field;

export type Test<T> = (thing: T) => boolean;

export function testOf<T>(requirement: Requirement, resolve: Resolve<T>): Test<T> {
  switch (requirement.kind) {
    case "compare":
      return comparing(requirement.compare, resolve);
    case "not": {
      const part = testOf(requirement.part, resolve);
      return (thing) => !part(thing);
    }
    case "all":
    case "any": {
      const parts = requirement.parts.map((part) => testOf(part, resolve));
      return requirement.kind === "all"
        ? (thing) => parts.every((part) => part(thing))
        : (thing) => parts.some((part) => part(thing));
    }
  }
}

function comparing<T>({ field, sign, value }: Comparison, resolve: Resolve<T>): Test<T> {
  const read = resolve(field);
  const fits = typeof value === "number" ? fittingNumber(sign, value) : fittingText(sign, value);
  const isInverse = sign === "!=";
  return (thing) => {
    const found = read(thing);
    if (found === undefined) return false;
    // Of several values, one has to fit; none may be what must not be.
    if (typeof found !== "object") return fits(found);
    return isInverse ? found.length > 0 && found.every(fits) : found.some(fits);
  };
}

type Fits = (found: string | number) => boolean;

const COMPARE: { readonly [S in Comparison["sign"]]: (found: number, value: number) => boolean } = {
  "=": (found, value) => found === value,
  "@>": (found, value) => found === value,
  "!=": (found, value) => found !== value,
  ">": (found, value) => found > value,
  "<": (found, value) => found < value,
  ">=": (found, value) => found >= value,
  "<=": (found, value) => found <= value,
};

function fittingNumber(sign: Comparison["sign"], value: number): Fits {
  const compare = COMPARE[sign];
  return (found) => {
    const number = numberOf(found);
    return number !== undefined && compare(number, value);
  };
}

function fittingText(sign: Comparison["sign"], value: string): Fits {
  const pattern = patternOf(value);
  return sign === "!=" ? (found) => !pattern(String(found)) : (found) => pattern(String(found));
}

const NUMBER = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;

/** The number that a text is; undefined if it is another text. */
export function numberOf(found: string | number): number | undefined {
  if (typeof found === "number") return found;
  return NUMBER.test(found) ? Number(found) : undefined;
}

/** Why a requirement does not hold: its first part that does not, with what was found; undefined if it holds. */
export function whyNot<T>(requirement: Requirement, resolve: Resolve<T>, thing: T): string | undefined {
  if (testOf(requirement, resolve)(thing)) return undefined;
  switch (requirement.kind) {
    case "compare":
      return whyNotComparison(requirement.compare, resolve(requirement.compare.field)(thing));
    case "all":
      return requirement.parts.map((part) => whyNot(part, resolve, thing)).find((why) => why !== undefined);
    case "any": {
      const first = whyNot(firstOf(requirement.parts), resolve, thing);
      return `none of ${requirement.parts.length} alternatives holds: ${first}`;
    }
    case "not":
      return `${cut(requirementText(requirement.part), ASKED_MAX)} holds, and must not`;
  }
}

function firstOf(parts: readonly Requirement[]): Requirement {
  const [first] = parts;
  if (first === undefined) throw new Error("a list of alternatives has at least two");
  return first;
}

function whyNotComparison(compare: Comparison, found: Field): string {
  const text = cut(comparisonText(compare), ASKED_MAX);
  if (found === undefined) return `${text}: it has no ${compare.field}`;
  return `${text}: its ${compare.field} is ${shown(found)}`;
}

const SHOWN_MAX = 80;
/** A reason is given for each of thousands of networks, so it repeats little of a long requirement. */
const ASKED_MAX = 200;

function shown(found: string | number | readonly string[]): string {
  const text = typeof found === "object" ? found.join(", ") : String(found);
  if (text === "") return "empty";
  return cut(text, SHOWN_MAX);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

export type Score<T> = (thing: T) => number;

/** Not a number after a division by zero, and where numbers grow beyond all measure. */
export function scoreOf<T>(rank: Rank, resolve: Resolve<T>): Score<T> {
  const score = scoring(rank, resolve);
  return (thing) => {
    const value = score(thing);
    return Number.isFinite(value) ? value : Number.NaN;
  };
}

function scoring<T>(rank: Rank, resolve: Resolve<T>): Score<T> {
  switch (rank.kind) {
    case "number":
      return () => rank.value;
    case "field": {
      const read = resolve(rank.field);
      return (thing) => {
        const found = read(thing);
        return (typeof found === "object" || found === undefined ? undefined : numberOf(found)) ?? 0;
      };
    }
    case "minus": {
      const part = scoring(rank.part, resolve);
      return (thing) => -part(thing);
    }
    case "binary": {
      const [left, right, apply] = [scoring(rank.left, resolve), scoring(rank.right, resolve), APPLY[rank.sign]];
      return (thing) => apply(left(thing), right(thing));
    }
  }
}

const APPLY: Readonly<Record<"+" | "-" | "*" | "/", (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => (b === 0 ? Number.NaN : a / b),
};
