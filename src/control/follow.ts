// A host's watch: it holds nothing but the revision it reached and takes the whole way from there to now in one step. A slow
// reader costs no memory, delays nobody, and gets what it missed squashed into one set of changes.
import type { ChangeSet } from "../model/resource.ts";
import type { Committer } from "./committer.ts";
import { type Passage, changesFor } from "./interest.ts";

/** Sets that many hosts get alike are one object, so that whoever sends them can encode them once. */
const shared = new WeakMap<Passage, ChangeSet>();

/**
 * Change sets that take the host's mirror from `from` to each later revision reached; revisions may be skipped. Ends with
 * the signal, with the server, and after the host itself was removed. Throws `compacted` when it has fallen too far behind.
 */
export async function* followAs(committer: Committer, host: string, from: number, signal: AbortSignal): AsyncGenerator<ChangeSet> {
  for (let reached = from; !signal.aborted && !committer.isClosed; ) {
    await committer.settled();
    const { view } = committer;
    if (view.revision === reached) {
      await committer.changed(signal);
      continue;
    }
    const set = nextSet(committer, host, reached);
    reached = set.revision;
    yield set;
    if (!view.host.has(host)) return;
  }
}

function nextSet(committer: Committer, host: string, from: number): ChangeSet {
  const { view } = committer;
  const passage = committer.passage(from);
  const changes = changesFor(view, passage, host);
  if (changes !== passage.common) return { revision: view.revision, changes };
  let set = shared.get(passage);
  if (set === undefined) shared.set(passage, (set = { revision: view.revision, changes }));
  return set;
}
