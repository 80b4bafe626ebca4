// Tables as kubectl prints them: upper-case headers, two spaces between columns, no borders, no trailing blanks, so
// that both eyes and awk can read them. Knows text only; the caller decides what a row is.
import { paint, type Io, type Tone } from "../io.ts";

export type Cell = string | { readonly text: string; readonly tone: Tone };

const GAP = 3;

/**
 * Lines with their newlines; every row has as many cells as there are headers. Empty cells print as "-". Where `fit`
 * says how wide the terminal is, the widest columns are cut until a row fits; what is piped is never cut.
 */
export function table(
  io: Pick<Io, "color" | "fit">,
  headers: readonly string[] | undefined,
  rows: readonly (readonly Cell[])[],
): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === "string" ? { text: plain(cell) } : { ...cell, text: plain(cell.text) })),
  );
  const all = headers === undefined ? cells : [headers.map((text) => ({ text })), ...cells];
  const needed = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => width(row[column]?.text ?? ""))));
  const widths = headers === undefined || io.fit === undefined ? needed : fitted(needed, io.fit);
  const line = (row: readonly { readonly text: string; readonly tone?: Tone }[]) =>
    row
      .map(({ text: whole, tone }, column) => {
        const text = cut(whole, widths[column] ?? 0);
        const pad = column === row.length - 1 ? "" : " ".repeat((widths[column] ?? 0) - width(text) + GAP);
        return (tone === undefined ? text : paint(io, tone, text)) + pad;
      })
      .join("");
  return all.map((row) => `${line(row)}\n`).join("");
}

/** Below this, a column says nothing any more. */
const LEAST = 8;

/** Widths whose sum, with the gaps, is at most `most`: always the widest is made one narrower. */
function fitted(needed: readonly number[], most: number): readonly number[] {
  const widths = [...needed];
  let over = widths.reduce((sum, each) => sum + each, 0) + GAP * (widths.length - 1) - most;
  while (over > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= LEAST) break;
    const next = Math.max(LEAST, ...widths.filter((_, i) => i !== widest));
    const step = Math.max(1, Math.min(over, (widths[widest] ?? 0) - next));
    widths[widest] = (widths[widest] ?? 0) - step;
    over -= step;
  }
  return widths;
}

function cut(text: string, most: number): string {
  if (width(text) <= most) return text;
  let short = "";
  for (const char of text) {
    if (width(short + char) > most - 1) break;
    short += char;
  }
  return `${short}…`;
}

/** Text of others must not move the cursor or forge a row: control characters are shown, not sent. */
function plain(text: string): string {
  const shown = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
  return shown === "" ? "-" : shown;
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\u200b-\u200d\ufe0f]/u;
// East Asian Wide and Fullwidth (UAX 11) and the emoji blocks: two columns in every terminal that shows them.
const WIDE = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
] as const;

/** Columns a terminal needs for the text. */
export function width(text: string): number {
  let columns = 0;
  for (const char of text) columns += ZERO_WIDTH.test(char) ? 0 : isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
  return columns;
}

function isWide(code: number): boolean {
  return code >= 0x1100 && WIDE.some(([first, last]) => code >= first && code <= last);
}
