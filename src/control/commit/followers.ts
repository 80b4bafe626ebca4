// Hosts and users that watch. Some time after a group of commits, the view is walked through them once more, and at
// every revision each follower gets the change set for its mirror; the writer has had its answer by then. Most commits
// look alike to most hosts, so hosts share change sets, which are encoded once. A slow reader delays no other; when too
// much waits for it, it has to list again.
import type { Ask } from "../../model/check.ts";
import type { Change, ChangeSet } from "../../model/resource.ts";
import { Sleepers } from "../../store/window.ts";
import { changesForUser } from "../rights/follow.ts";
import type { Asking } from "../rights/rights.ts";
import type { Viewer } from "../write.ts";
import { changesFor, commitDelta } from "../state/visibility.ts";
import { type Step, replay } from "./replayLog.ts";
import type { View } from "../state/view.ts";

/** Sets that may wait for a reader: seconds of a busy cluster. */
const WAITING_MAX = 8192;

export type Follows = Exclude<Viewer, { readonly role: "admin" }>;

type Follower = {
  readonly viewer: Follows;
  waiting: ChangeSet[];
  asks: Ask[];
  /** shifted: it may see other things than before, which did not change. */
  state: "follows" | "lost" | "shifted" | "removed";
};

export class Followers {
  readonly #all = new Set<Follower>();
  /** The last steps up to the view, which followers have not got yet. */
  #steps: Step[] = [];
  /** Wake when there may be something new. */
  readonly sleepers = new Sleepers();

  /** Whether `publish` has something to do. */
  get isBehind(): boolean {
    return this.#steps.length > 0;
  }

  append(steps: readonly Step[]): void {
    this.#steps.push(...steps);
  }

  /** Gives every follower what it sees of the steps since the last time. The view is at the last of them, and stays. */
  publish(view: View): void {
    const steps = this.#steps;
    this.#steps = [];
    give(view, steps, this.#all);
    this.sleepers.wake();
  }

  /** A follower of everything after these steps, which it gets at once. Call with the view at the last of them. */
  join(view: View, viewer: Follows, steps: readonly Step[]): Follower {
    this.publish(view);
    const follower: Follower = { viewer, waiting: [], asks: [], state: "follows" };
    give(view, steps, [follower]);
    this.#all.add(follower);
    return follower;
  }

  /** Gives each host its question, after all that it is to hear before; gives the hosts that follow. */
  ask(asks: ReadonlyMap<string, Ask>): ReadonlySet<string> {
    const heard = new Set<string>();
    for (const follower of this.#all) {
      const { viewer } = follower;
      const ask = viewer.role === "host" ? asks.get(viewer.host) : undefined;
      if (ask === undefined || viewer.role !== "host" || follower.state !== "follows") continue;
      follower.asks.push(ask);
      heard.add(viewer.host);
    }
    this.sleepers.wake();
    return heard;
  }

  leave(follower: Follower): void {
    this.#all.delete(follower);
  }

  /** What was remembered does not lead to the present state: all followers have to list again. */
  lose(): void {
    this.#steps = [];
    for (const follower of this.#all) follower.state = "lost";
    this.sleepers.wake();
  }
}

function give(view: View, steps: readonly Step[], followers: ReadonlySet<Follower> | readonly Follower[]): void {
  if ([...followers].length === 0) return;
  replay(view, steps, (step) => {
    const delta = commitDelta(view, step.before);
    const { revision } = step;
    const shared = [delta.common, delta.whole].map((changes): ChangeSet => ({ revision, changes }));
    for (const follower of followers) {
      if (follower.state !== "follows") continue;
      const { viewer } = follower;
      const changes =
        viewer.role === "host" ? changesFor(view, delta, viewer.host) : userChanges(view, step.before, viewer);
      if (changes === undefined) {
        follower.state = "shifted";
        continue;
      }
      follower.waiting.push(shared.find((set) => set.changes === changes) ?? { revision, changes });
      if (viewer.role === "host" && !view.host.has(viewer.host)) follower.state = "removed";
      else if (follower.waiting.length > WAITING_MAX) {
        follower.waiting = [];
        follower.state = "lost";
      }
    }
  });
}

/** Undefined: the user has to list again, and is refused then if it may do nothing any more. */
function userChanges(view: View, before: Step["before"], asking: Asking): readonly Change[] | undefined {
  const spec = view.user.get(asking.user)?.spec;
  return spec?.enabled === true ? changesForUser(view, before, asking) : undefined;
}
