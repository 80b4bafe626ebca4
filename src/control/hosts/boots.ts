// Which boot of which machine is a host. A copy of a machine (a cloned disk, a restored image) has the host's token and
// its journal, and would release the journal's leases as those of an earlier boot. But it has another boot id. So while
// a host is heard, another boot at another address is refused, and both are named. Another boot at the same address is
// a restart; another address in the same boot is a host that moved.
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { HostClaim } from "../../model/input.ts";
import type { HostReport } from "../../model/status.ts";
import type { Secret, Store } from "../../store/store.ts";
import type { Condition } from "../report/conditions.ts";
import type { LivenessSettings } from "./liveness.ts";
import type { Reports } from "../report/reports.ts";

type Refused = { readonly message: string; readonly atMs: number };

/** A refused machine asks again within seconds; one that has not for this long has stopped. */
const TOLD_MS = 60_000;

export class Boots {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #reports: Reports;
  readonly #aliveMs: number;
  readonly #refused = new Map<string, Refused>();

  constructor(store: Store, clock: Clock, reports: Reports, { suspectAfterMs }: LivenessSettings) {
    this.#store = store;
    this.#clock = clock;
    this.#reports = reports;
    this.#aliveMs = suspectAfterMs;
  }

  /** Throws `host-cloned` for a claim of another machine. `underlay`: the host's known address. */
  checkClaim({ host, bootId, underlay }: HostClaim, known: string | undefined): void {
    const boot = this.#bootOf(host);
    if (known === undefined || boot === undefined || bootId === undefined || bootId === boot) return;
    if (underlay === known || !this.#isHeard(host)) return;
    throw this.#refuse(host, `${known} (boot ${boot})`, `${underlay} (boot ${bootId})`);
  }

  /**
   * Throws `host-cloned` for a report from another boot than the one that joined last: after a boot, a host joins
   * first.
   */
  checkReport({ host, bootId }: HostReport, known: string): void {
    const boot = this.#bootOf(host);
    if (boot === undefined || boot === bootId) return;
    throw this.#refuse(host, `${known} (boot ${boot})`, `the one that reports from boot ${bootId}`);
  }

  /** The records to write with an accepted claim. */
  record({ host, bootId }: HostClaim): Secret[] {
    return this.#bootOf(host) === bootId ? [] : [bootSecret(host, bootId)];
  }

  taken(host: string): void {
    this.#refused.delete(host);
  }

  conditions(): Condition[] {
    const now = this.#clock.monotonicMs();
    for (const [host, { atMs }] of this.#refused) if (now - atMs > TOLD_MS) this.#refused.delete(host);
    return [...this.#refused].map(([host, { message }]) => ({
      reason: "host-cloned",
      object: `host/${host}`,
      host,
      message,
    }));
  }

  /** A server that has just started has heard no host, and gives each the time to be heard. */
  #isHeard(host: string): boolean {
    return this.#clock.monotonicMs() - this.#reports.heard(host).heardAtMs <= this.#aliveMs;
  }

  #bootOf(host: string): string | undefined {
    return this.#store.secret(bootKey(host));
  }

  #refuse(host: string, taken: string, refused: string): Fault {
    const fault = new Fault("host-cloned", {
      what: `two machines say that they are host "${host}": ${taken}, which is heard, and ${refused}`,
      where: `host/${host}`,
      why: "one may be a copy of the other, and both would give the same addresses",
      fix:
        "on the copy, stop the agent, remove its state directory, and start it with another --host; a machine that " +
        "was restarted with another address is taken by itself when the first has not been heard for a while",
    });
    this.#refused.set(host, { message: fault.message, atMs: this.#clock.monotonicMs() });
    return fault;
  }
}

/** Undefined removes what is recorded. */
export function bootSecret(host: string, bootId: string | undefined): Secret {
  return { key: bootKey(host), value: bootId };
}

function bootKey(host: string): string {
  return `boot/${host}`;
}
