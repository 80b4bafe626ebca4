// Options that many verbs share, so that each is spelled and explained once.
import { Option, type Command } from "commander";
import { FORMATS, type OutputOptions } from "../output/format.ts";
import { parseWait } from "../change/wait.ts";
import { misuse } from "../output/error.ts";
import type { RemoteOptions } from "./locate.ts";

/** What was said of options with a value, of those that may be repeated, and of switches. */
export type Texts<Name extends string> = { readonly [N in Name]?: string };
export type Lists<Name extends string> = { readonly [N in Name]?: readonly string[] };
export type Switches<Name extends string> = { readonly [N in Name]?: boolean };

export type ReadOptions = RemoteOptions & OutputOptions;
export type ListOptions = ReadOptions & Texts<"selector">;
export type WriteOptions = RemoteOptions & Texts<"wait">;
export type SureOptions = Switches<"yes" | "force">;

/**
 * An option that has to be given. Told only after options that do not exist, unlike commander's own requiredOption():
 * one that is missing was often misspelt.
 */
export function requiredOption(command: Command, flags: string, description: string): Command {
  const option = new Option(flags, description);
  return command.addOption(option).hook("preAction", () => {
    if (command.getOptionValue(option.attributeName()) !== undefined) return;
    command.error(`error: required option '${flags}' not specified`);
  });
}

/** For verbs that ask the server. */
export function withServer(command: Command): Command {
  return command
    .option("--server <url>", "URL of the server: https://HOST:PORT or unix:/PATH")
    .option("--ca-pin <pin>", "pin of the server's CA, as `weft ca show` prints it")
    .option("--ca-file <file>", "certificates of CAs to trust for the name of the server, in PEM")
    .option("--token-file <file>", "file that holds the bearer token")
    .option("--context <name>", "the cluster: see weft context list");
}

/** For verbs that print what the server has. */
export function reading(command: Command): Command {
  return withServer(command)
    .addOption(new Option("-o, --output <format>", "print another format than the table").choices(FORMATS))
    .option("--no-headers", "print the table without its header");
}

/** For verbs that list resources. */
export function listing(command: Command): Command {
  const syntax = "tier=web,env!=test,rack in (r1,r2),!old";
  return reading(command).option("-l, --selector <labels>", `only those with these labels: ${syntax}`);
}

export function withWait(command: Command): Command {
  const what = "wait until every ready host has the change in its kernel";
  const paths = "--wait=paths[,TIME] also until packets pass between the hosts";
  return command.option("--wait [time]", `${what} (${TIMES}); ${paths}`, (text) => {
    parseWait(text, true);
    return text;
  });
}

/** For verbs that change what the server has. */
export function writing(command: Command): Command {
  return withWait(withServer(command));
}

const TIMES = "at most 60 s; or --wait 30, --wait 5m";

/** Read before anything is done: a verb that has written cannot take it back. */
export function withWaitFor(command: Command, what: string): Command {
  return command.option("--wait [time]", `wait until ${what} (${TIMES})`, (text: string) => {
    parseWait(text);
    return text;
  });
}

export function withForce(command: Command, force: string): Command {
  return command.option("--force", force).option("-y, --yes", "do not ask for confirmation");
}

/** An option's whole number, or undefined if it was not given; a Fault `request-invalid` for anything else. */
export function wholeNumber(text: string | undefined, option: string, example = 30): number | undefined {
  if (text === undefined) return undefined;
  // A leading zero is octal for some readers, so it is refused, as in addresses.
  if (/^(?:0|[1-9]\d{0,8})$/.test(text)) return Number(text);
  throw misuse(option, `"${text}" is not a whole number`, `write it like ${option}=${example}`);
}

/** The one of `words` that an option says, undefined if it was not given; a Fault `request-invalid` for any other. */
export function wordOf<Word extends string>(
  text: string | undefined,
  option: string,
  what: string,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((each) => each === text);
  if (word !== undefined || text === undefined) return word;
  throw misuse(option, `"${text}" is not ${what}`, `choose ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
}

/** What an option says, undefined for the word by which it takes back what was said before. */
export function unless(text: string | undefined, word: "auto" | "none"): string | undefined {
  return text === word ? undefined : text;
}

/** For options that may be given several times. */
export function repeated(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** What was repeated, or nothing for `none` alone; a Fault `request-invalid` for `none` beside others, or one twice. */
export function listOrNone(words: readonly string[], option: string): readonly string[] {
  if (words.length === 1 && words[0] === "none") return [];
  const twice = words.find((word, i) => words.indexOf(word) !== i);
  if (twice === undefined && !words.includes("none") && !words.includes("")) return words;
  const what = twice === undefined ? `${option} cannot be ${JSON.stringify(words)}` : `"${twice}" is given twice`;
  throw misuse(option, what, `give each value once, or only ${option} none`);
}
