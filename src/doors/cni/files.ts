// Keeps a CNI configuration of every marked network in a directory that runtimes read (/etc/cni/net.d). A key in the
// file shows that Weft wrote it; files without that key stay, whatever their names.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory } from "../../files/directories.ts";
import { attemptOf, replaceFile } from "../../files/files.ts";
import { realFiles } from "../../files/real.ts";
import { cniConfigList } from "../../model/cni.ts";
import type { Network } from "../../model/resource.ts";

/** In every file that Weft writes; its value is for people. */
const MARK = "keptByWeft";
const SUFFIX = ".conflist";

/** The directory in which runtimes look, and the agent's socket for their plugin. */
export type CniDirectory = { readonly directory: string; readonly socket: string };

/**
 * Makes the directory contain the files of these networks and no other file of ours. With `isComplete` false it removes
 * nothing, because there may be more networks than are known. Returns what failed, a line each.
 */
export function syncFiles(
  { directory, socket }: CniDirectory,
  networks: readonly Network[],
  isComplete: boolean,
): readonly string[] {
  const problems: string[] = [];
  const wanted = new Map(networks.map((network) => [fileOf(network.name), textOf(network, socket)]));
  try {
    makeDirectory(directory, 0o755);
    for (const [file, text] of wanted) problems.push(...write(join(directory, file), text));
    for (const file of isComplete ? ownFilesIn(directory) : [])
      if (!wanted.has(file)) rmSync(join(directory, file), { force: true });
  } catch (error) {
    problems.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

/** Names of the files of ours in a directory; none if it cannot be read. */
export function ownFilesIn(directory: string): readonly string[] {
  const isKept = (file: string) => /^weft-.*\.conflist$/.test(file) && isOurs(readText(join(directory, file)));
  return attemptOf(() => readdirSync(directory).filter(isKept)) ?? [];
}

function fileOf(network: string): string {
  return `weft-${network}${SUFFIX}`;
}

function textOf(network: Network, socket: string): string {
  return cniConfigList(
    network,
    { socket, portmap: network.spec.cni === "portmap" },
    { [MARK]: "changes are overwritten; `weft network edit` takes the file away" },
  );
}

/** Writes the file so that a runtime never reads half of it. */
function write(path: string, text: string): readonly string[] {
  const there = readText(path);
  if (there === text) return [];
  if (there !== undefined && !isOurs(there))
    return [`${path} is another program's and stays; its network is not in it`];
  replaceFile(realFiles, path, text, 0o644);
  return [];
}

function readText(path: string): string | undefined {
  return attemptOf(() => readFileSync(path, "utf8"));
}

function isOurs(text: string | undefined): boolean {
  const value = attemptOf((): unknown => JSON.parse(text ?? ""));
  return typeof value === "object" && value !== null && MARK in value;
}
