// Watches over HTTP: change sets as newline-delimited JSON, as they become durable. An empty set is a sign of life, at
// least every 15 s. When the reader disconnects, its watch ends; for a slow reader, sets wait in its own socket. If a
// watch fails after it has begun, its last line is the problem.
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../model/clock.ts";
import { problemOf } from "../model/fault.ts";
import type { ChangeSet } from "../model/resource.ts";

/** A proxy may neither store nor buffer an answer that continues line by line. */
const LINES_HEAD = { "content-type": "application/x-ndjson", "cache-control": "no-store", "x-accel-buffering": "no" };
const BOOKMARK_EVERY_MS = 15_000;

/** A reader that reads nothing for this long is cut off, because what waits for it is in memory. It may watch again. */
const STUCK_MS = 30_000;

type Open = { readonly response: ServerResponse; reached: number; waitsSinceMs: number | undefined };
/** Sets that many hosts get are encoded once. */
const lines = new WeakMap<ChangeSet, string>();

export class Watches {
  readonly #clock: Clock;
  readonly #open = new Set<Open>();
  readonly #closing = new AbortController();
  #isTicking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Starts a watch; if `begin` throws, this throws at once. The result writes the answer until either side ends it. */
  serve(
    from: number,
    begin: (signal: AbortSignal) => AsyncIterable<ChangeSet>,
  ): (response: ServerResponse) => Promise<void> {
    const gone = new AbortController();
    const sets = begin(AbortSignal.any([gone.signal, this.#closing.signal]));
    return async (response) => {
      const open: Open = { response, reached: from, waitsSinceMs: undefined };
      response.on("close", () => gone.abort());
      response.on("error", () => gone.abort());
      beginLines(response);
      this.#open.add(open);
      this.#tick();
      try {
        for await (const set of sets) await this.#write(open, set, gone.signal);
      } catch (error) {
        if (!gone.signal.aborted) response.write(`${JSON.stringify(problemOf(error))}\n`);
      } finally {
        this.#open.delete(open);
        response.end();
      }
    };
  }

  /** Ends every watch. */
  close(): void {
    this.#closing.abort();
  }

  async #write(open: Open, set: ChangeSet, signal: AbortSignal): Promise<void> {
    open.reached = set.revision;
    if (open.response.write(lineOf(set)) || signal.aborted) return;
    open.waitsSinceMs = this.#clock.monotonicMs();
    // A reader that is gone never drains; then the signal ends the wait.
    await once(open.response, "drain", { signal }).catch(() => {});
    open.waitsSinceMs = undefined;
  }

  /** One timer for all watches, as long as there are any. */
  #tick(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    void (async () => {
      while (this.#open.size > 0 && !this.#closing.signal.aborted) {
        await this.#clock.sleep(BOOKMARK_EVERY_MS, this.#closing.signal);
        for (const { response, reached, waitsSinceMs } of this.#open) {
          if (waitsSinceMs === undefined) response.write(lineOf({ revision: reached, changes: [] }));
          else if (this.#clock.monotonicMs() - waitsSinceMs >= STUCK_MS) response.destroy();
        }
      }
      this.#isTicking = false;
    })();
  }
}

/** Sends the head of an answer that continues line by line. */
export function beginLines(response: ServerResponse): void {
  response.writeHead(200, LINES_HEAD);
  response.flushHeaders();
}

function lineOf(set: ChangeSet): string {
  let line = lines.get(set);
  if (line === undefined) lines.set(set, (line = `${JSON.stringify(set)}\n`));
  return line;
}
