// Selectors: which labels a resource must have, as kubectl writes it: `a=b, c!=d, e in (x,y), f notin (z), g, !h`. All
// of its requirements must hold. As in Kubernetes, `!=` and `notin` also take what lacks the key.
import { Fault } from "./fault.ts";
import { type Labels, isLabelKey, isLabelValue } from "./labels.ts";

type Requirement = {
  readonly key: string;
  /** in: its value is one of these. notin: it is not, or there is none. */
  readonly op: "in" | "notin" | "exists" | "missing";
  readonly values: readonly string[];
};
export type Selector = readonly Requirement[];

/** What a selector is made of: words, and signs between them; `at` is the column of each, from 1. */
type Token = { readonly text: string; readonly at: number };

const TOKEN = /\s*(==|!=|[=!(),]|[^\s=!(),]+)/y;
/** A longer one would be no selector of a person. */
export const SELECTOR_MAX = 4096;

/** The selector; empty text selects everything. A Fault `selector-invalid` names the column. */
export function parseSelector(text: string, where: string): Selector {
  if (text.length > SELECTOR_MAX) throw wrong(where, SELECTOR_MAX, `it is longer than ${SELECTOR_MAX} characters`);
  const reader = new Reader(text, where);
  if (reader.isEnd) return [];
  const selector: Requirement[] = [];
  do selector.push(requirementIn(reader));
  while (reader.takes(","));
  if (!reader.isEnd) throw reader.wrong("a comma or the end");
  return selector;
}

function requirementIn(reader: Reader): Requirement {
  if (reader.takes("!")) return { key: reader.key(), op: "missing", values: [] };
  const key = reader.key();
  if (reader.takes("=") || reader.takes("==")) return { key, op: "in", values: [reader.value()] };
  if (reader.takes("!=")) return { key, op: "notin", values: [reader.value()] };
  const op = reader.takes("in") ? "in" : reader.takes("notin") ? "notin" : undefined;
  return op === undefined ? { key, op: "exists", values: [] } : { key, op, values: reader.list() };
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #where: string;
  #next = 0;

  constructor(text: string, where: string) {
    this.#where = where;
    const tokens: Token[] = [];
    const pattern = new RegExp(TOKEN);
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text))
      tokens.push({ text: match[1] ?? "", at: pattern.lastIndex - (match[1]?.length ?? 0) + 1 });
    this.#tokens = [...tokens, { text: "", at: text.length + 1 }];
  }

  get #token(): Token {
    return this.#tokens[this.#next] ?? { text: "", at: 1 };
  }

  get isEnd(): boolean {
    return this.#token.text === "";
  }

  takes(text: string): boolean {
    if (this.#token.text !== text) return false;
    this.#next++;
    return true;
  }

  key(): string {
    const { text } = this.#token;
    if (!isLabelKey(text)) throw this.wrong("the key of a label");
    this.#next++;
    return text;
  }

  /** What follows a sign; nothing is the empty value. */
  value(): string {
    const { text } = this.#token;
    if (this.isEnd || /^[,)]$/.test(text)) return "";
    if (!isLabelValue(text)) throw this.wrong("the value of a label");
    this.#next++;
    return text;
  }

  list(): string[] {
    if (!this.takes("(")) throw this.wrong("a list of values in parentheses");
    const values = [this.value()];
    while (this.takes(",")) values.push(this.value());
    if (!this.takes(")")) throw this.wrong("a comma or a closing parenthesis");
    return values;
  }

  wrong(expected: string): Fault {
    const { text, at } = this.#token;
    return wrong(this.#where, at, `expected ${expected}, got ${text === "" ? "the end" : `"${text.slice(0, 40)}"`}`);
  }
}

function wrong(where: string, column: number, why: string): Fault {
  return new Fault("selector-invalid", {
    what: `the selector cannot be read from column ${column} on`,
    where,
    why,
    fix: "write it like: tier=web,env!=test,rack in (r1,r2),!old",
  });
}

export function selects(selector: Selector, labels: Labels): boolean {
  return selector.every((one) => isMet(one, Object.hasOwn(labels, one.key) ? labels[one.key] : undefined));
}

function isMet({ op, values }: Requirement, value: string | undefined): boolean {
  switch (op) {
    case "exists":
      return value !== undefined;
    case "missing":
      return value === undefined;
    case "in":
      return value !== undefined && values.includes(value);
    case "notin":
      return value === undefined || !values.includes(value);
  }
}
