// What an agent keeps on disk besides its journal: who it is, and the last snapshot, so that a host boots its networks
// with the server away. Files of mode 0600 in the state directory, each replaced whole.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../model/fault.ts";
import { type Snapshot, emptySnapshot } from "../model/resource.ts";
import type { StandingRecord } from "./standing.ts";

/** The host's own credential, and the cluster that gave it. */
type Identity = { readonly host: string; readonly cluster: string; readonly token: string };

export type Disk = {
  readonly identity: () => Identity | undefined;
  readonly saveIdentity: (identity: Identity) => void;
  /**
   * The credential this host proposes when it joins, kept before it is sent: a join whose answer is lost can be
   * repeated.
   */
  readonly proposal: (make: () => string) => string;
  /** One that differs from the credential it has and from those that were refused. */
  readonly nextProposal: (make: () => string, refused: ReadonlySet<string>) => string;
  readonly standing: () => StandingRecord | undefined;
  readonly saveStanding: (standing: StandingRecord) => void;
  readonly snapshot: () => Snapshot | undefined;
  /** One after the other, in the order of the calls. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  readonly journalPath: string;
};

/**
 * Opens the state directory, made if it is missing. A file that cannot be read as what it should be is a Fault, not a
 * fresh start.
 */
export function openDisk(directory: string): Disk {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(directory, name);
  const write = async (snapshot: Snapshot) => {
    const next = path("snapshot.json.next");
    await writeFile(next, JSON.stringify(snapshot), { mode: 0o600, flush: true });
    await rename(next, path("snapshot.json"));
  };
  let saving = Promise.resolve();
  return {
    identity: () => load<Identity>(path("identity.json")),
    saveIdentity: (identity) => replace(path("identity.json"), identity),
    proposal(make) {
      const kept = load<{ readonly token: string }>(path("proposal.json"));
      const token = kept?.token ?? make();
      if (kept === undefined) replace(path("proposal.json"), { token });
      return token;
    },
    nextProposal(make, refused) {
      const kept = load<{ readonly token: string }>(path("proposal.json"))?.token;
      // What was proposed and never answered may be known to the server, as this host's.
      if (kept !== undefined && !refused.has(kept) && kept !== load<Identity>(path("identity.json"))?.token)
        return kept;
      const token = make();
      replace(path("proposal.json"), { token });
      return token;
    },
    standing: () => load<StandingRecord>(path("standing.json")),
    saveStanding: (standing) => replace(path("standing.json"), standing),
    snapshot() {
      const saved = load<Snapshot>(path("snapshot.json"));
      // An earlier version may not have known every kind.
      return saved === undefined ? undefined : { ...emptySnapshot(saved.cluster), ...saved };
    },
    saveSnapshot(snapshot) {
      // Two at once would write one file, and the second would find it renamed.
      saving = saving.catch(() => undefined).then(() => write(snapshot));
      return saving;
    },
    journalPath: path("attachments.ndjson"),
  };
}

function load<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (cause) {
    throw new Fault(
      "internal",
      {
        what: "a state file of the agent is damaged",
        where: path,
        fix: "move it away and start the agent again; it will ask the server anew",
      },
      { cause },
    );
  }
}

function replace(path: string, value: unknown): void {
  const next = `${path}.next`;
  const fd = openSync(next, "w", 0o600);
  writeSync(fd, JSON.stringify(value));
  fsyncSync(fd);
  closeSync(fd);
  renameSync(next, path);
}
