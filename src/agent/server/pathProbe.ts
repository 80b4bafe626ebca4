// The state of one path. It is told the time, the answers and the peer's own probes, and says what to send next. Pure.
import type { Path } from "../../datapath/network/paths.ts";
import type { PathState } from "../../model/paths.ts";

/** After a first probe without an answer. */
const RETRY_MS = 1_000;
/** A new path is probed more often: its peer may be setting up its end at this moment. */
const FIRST_RETRY_MS = 100;
/** While a path is broken. */
const BROKEN_MS = 3_000;
/** A path is broken after so many probes without an answer, over so long. */
const MISSES = 3;
const DOUBT_MS = 2_500;
/** A peer whose path is broken sends probes itself every few seconds. */
const HEARD_MS = 12_000;
/** A size that passes any underlay. */
export const SMALL_BYTES = 200;

export class PathProbe {
  readonly path: Path;
  state: PathState = "unknown";
  /** By the wall clock, for people. */
  sinceMs: number;
  nextAtMs: number;
  /** When a probe of the peer last arrived here. */
  heardAtMs = Number.NEGATIVE_INFINITY;
  #misses = 0;
  /** Whether a probe may still be answered. */
  isAwaited = false;
  #doubtedSinceMs = 0;
  #hasSmallPassed = false;
  #turnedAtMs: number;
  readonly #wall: () => number;

  /** All times except `wall` are of the monotonic clock. */
  constructor(path: Path, nowMs: number, wall: () => number) {
    this.path = path;
    this.#wall = wall;
    this.sinceMs = wall();
    this.#turnedAtMs = nowMs;
    this.nextAtMs = nowMs;
    // One host has IPv4, the other IPv6: the path can never work.
    if (path.to === undefined) this.state = "failed";
  }

  /** Sizes of the probes to send now. A probe that is unanswered by now is a miss. */
  take(nowMs: number): readonly number[] {
    if (this.isAwaited) this.#miss(nowMs);
    this.isAwaited = true;
    this.nextAtMs = nowMs + this.#retryMs();
    return this.#misses === 0 ? [this.path.size] : [this.path.size, SMALL_BYTES];
  }

  /** `againMs`: the next probe of a proven path follows after this. */
  answered(size: number, nowMs: number, againMs: number): void {
    if (size < this.path.size) {
      // If it comes after the answer to the large one, it says nothing.
      this.#hasSmallPassed ||= this.isAwaited;
      return;
    }
    this.#turn("proven", nowMs);
    this.#misses = 0;
    this.isAwaited = false;
    this.#hasSmallPassed = false;
    this.nextAtMs = nowMs + againMs;
  }

  /** Whether probes of the peer have arrived since the state last changed. */
  isHeard(nowMs: number): boolean {
    return this.heardAtMs > this.#turnedAtMs && nowMs - this.heardAtMs < HEARD_MS;
  }

  #miss(nowMs: number): void {
    if (this.#misses++ === 0) this.#doubtedSinceMs = nowMs;
    if (this.#misses < MISSES || nowMs - this.#doubtedSinceMs < DOUBT_MS) return;
    this.#turn(this.#hasSmallPassed ? "small" : "failed", nowMs);
    this.#hasSmallPassed = false;
  }

  #retryMs(): number {
    if (this.state === "unknown") return Math.min(RETRY_MS, FIRST_RETRY_MS * 2 ** this.#misses);
    return this.state === "proven" ? RETRY_MS : BROKEN_MS;
  }

  #turn(state: PathState, nowMs: number): void {
    if (this.state === state) return;
    this.state = state;
    this.sinceMs = this.#wall();
    this.#turnedAtMs = nowMs;
  }
}
