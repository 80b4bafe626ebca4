// The words of expressions (parse.ts): names, numbers, text and signs, each with its column. A text that cannot be read
// is refused with its column and a line that points at it.
import { Fault } from "../fault.ts";

/** A word of an expression. `at` counts characters from 0. */
export type Token =
  | { readonly kind: "name"; readonly text: string; readonly at: number }
  | { readonly kind: "number"; readonly value: number; readonly text: string; readonly at: number }
  /** `text` is a pattern, as written between the quotes: `\` takes the meaning from the character after it. */
  | { readonly kind: "text"; readonly text: string; readonly at: number }
  | { readonly kind: "sign"; readonly text: string; readonly at: number }
  | { readonly kind: "end"; readonly text: ""; readonly at: number };

/** Longer ones are refused before anything else is looked at. */
export const EXPRESSION_MAX = 4096;

const SPACE = /[\t\n\r ]+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*/y;
const NUMBER = /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?/y;
const TEXT = /"((?:[^"\\\n]|\\[^\n])*)"/y;
const SIGN = /@>|!=|>=|<=|[=<>&|!()+*/-]/y;

/** A text that is read as an expression; `where` is what refusals call it, like `requires`. */
export type Source = { readonly text: string; readonly where: string };

export function tokensOf(source: Source): Token[] {
  const { text, where } = source;
  if (text.length > EXPRESSION_MAX)
    throw new Fault("expression-invalid", {
      what: `${where} is too long`,
      where,
      why: `it has ${text.length} characters, and may have ${EXPRESSION_MAX}`,
      fix: "shorten it, for instance with wildcards",
    });
  const tokens: Token[] = [];
  for (let at = match(SPACE, text, 0)?.end ?? 0; at < text.length; ) {
    const { token, end } = tokenAt(source, at);
    tokens.push(token);
    at = match(SPACE, text, end)?.end ?? end;
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function tokenAt(source: Source, at: number): { readonly token: Token; readonly end: number } {
  const { text } = source;
  const name = match(NAME, text, at);
  if (name !== undefined) return { token: { kind: "name", text: name.text, at }, end: name.end };
  const number = match(NUMBER, text, at);
  if (number !== undefined) {
    const value = Number(number.text);
    if (!Number.isFinite(value)) throw unreadable(source, at, `${number.text} is too large a number`);
    return { token: { kind: "number", value, text: number.text, at }, end: number.end };
  }
  const quoted = match(TEXT, text, at);
  if (quoted !== undefined) return { token: { kind: "text", text: quoted.text.slice(1, -1), at }, end: quoted.end };
  const sign = match(SIGN, text, at);
  if (sign !== undefined) return { token: { kind: "sign", text: sign.text, at }, end: sign.end };
  if (text[at] === '"') throw unreadable(source, at, "this quotation mark has no second one");
  throw unreadable(source, at, `"${String.fromCodePoint(text.codePointAt(at) ?? 0)}" has no meaning here`);
}

function match(pattern: RegExp, text: string, at: number): { readonly text: string; readonly end: number } | undefined {
  pattern.lastIndex = at;
  const found = pattern.exec(text)?.[0];
  return found === undefined ? undefined : { text: found, end: at + found.length };
}

/** How much of a long expression is shown on both sides of what is wrong. */
const SHOWN = 60;

/** The refusal of an expression: its column, and a line that points at it. */
export function unreadable(
  { text, where }: Source,
  at: number,
  what: string,
  fix = "see docs/selection.md for what can be written",
): Fault {
  const from = Math.max(0, at - SHOWN);
  const to = Math.min(text.length, at + SHOWN);
  const [before, after] = [from > 0 ? "…" : "", to < text.length ? "…" : ""];
  // One character of the line for each of the text, so that the mark stands below the right one.
  const line = `${before}${text.slice(from, to).replaceAll(/[^\x20-\x7e]/g, " ")}${after}`;
  const mark = `${" ".repeat(at - from + before.length)}^`;
  return new Fault("expression-invalid", {
    what: `${where}, column ${at + 1}: ${what}`,
    where,
    why: text.trim() === "" ? "it is empty" : `it is\n${line}\n${mark}`,
    fix,
  });
}
