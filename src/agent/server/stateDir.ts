// What an agent keeps on disk besides its journal: who it is, and the last snapshot, so that a host boots its networks
// with the server away. Files of mode 0600 in the state directory, each with a checksum, each replaced whole. One that
// is damaged is put aside, told, and rebuilt from the others and from the server: an agent starts whatever became of
// its disk.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Files, attempt, notWritten, replaceFile, replaceFileLater } from "../../files/files.ts";
import { sealed, unsealed } from "../../files/seal.ts";
import type { Fault } from "../../model/fault.ts";
import { type Snapshot, emptySnapshot } from "../../model/resource.ts";
import type { BlockLeaseRecord } from "../journal/blockLease.ts";

/** The host's own credential, and the cluster that gave it. */
type Identity = { readonly host: string; readonly cluster: string; readonly token: string };
type Proposal = { readonly token: string };

/** What saves throws a Fault `unavailable` if the disk refuses it; then the file is as it was. */
export type Disk = {
  readonly identity: () => Identity | undefined;
  readonly saveIdentity: (identity: Identity) => void;
  /**
   * The credential this host proposes when it joins, kept before it is sent: a join whose answer is lost can be
   * repeated.
   */
  readonly proposal: (make: () => string) => string;
  /** What was proposed last, if anything was. */
  readonly proposed: () => string | undefined;
  /** One that differs from the credential it has and from those that were refused. */
  readonly nextProposal: (make: () => string, refused: ReadonlySet<string>) => string;
  readonly blockLease: () => BlockLeaseRecord | undefined;
  readonly saveBlockLease: (blockLease: BlockLeaseRecord) => void;
  readonly snapshot: () => Snapshot | undefined;
  /** One after the other, in the order of the calls. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  readonly journalPath: string;
  /** For people, a line each: files that were damaged, and what could not be written. */
  readonly troubles: () => readonly string[];
};

/** Opens the state directory, made if it is missing. */
export function openDisk(directory: string, files: Files): Disk {
  try {
    if (!files.exists(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw notWritten(directory, cause);
  }
  const shelf = new Shelf(directory, files);
  const identity = () => shelf.load("identity.json", isIdentity);
  const proposed = () => shelf.load("proposal.json", isProposal)?.token;
  const propose = (token: string) => {
    shelf.save("proposal.json", { token });
    return token;
  };
  let saving = Promise.resolve();
  return {
    identity,
    saveIdentity: (joined) => shelf.save("identity.json", joined),
    // Both files hold the same credential while a host lives: each rebuilds the other.
    proposed,
    proposal: (make) => proposed() ?? identity()?.token ?? propose(make()),
    nextProposal(make, refused) {
      const kept = proposed();
      // What was proposed and never answered may be known to the server, as this host's.
      return kept !== undefined && !refused.has(kept) && kept !== identity()?.token ? kept : propose(make());
    },
    // Whether the host was given up is not known then: it assigns nothing before it has heard from the server.
    blockLease: () =>
      shelf.load("standing.json", isLeaseRecord) ?? (shelf.isDamaged("standing.json") ? { isUnsure: true } : undefined),
    saveBlockLease: (blockLease) => shelf.save("standing.json", blockLease),
    snapshot() {
      const saved = shelf.load("snapshot.json", isSnapshot);
      // An earlier version may not have known every kind.
      return saved === undefined ? undefined : { ...emptySnapshot(saved.cluster), ...saved };
    },
    saveSnapshot(snapshot) {
      // Two at once would write one file, and the second would find it renamed.
      saving = saving.catch(() => undefined).then(() => shelf.saveLater("snapshot.json", snapshot));
      return saving;
    },
    journalPath: join(directory, "attachments.ndjson"),
    troubles: () => shelf.troubles,
  };
}

/** Files of one JSON object each. */
class Shelf {
  readonly #directory: string;
  readonly #files: Files;
  readonly #damaged = new Set<string>();
  readonly #refused = new Map<string, string>();

  constructor(directory: string, files: Files) {
    this.#directory = directory;
    this.#files = files;
  }

  get troubles(): readonly string[] {
    const damaged = [...this.#damaged].map((name) => {
      return `${this.#path(name)} was damaged and is not used; it was put aside as ${name}.damaged`;
    });
    return [...damaged, ...this.#refused.values()];
  }

  isDamaged(name: string): boolean {
    return this.#damaged.has(name);
  }

  load<T>(name: string, isWhole: (value: unknown) => value is T): T | undefined {
    const path = this.#path(name);
    if (!this.#files.exists(path)) return undefined;
    const read = readable(this.#files, path);
    if (read !== undefined && isWhole(read.value)) return read.value;
    this.#damaged.add(name);
    attempt(() => this.#files.rename(path, `${path}.damaged`));
    return undefined;
  }

  save(name: string, value: object): void {
    try {
      replaceFile(this.#files, this.#path(name), sealed(value));
    } catch (error) {
      throw this.#noted(name, error);
    }
    this.#refused.delete(name);
  }

  /** The same of what is large. */
  async saveLater(name: string, value: object): Promise<void> {
    try {
      await replaceFileLater(this.#files, this.#path(name), sealed(value));
    } catch (error) {
      throw this.#noted(name, error);
    }
    this.#refused.delete(name);
  }

  #noted(name: string, error: unknown): Fault {
    const fault = notWritten(this.#path(name), error);
    this.#refused.set(name, fault.message);
    return fault;
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

function readable(files: Files, path: string): { readonly value: unknown } | undefined {
  try {
    return unsealed(files.read(path));
  } catch {
    // A sector that cannot be read, and bytes that are no text.
    return undefined;
  }
}

type Fields = Readonly<Partial<Record<string, unknown>>>;
function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isIdentity(value: unknown): value is Identity {
  return isFields(value) && [value["host"], value["cluster"], value["token"]].every((one) => isText(one));
}

function isProposal(value: unknown): value is Proposal {
  return isFields(value) && isText(value["token"]);
}

function isLeaseRecord(value: unknown): value is BlockLeaseRecord {
  if (!isFields(value)) return false;
  const { reclaimAfterMs, ended, isUnsure, ...rest } = value;
  if (Object.keys(rest).length > 0 || (isUnsure !== undefined && isUnsure !== true)) return false;
  const isSpan = reclaimAfterMs === undefined || typeof reclaimAfterMs === "number";
  return isSpan && (ended === undefined || (isFields(ended) && isText(ended["reason"]) && isFields(ended["detail"])));
}

function isSnapshot(value: unknown): value is Snapshot {
  if (!isFields(value) || !isText(value["cluster"]) || typeof value["revision"] !== "number") return false;
  const { cluster: _, revision: __, ...lists } = emptySnapshot("");
  // Lists that an earlier version did not know are missing, not wrong.
  return Object.keys(lists).every((name) => {
    const list = value[name];
    return list === undefined || (Array.isArray(list) && list.every(isResource));
  });
}

function isResource(value: unknown): boolean {
  return isFields(value) && isText(value["kind"]) && isText(value["name"]) && isFields(value["spec"]);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
