// Words that exported names may not contain, because they had a private meaning here, or several, and the field has a
// word of its own. docs/glossary.md names each in its column "not", beside the word to take; a test compares the two.

export const BANNED: ReadonlySet<string> = new Set([
  "ahead",
  "apart",
  "desk",
  "doomed",
  "ground",
  "held",
  "journey",
  "kept",
  "lives",
  "passage",
  "place",
  "reap",
  "standing",
  "taken",
  "told",
  "wish",
  "wishes",
]);

/** The first banned word in a name like `placeOf` or `KEPT_BACK`; a word counts only as a whole. */
export function bannedIn(name: string): string | undefined {
  const words = name.match(/[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])/g) ?? [];
  return words.map((word) => word.toLowerCase()).find((word) => BANNED.has(word));
}
