// The words of a command line before commander reads them, and what it does not see to: options that stand before the
// verb, the seconds of --wait, and options that are given twice.
import type { Command, Option } from "commander";
import type { Fault } from "../../model/fault.ts";
import { misuse } from "../output/error.ts";
import { repeated } from "./options.ts";

/** Options of every verb that asks the server: they may stand anywhere. */
const GLOBAL = /^(--server|--token-file|--context|--output|-o)(?:=.*)?$/;
const ALONE = /^--no-headers$/;

/** The same words, as each verb understands them. */
export function normalize(argv: readonly string[]): readonly string[] {
  if (argv[0] === "--version" || argv[0] === "-V") return ["version"];
  const words = verbFirst(argv);
  return waitWithValue(words[0] === "help" ? [...words.slice(1), "--help"] : words);
}

/** The words without --help if they name no command: commander would print the help of what is above it instead. */
export function dropStrayHelp(program: Command, words: readonly string[]): readonly string[] {
  let command = program;
  for (const word of words) {
    if (word.startsWith("-") || command.commands.length === 0) return words;
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (next === undefined) return words.filter((each) => each !== "--help" && each !== "-h");
    command = next;
  }
  return words;
}

/** Options before the noun or the verb go to the end of what is read as options. */
function verbFirst(argv: readonly string[]): readonly string[] {
  const [words, moved]: [string[], string[]] = [[], []];
  let at = 0;
  while (at < argv.length && words.length < 2) {
    const word = argv[at] ?? "";
    const isGlobal = GLOBAL.test(word);
    if (isGlobal || ALONE.test(word)) {
      const length = isGlobal && !word.includes("=") ? 2 : 1;
      moved.push(...argv.slice(at, at + length));
      at += length;
    } else if (word.startsWith("-")) break;
    else {
      words.push(word);
      at++;
    }
  }
  const rest = argv.slice(at);
  const end = rest.indexOf("--");
  return [...words, ...(end < 0 ? rest : rest.slice(0, end)), ...moved, ...(end < 0 ? [] : rest.slice(end))];
}

/** A value that may be left out would swallow the argument that follows: only a time is taken for that of --wait. */
function waitWithValue(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return argv.flatMap((word, i) => {
    if (end >= 0 && i > end) return [word];
    if (argv[i - 1] === "--wait" && isTime(word)) return [];
    if (word !== "--wait") return [word];
    const next = argv[i + 1];
    return [next !== undefined && isTime(next) ? `--wait=${next}` : "--wait=60"];
  });
}

function isTime(word: string): boolean {
  return /^\d+(?:\.\d+)?(?:ms|s|m|h|d)?$/.test(word);
}

/** Nothing is given twice, here and below: the first would be passed over. Options to be repeated say so. */
export function refuseRepeats(command: Command): void {
  const given = new Map<string, string>();
  for (const option of command.options) {
    if (option.parseArg === repeated) continue;
    command.on(`option:${option.name()}`, () => {
      const name = option.attributeName();
      const before = given.get(name);
      if (before !== undefined && (before !== option.long || takesValue(option))) throw twice(before, option);
      given.set(name, option.long ?? option.flags);
    });
  }
  for (const sub of command.commands) refuseRepeats(sub);
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

function twice(before: string, { long, flags }: Option): Fault {
  const now = long ?? flags;
  const what = before === now ? `${now} is given twice` : `both ${before} and ${now} are given`;
  return misuse(now, what, "give one of them");
}
