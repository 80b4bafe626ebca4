// Files that tell systemd-networkd and NetworkManager to leave Weft's devices alone. When networkd is restarted, it
// takes a device that a file of its own matches out of a bridge, and puts addresses back on it; NetworkManager manages
// what it finds. Each file is written where the service has a directory for it, below the directory that the agent is
// told (`etc-dir`, usually /etc); without one nothing is written. A file without Weft's first line is another's, and
// stays.
import { existsSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isInHost } from "../datapath/world/placement.ts";
import { attemptOf, replaceFile } from "../files/files.ts";
import { realFiles } from "../files/real.ts";
import type { Snapshot } from "../model/resource.ts";

/** What Weft's devices in the host's namespace begin with; with names that users chose, all that it has there. */
const PATTERNS = ["wb-*", "wx*", "wp*", "wq*", "wu-*", "gt*", "path*"];
const FIRST_LINE = "# Kept by Weft: changes are overwritten (docs/operations.md).";

type Service = {
  readonly name: string;
  /** Below the directory of configurations. */
  readonly folder: string;
  readonly file: string;
  readonly text: (devices: readonly string[]) => string;
  /** Makes it read its files again. */
  readonly reload: string;
  /** Its process, as the kernel names it (15 characters). */
  readonly process: string;
};

const SERVICES: readonly Service[] = [
  {
    name: "systemd-networkd",
    folder: "systemd/network",
    // The first file that matches a device is the one that counts.
    file: "05-weft.network",
    text: (devices) => `[Match]\nName=${devices.join(" ")}\n\n[Link]\nUnmanaged=yes\n`,
    reload: "networkctl reload",
    process: "systemd-network",
  },
  {
    name: "NetworkManager",
    folder: "NetworkManager/conf.d",
    file: "05-weft.conf",
    text: (devices) => {
      const names = devices.map((device) => `interface-name:${device}`).join(";");
      return `[keyfile]\nunmanaged-devices+=${names}\n`;
    },
    reload: "nmcli general reload conf",
    process: "NetworkManager",
  },
];

type Log = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Writes what is missing or differs; gives a line for each file that is another program's or cannot be written. */
export function syncDropIns(etc: string, snapshot: Snapshot | undefined, log: Log): readonly string[] {
  const devices = devicesIn(snapshot);
  return SERVICES.flatMap(({ name, folder, file, text, reload }) => {
    if (!existsSync(join(etc, folder))) return [];
    const path = join(etc, folder, file);
    const there = attemptOf(() => readFileSync(path, "utf8"));
    const wanted = `${FIRST_LINE}\n${text(devices)}`;
    if (there === wanted) return [];
    if (there !== undefined && !isOurs(there)) return [foreignText(name, path)];
    try {
      replaceFile(realFiles, path, wanted, 0o644);
      log("told another service to leave Weft's devices alone", { service: name, path, next: reload });
      return [];
    } catch (error) {
      return [`${path} cannot be written (${String(error)}): ${name} may change Weft's devices`];
    }
  });
}

/** Files of ours that are there. */
export function ownDropIns(etc: string): readonly string[] {
  return SERVICES.map(({ folder, file }) => join(etc, folder, file)).filter((path) =>
    isOurs(attemptOf(() => readFileSync(path, "utf8")) ?? ""),
  );
}

export function removeDropIns(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true });
}

/** For an agent that was told no directory: services that run and may take devices in the host's namespace. */
export function unwarned(snapshot: Snapshot | undefined, running = processesHere): string[] {
  if (snapshot === undefined || !snapshot.vrfs.some(isInHost)) return [];
  const names = running();
  return SERVICES.filter(({ process }) => names.has(process)).map(
    ({ name }) =>
      `${name} runs on this host and may take over devices of networks with placement host: start the agent with ` +
      "--etc-dir /etc, which keeps a file there that tells it not to",
  );
}

/** Names of the processes in this process's network namespace. */
function processesHere(): ReadonlySet<string> {
  const own = attemptOf(() => readlinkSync("/proc/self/ns/net"));
  const here = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid));
  return new Set(
    here.flatMap((pid) => {
      const isHere = attemptOf(() => readlinkSync(`/proc/${pid}/ns/net`)) === own;
      return isHere ? (attemptOf(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim()) ?? []) : [];
    }),
  );
}

function devicesIn(snapshot: Snapshot | undefined): readonly string[] {
  const given = (snapshot?.networks ?? []).flatMap(({ spec }) => spec.bridge ?? []);
  return [...PATTERNS, ...[...new Set(given)].sort()];
}

function isOurs(text: string): boolean {
  return text.startsWith(`${FIRST_LINE}\n`);
}

function foreignText(service: string, path: string): string {
  return `${path} is not Weft's and stays: see that it tells ${service} to leave ${PATTERNS.join(" ")} alone`;
}
