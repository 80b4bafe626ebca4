// What is attached on this host: the truth for its own workloads, also while the server is away. A file of one JSON
// record per line, written before the kernel is touched and before memory says so: a killed agent knows what it began,
// and a disk that refuses a record has changed nothing. It is not forced to the disk, because it has nothing to say
// after a power loss: the namespaces it speaks of are gone with the kernel. Its first line names the boot; of an
// earlier one, every entry is only something to release.
//
// Each line has a checksum. One that is damaged is passed over and told: what it said of an endpoint is found again in
// the kernel and at the server (adopt.ts). A file that ends early at the end of a line cannot be told from a whole one,
// so the journal alone does not prove that a port has no endpoint.
import { type Files, attempt, notWritten } from "../../files/files.ts";
import { LineFile } from "../../files/lines.ts";
import { sealed, unsealed } from "../../files/seal.ts";
import { type Entry, type Former, type Record, isRecord } from "./record.ts";
import { UsedAddresses } from "./usedAddresses.ts";

export type { Entry, Former } from "./record.ts";

export interface Journal {
  /** By endpoint name. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** By placeOf(network, address): what was given back lately, the longest ago first. */
  readonly freed: ReadonlyMap<string, Former>;
  /** Addresses of a network that entries have. */
  used(network: string): Pick<UsedAddresses, "of">;
  /** Entries of one workload's namespace, by its identity. */
  inNetns(id: string): Iterable<Entry>;
  /** Grows with every change: two equal numbers mean that nothing happened in between. */
  readonly version: number;
  /** Survives `kill -9` when it returns. A Fault `unavailable` if the disk refuses it: then nothing has changed. */
  put(entry: Entry): void;
  /** `atMs`: now. Throws as put() does. */
  remove(endpoint: string, atMs: number): void;
  /** For people: what of the file could not be read, and why it cannot be written. */
  readonly troubles: readonly string[];
  close(): void;
}

/** An address within a network, as `freed` knows it. */
export function addressKey(network: string, address: string): string {
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
  readonly #used = new Map<string, UsedAddresses>();
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

  used(network: string): UsedAddresses {
    return this.#used.get(network) ?? new UsedAddresses();
  }

  inNetns(id: string): Iterable<Entry> {
    return this.#netns.get(id)?.values() ?? [];
  }

  /**
   * Attached entries that a later one contradicts, because it has their address or interface: the line that removed
   * them was lost.
   */
  disproved(entry: Entry): readonly string[] {
    const { network, addresses, ifname } = entry.endpoint.spec;
    const isContradicted = ({ endpoint: { name, spec }, netnsId, state }: Entry) =>
      name !== entry.endpoint.name &&
      state === "attached" &&
      ((netnsId === entry.netnsId && spec.ifname === ifname) ||
        (spec.network === network && spec.addresses.some((one) => addresses.includes(one))));
    return [...this.entries.values()].filter(isContradicted).map(({ endpoint }) => endpoint.name);
  }

  drop(endpoint: string): void {
    this.#forget(endpoint);
    this.entries.delete(endpoint);
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
  return spec.addresses.map((address) => addressKey(spec.network, address));
}

/** A namespace does not survive a reboot, so neither does what was attached to it. */
function releaseEarlierBoots(book: Book, bootId: string): void {
  for (const entry of book.entries.values())
    if (entry.bootId !== bootId && entry.state === "attached") book.put({ ...entry, state: "detaching" });
}

type Simulated = {
  /** Entries of others are to be released, as in a file. */
  readonly bootId?: string;
  /** Throws if the disk refuses a record. */
  readonly write?: () => void;
};

/** For simulation: what was written survives the agent, as a file does. */
export function memoryJournal(
  entries: Map<string, Entry> = new Map(),
  freed: Map<string, Former> = new Map(),
  { bootId, write = () => undefined }: Simulated = {},
): Journal {
  const book = new Book(entries, freed);
  if (bootId !== undefined) releaseEarlierBoots(book, bootId);
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
      write();
      version++;
      book.put(entry);
    },
    remove(endpoint, atMs) {
      write();
      version++;
      book.remove(endpoint, atMs);
    },
    troubles: [],
    close: () => undefined,
  };
}

/** History that may pile up behind what is attached before the file is rewritten. */
const HISTORY_MAX = 10_000;
/** Records until a rewrite that the disk refused is tried again. */
const REWRITE_AGAIN = 1_000;

/** The journal in a file, mode 0600; created if missing, rewritten when opened and when it is mostly history. */
export function fileJournal(path: string, bootId: string, files: Files): Journal {
  const read = textIn(path, files);
  const text = read instanceof Error ? "" : read;
  const aside = read instanceof Error ? putAside(path, files, read) : undefined;
  return new FileJournal(new LineFile(files, path), { path, bootId, text, aside, ...replay(text, bootId) });
}

function textIn(path: string, files: Files): string | Error {
  try {
    return files.exists(path) ? files.read(path) : "";
  } catch (error) {
    // A sector that is gone, a directory, a file that is longer than a text can be.
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** An agent starts whatever became of its journal: what is attached is found again in the kernel. */
function putAside(path: string, files: Files, { message }: Error): string {
  attempt(() => files.rename(path, `${path}.damaged`));
  return `journal ${path} cannot be read (${message}) and was put aside; what it said is looked for in the kernel`;
}

type FileParts = {
  readonly path: string;
  readonly bootId: string;
  readonly book: Book;
  /** Numbers of the lines that could not be read. */
  readonly damaged: readonly number[];
  /** Why the whole file could not be. */
  readonly aside: string | undefined;
};

class FileJournal implements Journal {
  readonly #file: LineFile;
  readonly #parts: FileParts;
  #version = 0;
  #history = 0;
  /** Why the last write was refused. */
  #refused: string | undefined;

  constructor(file: LineFile, { text, ...parts }: FileParts & { readonly text: string }) {
    this.#file = file;
    this.#parts = parts;
    if (this.#rewrite("") === undefined) return;
    // An agent has to start also on a full disk: what is attached stays attached.
    try {
      file.reopen(text);
    } catch {
      // There is no file: the next record needs a new one.
    }
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#parts.book.entries;
  }
  get freed(): ReadonlyMap<string, Former> {
    return this.#parts.book.freed;
  }
  get version(): number {
    return this.#version;
  }
  get troubles(): readonly string[] {
    const { path, damaged, aside } = this.#parts;
    const lines = damaged.slice(0, 10).join(", ");
    const read = `journal ${path}: line ${lines} is damaged; what it said is looked for in the kernel`;
    return [
      ...(aside === undefined ? [] : [aside]),
      ...(damaged.length === 0 ? [] : [read]),
      ...(this.#refused === undefined ? [] : [`journal: ${this.#refused}`]),
    ];
  }

  used(network: string): Pick<UsedAddresses, "of"> {
    return this.#parts.book.used(network);
  }

  inNetns(id: string): Iterable<Entry> {
    return this.#parts.book.inNetns(id);
  }

  put(entry: Entry): void {
    this.#write({ put: entry });
    this.#parts.book.put(entry);
  }

  remove(endpoint: string, atMs: number): void {
    this.#write({ remove: endpoint, atMs });
    this.#parts.book.remove(endpoint, atMs);
  }

  close(): void {
    this.#file.close();
  }

  /** The disk first: what it refused must not be in memory. */
  #write(record: Record): void {
    const line = lineOf(record);
    const isDue = ++this.#history > HISTORY_MAX + this.entries.size || !this.#file.isSound;
    const refusal = isDue ? this.#rewrite(line) : undefined;
    if (refusal !== undefined && !this.#file.isSound) throw refusal;
    if (!isDue || refusal !== undefined) this.#append(line);
    this.#version++;
  }

  #append(line: string): void {
    try {
      this.#file.append(line);
      this.#refused = undefined;
    } catch (error) {
      throw this.#noted(error);
    }
  }

  /** A new file of what is attached and this record; why not, if the disk refuses it, and then all is as it was. */
  #rewrite(line: string): Error | undefined {
    const { bootId, book } = this.#parts;
    try {
      this.#file.rewrite(lineOf({ boot: bootId }) + book.text + line);
    } catch (error) {
      this.#history -= REWRITE_AGAIN;
      return this.#noted(error);
    }
    this.#history = 0;
    this.#refused = undefined;
    return undefined;
  }

  #noted(error: unknown): Error {
    const fault = notWritten(this.#parts.path, error);
    this.#refused = fault.message;
    return fault;
  }
}

function lineOf(record: Record): string {
  return `${sealed(record)}\n`;
}

/** What the file says, as far as it can be read. Entries of an earlier boot are to be released. */
function replay(text: string, bootId: string): Pick<FileParts, "book" | "damaged"> {
  const book = new Book(new Map(), new Map());
  const damaged: number[] = [];
  const lines = text.split("\n");
  const boots = new Set<string>();
  let isSealed = false;
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const found = recordIn(line, isSealed);
    isSealed ||= found?.isSealed === true;
    if (found !== undefined) take(book, found.record, boots, damaged.length > 0);
    // A last line without its end is what a killed agent leaves: its caller got no answer.
    else if (i < lines.length - 1) damaged.push(i + 1);
  }
  releaseEarlierBoots(book, bootId);
  // A power loss damages what it likes, and takes along what the lines were about.
  const isOfAnother = boots.size > 0 && !boots.has(bootId);
  return { book, damaged: isOfAnother ? [] : damaged };
}

function take(book: Book, record: Record, boots: Set<string>, isAfterDamage: boolean): void {
  if ("boot" in record) boots.add(record.boot);
  else if ("put" in record) {
    boots.add(record.put.bootId);
    if (isAfterDamage) for (const name of book.disproved(record.put)) book.drop(name);
    book.put(record.put);
  } else if ("remove" in record) book.remove(record.remove, record.atMs);
  else if ("freed" in record) book.note(record.freed, record.former);
}

/** Lines without a checksum are an earlier version's, and stand before all that have one. */
function recordIn(
  line: string,
  mustBeSealed: boolean,
): { readonly record: Record; readonly isSealed: boolean } | undefined {
  const read = unsealed(line);
  if (read === undefined || (mustBeSealed && !read.isSealed) || !isRecord(read.value)) return undefined;
  return { record: read.value, isSealed: read.isSealed };
}
