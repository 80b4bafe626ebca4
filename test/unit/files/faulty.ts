// A disk with faults, for tests: real files behind it, and a plan of what goes wrong. Every fault is one that write(2),
// fsync(2), ftruncate(2), open(2) and rename(2) document.
import type { Files } from "../../../src/files/files.ts";
import { realFiles } from "../../../src/files/real.ts";

export type DiskFault = "full" | "read-only" | "failing";

const CODES = { full: "ENOSPC", "read-only": "EROFS", failing: "EIO" } as const;

export class FaultyFiles implements Files {
  /** What every write meets; undefined: none. */
  fault: DiskFault | undefined;
  /** Bytes that a full disk still has room for: what fits is taken, as a short write. */
  room = 0;
  /** At most so many bytes are taken by one write. */
  shortWrites: number | undefined;
  /** Whether cutting a file back is refused, too. */
  refusesTruncate = false;
  readonly opened = new Set<number>();
  /** Bytes of the file that was begun last, which are free again when it is removed. */
  #begun = 0;

  readonly read = realFiles.read;
  readonly exists = realFiles.exists;
  readonly length = realFiles.length;
  readonly leads = realFiles.leads;

  open = (path: string, flags: "ax" | "a" | "r", mode: number): number => {
    if (flags !== "r" && this.fault === "read-only") this.#refuse("open");
    const fd = realFiles.open(path, flags, mode);
    this.opened.add(fd);
    if (flags === "ax") this.#begun = 0;
    return fd;
  };

  write = (fd: number, bytes: Uint8Array, from: number): number => {
    if (this.fault === "read-only" || this.fault === "failing") this.#refuse("write");
    const left = bytes.length - from;
    const taken = Math.min(left, this.shortWrites ?? left, this.fault === "full" ? this.room : left);
    if (taken === 0 && left > 0) this.#refuse("write");
    if (this.fault === "full") this.room -= taken;
    this.#begun += taken;
    return realFiles.write(fd, bytes.subarray(0, from + taken), from);
  };

  sync = (fd: number): void => {
    if (this.fault === "failing") this.#refuse("fsync");
    realFiles.sync(fd);
  };

  syncLater = async (fd: number): Promise<void> => {
    if (this.fault === "failing") this.#refuse("fsync");
    await realFiles.syncLater(fd);
  };

  truncate = (fd: number, length: number): void => {
    if (this.refusesTruncate || this.fault === "failing") this.#refuse("ftruncate");
    realFiles.truncate(fd, length);
  };

  close = (fd: number): void => {
    if (!this.opened.delete(fd)) throw Object.assign(new Error("EBADF: closed twice"), { code: "EBADF" });
    realFiles.close(fd);
  };

  rename = (from: string, to: string): void => {
    if (this.fault === "read-only") this.#refuse("rename");
    realFiles.rename(from, to);
  };

  remove = (path: string): void => {
    if (!realFiles.exists(path)) return;
    if (this.fault === "read-only") this.#refuse("unlink");
    realFiles.remove(path);
    this.room += this.#begun;
    this.#begun = 0;
  };

  #refuse(call: string): never {
    const code = CODES[this.fault ?? "failing"];
    throw Object.assign(new Error(`${code}: ${call}`), { code });
  }
}
