// What is attached on this host: the truth for its own workloads, also while the server is away. An append-only file of
// one JSON record per line: written before the kernel is touched (so that a killed agent knows what it began), on disk
// before an attach is answered. A torn last line is what a crash leaves; it was never answered, so it is dropped.
import { closeSync, existsSync, fdatasync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { Endpoint } from "../model/resource.ts";

/** `detaching`: its port goes or has gone; the address is not free before the server has heard of it. */
export type Entry = {
  readonly endpoint: Endpoint;
  readonly netnsId: string;
  readonly bootId: string;
  readonly state: "attached" | "detaching";
};
type Record = { readonly put: Entry } | { readonly remove: string };

export interface Journal {
  /** By endpoint name. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Grows with every change: two equal numbers mean that nothing happened in between. */
  readonly version: number;
  /** Written when it returns, durable when the promise resolves. */
  put(entry: Entry): Promise<void>;
  remove(endpoint: string): Promise<void>;
  close(): void;
}

/** For simulation: what was written survives the agent, as a file does. */
export function memoryJournal(entries: Map<string, Entry> = new Map()): Journal {
  let version = 0;
  return {
    entries,
    get version() {
      return version;
    },
    async put(entry) {
      version++;
      entries.set(entry.endpoint.name, entry);
    },
    async remove(endpoint) {
      version++;
      entries.delete(endpoint);
    },
    close: () => undefined,
  };
}

/** The journal in a file, mode 0600; created if missing, compacted when opened. */
export function fileJournal(path: string): Journal {
  const entries = existsSync(path) ? replay(readFileSync(path, "utf8")) : new Map<string, Entry>();
  compact(path, entries);
  const fd = openSync(path, "a", 0o600);
  let version = 0;
  const append = (record: Record) => {
    version++;
    writeSync(fd, `${JSON.stringify(record)}\n`);
    return synced(fd);
  };
  return {
    entries,
    get version() {
      return version;
    },
    put(entry) {
      entries.set(entry.endpoint.name, entry);
      return append({ put: entry });
    },
    remove(endpoint) {
      entries.delete(endpoint);
      return append({ remove: endpoint });
    },
    close: () => closeSync(fd),
  };
}

function replay(text: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const lines = text.split("\n");
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const record = parse(line);
    if (record === undefined) {
      if (i >= lines.length - 2) break;
      throw new Error(`line ${i + 1} of the journal is damaged, and it is not the last`);
    }
    if ("put" in record) entries.set(record.put.endpoint.name, record.put);
    else entries.delete(record.remove);
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

/** The new file is complete and on disk before it takes the old one's name. */
function compact(path: string, entries: ReadonlyMap<string, Entry>): void {
  const next = `${path}.next`;
  const fd = openSync(next, "w", 0o600);
  writeSync(fd, [...entries.values()].map((entry) => `${JSON.stringify({ put: entry })}\n`).join(""));
  fsyncSync(fd);
  closeSync(fd);
  renameSync(next, path);
}

function synced(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error === null ? resolve() : reject(error))));
}
