// The disk of a simulated host: the journal's real file, behind faults that stay while agents come and go.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileJournal, type Journal } from "../../../src/agent/journal/journal.ts";
import { type DiskFault, FaultyFiles } from "../../unit/files/faulty.ts";

type Faults = {
  readonly fault: DiskFault | undefined;
  /** Bytes that a full disk still takes. */
  readonly room: number;
  readonly shortWrites: number | undefined;
  readonly refusesTruncate: boolean;
};
const HEALTHY: Faults = { fault: undefined, room: 0, shortWrites: undefined, refusesTruncate: false };
const KINDS: readonly DiskFault[] = ["full", "read-only", "failing"];

export class HostDisk {
  readonly #folder: string;
  #faults = HEALTHY;
  /** Of the agent that runs. */
  #files: FaultyFiles | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** As an agent does that starts. */
  open(bootId: string): Journal {
    this.#files = Object.assign(new FaultyFiles(), this.#faults);
    return fileJournal(this.#path, bootId, this.#files);
  }

  /** What is left of a killed agent writes nothing more. */
  kill(): void {
    const dead = this.#files;
    this.#files = undefined;
    if (dead === undefined) return;
    for (const fd of dead.opened) dead.close(fd);
    Object.assign(dead, { fault: "read-only", refusesTruncate: true });
  }

  /** Writes are refused, or taken in parts, or go well again. */
  change(random: (n: number) => number): void {
    const fault = random(2) === 0 ? undefined : KINDS[random(KINDS.length)];
    const shortWrites = random(2) === 0 ? undefined : 1 + random(300);
    this.#set({ fault, room: random(900), shortWrites, refusesTruncate: random(3) === 0 });
  }

  heal(): void {
    this.#set(HEALTHY);
  }

  /** Of a file of a dead agent: its end, at any byte; one bit; or all. */
  harm(random: (n: number) => number): void {
    const bytes = this.#bytes();
    const at = random(bytes.length + 1);
    const kind = random(3);
    if (kind === 0) writeFileSync(this.#path, bytes.subarray(0, at));
    else if (kind === 1) rmSync(this.#path, { force: true });
    else if (at < bytes.length) {
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random(8)), at);
      writeFileSync(this.#path, bytes);
    }
  }

  /** A disk with the same on it. */
  copied(folder: string): HostDisk {
    cpSync(this.#folder, folder, { recursive: true });
    return new HostDisk(folder);
  }

  get #path(): string {
    return join(this.#folder, "attachments.ndjson");
  }

  #bytes(): Buffer {
    try {
      return readFileSync(this.#path);
    } catch {
      return Buffer.alloc(0);
    }
  }

  #set(faults: Faults): void {
    this.#faults = faults;
    Object.assign(this.#files ?? {}, faults);
  }
}
