// A file for every address, the way CNI's host-local plugin keeps leases (its backend/disk): a folder for the network,
// a lock file in it, and a file named as the address that is made with O_EXCL and holds its owner. Written for
// comparison, with its costs as they are there: before it assigns, host-local reads every file of the folder, to see
// whether the owner has an address already; it goes on from the address it gave last; it syncs nothing to the disk.
import { closeSync, constants, fsyncSync, mkdirSync, openSync, readSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import koffi from "koffi";

const flock = koffi.load(null).func("int flock(int, int)") as (fd: number, operation: number) => number;
const [LOCK_EX, LOCK_UN] = [2, 8];

const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const LAST = "last_reserved_ip.0";

/**
 * host-local: as it is. durable: what the comparison with a durable lease is owed: the file and its folder are synced,
 * and the search for the owner is left out, as if somebody had an index of owners.
 */
export type Way = "host-local" | "durable";

export class AddressFiles {
  readonly #folder: string;
  readonly #lock: number;
  readonly #folderFd: number;
  readonly #content = Buffer.alloc(256);

  constructor(folder: string) {
    mkdirSync(folder);
    this.#folder = folder;
    this.#lock = openSync(join(folder, "lock"), "w");
    this.#folderFd = openSync(folder, "r");
    this.#write(LAST, "w", addressOf(0), "host-local");
  }

  /** Takes an address that nobody has; returns it. Throws if the owner has one (host-local). */
  take(owner: string, way: Way): string {
    if (flock(this.#lock, LOCK_EX) !== 0) throw new Error("flock failed");
    try {
      const content = `${owner}\r\neth0`;
      if (way === "host-local" && this.#has(content)) throw new Error(`${owner} has an address`);
      for (let n = this.#last() + 1; ; n++) {
        const address = addressOf(n);
        if (!this.#reserve(address, content, way)) continue;
        // Only a hint where to begin: it needs no sync.
        this.#write(LAST, "w", address, "host-local");
        if (way === "durable") fsyncSync(this.#folderFd);
        return address;
      }
    } finally {
      flock(this.#lock, LOCK_UN);
    }
  }

  /** Takes addresses until `used` are, without the search and without a sync. */
  fill(used: number): void {
    const from = this.#last() + 1;
    for (let n = from; n <= used; n++) this.#reserve(addressOf(n), `filled-${n}\r\neth0`, "host-local");
    if (from <= used) this.#write(LAST, "w", addressOf(used), "host-local");
  }

  close(): void {
    closeSync(this.#lock);
    closeSync(this.#folderFd);
  }

  #has(content: string): boolean {
    let isThere = false;
    for (const name of readdirSync(this.#folder)) if (this.#read(name) === content) isThere = true;
    return isThere;
  }

  #last(): number {
    const [, b = 0, c = 0, d = 0] = this.#read(LAST).split(".").map(Number);
    return (b << 16) | (c << 8) | d;
  }

  #reserve(address: string, content: string, way: Way): boolean {
    try {
      this.#write(address, NEW, content, way);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    }
  }

  #read(name: string): string {
    const fd = openSync(join(this.#folder, name), "r");
    const length = readSync(fd, this.#content);
    closeSync(fd);
    return this.#content.toString("latin1", 0, length);
  }

  #write(name: string, flags: string | number, content: string, way: Way): void {
    const fd = openSync(join(this.#folder, name), flags, 0o600);
    writeSync(fd, content);
    if (way === "durable") fsyncSync(fd);
    closeSync(fd);
  }
}

function addressOf(n: number): string {
  return `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
}
