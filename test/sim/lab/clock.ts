// Time and randomness for the simulation: a clock that moves only when it is told to, and random numbers that a seed
// repeats.
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../src/model/clock.ts";

type Timer = { readonly atMs: number; readonly order: number; readonly fire: () => void; isDone: boolean };

export class VirtualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #order = 0;
  /** A binary heap: the next timer first. */
  readonly #heap: Timer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = () => timer.fire();
      const fire = () => {
        timer.isDone = true;
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      const timer: Timer = { atMs: this.#nowMs + Math.ceil(ms), order: this.#order++, fire, isDone: false };
      this.#push(timer);
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  /** Lets everything that is due in the next `ms` happen, in order of time. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#pop(untilMs); next !== undefined; next = this.#pop(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      // What is due at the same moment happens in the same turn.
      for (let also = this.#pop(this.#nowMs); also !== undefined; also = this.#pop(this.#nowMs)) also.fire();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = heap[up];
      if (above === undefined || isBefore(above, timer)) break;
      heap[at] = above;
      at = up;
    }
    heap[at] = timer;
  }

  /** The next timer due until then; timers that were cut short are passed over. */
  #pop(untilMs: number): Timer | undefined {
    const heap = this.#heap;
    for (let top = heap[0]; top !== undefined && (top.isDone || top.atMs <= untilMs); top = heap[0]) {
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) this.#sink(last);
      if (!top.isDone) return top;
    }
    return undefined;
  }

  #sink(timer: Timer): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const next = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
      const below = heap[next];
      if (below === undefined || isBefore(timer, below)) break;
      heap[at] = below;
      at = next;
    }
    heap[at] = timer;
  }
}

/** The wall clock of one machine, which somebody sets while time goes on. */
export class WallClock {
  readonly #time: VirtualClock;
  #offsetMs = 0;

  constructor(time: VirtualClock) {
    this.#time = time;
  }

  /** Sets it forward, or back. */
  step(ms: number): void {
    this.#offsetMs += ms;
  }

  /** The clock of a process that begins now. */
  started(): Clock {
    const time = this.#time;
    const atStartMs = this.#offsetMs;
    return {
      nowMs: () => time.nowMs() + this.#offsetMs,
      monotonicMs: () => time.nowMs() + atStartMs,
      sleep: (ms, signal) => time.sleep(ms, signal),
    };
  }
}

function isBefore(a: Timer | undefined, b: Timer | undefined): boolean {
  if (a === undefined) return false;
  return b === undefined || a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/**
 * Nothing in a simulation waits for the world outside, so a few turns of the event loop end everything that can go on.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await setImmediate();
}

/** mulberry32: n -> an integer in [0, n). */
export function randomFrom(seed: number): (n: number) => number {
  let a = seed >>> 0;
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}
