// Reads the configuration language of Apcera's cluster.conf: braces, lists, bare and quoted words, comments; a colon,
// an equals sign or nothing between a key and its value; a comma or a line end between members. Strict: it refuses what
// it does not know, with line and column, and includes, substitutes and merges nothing. It knows no key by name.
import { Fault } from "../../model/fault.ts";

/** A value; `at` is its position, `file:line:column`. */
export type Value = { readonly at: string } & (
  | { readonly type: "map"; readonly members: ReadonlyMap<string, Value> }
  | { readonly type: "list"; readonly items: readonly Value[] }
  /** A bare word may be a number or a flag; a quoted one is text. */
  | { readonly type: "word"; readonly text: string; readonly quoted: boolean }
);

/** The top of the file as a map; a Fault `request-invalid` names the first wrong place. */
export function readConf(text: string, file: string): Extract<Value, { readonly type: "map" }> {
  const reader = new Reader(text, file);
  const top = reader.members(undefined);
  return { type: "map", at: `${file}:1:1`, members: top };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\", "/": "/" };

class Reader {
  readonly #text: string;
  readonly #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  /** Up to the closing brace of the map that `open` began, or to the end of the file. */
  members(open: number | undefined): ReadonlyMap<string, Value> {
    const members = new Map<string, Value>();
    for (;;) {
      this.#skip(/[\s,;]/);
      const at = this.#at;
      const next = this.#text[at];
      if (next === "}" && open !== undefined) {
        this.#at++;
        return members;
      }
      if (next === undefined) {
        if (open === undefined) return members;
        throw this.#fault(open, 'this "{" is never closed', 'write a "}" where it ends');
      }
      const key = this.#key();
      this.#skip(/[^\S\n]/);
      if (this.#text[this.#at] === ":" || this.#text[this.#at] === "=") this.#at++;
      this.#skip(/\s/);
      if (members.has(key)) throw this.#fault(at, `"${key}" is given twice`, "keep one of them");
      members.set(key, this.#value());
    }
  }

  #key(): string {
    if (this.#text[this.#at] === '"') return this.#quoted('"');
    const key = /^[\w.-]+/.exec(this.#text.slice(this.#at, this.#at + 256))?.[0];
    if (key === undefined) throw this.#unexpected("a key");
    this.#at += key.length;
    return key;
  }

  #value(): Value {
    const start = this.#at;
    const at = this.#position(start);
    const first = this.#text[start];
    if (first === "{") {
      this.#at++;
      return { type: "map", at, members: this.members(start) };
    }
    if (first === "[") return { type: "list", at, items: this.#items() };
    if (first === '"' || first === "'") return { type: "word", at, text: this.#quoted(first), quoted: true };
    if (first === "(") return { type: "word", at, text: this.#quoted(")"), quoted: true };
    const word = /^[^\s,;{}[\]()#"']+/.exec(this.#text.slice(start, start + 1024))?.[0];
    if (word === undefined) throw this.#unexpected("a value");
    this.#at += word.length;
    return { type: "word", at, text: word, quoted: false };
  }

  #items(): Value[] {
    const open = this.#at++;
    const items: Value[] = [];
    for (;;) {
      this.#skip(/[\s,;]/);
      if (this.#text[this.#at] === "]") {
        this.#at++;
        return items;
      }
      if (this.#at >= this.#text.length)
        throw this.#fault(open, 'this "[" is never closed', 'write a "]" where it ends');
      items.push(this.#value());
    }
  }

  /** From an opening quote or parenthesis to `end`. Only double quotes know escapes; only parentheses span lines. */
  #quoted(end: string): string {
    const open = this.#at++;
    let text = "";
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at] ?? "";
      if (character === end) {
        this.#at++;
        return text;
      }
      if (character === "\n" && end !== ")") break;
      if (character === "\\" && end === '"') {
        const escaped = ESCAPES[this.#text[++this.#at] ?? ""];
        if (escaped === undefined)
          throw this.#fault(this.#at - 1, "this escape is unknown", "write \\\\ for a backslash");
        text += escaped;
      } else text += character;
    }
    throw this.#fault(open, `this ${end === ")" ? '"("' : "quote"} is never closed`, `write a ${end} where it ends`);
  }

  /** What separates, and comments: `#` and `//` to the end of the line. */
  #skip(separator: RegExp): void {
    for (;;) {
      const next = this.#text[this.#at];
      if (next === undefined) return;
      if (separator.test(next)) this.#at++;
      else if (next === "#" || this.#text.startsWith("//", this.#at)) {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      } else return;
    }
  }

  #unexpected(wanted: string): Fault {
    const next = this.#text[this.#at];
    const found = next === undefined ? "the end of the file" : JSON.stringify(next);
    return this.#fault(this.#at, `expected ${wanted}, got ${found}`, "correct the syntax");
  }

  #fault(at: number, what: string, fix: string): Fault {
    return new Fault("request-invalid", { what, where: this.#position(at), fix });
  }

  /** Line and column count from 1. */
  #position(at: number): string {
    const before = this.#text.slice(0, at);
    return `${this.#file}:${before.split("\n").length}:${at - before.lastIndexOf("\n")}`;
  }
}
