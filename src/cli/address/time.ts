// Times as people write and read them: moments, days, "tuesday". In the reader's time zone.
import { parseDuration } from "../../model/duration.ts";
import { misuse } from "../output/error.ts";

const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/** Up to and without `beforeMs`; a moment is a millisecond long. */
type Period = { readonly sinceMs: number; readonly beforeMs: number };

/** A moment (`2026-11-24 15:00`, `2h ago`), or a whole day (`2026-11-24`, `tuesday`, `yesterday`). */
export function periodOf(text: string, nowMs: number, option: string): Period {
  const word = text.trim().toLowerCase();
  const ago = /^(\S+) ago$/.exec(word)?.[1];
  if (ago !== undefined) return moment(nowMs - parseDuration(ago, option));
  const daysAgo = word === "today" ? 0 : word === "yesterday" ? 1 : sinceWeekday(word, nowMs);
  if (daysAgo !== undefined) return dayOf(nowMs, daysAgo);
  const [, date = "", time] = MOMENT.exec(word) ?? [];
  const at = isDate(date) ? Date.parse(time === undefined ? `${date}T00:00` : text.trim()) : Number.NaN;
  if (!Number.isNaN(at)) return time === undefined ? dayOf(at, 0) : moment(at);
  const fix = 'write it like "2026-11-24 15:00", 2026-11-24, tuesday, yesterday or "2h ago"';
  throw misuse(option, `"${text}" is not a time`, fix);
}

// Whole, because Date.parse() passes over what stands in parentheses.
const MOMENT = /^(\d{4}-\d{2}-\d{2})(?:[t ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:z|[+-]\d{2}:\d{2})?))?$/;

/** Date.parse() takes the 30th of February for the 2nd of March. */
function isDate(text: string): boolean {
  const ms = Date.parse(`${text}T00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

function moment(atMs: number): Period {
  return { sinceMs: atMs, beforeMs: atMs + 1 };
}

function dayOf(ms: number, daysAgo: number): Period {
  const date = new Date(ms);
  const midnight = (offset: number) =>
    new Date(date.getFullYear(), date.getMonth(), date.getDate() - daysAgo + offset).getTime();
  return { sinceMs: midnight(0), beforeMs: midnight(1) };
}

/** The last day of that name, which may be today; undefined if it is none. */
function sinceWeekday(word: string, nowMs: number): number | undefined {
  const day = DAYS.findIndex((name) => name === word || name.slice(0, 3) === word);
  return day < 0 ? undefined : (new Date(nowMs).getDay() - day + 7) % 7;
}

/** `2026-11-24 15:00:07`, in this time zone. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
