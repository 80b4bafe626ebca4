// Time and chance for simulation: a clock that moves only when it is told to, and random numbers that a seed repeats.
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/model/clock.ts";

type Timer = { readonly atMs: number; readonly order: number; readonly fire: () => void };

export class VirtualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #order = 0;
  #timers: Timer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = {
        atMs: this.#nowMs + ms,
        order: this.#order++,
        fire: () => this.#end(timer, signal, stop, resolve),
      };
      const stop = () => timer.fire();
      this.#timers.push(timer);
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  #end(timer: Timer, signal: AbortSignal | undefined, stop: () => void, resolve: () => void): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    signal?.removeEventListener("abort", stop);
    resolve();
  }

  /** Lets everything that is due in the next `ms` happen, in order of time. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await settle();
    }
    this.#nowMs = untilMs;
  }
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
