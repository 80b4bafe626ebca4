// Hosts that watch. Some time after a group of commits, the view is walked through them once more, and at every
// revision each follower gets the change set for its mirror; the writer has had its answer by then. Most commits look
// alike to most hosts, so hosts share change sets, which are encoded once. A slow reader delays no other; when too much
// waits for it, it has to list again.
import type { Ask } from "../../model/check.ts";
import type { ChangeSet } from "../../model/resource.ts";
import { Sleepers } from "../../store/window.ts";
import { changesFor, commitDelta } from "../state/visibility.ts";
import { type Step, replay } from "./replayLog.ts";
import type { View } from "../state/view.ts";

/** Sets that may wait for a reader: seconds of a busy cluster. */
const WAITING_MAX = 8192;

type Follower = {
  readonly host: string;
  waiting: ChangeSet[];
  asks: Ask[];
  state: "follows" | "lost" | "removed";
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
  join(view: View, host: string, steps: readonly Step[]): Follower {
    this.publish(view);
    const follower: Follower = { host, waiting: [], asks: [], state: "follows" };
    give(view, steps, [follower]);
    this.#all.add(follower);
    return follower;
  }

  /** Gives each host its question, after all that it is to hear before; gives the hosts that follow. */
  ask(asks: ReadonlyMap<string, Ask>): ReadonlySet<string> {
    const heard = new Set<string>();
    for (const follower of this.#all) {
      const ask = asks.get(follower.host);
      if (ask === undefined || follower.state !== "follows") continue;
      follower.asks.push(ask);
      heard.add(follower.host);
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
      const changes = changesFor(view, delta, follower.host);
      follower.waiting.push(shared.find((set) => set.changes === changes) ?? { revision, changes });
      if (!view.host.has(follower.host)) follower.state = "removed";
      else if (follower.waiting.length > WAITING_MAX) {
        follower.waiting = [];
        follower.state = "lost";
      }
    }
  });
}
