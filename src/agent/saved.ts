// Keeps the newest snapshot for a start without the server.
import type { Mirror } from "../client/mirror.ts";
import type { Clock } from "../model/clock.ts";
import type { Snapshot } from "../model/resource.ts";

type SaveOptions = {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

const SAVE_MS = 1_000;

/** Until the signal aborts: at most once a second, and only what is complete and newer. */
export async function keepSaved({ mirror, clock, saveSnapshot, log }: SaveOptions, signal: AbortSignal): Promise<void> {
  let savedRevision = -1;
  while (!signal.aborted) {
    await clock.sleep(SAVE_MS, signal);
    const snapshot = mirror.snapshot();
    if (!mirror.isSynced || snapshot === undefined || snapshot.revision <= savedRevision) continue;
    savedRevision = snapshot.revision;
    await saveSnapshot(snapshot).catch((error: unknown) => log("save", { error: String(error) }));
  }
}
