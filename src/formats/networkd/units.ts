// Files of systemd-networkd as sections with lines. Sections and keys may come several times, so both are lists.
import { posix } from "node:path";
import type { Position } from "../plan.ts";
import { type Reading, type SourceFiles, problem } from "../reading.ts";
import { linesOf } from "../textLines.ts";

export type Entry = { readonly key: string; readonly value: string; readonly at: Position };
export type Section = { readonly name: string; readonly at: Position; readonly entries: Entry[] };
/** A file with its drop-ins. */
export type Unit = { readonly path: string; readonly at: Position; readonly sections: readonly Section[] };

/** A unit; what its folder of drop-ins has comes after it. */
export function unitOf(files: SourceFiles, path: string, reading: Reading): Unit {
  const isDropIn = path.endsWith(".d");
  const folder = isDropIn ? path : `${path}.d`;
  const dropIns = (files.list(folder) ?? [])
    .filter((name) => name.endsWith(".conf"))
    .map((name) => posix.join(folder, name));
  const sections = [...(isDropIn ? [] : [path]), ...dropIns].flatMap((file) =>
    sectionsOf(files.text(file), file, reading),
  );
  return { path, at: { file: path, line: 1 }, sections };
}

function sectionsOf(text: string, file: string, reading: Reading): readonly Section[] {
  const sections: Section[] = [];
  for (const { text: line, at } of linesOf(text, file, "#;")) {
    const [, name] = /^\[([^\]]+)\]$/.exec(line) ?? [];
    const [key, value] = splitAt(line);
    const section = sections.at(-1);
    if (name !== undefined) sections.push({ name, at, entries: [] });
    else if (value === undefined || section === undefined) problem(reading, at, line, "this is no line of a section");
    else section.entries.push({ key, value, at });
  }
  return sections;
}

function splitAt(line: string): readonly [string, string?] {
  const at = line.indexOf("=");
  return at < 1 ? [line] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

/** All values of a key in the sections of a name; an empty one forgets those before it. */
export function valuesOf({ sections }: Unit, section: string, key: string): readonly Entry[] {
  const found = sections
    .filter(({ name }) => name === section)
    .flatMap(({ entries }) => entries.filter((entry) => entry.key === key));
  return found.slice(found.findLastIndex(({ value }) => value === "") + 1);
}
