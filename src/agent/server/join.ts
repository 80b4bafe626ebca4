// How a host joins its cluster, and how it tells the server when what it is has changed: underlay address, prefixes,
// shaping.
import { isDisbelief } from "../../client/hostCredential.ts";
import type { Joined, Transport } from "../../client/transport.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault, problemOf, type Reason } from "../../model/fault.ts";
import type { HostClaim } from "../../model/input.ts";
import type { BlockLease } from "../journal/blockLease.ts";

export type JoinOptions = {
  readonly transport: Pick<Transport, "join" | "isDue" | "reconnect">;
  readonly clock: Clock;
  readonly random: () => number;
  /** What the host is now. Rejects with a Fault while that cannot be said. */
  readonly claim: () => Promise<HostClaim>;
  /** The cluster this host belonged to before, if it ever joined one. */
  readonly cluster: string | undefined;
  /** Saves what the host was given; called again with the next heartbeat if it throws. */
  readonly saveIdentity: (joined: Joined) => void;
  readonly blockLease: Pick<BlockLease, "sending" | "heard">;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const JOIN_FIRST_MS = 200;
const JOIN_LAST_MS = 10_000;

export class HostJoin {
  readonly #options: JoinOptions;
  readonly #onProblem: () => void;
  /** The last claim that the server accepted, as JSON. */
  #accepted = "";
  #wasLetIn: boolean;
  /** The underlay address of the last claim; undefined before the first, and while there is none. */
  #address: string | undefined;
  /** Why the host cannot say what it is, or why the server refused it: a condition. */
  problem: string | undefined;
  /** The problem may end at any moment: an address comes, a network is gone that overlaps. */
  isBrief = false;
  /** What the disk refused to save. */
  #unsaved: Joined | undefined;
  /** Prefixes of the host's own routes in the last accepted claim. */
  prefixes: readonly string[] | undefined;

  /** `onProblem` is called when the problem is another, or none. */
  constructor(options: JoinOptions, onProblem: () => void) {
    this.#options = options;
    this.#onProblem = onProblem;
    this.#wasLetIn = options.cluster !== undefined;
  }

  /** Joins, however long the server is away. Rejects with the Fault of a server that refuses. */
  async join(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    for (let waitMs = JOIN_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, JOIN_LAST_MS)) {
      try {
        return await this.#joinAs(await this.claimNow());
      } catch (error) {
        const { reason, detail } = problemOf(error);
        if (!this.#mayPass(reason)) throw error;
        log("join", { error: detail });
        await clock.sleep(waitMs * (0.5 + random()), signal);
      }
    }
  }

  /** Waits for what ends by itself. A host that was let in before waits also for right clocks, CAs and tokens. */
  #mayPass(reason: Reason): boolean {
    if (reason === "unavailable" || reason === "timeout" || reason === "host-cloned") return true;
    return this.#wasLetIn && isDisbelief(reason);
  }

  /** Joins again if the claim has changed, or a certificate is due. Never rejects: reports go on in any case. */
  async refresh(): Promise<void> {
    if (this.#unsaved !== undefined) this.#save(this.#unsaved);
    try {
      const claimed = await this.claimNow();
      const isDue = this.#options.transport.isDue();
      if (isDue || this.#accepted !== JSON.stringify(claimed)) await this.#joinAs(claimed);
      this.#setProblem(undefined);
    } catch (error) {
      const { reason, detail } = problemOf(error);
      // The problem is known already, or the server is away and hears nothing else either.
      if (reason === "unavailable" || reason === "timeout") return this.#options.log("join", { error: detail });
      if (isDisbelief(reason)) this.#setProblem(`the server does not let this host in: ${detail}`, false);
      else this.#setProblem(`the server does not take what this host says of itself now: ${detail}`);
    }
  }

  /** The next refresh() joins again in any case. */
  invalidate(): void {
    this.#accepted = "";
  }

  /** The claim. If the underlay address is another, connections from the old one are closed: they would time out. */
  async claimNow(): Promise<HostClaim> {
    const { claim, transport } = this.#options;
    const claimed = await claim().catch((error: unknown) => problemOf(error));
    const address = "underlay" in claimed ? claimed.underlay : undefined;
    if (this.#address !== undefined && address !== this.#address) transport.reconnect();
    this.#address = address;
    if ("underlay" in claimed) return claimed;
    this.#setProblem(claimed.detail);
    const fix = "nothing: it goes on by itself when the host has an address";
    throw new Fault("unavailable", { what: claimed.detail, fix });
  }

  #setProblem(why: string | undefined, isBrief = true): void {
    this.isBrief = why !== undefined && isBrief;
    if (this.problem === why) return;
    this.problem = why;
    if (why !== undefined) this.#options.log("claim", { error: why });
    this.#onProblem();
  }

  async #joinAs(claimed: HostClaim): Promise<void> {
    const { transport, cluster, blockLease } = this.#options;
    const sent = blockLease.sending();
    const joined = await transport.join(claimed);
    if (cluster !== undefined && cluster !== joined.cluster) {
      throw new Fault("host-claimed", {
        what: `this host belongs to cluster ${cluster}, and the server is of cluster ${joined.cluster}`,
        why: "the kernel state of one cluster must not be taken for another's",
        fix: "point --server at the right one; to change clusters, run `weft purge` and remove the state directory",
      });
    }
    this.#wasLetIn = true;
    this.#accepted = JSON.stringify(claimed);
    this.prefixes = claimed.hostPrefixes;
    this.#save(joined);
    blockLease.heard(sent, joined.reclaimAfterMs);
  }

  /** A full disk is no reason to join again: the host's key is on it, and what it lacks is asked for again. */
  #save(joined: Joined): void {
    try {
      this.#options.saveIdentity(joined);
      this.#unsaved = undefined;
    } catch (error) {
      this.#unsaved = joined;
      this.#options.log("save", { error: problemOf(error).detail });
    }
  }
}

type UnderlayOptions = {
  readonly kernel: Pick<Kernel, "underlayMtu">;
  /** The address when the agent starts. */
  readonly address: string;
  /** Finds the source address of packets to the server; absent if the address was given. */
  readonly find?: () => Promise<string | undefined>;
};

/**
 * The address to which other hosts send tunnel packets. One that was given (`--underlay`) stays; one that the agent
 * found by itself is looked up again when the host no longer has it (DHCP, another NIC).
 */
export class Underlay {
  readonly #options: UnderlayOptions;
  #address: string;

  constructor(options: UnderlayOptions) {
    this.#options = options;
    this.#address = options.address;
  }

  /** The address now, with the MTU of its link. Throws a Fault `address-invalid` while the host has none. */
  async now(): Promise<{ readonly underlay: string; readonly underlayMtu: number }> {
    const { kernel, find } = this.#options;
    // It stays while the host has it: with two routes to the server, tunnels must not change whenever the routes do.
    const mtu = kernel.underlayMtu(this.#address);
    if (mtu !== undefined) return { underlay: this.#address, underlayMtu: mtu };
    const found = await find?.();
    const foundMtu = found === undefined ? undefined : kernel.underlayMtu(found);
    if (found === undefined || foundMtu === undefined) throw this.#gone();
    this.#address = found;
    return { underlay: found, underlayMtu: foundMtu };
  }

  #gone(): Fault {
    const isGiven = this.#options.find === undefined;
    return new Fault("address-invalid", {
      what: `this host does not have the address ${this.#address}`,
      where: "--underlay",
      why: "tunnel packets of other hosts do not arrive here",
      fix: isGiven
        ? "add the address to the host, give another --underlay, or leave it out"
        : "see to an address with a route to the server: the agent takes it by itself",
    });
  }
}
