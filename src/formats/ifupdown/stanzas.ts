// /etc/network/interfaces as stanzas: words, continued lines, comments and includes, with the line of each. What the
// options mean is read.ts.
import { posix } from "node:path";
import type { Position } from "../plan.ts";
import { type Reading, type SourceFiles, note, problem } from "../reading.ts";
import { linesOf } from "../textLines.ts";
import { isMatch, isPattern } from "../pattern.ts";

export type Option = { readonly key: string; readonly value: string; readonly at: Position };
/** `iface NAME FAMILY METHOD` with the lines below it. */
export type Stanza = {
  readonly name: string;
  readonly family: string;
  readonly method: string;
  readonly at: Position;
  readonly options: readonly Option[];
};

type Source = { readonly files: SourceFiles; readonly reading: Reading; readonly stanzas: Stanza[]; depth: number };

const DEPTH_MAX = 10;
/** Words that begin a stanza without options of interest: when an interface is brought up, not how. */
const SELECTORS = /^(auto|allow-\S+|no-auto-down|no-scripts|rename)$/;

/** The stanzas of a file and of those that it includes, in the order in which ifup reads them. */
export function stanzasOf(files: SourceFiles, path: string, reading: Reading): readonly Stanza[] {
  const source: Source = { files, reading, stanzas: [], depth: 0 };
  readFile(source, path);
  return source.stanzas;
}

function readFile(source: Source, path: string): void {
  const { reading, stanzas } = source;
  let options: Option[] | undefined;
  for (const { text, at } of linesOf(source.files.text(path), path, "#")) {
    const [word = "", ...rest] = text.split(/\s+/);
    if (word === "iface") {
      options = [];
      const [name = "", family = "", method = ""] = rest;
      if (name === "") problem(reading, at, text, "this stanza names no interface");
      else stanzas.push({ name, family, method, at, options });
      if (rest.length > 3) note(reading, at, text, `${rest.slice(3).join(" ")} is not read`);
    } else if (SELECTORS.test(word)) options = undefined;
    else if (word === "mapping" || word === "template") {
      options = [];
      note(reading, at, text, `a ${word} and its lines are not read`);
    } else if (word === "source" || word === "source-directory") {
      options = undefined;
      include(source, { path, at }, word, rest);
    } else if (options === undefined) problem(reading, at, text, "this line belongs to no stanza");
    else options.push({ key: word, value: text.slice(word.length).trim(), at });
  }
}

type Include = { readonly path: string; readonly at: Position };

function include(source: Source, { path, at }: Include, word: string, args: readonly string[]): void {
  const { reading } = source;
  if (source.depth >= DEPTH_MAX) return problem(reading, at, args.join(" "), "files include each other too deeply");
  source.depth++;
  for (const arg of args) {
    const target = posix.resolve(posix.dirname(path), arg);
    const found = word === "source" ? matchesOf(source, target) : membersOf(source, target);
    if (found === undefined) problem(reading, at, `${word} ${arg}`, "no such file or folder can be read");
    for (const file of found ?? []) readFile(source, file);
  }
  source.depth--;
}

/** A pattern in the last part of the path, as in `interfaces.d/*`; a folder is its files. */
function matchesOf({ files }: Source, target: string): readonly string[] | undefined {
  const folder = posix.dirname(target);
  const pattern = posix.basename(target);
  if (!isPattern(pattern)) return membersOf({ files }, target) ?? [target];
  const names = (files.list(folder) ?? []).filter((name) => !name.startsWith(".") && isMatch(pattern, name));
  return names.map((name) => posix.join(folder, name));
}

function membersOf({ files }: Pick<Source, "files">, folder: string): readonly string[] | undefined {
  return files
    .list(folder)
    ?.filter((name) => /^[a-zA-Z0-9_-]+$/.test(name))
    .map((name) => posix.join(folder, name));
}
