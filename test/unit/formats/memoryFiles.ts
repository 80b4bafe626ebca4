// Files in memory for the readers of formats, and a short way to read one.
import { posix } from "node:path";
import { type SourceFormat, readPlan } from "../../../src/formats/formats.ts";
import type { LinkPlan } from "../../../src/formats/plan.ts";
import { type SourceFiles, remarkText } from "../../../src/formats/reading.ts";

export function memoryFiles(texts: Readonly<Record<string, string>>): SourceFiles {
  return {
    text(path) {
      const found = texts[path];
      if (found === undefined) throw new Error(`no file ${path}`);
      return found;
    },
    list(path) {
      const names = Object.keys(texts).flatMap((file) =>
        file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split("/")[0] ?? ""] : [],
      );
      return names.length === 0 ? undefined : [...new Set(names)].sort();
    },
  };
}

/** What files say, with notes and problems as people see them. */
export function read(format: SourceFormat, texts: Readonly<Record<string, string>>, paths: readonly string[] = []) {
  const files = memoryFiles(texts);
  const { plan, reading } = readPlan(format, files, paths.length === 0 ? Object.keys(texts).slice(0, 1) : paths);
  return { links: linksOf(plan), notes: reading.notes.map(remarkText), problems: reading.problems.map(remarkText) };
}

/** Links by name, without their positions; lists whose order says nothing are sorted. */
export function linksOf({ links }: LinkPlan): Readonly<Record<string, object>> {
  const plain = links.map(({ at: _, where: __, name, ...link }) => [name, sorted(link)] as const);
  return Object.fromEntries(plain.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sorted(link: object): object {
  return Object.fromEntries(
    Object.entries(link).map(([key, value]: readonly [string, unknown]) => [
      key,
      Array.isArray(value) ? value.map((each) => JSON.stringify(each)).sort() : value,
    ]),
  );
}

/** Written files as a folder `/x`, and that folder. */
export function asFolder(files: readonly { readonly path: string; readonly text: string }[]) {
  return Object.fromEntries(files.map(({ path, text }) => [posix.join("/x", path), text]));
}
