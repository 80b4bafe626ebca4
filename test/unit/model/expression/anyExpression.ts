// Random requirements, ranks and fields, and a naive reading of them that shares no code with the one that is tested.
import fc from "fast-check";
import type { Comparison, Rank, Requirement } from "../../../../src/model/expression/parse.ts";
import type { Field } from "../../../../src/model/expression/evaluate.ts";

const NAMES = ["NAME", "FREE_LEASES", "zone", "a.b", "_x1", 'LABEL("example.com/tier-1")'];
const name = fc.constantFrom(...NAMES);
const number = fc
  .oneof(fc.integer({ min: -20, max: 20 }), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }))
  .map((value) => (value === 0 ? 0 : value));
/** Few letters, so that patterns meet what is there. */
const word = fc.string({ unit: fc.constantFrom("a", "b", "5", " ", "é"), maxLength: 6 });
const pattern = fc
  .array(fc.constantFrom("a", "b", "5", "*", "?", "\\*", "\\\\", '\\"', "é", " ", "&", "("), { maxLength: 6 })
  .map((parts) => parts.join(""));

const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record(
    { field: name, sign: fc.constantFrom("=", "!=", ">", "<", ">=", "<=", "@>"), value: number },
    { noNullPrototype: true },
  ),
  fc.record({ field: name, sign: fc.constantFrom("=", "!=", "@>"), value: pattern }, { noNullPrototype: true }),
);

export const anyRequirement: fc.Arbitrary<Requirement> = fc.letrec<{ all: Requirement }>((tie) => ({
  all: fc.oneof(
    { maxDepth: 5 },
    comparison.map((compare): Requirement => ({ kind: "compare", compare })),
    tie("all").map((part): Requirement => ({ kind: "not", part })),
    fc
      .tuple(fc.constantFrom("all", "any"), fc.array(tie("all"), { minLength: 2, maxLength: 4 }))
      .map(([kind, parts]): Requirement => ({ kind, parts })),
  ),
})).all;

export const anyRank: fc.Arbitrary<Rank> = fc.letrec<{ rank: Rank }>((tie) => ({
  rank: fc.oneof(
    { maxDepth: 5 },
    number.map((value): Rank => ({ kind: "number", value: Math.abs(value) })),
    name.map((field): Rank => ({ kind: "field", field })),
    tie("rank").map((part): Rank => ({ kind: "minus", part })),
    fc
      .tuple(fc.constantFrom("+", "-", "*", "/"), tie("rank"), tie("rank"))
      .map(([sign, left, right]): Rank => ({ kind: "binary", sign, left, right })),
  ),
})).rank;

const field: fc.Arbitrary<Field> = fc.oneof(
  word,
  fc.integer({ min: -20, max: 20 }),
  fc.array(word, { maxLength: 3 }),
  fc.constantFrom("5", "-5", "1e2", "x5", undefined),
);
export type Fields = (name: string) => Field;
export const ofFields = (name: string) => (fields: Fields) => fields(name);
export const anyFields: fc.Arbitrary<Fields> = fc
  .tuple(...NAMES.map(() => field))
  .map((values) => (asked) => values[NAMES.indexOf(asked)]);

export function naiveHolds(requirement: Requirement, fields: Fields): boolean {
  if (requirement.kind === "not") return !naiveHolds(requirement.part, fields);
  if (requirement.kind === "all") return !requirement.parts.some((part) => !naiveHolds(part, fields));
  if (requirement.kind !== "compare") return requirement.parts.filter((part) => naiveHolds(part, fields)).length > 0;
  const { field: asked, sign, value } = requirement.compare;
  const found = fields(asked);
  if (found === undefined) return false;
  const values = Array.isArray(found) ? (found as readonly string[]) : [found as string | number];
  const results = values.map((one) => naiveFits(one, sign, value));
  return sign === "!=" ? results.length > 0 && !results.includes(false) : results.includes(true);
}

function naiveFits(found: string | number, sign: string, value: string | number): boolean {
  if (typeof value === "string") {
    const isLike = regexOf(value).test(String(found));
    return sign === "!=" ? !isLike : isLike;
  }
  const text = String(found);
  const is = text.trim() === "" || text.trim() !== text ? Number.NaN : Number(text);
  if (Number.isNaN(is)) return false;
  if (sign === "=" || sign === "@>") return is === value;
  if (sign === "!=") return is !== value;
  return sign.endsWith("=") && is === value ? true : sign.startsWith(">") ? is > value : is < value;
}

function regexOf(text: string): RegExp {
  const parts = text.match(/\\.|./gsu) ?? [];
  const source = parts.map((part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    return (part.length === 2 && part.startsWith("\\") ? part.slice(1) : part).replaceAll(/[^a-z0-9]/g, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`, "s");
}

/** Not a number where the rank has no value. */
export function naiveScore(rank: Rank, fields: Fields): number {
  const value = naiveValue(rank, fields);
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY ? Number.NaN : value;
}

function naiveValue(rank: Rank, fields: Fields): number {
  if (rank.kind === "number") return rank.value;
  if (rank.kind === "minus") return 0 - naiveValue(rank.part, fields);
  if (rank.kind === "field") {
    const found = fields(rank.field);
    const isPlain = typeof found === "number" || (typeof found === "string" && found.trim() === found && found !== "");
    const value = isPlain ? Number(found) : 0;
    return Number.isNaN(value) ? 0 : value;
  }
  const [left, right] = [naiveValue(rank.left, fields), naiveValue(rank.right, fields)];
  if (rank.sign === "/" && right === 0) return Number.NaN;
  return { "+": left + right, "-": left - right, "*": left * right, "/": left / right }[rank.sign];
}
