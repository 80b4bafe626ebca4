// Cleans texts of hosts before they are stored and shown: bounded, and without terminal escapes. A host may be broken
// or compromised. A report that is too long is cut and not refused, because a host whose reports are refused would
// count as lost.
import { type Cidr, formatCidr } from "./address.ts";

/** Characters of one text, and texts of one list. */
export const SAID_MAX = 2_000;
const LIST_MAX = 1_000;
/** The most addresses and routes of a host: an overlap check needs no more. */
export const PREFIXES_MAX = 4_096;

/** C0 and C1 controls (ECMA-48: escape sequences begin with one), line separators, changes of text direction. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function cleanText(text: string): string {
  return text.slice(0, SAID_MAX).replaceAll(CONTROLS, "\ufffd");
}

/** The same value with every text in it cleaned, however deep. */
export function clean<T>(value: T): T {
  return cleanValue(value) as T;
}

function cleanValue(value: unknown): unknown {
  if (typeof value === "string") return cleanText(value);
  if (Array.isArray(value)) return value.map(cleanValue);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cleanValue(each)]));
}

/** A list for people. */
export function cutList(texts: readonly string[]): readonly string[] {
  if (texts.length <= LIST_MAX) return texts;
  return [...texts.slice(0, LIST_MAX), `and ${texts.length - LIST_MAX} more`];
}

/** Each once; if there are too many, the widest, because most networks could overlap those. */
export function widest(cidrs: readonly Cidr[]): string[] {
  const once = new Map(cidrs.map((cidr) => [formatCidr(cidr), cidr]));
  if (once.size <= PREFIXES_MAX) return [...once.keys()];
  return [...once]
    .sort(([, a], [, b]) => a.length - b.length)
    .slice(0, PREFIXES_MAX)
    .map(([text]) => text);
}
