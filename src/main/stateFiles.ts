// The files of an agent that was removed. Only files that an agent writes are removed, by name, and only from a
// directory that an agent has used: a wrong --state-dir or --socket must not delete anything else.
import { type Stats, lstatSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { STATE_FILES } from "../agent/server/stateDir.ts";
import { Fault } from "../model/fault.ts";

/** What every agent writes when it starts and when it joins. */
const SIGNS = ["attachments.ndjson", "proposal.json", "identity.json"];
const NAMES = ["attachments.ndjson", ...STATE_FILES];
/** A file whose replacement was interrupted, and one that was put aside. */
const SUFFIXES = ["", ".next", ".damaged"];

export type StateFiles = { readonly paths: readonly string[]; readonly directory: string | undefined };

/**
 * The agent's files in its state directory, and its socket; empty if there are none. A Fault `request-invalid` if the
 * directory or the socket is something else.
 */
export function stateFilesIn(directory: string, socket: string): StateFiles {
  const found = statOf(socket);
  if (found !== undefined && !found.isSocket()) throw notOurs(socket, "it is not a socket", "--socket");
  const sockets = found === undefined ? [] : [socket];
  const place = statOf(join(directory, "."));
  if (place === undefined) return { paths: sockets, directory: undefined };
  if (!place.isDirectory()) throw notOurs(directory, "it is not a directory", "--state-dir");
  const there = readdirSync(directory);
  const named = (names: readonly string[]) => namesOf(names).filter((name) => there.includes(name));
  const isForeign = there.length > 0 && named(SIGNS).length === 0;
  if (isForeign) throw notOurs(directory, `it has none of ${SIGNS.join(", ")}`, "--state-dir");
  return { paths: [...sockets, ...named(NAMES).map((name) => join(directory, name))], directory };
}

/** Returns what was removed, including the directory if it is then empty. Files that are not the agent's stay. */
export function removeStateFiles({ paths, directory }: StateFiles): readonly string[] {
  for (const path of paths) rmSync(path, { force: true });
  if (directory === undefined || readdirSync(directory).length > 0) return paths;
  rmdirSync(directory);
  return [...paths, directory];
}

function namesOf(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => SUFFIXES.map((suffix) => `${name}${suffix}`));
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return undefined;
    if (code === "ENOTDIR") throw notOurs(path, "it is not a directory", "--state-dir");
    throw error;
  }
}

function notOurs(where: string, why: string, option: string): Fault {
  return new Fault("request-invalid", {
    what: "this is not an agent's, and nothing was removed",
    where,
    why,
    fix: `give ${option} as the agent had it`,
  });
}
