// The state directory: an agent's files besides its journal. They hold its identity and the last snapshot, with which a
// host brings up its networks without the server. Each file has mode 0600 and a checksum, and is replaced as a whole. A
// damaged file is put aside, reported, and rebuilt from the others and from the server, so an agent always starts.
import { join } from "node:path";
import { makeDirectory } from "../../files/directories.ts";
import { attempt, attemptOf, type Files, notWritten, replaceFile, replaceFileLater } from "../../files/files.ts";
import { sealed, unsealed } from "../../files/seal.ts";
import { emptySnapshot, type Snapshot } from "../../model/resource.ts";
import type { HostCertificate } from "../../client/hostCredential.ts";
import type { BlockLeaseRecord } from "../journal/blockLease.ts";
import type { TakeOver } from "../reconcile/takeOver.ts";

/** All that `weft purge` removes with the journal. */
export const STATE_FILES = [
  "identity.json",
  "proposal.json",
  "certificate.json",
  "standing.json",
  "snapshot.json",
  "takeovers.json",
] as const;
type StateFile = (typeof STATE_FILES)[number];

/** The host's private key, and the cluster that knows it. */
type Identity = { readonly host: string; readonly cluster: string; readonly key: string };
type Proposal = { readonly key?: string };

/** Functions that save throw a Fault `unavailable` if the disk refuses it; the file is unchanged then. */
export type Disk = {
  readonly identity: () => Identity | undefined;
  readonly saveIdentity: (identity: Identity) => void;
  /** The certificate for the key, and the CAs to trust. */
  readonly certificate: () => HostCertificate | undefined;
  readonly saveCertificate: (given: HostCertificate) => void;
  /** The host's private key; saved before it is used, so that a lost join can be repeated. */
  readonly proposal: (make: () => string) => string;
  /** The last key that was proposed, if there is one. */
  readonly proposed: () => string | undefined;
  /** A key that differs from the host's and from those that were refused. */
  readonly nextProposal: (make: () => string, refused: ReadonlySet<string>) => string;
  readonly blockLease: () => BlockLeaseRecord | undefined;
  readonly saveBlockLease: (blockLease: BlockLeaseRecord) => void;
  readonly snapshot: () => Snapshot | undefined;
  /** Saves run one after another, in the order of the calls. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  /** Devices that were taken over from the host. */
  readonly takeOvers: () => readonly TakeOver[];
  readonly saveTakeOvers: (all: readonly TakeOver[]) => void;
  readonly journalPath: string;
  /** Files that were damaged, and what could not be written, a line each. */
  readonly troubles: () => readonly string[];
};

/** Opens the state directory, made if it is missing. */
export function openDisk(directory: string, files: Files): Disk {
  try {
    if (!files.exists(directory)) makeDirectory(directory, 0o700);
  } catch (cause) {
    throw notWritten(directory, cause);
  }
  const jsonFiles = new JsonFiles(directory, files);
  const identity = () => jsonFiles.load("identity.json", isIdentity);
  const proposed = () => jsonFiles.load("proposal.json", isProposal)?.key;
  const propose = (key: string) => {
    jsonFiles.save("proposal.json", { key });
    return key;
  };
  let saving = Promise.resolve();
  return {
    identity,
    saveIdentity: (joined) => jsonFiles.save("identity.json", joined),
    certificate: () => jsonFiles.load("certificate.json", isCertificate),
    saveCertificate: ({ certificate, ca }) => jsonFiles.save("certificate.json", { certificate, ca }),
    proposed,
    // Both files have the same key as long as the host exists, so each can replace the other.
    proposal: (make) => proposed() ?? identity()?.key ?? propose(make()),
    nextProposal(make, refused) {
      const last = proposed();
      // The server may know the key of an unanswered join as this host's.
      return last !== undefined && !refused.has(last) && last !== identity()?.key ? last : propose(make());
    },
    // If it is damaged, the host may have been reclaimed: it allocates nothing before the server has answered.
    blockLease: () =>
      jsonFiles.load("standing.json", isLeaseRecord) ??
      (jsonFiles.isDamaged("standing.json") ? { isUnsure: true } : undefined),
    saveBlockLease: (blockLease) => jsonFiles.save("standing.json", blockLease),
    snapshot() {
      const saved = jsonFiles.load("snapshot.json", isSnapshot);
      // An earlier version may have lacked a kind.
      return saved === undefined ? undefined : { ...emptySnapshot(saved.cluster), ...saved };
    },
    saveSnapshot(snapshot) {
      // Two at once would write the same temporary file.
      saving = saving.catch(() => undefined).then(() => jsonFiles.saveLater("snapshot.json", snapshot));
      return saving;
    },
    takeOvers: () => jsonFiles.load("takeovers.json", isTakeOvers)?.all ?? [],
    saveTakeOvers: (all) => jsonFiles.save("takeovers.json", { all }),
    journalPath: join(directory, "attachments.ndjson"),
    troubles: () => jsonFiles.troubles,
  };
}

/** Files of one JSON object each. */
class JsonFiles {
  readonly #directory: string;
  readonly #files: Files;
  readonly #damaged = new Set<StateFile>();
  readonly #refused = new Map<StateFile, string>();

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

  isDamaged(name: StateFile): boolean {
    return this.#damaged.has(name);
  }

  load<T>(name: StateFile, isWhole: (value: unknown) => value is T): T | undefined {
    const path = this.#path(name);
    if (!this.#files.exists(path)) return undefined;
    // It may have an unreadable sector, or bytes that are not UTF-8.
    const value = attemptOf(() => unsealed(this.#files.read(path))?.value);
    if (isWhole(value)) return value;
    this.#damaged.add(name);
    attempt(() => this.#files.rename(path, `${path}.damaged`));
    return undefined;
  }

  save(name: StateFile, value: object): void {
    try {
      replaceFile(this.#files, this.#path(name), sealed(value));
    } catch (error) {
      this.#refuse(name, error);
    }
    this.#refused.delete(name);
  }

  /** The same for large values. */
  async saveLater(name: StateFile, value: object): Promise<void> {
    await replaceFileLater(this.#files, this.#path(name), sealed(value)).catch((e: unknown) => this.#refuse(name, e));
    this.#refused.delete(name);
  }

  #refuse(name: StateFile, error: unknown): never {
    const fault = notWritten(this.#path(name), error);
    this.#refused.set(name, fault.message);
    throw fault;
  }

  #path(name: StateFile): string {
    return join(this.#directory, name);
  }
}

type Fields = Readonly<Partial<Record<string, unknown>>>;
function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isIdentity(value: unknown): value is Identity {
  return (
    isFields(value) && [value["host"], value["cluster"], value["key"] ?? value["token"]].every((one) => isText(one))
  );
}

function isProposal(value: unknown): value is Proposal {
  return isFields(value) && isText(value["key"] ?? value["token"]);
}

function isCertificate(value: unknown): value is HostCertificate {
  return isFields(value) && isText(value["certificate"]) && isText(value["ca"]);
}

function isLeaseRecord(value: unknown): value is BlockLeaseRecord {
  if (!isFields(value)) return false;
  const { reclaimAfterMs, ended, isUnsure, ...rest } = value;
  if (Object.keys(rest).length > 0 || (isUnsure !== undefined && isUnsure !== true)) return false;
  const isSpan = reclaimAfterMs === undefined || typeof reclaimAfterMs === "number";
  return isSpan && (ended === undefined || (isFields(ended) && isText(ended["reason"]) && isFields(ended["detail"])));
}

/** Its checksum says that the agent wrote it. */
function isTakeOvers(value: unknown): value is { readonly all: readonly TakeOver[] } {
  return (
    isFields(value) && Array.isArray(value["all"]) && value["all"].every((one) => isFields(one) && isFields(one["use"]))
  );
}

function isSnapshot(value: unknown): value is Snapshot {
  if (!isFields(value) || !isText(value["cluster"]) || typeof value["revision"] !== "number") return false;
  const { cluster: _, revision: __, ...lists } = emptySnapshot("");
  // A list that an earlier version did not know may be missing.
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
