// Keeps a CNI configuration of every network that is marked for it in a directory that runtimes read (/etc/cni/net.d).
// A file of ours is known by a key in it and by nothing else: whatever somebody else wrote stays, under whatever name.
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../files/files.ts";
import { realFiles } from "../../files/real.ts";
import { cniConfigList } from "../../model/cni.ts";
import type { Network } from "../../model/resource.ts";

/** In a file that Weft keeps; its value tells people. */
const MARK = "keptByWeft";
const SUFFIX = ".conflist";

/** Where runtimes look, and the agent's socket that their plugin is to find. */
export type CniDirectory = { readonly directory: string; readonly socket: string };

/**
 * Makes the directory hold the files of these networks and no other file of ours; with `isComplete` false nothing is
 * removed, because more networks may be there than are known. Gives what could not be done, a line each.
 */
export function syncFiles(
  { directory, socket }: CniDirectory,
  networks: readonly Network[],
  isComplete: boolean,
): readonly string[] {
  const problems: string[] = [];
  const wanted = new Map(networks.map((network) => [fileOf(network.name), textOf(network, socket)]));
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    for (const [file, text] of wanted) problems.push(...write(join(directory, file), text));
    for (const file of isComplete ? keptIn(directory) : [])
      if (!wanted.has(file)) rmSync(join(directory, file), { force: true });
  } catch (error) {
    problems.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

/** Names of the files of ours in a directory; none if it cannot be read. */
export function keptIn(directory: string): readonly string[] {
  const isKept = (file: string) => /^weft-.*\.conflist$/.test(file) && isOurs(readText(join(directory, file)));
  try {
    return readdirSync(directory).filter(isKept);
  } catch {
    return [];
  }
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

/** A runtime never reads half a file. */
function write(path: string, text: string): readonly string[] {
  const there = readText(path);
  if (there === text) return [];
  if (there !== undefined && !isOurs(there)) return [`${path} is somebody else's and stays; its network is not in it`];
  replaceFile(realFiles, path, text, 0o644);
  return [];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isOurs(text: string | undefined): boolean {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null && MARK in value;
  } catch {
    return false;
  }
}
