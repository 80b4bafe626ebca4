// Keeps the newest snapshot for a start without the server, and for a life that begins anew.
import type { Mirror } from "../../client/mirror.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { BlockLease } from "./blockLease.ts";

type SaveOptions = {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

type RejoinOptions = SaveOptions & { readonly blockLease: BlockLease };

const SAVE_MS = 1_000;
/** A disk that is full may have room later. */
const SAVE_AGAIN_MS = 1_000;

/** Until the signal aborts: at most once a second, and only what is complete and news. */
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
 * What the mirror follows now was listed with the credential of a host that is one: it may give addresses of these
 * blocks, as soon as no restart can find the ones of its earlier life on disk. `begun` is called then.
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
  while (mayGoOn() && !(await isBegun())) await clock.sleep(SAVE_AGAIN_MS, signal);
  if (!mayGoOn()) return;
  log("this host has joined anew", { revision: snapshot.revision });
  begun();
}
