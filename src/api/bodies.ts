// Requests whose bodies do not come: after a while their connections end. That of a claims request, which does not end,
// is not among them (claims.ts).
import type { IncomingMessage } from "node:http";
import type { Clock } from "../model/clock.ts";

/** The time for a whole body to come. */
const BODY_MS = 60_000;

export class Bodies {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  /** Until when each may take. */
  readonly #due = new Map<IncomingMessage, number>();
  readonly #closing = new AbortController();
  #isTicking = false;

  constructor(clock: Clock, patienceMs: number = BODY_MS) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  expect(request: IncomingMessage): void {
    this.#due.set(request, this.#clock.monotonicMs() + this.#patienceMs);
    void this.#tick();
  }

  /** It is there, or will not come. */
  done(request: IncomingMessage): void {
    this.#due.delete(request);
  }

  close(): void {
    this.#closing.abort();
  }

  /** One timer for all, as long as there are any. */
  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    while (this.#due.size > 0 && !this.#closing.signal.aborted) {
      const beforeMs = this.#clock.monotonicMs();
      await this.#clock.sleep(this.#patienceMs / 4, this.#closing.signal);
      const nowMs = this.#clock.monotonicMs();
      // A clock that does not wait would keep the bodies themselves from coming; the next request looks again.
      if (nowMs - beforeMs < this.#patienceMs / 8) break;
      for (const [request, dueMs] of this.#due) {
        if (nowMs < dueMs) continue;
        this.#due.delete(request);
        request.socket.destroy();
      }
    }
    this.#isTicking = false;
  }
}
