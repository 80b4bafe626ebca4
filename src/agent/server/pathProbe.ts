// What is known of the way to one peer. Pure: told the time, what was answered and what was heard; says what to send
// next, and how it stands.
import type { Path } from "../../datapath/network/paths.ts";
import type { PathState } from "../../model/paths.ts";

/** After a first packet without an answer. */
const RETRY_MS = 1_000;
/** A way that was never tried is tried faster: its peer may be making its end of it at this moment. */
const FIRST_RETRY_MS = 100;
/** A way that is known to be broken. */
const BROKEN_MS = 3_000;
/** So many packets without an answer, over so long, are no accident. */
const MISSES = 3;
const DOUBT_MS = 2_500;
/** A peer that this host is not answered by tries every few seconds itself. */
const HEARD_MS = 12_000;
/** What passes any underlay. */
export const SMALL_BYTES = 200;

export class PathProbe {
  readonly path: Path;
  state: PathState = "unknown";
  /** By the wall clock: to show. */
  sinceMs: number;
  nextAtMs: number;
  /** When the peer's own tries last arrived here. */
  heardAtMs = Number.NEGATIVE_INFINITY;
  #misses = 0;
  /** Whether a packet is under way that may still be answered. */
  isAwaited = false;
  #doubtedSinceMs = 0;
  #hasSmallPassed = false;
  #turnedAtMs: number;
  readonly #wall: () => number;

  /** All times but `wall` are of the monotonic clock. */
  constructor(path: Path, nowMs: number, wall: () => number) {
    this.path = path;
    this.#wall = wall;
    this.sinceMs = wall();
    this.#turnedAtMs = nowMs;
    this.nextAtMs = nowMs;
    // IPv4 here, IPv6 there: no time will prove it.
    if (path.to === undefined) this.state = "failed";
  }

  /** Sizes of the packets to send now. A packet that was not answered until now is a miss. */
  take(nowMs: number): readonly number[] {
    if (this.isAwaited) this.#miss(nowMs);
    this.isAwaited = true;
    this.nextAtMs = nowMs + this.#retryMs();
    return this.#misses === 0 ? [this.path.size] : [this.path.size, SMALL_BYTES];
  }

  /** `againMs`: when to try a way that is proven again. */
  answered(size: number, nowMs: number, againMs: number): void {
    if (size < this.path.size) {
      // Late, behind the large one, it says nothing.
      this.#hasSmallPassed ||= this.isAwaited;
      return;
    }
    this.#turn("proven", nowMs);
    this.#misses = 0;
    this.isAwaited = false;
    this.#hasSmallPassed = false;
    this.nextAtMs = nowMs + againMs;
  }

  /** Whether the peer's tries arrive, and not only before this way failed. */
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
