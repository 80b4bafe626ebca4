// Lines of a file with their numbers: no comments, no empty ones, and one that ends in a backslash goes on in the next.
import type { Position } from "./plan.ts";

type Line = { readonly text: string; readonly at: Position };

/** `comment`: the letters that a comment begins with. */
export function linesOf(text: string, file: string, comment: string): readonly Line[] {
  const lines: Line[] = [];
  const raw = text.split(/\r?\n/);
  for (let i = 0; i < raw.length; i++) {
    const at = { file, line: i + 1 };
    const first = (raw[i] ?? "").trimStart().charAt(0);
    if (first === "" || comment.includes(first)) continue;
    const parts: string[] = [];
    for (; (raw[i] ?? "").endsWith("\\") && i + 1 < raw.length; i++) parts.push((raw[i] ?? "").slice(0, -1));
    parts.push(raw[i] ?? "");
    lines.push({ text: parts.map((part) => part.trim()).join(" "), at });
  }
  return lines;
}
