// Labels on the command line: --label KEY=VALUE sets one, --label KEY- takes it away, --label none takes all away.
import type { Command } from "commander";
import { type Labels, checkLabels } from "../../model/labels.ts";
import { misuse } from "../output/error.ts";
import { listOrNone, repeated } from "./options.ts";

const OPTION = "--label";

/** For verbs that change what may have labels. */
export function withLabels(command: Command): Command {
  const others = "KEY- takes one away, none all; repeatable";
  return command.option(`${OPTION} <key=value>`, `label for people and selectors; ${others}`, repeated);
}

/** For verbs that make it. */
export function withNewLabels(command: Command): Command {
  return command.option(`${OPTION} <key=value>`, "label for people and selectors; repeatable", repeated);
}

/** The labels of something new; a Fault `request-invalid` for a word that sets none. */
export function newLabels(words: readonly string[]): Labels {
  const stray = listOrNone(words, OPTION).find((word) => !word.includes("="));
  if (stray === undefined) return mergedLabels({}, words);
  throw misuse(OPTION, `"${stray}" is not a label with a value`, "write it like --label tier=web, or --label tier=");
}

/** What was there with what the words say; a Fault for one that says nothing, or a label that cannot be. */
export function mergedLabels(before: Labels | undefined, words: readonly string[]): Labels {
  const given = listOrNone(words, OPTION);
  if (given.length === 0) return {};
  const labels = new Map(Object.entries(before ?? {}));
  const named = new Set<string>();
  for (const word of given) {
    const [, key = "", value] = /^([^=]*?)(?:=(.*)|-)$/s.exec(word) ?? [];
    if (key === "")
      throw misuse(OPTION, `"${word}" is not a label`, "write it like --label tier=web, or --label tier-");
    if (named.has(key)) throw misuse(OPTION, `label "${key}" is given twice`, "give each key once");
    named.add(key);
    if (value === undefined) labels.delete(key);
    else labels.set(key, value);
  }
  return checkLabels(Object.fromEntries(labels), OPTION) ?? {};
}
