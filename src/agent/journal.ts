// What is attached on this host: the truth for its own workloads, also while the server is away. A file of one JSON
// record per line, written before the kernel is touched: a killed agent knows what it began. It is not forced to the
// disk, because it has nothing to say after a power loss: the namespaces it speaks of are gone with the kernel. Its
// first line names the boot; of an earlier one, every entry is only something to release, and what cannot be read was
// never answered for.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { Endpoint } from "../model/resource.ts";
import { Taken } from "./taken.ts";

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
/** Whose an address was, until when. */
export type Former = { readonly endpoint: string; readonly atMs: number };
type Record =
  | { readonly boot: string }
  | { readonly put: Entry }
  | { readonly remove: string; readonly atMs: number }
  | { readonly freed: string; readonly former: Former };

export interface Journal {
  /** By endpoint name. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** By placeOf(network, address): what was given back lately, the longest ago first. */
  readonly freed: ReadonlyMap<string, Former>;
  /** Addresses of a network that entries have. */
  used(network: string): Pick<Taken, "of">;
  /** Entries of one workload's namespace, by its identity. */
  inNetns(id: string): Iterable<Entry>;
  /** Grows with every change: two equal numbers mean that nothing happened in between. */
  readonly version: number;
  /** Survives `kill -9` when it returns. */
  put(entry: Entry): void;
  /** `atMs`: now. */
  remove(endpoint: string, atMs: number): void;
  close(): void;
}

/** An address within a network, as `freed` knows it. */
export function placeOf(network: string, address: string): string {
  return `${network} ${address}`;
}

/** Addresses remembered at most: more than any host gives back within a quarantine. */
const FREED_MAX = 10_000;

/**
 * What both journals do alike. An attach asks who has an address and who is in a namespace: both are known without a
 * walk over all entries.
 */
class Book {
  readonly entries: Map<string, Entry>;
  readonly freed: Map<string, Former>;
  /** By network. */
  readonly #used = new Map<string, Taken>();
  readonly #netns = new Map<string, Map<string, Entry>>();

  constructor(entries: Map<string, Entry>, freed: Map<string, Former>) {
    this.entries = entries;
    this.freed = freed;
    for (const entry of entries.values()) this.#index(entry);
  }

  put(entry: Entry): void {
    this.#forget(entry.endpoint.name);
    this.entries.set(entry.endpoint.name, entry);
    this.#index(entry);
    for (const place of placesOf(entry)) this.freed.delete(place);
  }

  remove(endpoint: string, atMs: number): void {
    const entry = this.#forget(endpoint);
    this.entries.delete(endpoint);
    if (entry !== undefined) for (const place of placesOf(entry)) this.note(place, { endpoint, atMs });
  }

  used(network: string): Taken {
    return this.#used.get(network) ?? new Taken();
  }

  inNetns(id: string): Iterable<Entry> {
    return this.#netns.get(id)?.values() ?? [];
  }

  #index(entry: Entry): void {
    const { name, spec } = entry.endpoint;
    const used = this.used(spec.network);
    this.#used.set(spec.network, used);
    for (const address of spec.addresses) used.add(address);
    const netns = this.#netns.get(entry.netnsId) ?? new Map<string, Entry>();
    this.#netns.set(entry.netnsId, netns.set(name, entry));
  }

  /** Of the indexes; gives what they had. */
  #forget(name: string): Entry | undefined {
    const entry = this.entries.get(name);
    if (entry === undefined) return undefined;
    const { spec } = entry.endpoint;
    const used = this.used(spec.network);
    for (const address of spec.addresses) used.delete(address);
    if (used.isEmpty) this.#used.delete(spec.network);
    const netns = this.#netns.get(entry.netnsId);
    netns?.delete(name);
    if (netns?.size === 0) this.#netns.delete(entry.netnsId);
    return entry;
  }

  note(place: string, former: Former): void {
    this.freed.delete(place);
    this.freed.set(place, former);
    const [oldest] = this.freed.keys();
    if (this.freed.size > FREED_MAX && oldest !== undefined) this.freed.delete(oldest);
  }

  get text(): string {
    const freed = [...this.freed].map(([place, former]) => lineOf({ freed: place, former }));
    return freed.join("") + [...this.entries.values()].map((entry) => lineOf({ put: entry })).join("");
  }
}

function placesOf({ endpoint: { spec } }: Entry): string[] {
  return spec.addresses.map((address) => placeOf(spec.network, address));
}

/** A namespace does not survive a reboot, so neither does what was attached to it. */
export function releaseEarlierBoots(journal: Journal, bootId: string): void {
  for (const entry of journal.entries.values()) {
    if (entry.bootId !== bootId && entry.state === "attached") journal.put({ ...entry, state: "detaching" });
  }
}

/** For simulation: what was written survives the agent, as a file does. */
export function memoryJournal(
  entries: Map<string, Entry> = new Map(),
  freed: Map<string, Former> = new Map(),
): Journal {
  const book = new Book(entries, freed);
  let version = 0;
  return {
    entries,
    freed,
    used: (network) => book.used(network),
    inNetns: (id) => book.inNetns(id),
    get version() {
      return version;
    },
    put(entry) {
      version++;
      book.put(entry);
    },
    remove(endpoint, atMs) {
      version++;
      book.remove(endpoint, atMs);
    },
    close: () => undefined,
  };
}

/** History that may pile up behind what is attached before the file is rewritten. */
const HISTORY_MAX = 10_000;

/** The journal in a file, mode 0600; created if missing, rewritten when opened and when it is mostly history. */
export function fileJournal(path: string, bootId: string): Journal {
  const book = existsSync(path) ? replay(readFileSync(path, "utf8"), bootId) : new Book(new Map(), new Map());
  const { entries, freed } = book;
  let fd = rewritten(path, bootId, book);
  let version = 0;
  let history = 0;
  const append = (record: Record) => {
    version++;
    if (++history > HISTORY_MAX + entries.size) {
      closeSync(fd);
      history = 0;
      // It holds this record already, because the book does.
      fd = rewritten(path, bootId, book);
    } else writeSync(fd, lineOf(record));
  };
  return {
    entries,
    freed,
    used: (network) => book.used(network),
    inNetns: (id) => book.inNetns(id),
    get version() {
      return version;
    },
    put(entry) {
      book.put(entry);
      append({ put: entry });
    },
    remove(endpoint, atMs) {
      book.remove(endpoint, atMs);
      append({ remove: endpoint, atMs });
    },
    close: () => closeSync(fd),
  };
}

function lineOf(record: Record): string {
  return `${JSON.stringify(record)}\n`;
}

/** A torn last line is what a killed agent leaves; in this boot, nothing else can be damaged. */
function replay(text: string, bootId: string): Book {
  const book = new Book(new Map(), new Map());
  const lines = text.split("\n");
  const isThisBoot = lines[0] === lineOf({ boot: bootId }).trim();
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const record = parse(line);
    if (record === undefined) {
      if (!isThisBoot || i === lines.length - 1) continue;
      throw new Error(`line ${i + 1} of the journal is damaged, and it is not the last`);
    }
    if ("put" in record) book.put(record.put);
    else if ("remove" in record) book.remove(record.remove, record.atMs);
    else if ("freed" in record) book.note(record.freed, record.former);
  }
  return book;
}

function parse(line: string): Record | undefined {
  try {
    return JSON.parse(line) as Record;
  } catch {
    return undefined;
  }
}

/** A file that is complete and on disk before it takes the old one's name; open for what follows. */
function rewritten(path: string, bootId: string, book: Book): number {
  const next = `${path}.next`;
  const fd = openSync(next, "w", 0o600);
  writeSync(fd, lineOf({ boot: bootId }) + book.text);
  fsyncSync(fd);
  renameSync(next, path);
  return fd;
}
