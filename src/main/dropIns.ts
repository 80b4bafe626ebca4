// Files that tell systemd-networkd and NetworkManager to leave Weft's devices alone. When networkd is restarted, it
// takes a device that a file of its own matches out of a bridge, and puts addresses back on it; NetworkManager manages
// what it finds. Each file is written where the service has a directory for it below `etc` (usually /etc); without one
// nothing is written. A file without Weft's first line is another's, and stays.
//
// Weft's own devices are named by patterns in a file below `etc`. The host's devices that are ports of Weft's bridges
// are in another one below `run` (usually /run), which does not survive a reboot: then these services have to bring
// them up, with the host's addresses, before there is an agent.
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { enslavedDevices } from "../datapath/network/physical.ts";
import { isInHost } from "../datapath/world/placement.ts";
import { attemptOf, replaceFile } from "../files/files.ts";
import { realFiles } from "../files/real.ts";
import { bridgeOfOthers } from "../model/bridges.ts";
import type { Snapshot } from "../model/resource.ts";

/** What Weft's devices in the host's namespace begin with; with names that users chose, all that it has there. */
const PATTERNS = ["wb-*", "wbi-*", "wj-*", "wk-*", "wl-*", "wx*", "wp*", "wq*", "wu-*", "wv-*", "wo*", "gt*", "path*"];
const FIRST_LINE = "# Kept by Weft: changes are overwritten (docs/operations.md).";

type Service = {
  readonly name: string;
  /** Below the directory of configurations. */
  readonly folder: string;
  readonly file: string;
  /** The same of the host's devices. */
  readonly deviceFile: string;
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
    deviceFile: "05-weft-devices.network",
    text: (devices) => `[Match]\nName=${devices.join(" ")}\n\n[Link]\nUnmanaged=yes\n`,
    reload: "networkctl reload",
    process: "systemd-network",
  },
  {
    name: "NetworkManager",
    folder: "NetworkManager/conf.d",
    file: "05-weft.conf",
    deviceFile: "05-weft-devices.conf",
    text: (devices) => {
      const names = devices.map((device) => `interface-name:${device}`).join(";");
      return `[keyfile]\nunmanaged-devices+=${names}\n`;
    },
    reload: "nmcli general reload conf",
    process: "NetworkManager",
  },
];

type Log = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Where the files are: of the services' own settings, and of those that end with a reboot. */
export type DropInFolders = { readonly etc: string; readonly run: string };

/** Writes what is missing or differs; gives a line for each file that is another program's or cannot be written. */
export function syncDropIns(
  folders: DropInFolders,
  host: string,
  snapshot: Snapshot | undefined,
  log: Log,
): readonly string[] {
  const devices = snapshot === undefined ? [] : enslavedDevices(snapshot, host);
  return SERVICES.flatMap((service) => {
    if (!existsSync(join(folders.etc, service.folder))) return [];
    const [own, ofHost] = pathsOf(folders, service);
    return [
      ...syncFile(service, own, devicesIn(snapshot), log),
      // Before the agent knows what the host has, a file of its last run stays.
      ...(snapshot === undefined ? [] : syncFile(service, ofHost, devices, log)),
    ];
  });
}

function pathsOf({ etc, run }: DropInFolders, { folder, file, deviceFile }: Service): readonly [string, string] {
  return [join(etc, folder, file), join(run, folder, deviceFile)];
}

function syncFile({ name, text, reload }: Service, path: string, devices: readonly string[], log: Log): string[] {
  const there = attemptOf(() => readFileSync(path, "utf8"));
  const wanted = devices.length === 0 ? undefined : `${FIRST_LINE}\n${text(devices)}`;
  if (there === wanted) return [];
  if (there !== undefined && !isOurs(there)) return [foreignText(name, path, devices)];
  try {
    if (wanted === undefined) rmSync(path, { force: true });
    else {
      mkdirSync(dirname(path), { recursive: true });
      replaceFile(realFiles, path, wanted, 0o644);
    }
    log("told another service which devices to leave alone", { service: name, path, devices, next: reload });
    return [];
  } catch (error) {
    return [`${path} cannot be written (${String(error)}): ${name} may change Weft's devices`];
  }
}

/** Files of ours that are there. */
export function ownDropIns(folders: DropInFolders): readonly string[] {
  const paths = SERVICES.flatMap((service) => pathsOf(folders, service));
  return paths.filter((path) => isOurs(attemptOf(() => readFileSync(path, "utf8")) ?? ""));
}

export function removeDropIns(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true });
}

/** For an agent that was told no directory: services that run and may take devices in the host's namespace. */
export function unwarned(snapshot: Snapshot | undefined, running = processesHere): string[] {
  if (snapshot === undefined || !snapshot.vrfs.some(isInHost)) return [];
  return runningServices(running).map(
    (name) =>
      `${name} runs on this host and may take over devices of networks with placement host: start the agent with ` +
      "--etc-dir /etc, which keeps a file there that tells it not to",
  );
}

/** Names of the services that run in this process's network namespace. */
export function runningServices(running = processesHere): readonly string[] {
  const names = running();
  return SERVICES.filter(({ process }) => names.has(process)).map(({ name }) => name);
}

/** With which command each service reads its files again. */
export const RELOADS: ReadonlyMap<string, readonly string[]> = new Map(
  SERVICES.map(({ name, reload }) => [name, reload.split(" ")]),
);

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
  const given = (snapshot?.networks ?? []).flatMap(({ spec }) =>
    // One that others have is theirs to manage.
    spec.bridge === undefined || bridgeOfOthers(spec) !== undefined ? [] : spec.bridge,
  );
  return [...PATTERNS, ...[...new Set(given)].sort()];
}

function isOurs(text: string): boolean {
  return text.startsWith(`${FIRST_LINE}\n`);
}

function foreignText(service: string, path: string, devices: readonly string[]): string {
  return `${path} is not Weft's and stays: see that it tells ${service} to leave ${devices.join(" ")} alone`;
}
