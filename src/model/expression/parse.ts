// OpenNebula's language for what a network has to be (`CLUSTER = "x" & FREE_LEASES > 10 & !(NAME = "*test*")`) and for
// which of several is best (arithmetic over their fields). Text in, a value out; docs/selection.md describes it. What
// OpenNebula reads in a way that most people would not expect, `&` beside `|` without parentheses, is refused.
import { type Source, type Token, tokensOf, unreadable } from "./tokens.ts";

export type Comparison = {
  readonly field: string;
  readonly sign: ComparisonSign;
  /** A number, or a pattern for text. */
  readonly value: number | string;
};
const COMPARISON_SIGNS = ["=", "!=", ">", "<", ">=", "<=", "@>"] as const;
type ComparisonSign = (typeof COMPARISON_SIGNS)[number];

/** `all` and `any` have at least two parts. */
export type Requirement =
  | { readonly kind: "compare"; readonly compare: Comparison }
  | { readonly kind: "all" | "any"; readonly parts: readonly Requirement[] }
  | { readonly kind: "not"; readonly part: Requirement };

export type Rank =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "field"; readonly field: string }
  | { readonly kind: "minus"; readonly part: Rank }
  | { readonly kind: "binary"; readonly sign: "+" | "-" | "*" | "/"; readonly left: Rank; readonly right: Rank };

/** Parentheses, `!` and `-` inside of each other. */
const DEPTH_MAX = 64;

/** What a network has to be. A Fault `expression-invalid` says the column. */
export function parseRequirement(text: string, where = "requires"): Requirement {
  return parsed({ text, where }, (reader) => requirementIn(reader, 0));
}

/** A number for each network, the greatest first. */
export function parseRank(text: string, where = "rank"): Rank {
  return parsed({ text, where }, (reader) => sumIn(reader, 0));
}

function parsed<T>(source: Source, read: (reader: Reader) => T): T {
  const reader = new Reader(source);
  const value = read(reader);
  const { kind, text } = reader.token;
  if (kind === "end") return value;
  throw reader.refusal(text === ")" ? 'there is no "(" for this one' : `expected the end or an operator`);
}

/** The tokens of an expression, one after the other. */
class Reader {
  readonly #source: Source;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#tokens = tokensOf(source);
  }

  get token(): Token {
    // The last token is the end, and next() does not go beyond it.
    return this.#tokens[this.#at] as Token;
  }

  next(): Token {
    const { token } = this;
    if (token.kind !== "end") this.#at++;
    return token;
  }

  /** Takes the sign if it is next. */
  takes(sign: string): boolean {
    if (!this.isSign(sign)) return false;
    this.#at++;
    return true;
  }

  isSign(sign: string): boolean {
    return this.token.kind === "sign" && this.token.text === sign;
  }

  refusal(what: string, token: Token = this.token, fix?: string) {
    return unreadable(this.#source, token.at, what, fix);
  }

  checkDepth(depth: number): void {
    if (depth > DEPTH_MAX)
      throw this.refusal(`more than ${DEPTH_MAX} levels of parentheses`, this.token, "simplify it");
  }
}

function requirementIn(reader: Reader, depth: number): Requirement {
  const first = termIn(reader, depth);
  const sign = reader.isSign("&") ? "&" : "|";
  const parts = [first];
  while (reader.takes(sign)) parts.push(termIn(reader, depth));
  if (reader.isSign("&") || reader.isSign("|"))
    throw reader.refusal("& and | stand side by side", reader.token, "put one of them in parentheses: A | (B & C)");
  return parts.length === 1 ? first : { kind: sign === "&" ? "all" : "any", parts };
}

function termIn(reader: Reader, depth: number): Requirement {
  reader.checkDepth(depth);
  if (reader.takes("!")) return { kind: "not", part: termIn(reader, depth + 1) };
  const opening = reader.token;
  if (reader.takes("(")) return closed(reader, opening, requirementIn(reader, depth + 1));
  return { kind: "compare", compare: comparisonIn(reader) };
}

function closed<T>(reader: Reader, opening: Token, value: T): T {
  if (reader.takes(")")) return value;
  if (reader.token.kind === "end") throw reader.refusal('there is no ")" for this one', opening);
  throw reader.refusal(`expected an operator or ")"`);
}

function comparisonIn(reader: Reader): Comparison {
  const { kind } = reader.token;
  if (kind !== "name")
    throw reader.refusal(kind === "end" ? "it ends where a field should follow" : "expected a field");
  const field = fieldIn(reader);
  const sign = COMPARISON_SIGNS.find((each) => reader.takes(each));
  if (sign === undefined) throw reader.refusal(`expected one of ${COMPARISON_SIGNS.join(" ")} after ${field}`);
  const at = reader.token;
  const value = valueIn(reader, sign);
  if (typeof value === "string" && sign !== "=" && sign !== "!=" && sign !== "@>")
    throw reader.refusal(`${sign} compares numbers, and this is text`, at);
  return { field, sign, value };
}

/** A field, or a label whose key is no name: LABEL("example.com/tier"). */
function fieldIn(reader: Reader): string {
  const name = reader.next();
  if (name.text.toUpperCase() !== "LABEL" || !reader.isSign("(")) return name.text;
  const opening = reader.next();
  const key = reader.next();
  if (key.kind !== "text" || !/^[^"\\]+$/.test(key.text))
    throw reader.refusal("expected the key of a label, in quotes", key);
  return closed(reader, opening, labelField(key.text));
}

/** How a label is named beside fields, whatever its key. */
export function labelField(key: string): string {
  return `LABEL("${key}")`;
}

function valueIn(reader: Reader, sign: string): number | string {
  const token = reader.token;
  const isNegative = reader.takes("-");
  const value = reader.next();
  if (value.kind === "number") return isNegative ? -value.value : value.value;
  if (isNegative || (value.kind !== "text" && value.kind !== "name"))
    throw reader.refusal(`expected a number or text after ${sign}`, isNegative ? value : token);
  checkPattern(reader, value);
  return value.text;
}

/** Sets of characters, which OpenNebula's patterns have, too, would be taken for themselves. */
function checkPattern(reader: Reader, { text, at }: Token): void {
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[")
      throw reader.refusal(
        "a pattern has no sets of characters",
        { kind: "text", text, at: at + 1 + i },
        "write * or ?, or \\[ for the character itself",
      );
  }
}

function sumIn(reader: Reader, depth: number): Rank {
  let left = productIn(reader, depth);
  for (;;) {
    const sign = (["+", "-"] as const).find((each) => reader.takes(each));
    if (sign === undefined) return left;
    left = { kind: "binary", sign, left, right: productIn(reader, depth) };
  }
}

function productIn(reader: Reader, depth: number): Rank {
  let left = factorIn(reader, depth);
  for (;;) {
    const sign = (["*", "/"] as const).find((each) => reader.takes(each));
    if (sign === undefined) return left;
    left = { kind: "binary", sign, left, right: factorIn(reader, depth) };
  }
}

function factorIn(reader: Reader, depth: number): Rank {
  reader.checkDepth(depth);
  if (reader.takes("-")) return { kind: "minus", part: factorIn(reader, depth + 1) };
  const opening = reader.token;
  if (reader.takes("(")) return closed(reader, opening, sumIn(reader, depth + 1));
  const { token } = reader;
  if (token.kind === "name") return { kind: "field", field: fieldIn(reader) };
  if (token.kind !== "number")
    throw reader.refusal(
      token.kind === "end" ? "it ends where a number should follow" : "expected a field or a number",
    );
  reader.next();
  return { kind: "number", value: token.value };
}
