// An agent's claims over one connection that stays open (docs/api.md, POST /v1/claims). The first claim opens it in the
// background; when it has ended, the next claim opens it again. A claim that finds no open connection is sent as a
// request of its own.
import type { Clock } from "../model/clock.ts";
import { Fault, faultOf, type Problem } from "../model/fault.ts";
import type { Endpoint } from "../model/resource.ts";
import type { HttpClient, Talk } from "./http.ts";
import type { EndpointClaim } from "../model/input.ts";

const PATH = "/v1/claims";
/**
 * The time from a grant to its confirmation. A host that was granted an address and hears no more must undo it before a
 * server that lost the grant could have started again and granted the address to another endpoint.
 */
const KEPT_MS = 5_000;
const ANSWER_MS = 30_000;
const LOOK_EVERY_MS = 1_000;
/** The pause after a connection that could not be opened, or was silent: a proxy in between may hold back bodies. */
const REOPEN_MS = 30_000;

type Said = {
  readonly id?: number;
  readonly granted?: Endpoint;
  readonly kept?: true;
  readonly problem?: Partial<Problem>;
};
type Waiting = {
  sinceMs: number;
  granted: Endpoint | undefined;
  readonly told: (endpoint: Endpoint) => void;
  readonly resolve: (endpoint: Endpoint | undefined) => void;
  readonly reject: (error: unknown) => void;
};

export class ClaimLine {
  readonly #http: HttpClient;
  readonly #token: () => string | undefined;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #talk: Talk | undefined;
  #ended = new AbortController();
  #isOpening = false;
  #isLooking = false;
  #reopenAtMs = 0;
  #last = 0;
  /** Counts what the host was, and by which certificate. */
  #turn = 0;
  /** The connection is of an earlier certificate: it ends with its claims. */
  #isOld = false;

  constructor(http: HttpClient, token: () => string | undefined, clock: Clock) {
    this.#http = http;
    this.#token = token;
    this.#clock = clock;
  }

  /**
   * The endpoint, when it is durable; `granted` gets it earlier. Undefined if there is no connection, or it ended
   * before anything was granted: then nothing is known of the claim. Rejects with the Fault of the refusal, or with
   * `unavailable` or `timeout` if a grant may not be kept.
   */
  claim(claim: EndpointClaim, granted: (endpoint: Endpoint) => void): Promise<Endpoint | undefined> {
    const talk = this.#talk;
    if (talk === undefined) {
      if (!this.#isOpening && this.#clock.monotonicMs() >= this.#reopenAtMs) void this.#open();
      return Promise.resolve(undefined);
    }
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<Endpoint | undefined>();
    const sinceMs = this.#clock.monotonicMs();
    this.#waiting.set(id, { sinceMs, granted: undefined, told: granted, resolve, reject });
    talk.send({ id, claim });
    if (!this.#isLooking) void this.#look();
    return promise;
  }

  /** Refuses the claims in progress. The next one opens another connection. */
  close(): void {
    const why = "the agent stops, or joins anew";
    const fault = new Fault("unavailable", { what: "the line to the server was closed", why, fix: "try again" });
    for (const { reject } of this.#waiting.values()) reject(fault);
    this.#waiting.clear();
    this.#end(fault);
    this.#turn++;
  }

  /** The next claim that finds none in progress opens another connection: the host has another certificate. */
  renew(): void {
    this.#turn++;
    this.#isOld = this.#talk !== undefined;
    this.#endIfOld();
  }

  #endIfOld(): void {
    if (!this.#isOld || this.#waiting.size > 0) return;
    this.#talk?.close();
    this.#talk = undefined;
    this.#isOld = false;
  }

  async #open(): Promise<void> {
    this.#isOpening = true;
    try {
      const token = this.#token();
      const turn = this.#turn;
      const call = { method: "POST", path: PATH, ...(token === undefined ? {} : { token }) } as const;
      const talk = await this.#http.talk(
        call,
        (said) => this.#heard(said as Said),
        (fault) => this.#end(fault),
      );
      // The host may have become another one meanwhile.
      if (turn === this.#turn) this.#talk = talk;
      else talk.close();
    } catch {
      // The next claim is sent as a request of its own, and that reports any problem.
      this.#reopenAtMs = this.#clock.monotonicMs() + REOPEN_MS;
    } finally {
      this.#isOpening = false;
    }
  }

  #heard({ id, granted, kept, problem }: Said): void {
    const waiting = this.#waiting.get(id ?? 0);
    if (waiting === undefined) return problem === undefined ? undefined : this.#end(faultOf(problem));
    if (granted !== undefined) {
      waiting.granted = granted;
      waiting.sinceMs = this.#clock.monotonicMs();
      return waiting.told(granted);
    }
    this.#waiting.delete(id ?? 0);
    if (kept === true && waiting.granted !== undefined) waiting.resolve(waiting.granted);
    else waiting.reject(faultOf(problem ?? {}));
    this.#endIfOld();
  }

  /** A claim without a grant may be sent again. */
  #end(fault: Fault): void {
    this.#ended.abort();
    this.#ended = new AbortController();
    this.#talk?.close();
    this.#talk = undefined;
    this.#isOld = false;
    for (const { granted, resolve, reject } of this.#waiting.values())
      if (granted === undefined) resolve(undefined);
      else reject(fault);
    this.#waiting.clear();
  }

  /** One timer for all claims, as long as there are any. */
  async #look(): Promise<void> {
    this.#isLooking = true;
    while (this.#waiting.size > 0) {
      await this.#clock.sleep(LOOK_EVERY_MS, this.#ended.signal);
      const nowMs = this.#clock.monotonicMs();
      const isLate = ({ sinceMs, granted }: Waiting) => nowMs - sinceMs > (granted === undefined ? ANSWER_MS : KEPT_MS);
      if (![...this.#waiting.values()].some(isLate)) continue;
      this.#reopenAtMs = nowMs + REOPEN_MS;
      this.#end(silent());
    }
    this.#isLooking = false;
  }
}

function silent(): Fault {
  const why = "it granted an address and did not say that it is kept";
  const fix = "check the server and its disk; the address is free again, so the attach can be repeated";
  return new Fault("timeout", { what: "the server does not answer", why, fix });
}
