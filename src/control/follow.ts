// Hosts that watch. After each group of commits the view is walked through it once, and at every revision each follower
// gets what takes its mirror there. Most commits look alike to most hosts, so they share the same change set, which
// whoever sends it can encode once. A slow reader delays nobody; when too much waits for it, it has to list again.
import type { Change, ChangeSet } from "../model/resource.ts";
import type { Committer } from "./committer.ts";
import { type Passage, changesFor, passageTo } from "./interest.ts";
import { type Step, compacted, replay } from "./journey.ts";
import type { View } from "./view.ts";

/** Sets that may wait for a reader: seconds of a busy cluster. */
const WAITING_MAX = 8192;

export type Follower = { readonly host: string; waiting: ChangeSet[]; state: "follows" | "lost" | "removed" };

/** Gives every follower what it sees of these steps. The view ends where it was, at the last of them. */
export function publish(view: View, steps: readonly Step[], followers: ReadonlySet<Follower>): void {
  if (followers.size === 0) return;
  replay(view, steps, (step) => {
    const passage = passageTo(view, step.before);
    const common: ChangeSet = { revision: step.revision, changes: passage.common };
    for (const follower of followers) give(view, follower, passage, common);
  });
}

function give(view: View, follower: Follower, passage: Passage, common: ChangeSet): void {
  if (follower.state !== "follows") return;
  const changes: readonly Change[] = changesFor(view, passage, follower.host);
  follower.waiting.push(changes === passage.common ? common : { revision: common.revision, changes });
  if (!view.host.has(follower.host)) follower.state = "removed";
  else if (follower.waiting.length > WAITING_MAX) {
    follower.waiting = [];
    follower.state = "lost";
  }
}

/**
 * Every revision after `from` as the host sees it; an empty set at the newest says that nothing is missing. Ends with
 * the signal, with the server, and after the set that removes the host. Throws `compacted` when the reader is too
 * slow.
 */
export async function* followAs(
  committer: Committer,
  host: string,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<ChangeSet> {
  const follower: Follower = { host, waiting: [], state: "follows" };
  try {
    await committer.settled();
    const { view } = committer;
    publish(view, committer.journey.after(from), new Set([follower]));
    committer.followers.add(follower);
    let reached = from;
    for (let isCurrent = false; !signal.aborted;) {
      const sets = follower.waiting;
      follower.waiting = [];
      for (const set of sets) {
        reached = set.revision;
        yield set;
      }
      if (follower.waiting.length > 0) continue;
      if (follower.state === "lost") throw compacted(reached, "the reader was too slow");
      if (follower.state === "removed" || committer.isClosed) return;
      if (isCurrent) await committer.changed(signal);
      // While the reader was busy with this set, others may have come: look again before waiting.
      else yield { revision: reached, changes: [] };
      isCurrent = true;
    }
  } finally {
    committer.followers.delete(follower);
  }
}
