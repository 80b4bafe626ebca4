// Questions to hosts: sent with the change sets of each host's watch, and answered by a request of the host. A host
// that does not follow is not asked, and one that does not answer in time counts as silent; neither delays the others.
// It costs nothing while no check runs.
import type { Ask, InventoryAnswer } from "../../model/check.ts";
import type { Clock } from "../../model/clock.ts";

/** Reading everything takes a host some milliseconds; after this time there will be no answer. */
const LOOK_MS = 3_000;
/** Detaching a thousand endpoints takes a second or two. */
const ORDERS_MS = 20_000;
/** Hosts try until nothing new can come, eight seconds at most (agent/server/preflight.ts). */
const TRIAL_MS = 10_000;

type Question = Omit<Ask, "id">;

/** Sends each host its question; returns the hosts that follow now. */
export type Send = (asks: ReadonlyMap<string, Ask>) => ReadonlySet<string>;

export type Answers = {
  readonly answers: ReadonlyMap<string, InventoryAnswer>;
  /** Hosts that did not answer, and why. */
  readonly unanswered: ReadonlyMap<string, string>;
};

type Open = { readonly waiting: Set<string>; readonly answers: Map<string, InventoryAnswer>; done(): void };

export class Inquiry {
  readonly #clock: Clock;
  readonly #send: Send;
  readonly #open = new Map<number, Open>();
  #lastId = 0;

  constructor(clock: Clock, send: Send) {
    this.#clock = clock;
    this.#send = send;
  }

  /**
   * Asks each host for its inventory, after the host has carried out its orders and its trial; resolves when all have
   * answered, or when the time is over.
   */
  async ask(questions: ReadonlyMap<string, Question>): Promise<Answers> {
    const id = ++this.#lastId;
    const heard = this.#send(new Map([...questions].map(([host, question]) => [host, { id, ...question }])));
    const late = new AbortController();
    const open: Open = { waiting: new Set(heard), answers: new Map(), done: () => late.abort() };
    const limitMs = Math.max(...[...questions.values()].map(limitOf));
    this.#open.set(id, open);
    if (heard.size > 0) await this.#clock.sleep(limitMs, late.signal);
    this.#open.delete(id);
    const unanswered = [...questions.keys()]
      .filter((host) => !open.answers.has(host))
      .map((host): [string, string] => [
        host,
        heard.has(host) ? `it did not answer within ${limitMs / 1000} s` : "away: its agent does not follow the server",
      ]);
    return { answers: open.answers, unanswered: new Map(unanswered) };
  }

  /** Takes a host's answer; an answer that comes too late is ignored. */
  take(host: string, answer: InventoryAnswer): void {
    const open = this.#open.get(answer.ask);
    if (open === undefined || !open.waiting.delete(host)) return;
    open.answers.set(host, answer);
    if (open.waiting.size === 0) open.done();
  }
}

function limitOf({ orders, trial }: Question): number {
  if (trial !== undefined) return TRIAL_MS;
  return orders.length > 0 ? ORDERS_MS : LOOK_MS;
}
