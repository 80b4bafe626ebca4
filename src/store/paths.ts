// Whether the names of the store's files still lead to the files that are open. Somebody may remove, move or replace
// them while the server runs (a hand, a restore, a mount that goes), and SQLite goes on in files that nobody can find
// any more: what is acknowledged then is gone with the process (sqlite.org/howtocorrupt.html, 4.1 to 4.4).
import { statSync } from "node:fs";
import { Fault } from "../model/fault.ts";

/**
 * To be made when all are open; then a call throws a Fault `unavailable` as soon as one of the names leads elsewhere.
 * Some microseconds, of a commit's hundreds.
 */
export function pathsHeld(paths: readonly string[]): () => void {
  const opened = paths.map((path) => ({ path, file: fileAt(path) }));
  return () => {
    for (const { path, file } of opened) if (fileAt(path) !== file) throw moved(path);
  };
}

/** Which file it is, whatever its name; undefined where none can be reached. */
function fileAt(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
  } catch {
    return undefined;
  }
}

function moved(path: string): Fault {
  return new Fault("unavailable", {
    what: "a file of the store was removed, moved or replaced while the server runs, and nothing is written any more",
    where: path,
    why: "what is written into the one that is open would be gone when the server ends",
    fix:
      "put back the file that was there, and the server goes on; or stop the server, put back the latest backup, and " +
      `start it (until it ends, what it has open is under /proc/${process.pid}/fd)`,
  });
}
