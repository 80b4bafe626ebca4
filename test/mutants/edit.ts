// A planted bug as a value: one edit of one file. Line numbers do not change, so an error or a stack names the same
// place in the mutant as in the source.
export type Edit = { readonly kind: string; readonly start: number; readonly end: number; readonly text: string };
export type Mutant = Edit & {
  readonly file: string;
  /** Lines, from 1, of the outermost function or member that holds it: an error there is its own. */
  readonly zone: readonly [number, number];
};

/** A file as it was when the bugs in it were found: the tree may change meanwhile. */
export type SourceOf = (file: string) => string;

/** The source with all of them; edits must not overlap. */
export function planted(source: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((text, edit) => text.slice(0, edit.start) + padded(source, edit) + text.slice(edit.end), source);
}

/** What is put in, with as many line breaks as what it replaces. */
function padded(source: string, { start, end, text }: Edit): string {
  const missing = breaksIn(source.slice(start, end)) - breaksIn(text);
  return text + "\n".repeat(Math.max(0, missing));
}

function breaksIn(text: string): number {
  return text.split("\n").length - 1;
}

export function lineAt(source: string, offset: number): number {
  return breaksIn(source.slice(0, offset)) + 1;
}

/** What a reader of the diff sees: the lines before and after, without indentation and in one line each. */
export function changeOf(source: string, edit: Edit): { readonly before: string; readonly after: string } {
  const from = source.lastIndexOf("\n", edit.start - 1) + 1;
  const newline = source.indexOf("\n", edit.end);
  const to = newline < 0 ? source.length : newline;
  const flat = (text: string) => text.replaceAll(/\s+/g, " ").trim();
  return {
    before: flat(source.slice(from, to)),
    after: flat(source.slice(from, edit.start) + edit.text + source.slice(edit.end, to)),
  };
}
