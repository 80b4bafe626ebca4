// What is attached on this host: the truth for its own workloads, also while the server is away. A file of one JSON
// record per line, written before the kernel is touched: a killed agent knows what it began. It is not forced to the
// disk, because it has nothing to say after a power loss: the namespaces it speaks of are gone with the kernel. Its
// first line names the boot; of an earlier one, every entry is only something to release, and what cannot be read was
// never answered for.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { Endpoint } from "../model/resource.ts";

/** `detaching`: its port goes or has gone; the address is not free before the server has heard of it. */
export type Entry = {
  readonly endpoint: Endpoint;
  readonly netnsId: string;
  readonly bootId: string;
  /** Of its network: one that was deleted and made again under the same name is another. */
  readonly networkUid?: string;
  readonly state: "attached" | "detaching";
  /** Name of the CNI configuration it was made by, if it was: what that configuration's GC may take away. */
  readonly cni?: string;
};
type Record = { readonly boot: string } | { readonly put: Entry } | { readonly remove: string };

export interface Journal {
  /** By endpoint name. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Grows with every change: two equal numbers mean that nothing happened in between. */
  readonly version: number;
  /** Survives `kill -9` when it returns. */
  put(entry: Entry): void;
  remove(endpoint: string): void;
  close(): void;
}

/** A namespace does not survive a reboot, so neither does what was attached to it. */
export function releaseEarlierBoots(journal: Journal, bootId: string): void {
  for (const entry of journal.entries.values()) {
    if (entry.bootId !== bootId && entry.state === "attached") journal.put({ ...entry, state: "detaching" });
  }
}

/** For simulation: what was written survives the agent, as a file does. */
export function memoryJournal(entries: Map<string, Entry> = new Map()): Journal {
  let version = 0;
  return {
    entries,
    get version() {
      return version;
    },
    put(entry) {
      version++;
      entries.set(entry.endpoint.name, entry);
    },
    remove(endpoint) {
      version++;
      entries.delete(endpoint);
    },
    close: () => undefined,
  };
}

/** History that may pile up behind what is attached before the file is rewritten. */
const HISTORY_MAX = 10_000;

/** The journal in a file, mode 0600; created if missing, rewritten when opened and when it is mostly history. */
export function fileJournal(path: string, bootId: string): Journal {
  const entries = existsSync(path) ? replay(readFileSync(path, "utf8"), bootId) : new Map<string, Entry>();
  let fd = rewritten(path, bootId, entries);
  let version = 0;
  let history = 0;
  const append = (record: Record) => {
    version++;
    if (++history > HISTORY_MAX + entries.size) {
      closeSync(fd);
      history = 0;
      // It holds this record already, because the entries do.
      fd = rewritten(path, bootId, entries);
    } else writeSync(fd, lineOf(record));
  };
  return {
    entries,
    get version() {
      return version;
    },
    put(entry) {
      entries.set(entry.endpoint.name, entry);
      append({ put: entry });
    },
    remove(endpoint) {
      entries.delete(endpoint);
      append({ remove: endpoint });
    },
    close: () => closeSync(fd),
  };
}

function lineOf(record: Record): string {
  return `${JSON.stringify(record)}\n`;
}

/** A torn last line is what a killed agent leaves; in this boot, nothing else can be damaged. */
function replay(text: string, bootId: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const lines = text.split("\n");
  const isThisBoot = lines[0] === lineOf({ boot: bootId }).trim();
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const record = parse(line);
    if (record === undefined) {
      if (!isThisBoot || i === lines.length - 1) continue;
      throw new Error(`line ${i + 1} of the journal is damaged, and it is not the last`);
    }
    if ("put" in record) entries.set(record.put.endpoint.name, record.put);
    else if ("remove" in record) entries.delete(record.remove);
  }
  return entries;
}

function parse(line: string): Record | undefined {
  try {
    return JSON.parse(line) as Record;
  } catch {
    return undefined;
  }
}

/** A file that is complete and on disk before it takes the old one's name; open for what follows. */
function rewritten(path: string, bootId: string, entries: ReadonlyMap<string, Entry>): number {
  const next = `${path}.next`;
  const fd = openSync(next, "w", 0o600);
  writeSync(fd, lineOf({ boot: bootId }) + [...entries.values()].map((entry) => lineOf({ put: entry })).join(""));
  fsyncSync(fd);
  renameSync(next, path);
  return fd;
}
