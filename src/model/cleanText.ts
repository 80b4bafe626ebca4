// What hosts say, made fit to be kept and shown: bounded, and without what a terminal would obey. A host may be broken,
// or somebody else's by now; a report that is too long is cut and not refused, because a host whose reports are refused
// would count as lost.
import { type Cidr, formatCidr } from "./address.ts";

/** Characters of one text, and texts of one list. */
const TEXT_MAX = 2_000;
const LIST_MAX = 1_000;
/** Of addresses and routes of a host: more are more than an overlap check needs. */
export const PREFIXES_MAX = 4_096;

/** C0 and C1 controls (ECMA-48: escape sequences begin with one), line separators, what turns the writing around. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function cleanText(text: string): string {
  return text.slice(0, TEXT_MAX).replaceAll(CONTROLS, "\ufffd");
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

/** Each once; of too many the widest, because they are what most networks could meet. */
export function widest(cidrs: readonly Cidr[]): string[] {
  const once = new Map(cidrs.map((cidr) => [formatCidr(cidr), cidr]));
  if (once.size <= PREFIXES_MAX) return [...once.keys()];
  return [...once]
    .sort(([, a], [, b]) => a.length - b.length)
    .slice(0, PREFIXES_MAX)
    .map(([text]) => text);
}
