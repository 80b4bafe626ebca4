// Saves the newest snapshot, for a start without the server; and joins a removed host anew.
import type { Mirror } from "../../client/mirror.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { BlockLease } from "../journal/blockLease.ts";

type SaveOptions = {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

type RejoinOptions = SaveOptions & { readonly blockLease: BlockLease };

const SAVE_MS = 1_000;
/** A full disk may have room later. */
const SAVE_RETRY_MS = 1_000;

/** Runs until the signal aborts. Saves at most once a second, and only complete snapshots that are new. */
export async function saveSnapshots(
  { mirror, clock, saveSnapshot, log }: SaveOptions,
  signal: AbortSignal,
): Promise<void> {
  let saved: Snapshot | undefined;
  while (!signal.aborted) {
    await clock.sleep(SAVE_MS, signal);
    const snapshot = mirror.snapshot();
    if (!mirror.isSynced || snapshot === undefined || isSame(snapshot, saved)) continue;
    await saveSnapshot(snapshot).then(
      () => (saved = snapshot),
      (error: unknown) => log("save", { error: String(error) }),
    );
  }
}

function isSame(a: Snapshot, b: Snapshot | undefined): boolean {
  return a.revision === b?.revision && a.history === b.history;
}

/**
 * After a removed host has joined again: the mirror's snapshot is the new host's. Saves it first, so that no restart
 * can use the blocks of the removed host; then the host may allocate again. Calls `begun` at that moment.
 */
export async function rejoin(options: RejoinOptions, signal: AbortSignal, begun: () => void): Promise<void> {
  const { blockLease, mirror, saveSnapshot, log, clock } = options;
  const snapshot = mirror.snapshot();
  if (blockLease.ended === undefined || snapshot === undefined) return;
  const { incarnation } = blockLease;
  const mayGoOn = () => blockLease.incarnation === incarnation && !signal.aborted;
  const isBegun = async () => {
    try {
      await saveSnapshot(snapshot);
      if (mayGoOn()) blockLease.begin();
      return true;
    } catch (error) {
      log("save", { error: String(error) });
      return false;
    }
  };
  while (mayGoOn() && !(await isBegun())) await clock.sleep(SAVE_RETRY_MS, signal);
  if (!mayGoOn()) return;
  log("this host has joined anew", { revision: snapshot.revision });
  begun();
}
