// What Weft asks of a disk, in one place: a write that is counted, a file that is replaced whole, an error that says
// what to do. Two implementations: real.ts, and in tests a disk that is full, read-only, or lies about writes.
import { dirname } from "node:path";
import { Fault } from "../model/fault.ts";

/** The calls of a file system that Weft makes. Each throws an error with a `code` (ENOSPC, EROFS, …) when it fails. */
export type Files = {
  readonly read: (path: string) => string;
  readonly exists: (path: string) => boolean;
  readonly open: (path: string, flags: "ax" | "a" | "r", mode: number) => number;
  /** How many bytes were written: fewer than given is not an error (write(2)). */
  readonly write: (fd: number, bytes: Uint8Array, from: number) => number;
  readonly sync: (fd: number) => void;
  /** The same without blocking the process. */
  readonly syncLater: (fd: number) => Promise<void>;
  readonly truncate: (fd: number, length: number) => void;
  readonly length: (fd: number) => number;
  /** Whether the path still leads to the open file: it may have been removed, moved or replaced. */
  readonly leads: (path: string, fd: number) => boolean;
  readonly close: (fd: number) => void;
  readonly rename: (from: string, to: string) => void;
  /** Succeeds also when there is no such file. */
  readonly remove: (path: string) => void;
};

/** Writes all, or throws: a disk that fills up accepts the first part of a write and fails only at the next one. */
export function writeAll(files: Files, fd: number, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; ) {
    const taken = files.write(fd, bytes, from);
    if (taken === 0) throw Object.assign(new Error("ENOSPC: the disk took nothing of a write"), { code: "ENOSPC" });
    from += taken;
  }
}

/** Afterwards the file has this text, also after a power loss, or is unchanged. Readers never see a part. */
export function replaceFile(files: Files, path: string, text: string, mode = 0o600): void {
  files.close(replacedFile(files, path, text, mode));
}

/** replaceFile(), which returns the new file, open at its end. */
export function replacedFile(files: Files, path: string, text: string, mode = 0o600): number {
  const fd = begun(files, path, mode);
  try {
    writeAll(files, fd, Buffer.from(text));
    files.sync(fd);
    named(files, path);
  } catch (error) {
    abandon(files, path, fd);
    throw error;
  }
  return fd;
}

/** replaceFile() without blocking the process during the write. One at a time for a path. */
export async function replaceFileLater(files: Files, path: string, text: string, mode = 0o600): Promise<void> {
  const fd = begun(files, path, mode);
  try {
    writeAll(files, fd, Buffer.from(text));
    await files.syncLater(fd);
    named(files, path);
  } catch (error) {
    abandon(files, path, fd);
    throw error;
  }
  files.close(fd);
}

function begun(files: Files, path: string, mode: number): number {
  // Left by a process that was killed; only one process writes in this directory.
  files.remove(nextOf(path));
  return files.open(nextOf(path), "ax", mode);
}

function named(files: Files, path: string): void {
  files.rename(nextOf(path), path);
  // Every living process sees the new name; only a power loss could bring back the old one.
  attempt(() => syncDirectory(files, dirname(path)));
}

/** Removes the partial file: it takes room, and there may be none. */
function abandon(files: Files, path: string, fd: number): void {
  files.close(fd);
  attempt(() => files.remove(nextOf(path)));
}

function nextOf(path: string): string {
  return `${path}.next`;
}

function syncDirectory(files: Files, path: string): void {
  const fd = files.open(path, "r", 0);
  try {
    files.sync(fd);
  } finally {
    files.close(fd);
  }
}

/** Runs what makes a bad situation no worse if it fails. */
export function attempt(work: () => void): boolean {
  return attemptOf(() => (work(), true)) === true;
}

/** The result; undefined if it throws. */
export function attemptOf<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The same files, but no new call in a directory that is, according to `isHeld`, not the one that was locked. */
export function filesWhile(files: Files, isHeld: () => boolean): Files {
  return {
    ...files,
    open(path, flags, mode) {
      if (flags !== "r" && !isHeld())
        throw Object.assign(new Error("ESTALE: its directory was removed, moved or replaced"), { code: "ESTALE" });
      return files.open(path, flags, mode);
    },
  };
}

const FIXES: Readonly<Record<string, string>> = {
  ENOSPC: "free some space on its disk, then try again",
  EDQUOT: "raise the quota of its disk, then try again",
  EROFS: "its file system is read-only: see the kernel's log, and mount it for writing again",
  EIO: "the disk fails: see the kernel's log",
  ESTALE: "put back, or mount, the directory that was there; or start the agent again",
};

/** A Fault `unavailable` for a write that the disk refused; nothing of it remains. */
export function notWritten(path: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new Fault(
    "unavailable",
    {
      what: "the disk refused a write, and nothing was changed",
      where: path,
      why: cause instanceof Error ? cause.message : String(cause),
      fix: FIXES[code] ?? "see to it that the file can be written, then try again",
    },
    { cause },
  );
}
