// What an agent asks of a server. Two implementations: transportHttp.ts over the API, and the simulation's, which calls
// the control plane directly and loses, delays, repeats and reorders on purpose.
import type { InventoryAnswer } from "../model/check.ts";
import type { EndpointClaim, HostClaim, MoveReport } from "../model/input.ts";
import type { ChangeSet, Endpoint, Host, Network, Position, Snapshot } from "../model/resource.ts";
import type { HostReport } from "../model/status.ts";

/** With what the host proves who it is from now on, if it asked for that: PEM texts. */
export type Joined = Heard & {
  readonly cluster: string;
  readonly host: Host;
  readonly certificate?: string;
  readonly ca?: string;
};
/** The server's answer to a host that it has heard: its settings for silent hosts. */
export type Heard = {
  /** In the answer to a report: the pin of the CA that signs now. */
  readonly ca?: string;
  /** After this much silence a host is suspect; absent: the server is an earlier one. */
  readonly suspectAfterMs?: number;
  /** After this much it is reclaimed; absent: never. */
  readonly reclaimAfterMs?: number;
};

export interface Transport {
  /**
   * Claims the host's name, or confirms it, and gets the next certificate if one is due. Idempotent; updates underlay
   * address and MTU.
   */
  join(claim: HostClaim): Promise<Joined>;
  /** Whether the next join brings another certificate. */
  isDue(): boolean;
  /** What this host may see, at one revision. Throws Fault `another-history` if the server does not have `known`. */
  snapshot(known?: Position): Promise<Snapshot>;
  /**
   * Change sets from `from` to each later revision of what this host sees. Several commits may come as one (revisions
   * are skipped), and commits that do not concern the host as an empty one. With `history` the first set names the
   * history that follows. Throws Fault `compacted` and `another-history`.
   */
  watch(from: number, signal: AbortSignal, history?: string): AsyncIterable<ChangeSet>;
  report(report: HostReport): Promise<Heard>;
  /** Answers a question that a change set brought. */
  answer(answer: InventoryAnswer): Promise<void>;
  /**
   * Idempotent by (owner, ifname) on one host. Durable before it answers. `granted` may get the endpoint earlier; what
   * is made from it must be undone if the answer is a Fault.
   */
  attach(claim: EndpointClaim, granted?: (endpoint: Endpoint) => void): Promise<Endpoint>;
  /** The same of a claim that names no network. The answer may be a local network, in which the host allocates. */
  attachAnywhere(claim: EndpointClaim): Promise<Endpoint | Network>;
  /** Succeeds also if nothing of that name is attached. */
  detach(endpoint: string): Promise<void>;
  /** Closes every connection, because this host's address may have changed. The next call opens another. */
  reconnect(): void;
  /** Succeeds also if the server no longer has the move. */
  moved(move: string, report: MoveReport): Promise<void>;
}
