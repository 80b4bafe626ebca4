// The journal: what is attached on this host, also while the server is away; which addresses that uses; and who had
// those that were released lately, because quarantine keeps them for their owner. It is a file of one JSON record per
// line. A record is written before memory and kernel change, so a killed agent knows what it had begun, and a disk that
// refuses a record has changed nothing. It is not synced to the disk, because after a power loss the namespaces it
// names are gone with the kernel. The first line names the boot; entries of an earlier boot are only to be released.
//
// Each line has a checksum. A damaged line is skipped and reported; its endpoint is found again in the kernel and at
// the server (reconcile/adopt.ts). A file that ends early at the end of a line cannot be told from a whole one, so the
// journal alone never proves that a port has no endpoint.
import { attempt, type Files, notWritten } from "../../files/files.ts";
import { LineFile } from "../../files/lines.ts";
import { sealed, unsealed } from "../../files/seal.ts";
import { Intervals, type Used } from "../../ipam/intervals.ts";
import { type Family, ipOf } from "../../model/address.ts";
import { type Entry, type Former, isRecord, type Record } from "./record.ts";

export type { Entry, Former } from "./record.ts";

export interface Journal {
  /** By endpoint name. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** By addressKey(network, address): former owners of lately released addresses, the oldest release first. */
  readonly freed: ReadonlyMap<string, Former>;
  /** Addresses of a network that entries have. */
  used(network: string): Pick<UsedAddresses, "of">;
  /** Entries of one workload's namespace, by its identity. */
  inNetns(id: string): IteratorObject<Entry>;
  /** Grows with every change. */
  readonly version: number;
  /** When it returns, the entry survives `kill -9`. Throws a Fault `unavailable` if the disk refuses it. */
  put(entry: Entry): void;
  /** `atMs`: now. Throws as put() does. */
  remove(endpoint: string, atMs: number): void;
  /** What of the file could not be read, and why it cannot be written, a line each. */
  readonly troubles: readonly string[];
  close(): void;
}

/** The key of an address in `freed`. */
export function addressKey(network: string, address: string): string {
  return `${network} ${address}`;
}

/** At most so many former owners are remembered: more than a host releases within a quarantine. */
const FREED_MAX = 10_000;

/** The entries with their indexes: an attach asks for a network's used addresses and a namespace's entries. */
class Entries {
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
    for (const key of keysOf(entry)) this.freed.delete(key);
  }

  remove(endpoint: string, atMs: number): void {
    const entry = this.#forget(endpoint);
    this.entries.delete(endpoint);
    if (entry !== undefined) for (const key of keysOf(entry)) this.note(key, { endpoint, atMs });
  }

  used(network: string): UsedAddresses {
    return this.#used.get(network) ?? new UsedAddresses();
  }

  inNetns(id: string): IteratorObject<Entry> {
    return this.#netns.get(id)?.values() ?? [].values();
  }

  /** Drops attached entries that have the address or interface of a later one: the record of their removal is lost. */
  dropDisproved(by: Entry): void {
    const { network, addresses, ifname } = by.endpoint.spec;
    for (const { endpoint, netnsId, state } of this.entries.values()) {
      const { name, spec } = endpoint;
      if (name === by.endpoint.name || state !== "attached") continue;
      const isSameLink = netnsId === by.netnsId && spec.ifname === ifname;
      if (!isSameLink && !(spec.network === network && spec.addresses.some((one) => addresses.includes(one)))) continue;
      this.#forget(name);
      this.entries.delete(name);
    }
  }

  #index(entry: Entry): void {
    const { name, spec } = entry.endpoint;
    const used = this.used(spec.network);
    this.#used.set(spec.network, used);
    for (const address of spec.addresses) used.add(address);
    const netns = this.#netns.get(entry.netnsId) ?? new Map<string, Entry>();
    this.#netns.set(entry.netnsId, netns.set(name, entry));
  }

  /** Removes the entry from the indexes, and returns it. */
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

  note(key: string, former: Former): void {
    this.freed.delete(key);
    this.freed.set(key, former);
    const [oldest] = this.freed.keys();
    if (this.freed.size > FREED_MAX && oldest !== undefined) this.freed.delete(oldest);
  }

  get text(): string {
    const freed = [...this.freed].map(([key, former]) => lineOf({ freed: key, former }));
    return freed.join("") + [...this.entries.values()].map((entry) => lineOf({ put: entry })).join("");
  }
}

function keysOf({ endpoint: { spec } }: Entry): string[] {
  return spec.addresses.map((address) => addressKey(spec.network, address));
}

/** Namespaces do not survive a reboot, so their endpoints are detached. */
function releaseEarlierBoots(book: Entries, bootId: string): void {
  for (const entry of book.entries.values())
    if (entry.bootId !== bootId && entry.state === "attached") book.put({ ...entry, state: "detaching" });
}

/** Where the records go. */
type JournalDisk = {
  /** Throws a Fault `unavailable` if the disk refuses the record. */
  write(record: Record): void;
  readonly troubles: readonly string[];
  close(): void;
};

/** Writes to the disk before memory changes: a refused record must not be in memory. */
class KeptEntries extends Entries implements Journal {
  readonly #disk: JournalDisk;
  version = 0;

  constructor(entries: Map<string, Entry>, freed: Map<string, Former>, disk: JournalDisk) {
    super(entries, freed);
    this.#disk = disk;
  }

  override put(entry: Entry): void {
    this.#disk.write({ put: entry });
    this.version++;
    super.put(entry);
  }

  override remove(endpoint: string, atMs: number): void {
    this.#disk.write({ remove: endpoint, atMs });
    this.version++;
    super.remove(endpoint, atMs);
  }

  get troubles(): readonly string[] {
    return this.#disk.troubles;
  }

  close(): void {
    this.#disk.close();
  }
}

type Simulated = {
  /** Entries of other boots are to be released, as in a file. */
  readonly bootId?: string;
  /** Throws if the disk refuses a record. */
  readonly write?: () => void;
};

/** A journal in memory, for simulations: the maps survive the agent, as a file does. */
export function memoryJournal(
  entries: Map<string, Entry> = new Map(),
  freed: Map<string, Former> = new Map(),
  { bootId, write = () => undefined }: Simulated = {},
): Journal {
  if (bootId !== undefined) releaseEarlierBoots(new Entries(entries, freed), bootId);
  return new KeptEntries(entries, freed, { write, troubles: [], close: () => undefined });
}

/** The file is rewritten when it has so many records more than there are endpoints. */
const SURPLUS_MAX = 10_000;
/** After a refused rewrite, so many records are appended before the next attempt. */
const REWRITE_AGAIN = 1_000;

/** The journal in a file of mode 0600; made if missing, rewritten when it is opened and at too many surplus records. */
export function fileJournal(path: string, bootId: string, files: Files): Journal {
  const read = textIn(path, files);
  const { book, damaged } = replay(read.text, bootId);
  const file = new JournalFile(new LineFile(files, path), { path, bootId, ...read, book, damaged });
  return new KeptEntries(book.entries, book.freed, file);
}

/** An agent starts also if its journal is unreadable: what is attached is found again in the kernel. */
function textIn(path: string, files: Files): Pick<FileParts, "text" | "aside"> {
  try {
    return { text: files.exists(path) ? files.read(path) : "", aside: [] };
  } catch (error) {
    // An unreadable sector, a directory, a file that is longer than a string can be.
    const why = error instanceof Error ? error.message : String(error);
    attempt(() => files.rename(path, `${path}.damaged`));
    const then = "and was put aside; what it said is looked for in the kernel";
    return { text: "", aside: [`journal ${path} cannot be read (${why}) ${then}`] };
  }
}

type FileParts = {
  readonly path: string;
  readonly bootId: string;
  /** What it said when it was opened. */
  readonly text: string;
  /** Why nothing of it could be read. */
  readonly aside: readonly string[];
  readonly book: Entries;
  /** Numbers of the lines that could not be read. */
  readonly damaged: readonly number[];
};

class JournalFile implements JournalDisk {
  readonly #file: LineFile;
  readonly #parts: FileParts;
  #surplus = 0;
  /** Why the last write was refused. */
  #refused: string | undefined;

  constructor(file: LineFile, parts: FileParts) {
    this.#file = file;
    this.#parts = parts;
    // An agent must start also on a full disk: what is attached stays attached. If there is no file, the next record
    // needs a new one.
    if (this.#rewrite("") !== undefined) attempt(() => file.reopen(parts.text));
  }

  get troubles(): readonly string[] {
    const { path, damaged, aside } = this.#parts;
    const lines = damaged.slice(0, 10).join(", ");
    const read = `journal ${path}: line ${lines} is damaged; what it said is looked for in the kernel`;
    return [
      ...aside,
      ...(damaged.length === 0 ? [] : [read]),
      ...(this.#refused === undefined ? [] : [`journal: ${this.#refused}`]),
    ];
  }

  close(): void {
    this.#file.close();
  }

  write(record: Record): void {
    const line = lineOf(record);
    const isDue = ++this.#surplus > SURPLUS_MAX + this.#parts.book.entries.size || !this.#file.isSound;
    const refusal = isDue ? this.#rewrite(line) : undefined;
    if (refusal !== undefined && !this.#file.isSound) throw refusal;
    if (!isDue || refusal !== undefined) this.#append(line);
  }

  #append(line: string): void {
    try {
      this.#file.append(line);
      this.#refused = undefined;
    } catch (error) {
      throw this.#noted(error);
    }
  }

  /** A new file with the entries and this record. Returns why the disk refused, if it did; the old file stays then. */
  #rewrite(line: string): Error | undefined {
    const { bootId, book } = this.#parts;
    try {
      this.#file.rewrite(lineOf({ boot: bootId }) + book.text + line);
    } catch (error) {
      this.#surplus -= REWRITE_AGAIN;
      return this.#noted(error);
    }
    this.#surplus = 0;
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

/** Reads the file, as far as it is readable. Entries of an earlier boot are to be released. */
function replay(text: string, bootId: string): Pick<FileParts, "book" | "damaged"> {
  const book = new Entries(new Map(), new Map());
  const damaged: number[] = [];
  const lines = text.split("\n");
  const boots = new Set<string>();
  let isSealed = false;
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
    const read = unsealed(line);
    // Lines without a checksum were written by an earlier version, so they come before all lines with one.
    if (read !== undefined && (read.isSealed || !isSealed) && isRecord(read.value)) {
      isSealed = read.isSealed;
      take(book, read.value, boots, damaged.length > 0);
    }
    // An incomplete last line is what a killed agent leaves; its caller has had no answer.
    else if (i < lines.length - 1) damaged.push(i + 1);
  }
  releaseEarlierBoots(book, bootId);
  // Damage by a power loss does not matter: the endpoints of the damaged lines are gone, too.
  const isOfAnother = boots.size > 0 && !boots.has(bootId);
  return { book, damaged: isOfAnother ? [] : damaged };
}

function take(book: Entries, record: Record, boots: Set<string>, isAfterDamage: boolean): void {
  if ("boot" in record) boots.add(record.boot);
  else if ("put" in record) {
    boots.add(record.put.bootId);
    if (isAfterDamage) book.dropDisproved(record.put);
    book.put(record.put);
  } else if ("remove" in record) book.remove(record.remove, record.atMs);
  else if ("freed" in record) book.note(record.freed, record.former);
}

/** The used addresses of one network. The lowest free one is found at once, however many are used. */
export class UsedAddresses {
  /** How many entries have an address: two while one of them is being detached. */
  readonly #counts = new Map<string, number>();
  readonly #values = { 4: new Intervals(), 6: new Intervals() } as const;

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  add(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    this.#counts.set(address, count + 1);
    const ip = count === 0 ? ipOf(address) : undefined;
    if (ip !== undefined) this.#values[ip.family].take(ip.value);
  }

  delete(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    if (count !== 1) return;
    this.#counts.delete(address);
    const ip = ipOf(address);
    if (ip !== undefined) this.#values[ip.family].release(ip.value);
  }

  of(family: Family): Used {
    return this.#values[family];
  }
}
