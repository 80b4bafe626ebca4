// Where a setting comes from: the flag, else the environment (`--data-dir` is WEFT_DATA_DIR), else the configuration
// file of the program (/etc/weft/server.yaml: `data-dir: …`), else its default. One rule for the server, the agent
// and the CLI.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../model/fault.ts";
import type { Flags } from "../context.ts";
import type { Io } from "../io.ts";
import { misuse } from "../output/error.ts";

/** `data-dir` as commander names its value. */
function camel(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The settings of these names that were given. A key the file should not have, or a setting without a value, is a
 * Fault `request-invalid`; an empty variable of the environment is one that is not set.
 */
export async function settingsOf<Name extends string>(
  program: "server" | "agent" | "cli",
  names: readonly Name[],
  flags: Flags,
  env: Io["env"],
): Promise<Readonly<Partial<Record<Name, string>>>> {
  const file = join(env["WEFT_CONFIG_DIR"] ?? "/etc/weft", `${program}.yaml`);
  const fromFile = await readSettings(file, names);
  const given: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const flag = flags[camel(name)];
    if (flag === "") throw misuse(`--${name}`, "an option has no value", "give it one, or leave it out", "it is empty");
    const variable = env[`WEFT_${name.toUpperCase().replaceAll("-", "_")}`];
    const value = flag ?? (variable === "" ? undefined : variable) ?? fromFile[name];
    if (value !== undefined) given[name] = value;
  }
  return given;
}

async function readSettings(file: string, names: readonly string[]): Promise<Record<string, string>> {
  const text = textOf(file);
  if (text === undefined) return {};
  const { parse } = await import("yaml");
  // Values are texts as they stand: 012 as a name is not the number 12.
  let value: unknown;
  try {
    value = parse(text, { schema: "failsafe" });
  } catch (error) {
    throw wrongFile(file, error instanceof Error ? error.message : String(error));
  }
  if (value === null || value === undefined || value === "") return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw wrongFile(file, "it does not consist of `name: value` lines");
  const settings: Record<string, string> = {};
  for (const [name, setting] of Object.entries(value)) {
    if (!names.includes(name))
      throw wrongFile(`${file}: ${name}`, `"${name}" is not a setting; there are ${names.join(", ")}`);
    if (typeof setting !== "string") throw wrongFile(`${file}: ${name}`, "its value is not text");
    if (setting === "") throw wrongFile(`${file}: ${name}`, "it has no value");
    settings[name] = setting;
  }
  return settings;
}

/** Words with commas between them, each once; a Fault `request-invalid` for an empty one, or one given twice. */
export function wordsOf(text: string, where: string): readonly string[] {
  const words = text.split(",").map((word) => word.trim());
  const twice = words.find((word, i) => words.indexOf(word) !== i);
  if (twice === undefined && !words.includes("")) return words;
  const why = words.includes("") ? "a word of it is empty" : `"${twice}" is given twice`;
  throw misuse(where, `"${text}" is not a list of words`, `write it like ${where} one,two`, why);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const fix = "make it readable for this user, or remove it";
    const detail = { what: `${file} cannot be read`, why: whyUnread(error), fix };
    throw new Fault("forbidden", detail, { cause: error });
  }
}

const UNREAD: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is not a directory",
  EISDIR: "it is a directory",
  EACCES: "this user may not read it",
};

/** Why a file cannot be read, for people. */
export function whyUnread(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return UNREAD[code] ?? (error instanceof Error ? error.message : String(error));
}

function wrongFile(where: string, why: string): Fault {
  return misuse(where, "a configuration file is wrong", "correct the file", why);
}
