// What an agent asks of a server. Two implementations: transportHttp.ts over the API, and the simulation's, which calls
// the control plane directly and loses, delays, repeats and reorders on purpose.
import type { InventoryAnswer } from "../model/check.ts";
import type { EndpointClaim, HostClaim, MoveReport } from "../model/input.ts";
import type { ChangeSet, Endpoint, Host, Position, Snapshot } from "../model/resource.ts";
import type { HostReport } from "../model/status.ts";

/** `token` is the host's own credential from now on; a claim of a known host without it is refused (`host-claimed`). */
export type Joined = Heard & { readonly cluster: string; readonly token: string; readonly host: Host };
/** What the server says to whoever it has heard: after how much silence it gives hosts up; absent: never. */
export type Heard = { readonly reclaimAfterMs?: number };

export interface Transport {
  /** Claims the host's name, or confirms it with the host's own token. Idempotent; updates underlay address and MTU. */
  join(claim: HostClaim): Promise<Joined>;
  /** What this host needs to see, at one revision. Throws Fault `another-history` if `known` is not of the server's. */
  snapshot(known?: Position): Promise<Snapshot>;
  /**
   * Change sets that take what this host sees from `from` to each later revision reached: several commits may come as
   * one (revisions are skipped), and those of no concern as an empty one. With `history` the first names the one that
   * follows. Throws Fault `compacted` and `another-history`.
   */
  watch(from: number, signal: AbortSignal, history?: string): AsyncIterable<ChangeSet>;
  report(report: HostReport): Promise<Heard>;
  /** Answers a question that a change set brought. */
  answer(answer: InventoryAnswer): Promise<void>;
  /**
   * Idempotent by (owner, ifname) on one host. Durable before it answers; `granted` may be told the same before it is:
   * what is made of that must be undone if the answer is a Fault.
   */
  attach(claim: EndpointClaim, granted?: (endpoint: Endpoint) => void): Promise<Endpoint>;
  /** Detaching what is not there succeeds. */
  detach(endpoint: string): Promise<void>;
  /** Lets go of every connection, because the address they are from may be gone. What is asked next opens another. */
  reconnect(): void;
  /** A move that the server has forgotten is none of this host's any more: that succeeds, too. */
  moved(move: string, report: MoveReport): Promise<void>;
}
