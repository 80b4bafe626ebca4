// Where a setting comes from: the flag, else the environment (`--data-dir` is WEFT_DATA_DIR), else the configuration
// file of the program (/etc/weft/server.yaml: `data-dir: …`), else its default. One rule for the server, the agent
// and the CLI.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../model/fault.ts";
import type { Flags } from "./cli.ts";
import type { Io } from "./io.ts";

/** `data-dir` as commander names its value. */
function camel(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings of these names that somebody gave. A key the file should not have is a Fault `request-invalid`. */
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
    const value = flags[camel(name)] ?? env[`WEFT_${name.toUpperCase().replaceAll("-", "_")}`] ?? fromFile[name];
    if (value !== undefined) given[name] = value;
  }
  return given;
}

async function readSettings(file: string, names: readonly string[]): Promise<Record<string, string>> {
  const text = textOf(file);
  if (text === undefined) return {};
  const { parse } = await import("yaml");
  const value: unknown = parseOr(file, () => parse(text));
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(file, "it is not a list of `name: value` lines");
  const settings: Record<string, string> = {};
  for (const [name, setting] of Object.entries(value)) {
    if (!names.includes(name))
      throw wrong(`${file}: ${name}`, `"${name}" is not a setting; there are ${names.join(", ")}`);
    if (typeof setting !== "string" && typeof setting !== "number")
      throw wrong(`${file}: ${name}`, "its value is not text");
    settings[name] = String(setting);
  }
  return settings;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new Fault(
      "forbidden",
      { what: `${file} cannot be read`, why: String(error), fix: "make it readable for you, or remove it" },
      { cause: error },
    );
  }
}

function parseOr(file: string, parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    throw wrong(file, error instanceof Error ? error.message : String(error));
  }
}

function wrong(where: string, why: string): Fault {
  return new Fault("request-invalid", { what: "a configuration file is wrong", where, why, fix: "correct the file" });
}
