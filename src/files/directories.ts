// Directories with their parents.
import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a directory and what is missing above it, of this mode; one that is there stays as it is. Throws as mkdirSync()
 * does. Its own option `recursive` is not used: it never returns where a file system refuses to make a directory with
 * ENOENT, as /proc does (Node 24).
 */
export function makeDirectory(path: string, mode: number): void {
  if (isDirectory(path)) return;
  const whole = resolve(path);
  const above = dirname(whole);
  if (statSync(above, { throwIfNoEntry: false }) === undefined) makeDirectory(above, mode);
  try {
    mkdirSync(whole, { mode });
  } catch (error) {
    // Another process may have been quicker.
    if (!isDirectory(whole)) throw error;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
