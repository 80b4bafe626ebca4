// Whether the names of the store's files still lead to the open files. They may be removed, moved or replaced while the
// server runs (by a person, a restore, an unmount). SQLite then continues in files that have no name any more, and
// acknowledged writes are lost with the process (sqlite.org/howtocorrupt.html, 4.1 to 4.4).
import { statSync } from "node:fs";
import { Fault } from "../model/fault.ts";

/**
 * Call it when all files are open. The returned function throws a Fault `unavailable` as soon as one of the names leads
 * elsewhere. It takes some microseconds of a commit's hundreds.
 */
export function pathGuard(paths: readonly string[]): () => void {
  const opened = paths.map((path) => ({ path, file: fileAt(path) }));
  return () => {
    for (const { path, file } of opened) if (fileAt(path) !== file) throw moved(path);
  };
}

/** The file's identity, whatever its name; undefined if there is none. */
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
