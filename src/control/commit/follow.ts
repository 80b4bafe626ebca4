// The watch of a host or a user, from the revision that it knows on: first what it missed, then each commit as it
// becomes durable, and the questions that the server asks a host.
import type { ChangeSet } from "../../model/resource.ts";
import { compacted } from "../../store/window.ts";
import type { Committer } from "./committer.ts";
import type { Follows } from "./followers.ts";

/**
 * Every revision after `from` as the viewer sees it; an empty set at the newest says that nothing is missing. Ends with
 * the signal, with the server, and after the set that removes the host. Throws `compacted` when the reader is too slow,
 * or sees other things because its rights have changed. With `history`, a first empty set names it.
 */
export async function* followAs(
  viewer: Follows,
  committer: Committer,
  { from, history }: { readonly from: number; readonly history: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<ChangeSet> {
  if (history !== undefined) yield { revision: from, changes: [], history };
  await committer.settled();
  const { followers, view, replayLog } = committer;
  const follower = followers.join(view, viewer, replayLog.after(from));
  try {
    let reached = from;
    for (let isCurrent = false; !signal.aborted; ) {
      const sets = follower.waiting;
      follower.waiting = [];
      for (const set of sets) {
        reached = set.revision;
        yield set;
      }
      const { asks } = follower;
      follower.asks = [];
      for (const ask of asks) yield { revision: reached, changes: [], ask };
      if (follower.waiting.length > 0 || follower.asks.length > 0) continue;
      if (follower.state === "lost") throw compacted(reached, "the reader was too slow");
      if (follower.state === "shifted") throw compacted(reached, "what the reader may see has changed");
      if (follower.state === "removed" || committer.isClosed) return;
      if (isCurrent) await followers.sleepers.sleep(signal);
      // While the reader was busy with this set, others may have come: look again before waiting.
      else yield { revision: reached, changes: [] };
      isCurrent = true;
    }
  } finally {
    followers.leave(follower);
  }
}
