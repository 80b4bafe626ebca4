// Planted bugs without any observable effect, each with the reason. They are named by file and by the line before and
// after, so they are still found when lines move; an entry that fits nothing is out of date.
import { readFileSync } from "node:fs";

export type Equivalent = {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly why: string;
};

/** Entries of three lines and a reason, with empty lines between: the file, `- before`, `+ after`, `why: …`. */
export function readEquivalents(path: string): Equivalent[] {
  const entries = readFileSync(path, "utf8").split(/\n{2,}/);
  return entries.filter((entry) => entry.trim() !== "" && !entry.startsWith("#")).map(parsed);
}

function parsed(entry: string): Equivalent {
  const match = /^(\S+)\n- (.*)\n\+ ?(.*)\nwhy: ([^]+?)\n?$/.exec(entry);
  const [, file, before, after, why] = match ?? [];
  if (file === undefined || before === undefined || after === undefined || why === undefined)
    throw new Error(`not an entry of file, "- before", "+ after" and "why: reason":\n${entry}`);
  return { file, before, after, why };
}

export function isSame(a: Equivalent, b: Omit<Equivalent, "why">): boolean {
  return a.file === b.file && a.before === b.before && a.after === b.after;
}
