// What a reader of configuration files says about them: notes on what the plan cannot hold, and problems, which make
// the whole import fail. Each names its line. Texts of files are cleaned before people see them.
import { interfaceOf, ipOf, formatIp, isMapped, macOf, type Ip } from "../model/address.ts";
import { cleanText } from "../model/cleanText.ts";
import { Fault } from "../model/fault.ts";
import type { Position } from "./plan.ts";

export type Remark = { readonly at: Position; readonly text: string; readonly why: string };
/** One import being read; both lists grow. */
export type Reading = { readonly notes: Remark[]; readonly problems: Remark[] };

/** What readers may see of the machine's files. Faults say which file and why. */
export type SourceFiles = {
  readonly text: (path: string) => string;
  /** Names in a folder, sorted; undefined if it is none. */
  readonly list: (path: string) => readonly string[] | undefined;
};

/** Characters of all files of an import together, and how many there may be. */
const TEXT_MAX = 4_194_304;
const FILES_MAX = 1_000;
const SHOWN_MAX = 120;

/** The same files, of which a reader gets only so many and only so much. */
export function bounded(files: SourceFiles): SourceFiles {
  let [count, length] = [0, 0];
  return {
    list: files.list,
    text(path) {
      count++;
      if (count > FILES_MAX) throw tooMuch(path, `more than ${FILES_MAX} files are read`);
      // Some editors begin a file with a mark of its order of bytes.
      const text = files.text(path).replace(/^\ufeff/, "");
      length += text.length;
      if (length > TEXT_MAX) throw tooMuch(path, `more than ${TEXT_MAX} characters are read`);
      if (text.includes("\0")) throw tooMuch(path, "it has zero bytes: this is not a text");
      return text;
    },
  };
}

function tooMuch(where: string, why: string): Fault {
  return new Fault("request-invalid", {
    what: "these files cannot be a host's network configuration",
    where: cleanText(where),
    why,
    fix: "give the paths of the files that are meant",
  });
}

export function newReading(): Reading {
  return { notes: [], problems: [] };
}

/** Says what the plan does not hold, and why. */
export function note({ notes }: Reading, at: Position, text: string, why: string): undefined {
  notes.push({ at, text: shown(text), why: shown(why) });
}

/** Says what is wrong; gives what a reader of a wrong value gives. */
export function problem({ problems }: Reading, at: Position, text: string, why: string): undefined {
  problems.push({ at, text: shown(text), why: shown(why) });
}

function shown(text: string): string {
  const line = cleanText(text.replaceAll(/\s+/g, " ").trim());
  return line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX)}…` : line;
}

/** `interfaces:12: bridge_maxwait 0: why`. */
export function remarkText({ at, text, why }: Remark): string {
  return `${positionText(at)}: ${text}: ${why}`;
}

export function positionText({ file, line }: Position): string {
  return `${cleanText(file)}:${line}`;
}

/** Throws all problems as one Fault. */
export function throwProblems({ problems }: Reading): void {
  const [first] = problems;
  if (first === undefined) return;
  const fix = "correct it; nothing was changed";
  if (problems.length === 1)
    throw new Fault("request-invalid", { what: first.text, where: positionText(first.at), why: first.why, fix });
  const blockers = problems.map(remarkText);
  throw new Fault("request-invalid", { what: `the files have ${problems.length} problems`, blockers, fix });
}

/** The row of a table that a word of a file names; names that every object has are no rows. */
export function rowOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** A word of a file with its line. */
export type Word = { readonly text: string; readonly at: Position; readonly of: string };

export function numberOf(reading: Reading, word: Word, [least, most]: readonly [number, number]): number | undefined {
  const value = /^(0|[1-9]\d{0,9})$/.test(word.text) ? Number(word.text) : Number.NaN;
  if (value >= least && value <= most) return value;
  return problem(reading, word.at, `${word.of} ${word.text}`, `it must be a whole number from ${least} to ${most}`);
}

/** The canonical text of an IP address. */
export function ipTextOf(reading: Reading, word: Word): string | undefined {
  const ip = plainIp(word.text);
  if (ip !== undefined) return formatIp(ip);
  return problem(reading, word.at, `${word.of} ${word.text}`, "this is not an IP address");
}

/** The canonical text of an address with its length, host bits kept; without a length it is a host's. */
export function spreadTextOf(reading: Reading, word: Word): string | undefined {
  const ip = plainIp(word.text);
  if (ip !== undefined) return `${formatIp(ip)}/${ip.family === 4 ? 32 : 128}`;
  const spread = interfaceOf(word.text);
  if (spread !== undefined && !isMapped(spread.ip)) return `${formatIp(spread.ip)}/${spread.length}`;
  return problem(reading, word.at, `${word.of} ${word.text}`, "this is not an address with a prefix length");
}

function plainIp(text: string): Ip | undefined {
  const ip = ipOf(text);
  return ip === undefined || isMapped(ip) ? undefined : ip;
}

export function macTextOf(reading: Reading, word: Word): string | undefined {
  return macOf(word.text) ?? problem(reading, word.at, `${word.of} ${word.text}`, "this is not a MAC");
}

/** A flag in the words of these formats. */
export function flagOf(reading: Reading, word: Word): boolean | undefined {
  if (/^(on|yes|true|1)$/i.test(word.text)) return true;
  if (/^(off|no|false|0)$/i.test(word.text)) return false;
  return problem(reading, word.at, `${word.of} ${word.text}`, "it must be on or off");
}

/** Whether an address is a multicast group. */
export function isGroup(ip: string): boolean {
  return ip.includes(":") ? ip.startsWith("ff") : /^(22[4-9]|23\d)\./.test(ip);
}
