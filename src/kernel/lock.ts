// One process per directory. The lock is on the directory itself (flock(2)), so it needs no file, works on a disk that
// is full or read-only, and goes with the process however it ends.
import { closeSync, openSync } from "node:fs";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import { SystemError } from "./errno.ts";
import * as libc from "./libc.ts";

/** How long a start waits for the process before it: what was killed takes a moment to be gone. */
const WAIT_MS = 2_000;
const AGAIN_MS = 50;
const EAGAIN = 11;

/**
 * Resolves when this process alone has the directory, until the process ends or the given function is called. Rejects
 * with a Fault `in-use` if another process keeps it.
 */
export async function lockDirectory(path: string, what: string, clock: Clock): Promise<() => void> {
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
  return () => closeSync(fd);
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
