// One process per directory. The lock is on the directory itself (flock(2)), so it needs no file, works on a disk that
// is full or read-only, and ends with the process however the process ends.
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import { EAGAIN, SystemError } from "./errno.ts";
import * as libc from "./libc.ts";

/** How long a start waits for the previous process: a killed process takes a moment to disappear. */
const WAIT_MS = 2_000;
const AGAIN_MS = 50;

export type Lock = {
  /** Whether the path still leads to the locked directory: another one may be in use by another process. */
  readonly isHeld: () => boolean;
  readonly release: () => void;
};

/**
 * Resolves when this process alone has the directory, until the process ends or releases it. Rejects with a Fault
 * `in-use` if another process keeps it.
 */
export async function lockDirectory(path: string, what: string, clock: Clock): Promise<Lock> {
  const fd = openSync(path, "r");
  try {
    for (let waitedMs = 0; !isLocked(fd); waitedMs += AGAIN_MS) {
      if (waitedMs >= WAIT_MS) throw inUse(path, what);
      await clock.sleep(AGAIN_MS);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const { dev, ino } = fstatSync(fd);
  return { isHeld: () => isAt(path, dev, ino), release: () => closeSync(fd) };
}

function isAt(path: string, dev: number, ino: number): boolean {
  try {
    const there = statSync(path);
    return there.dev === dev && there.ino === ino;
  } catch {
    return false;
  }
}

function isLocked(fd: number): boolean {
  try {
    libc.lockFile(fd);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.errno === EAGAIN) return false;
    throw error;
  }
}

function inUse(path: string, what: string): Fault {
  return new Fault("in-use", {
    what: `another process uses this ${what}`,
    where: path,
    why: "two would give the same addresses, and write over each other",
    fix: "stop the other one, or give this one a directory of its own",
  });
}
