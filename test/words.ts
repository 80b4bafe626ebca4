// Words that no exported name may contain: those in code type in the column "not" of docs/glossary.md, which has the
// word to use instead.
import { readFileSync } from "node:fs";

/** The words in code type of the last column of each table, in lower case. */
export function bannedBy(page: string): ReadonlySet<string> {
  const cells = [...page.matchAll(/^\|.*\| ([^|]+) \|$/gm)].map(([, cell = ""]) => cell);
  return new Set(cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, word = ""]) => word.toLowerCase())));
}

const BANNED = bannedBy(readFileSync(new URL("../docs/glossary.md", import.meta.url), "utf8"));

/** The first banned word in a name like `placeOf` or `KEPT_BACK`; a word counts only as a whole. */
export function bannedIn(name: string): string | undefined {
  const words = name.match(/[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])/g) ?? [];
  return words.map((word) => word.toLowerCase()).find((word) => BANNED.has(word));
}
