// Makes memberships and moves true on this host, through the same door as people do. Its own loop: what a network
// lacks must not keep the kernel waiting. It remembers nothing: journal and mirror say what is left to do, so it goes
// on after any crash. Without memberships it has nothing to look at.
import type { Mirror } from "../../client/mirror.ts";
import type { Transport } from "../../client/transport.ts";
import type { Clock } from "../../model/clock.ts";
import { problemOf, type Reason } from "../../model/fault.ts";
import { plainName } from "../../model/endpointName.ts";
import { endpointName, type Endpoint, type Move, type Snapshot } from "../../model/resource.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Agent } from "../agent.ts";
import type { Door } from "../endpoint/attach.ts";
import type { Journal } from "../journal/journal.ts";
import { Loop } from "../reconcile/loop.ts";
import { type Join, nextInterface, instanceOf, planMemberships } from "./membershipPlan.ts";

export type MembersOptions = {
  readonly agent: Agent;
  readonly door: Door;
  readonly host: string;
  readonly journal: Journal;
  readonly mirror: Mirror;
  readonly kernel: Kernel;
  readonly transport: Pick<Transport, "moved">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const PERIOD_MS = 30_000;
const GATHER_MS = 10;
/** What passes by itself: tried again, and nobody's failure. */
const PASSING: ReadonlySet<Reason> = new Set(["unavailable", "timeout", "not-synced", "in-use", "internal"]);

export class Members {
  readonly #options: MembersOptions;
  readonly #loop: Loop;
  #seen:
    | {
        readonly snapshot: Snapshot;
        readonly version: number;
        readonly isSynced: boolean;
        /** Endpoints whose workload has ended. */
        readonly gone: string;
        /** Nobody is to be anywhere, or has been because of a membership. */
        readonly isIdle: boolean;
      }
    | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    const { clock, random, agent } = options;
    this.#loop = new Loop({ clock, random, periodMs: PERIOD_MS, gatherMs: GATHER_MS }, () => this.#round());
    agent.onNews = () => {
      if (this.#isNews()) this.#loop.poke();
    };
  }

  /** Until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#loop.run(signal);
  }

  /** Most of what a cluster says is not about members; and most clusters have none. */
  #isNews(): boolean {
    const { agent, journal, mirror } = this.#options;
    const snapshot = agent.snapshots.current();
    const seen = this.#seen;
    if (snapshot === undefined) return false;
    if (seen === undefined) return true;
    if (seen.isIdle && snapshot.memberships.length === 0 && snapshot.moves.length === 0) return false;
    return (
      seen.version !== journal.version ||
      seen.isSynced !== mirror.isSynced ||
      seen.gone !== agent.endedWorkloads.join() ||
      seen.snapshot.memberships !== snapshot.memberships ||
      seen.snapshot.moves !== snapshot.moves ||
      seen.snapshot.networks !== snapshot.networks
    );
  }

  async #round(): Promise<boolean> {
    const { agent, journal, mirror, host } = this.#options;
    const snapshot = agent.snapshots.current();
    if (snapshot === undefined) return true;
    this.#seen = {
      snapshot,
      version: journal.version,
      isSynced: mirror.isSynced,
      gone: agent.endedWorkloads.join(),
      isIdle:
        snapshot.memberships.length === 0 &&
        snapshot.moves.length === 0 &&
        ![...journal.entries.values()].some(({ endpoint }) => endpoint.spec.joined === true),
    };
    const isAlive = (entry: Parameters<Agent["snapshots"]["isAlive"]>[0]) => agent.snapshots.isAlive(entry);
    const { joins, leaves, moves } = planMemberships(snapshot, host, journal.entries, isAlive, mirror.isSynced);
    const refused: string[] = [];
    let isDone = true;
    for (const { what, step } of [
      ...leaves.map((name) => ({ what: `${name} leaves`, step: () => this.#options.door.detach(name) })),
      ...joins.map((join) => ({ what: `${join.owner} joins ${join.network}`, step: () => this.#join(join) })),
      ...moves.map((move) => ({ what: `${move.spec.endpoint} moves`, step: () => this.#move(move, snapshot) })),
    ]) {
      try {
        if ((await step()) === false) isDone = false;
      } catch (error) {
        isDone = false;
        const { reason, detail } = problemOf(error);
        if (!PASSING.has(reason)) refused.push(`${what}: ${detail}`);
        this.#options.log("members", { error: detail });
        if (reason === "unavailable" || reason === "timeout") break;
      }
    }
    agent.unjoined(refused);
    return isDone;
  }

  async #join({ network, workload, owner, netns }: Join): Promise<void> {
    const ifname = this.#nextName(owner, netns);
    await this.#options.door.attach({ network, workload, owner, netns, ifname }, { joined: true });
  }

  /** One step after another, each told: false while it waits for something. */
  async #move(move: Move, snapshot: Snapshot): Promise<boolean> {
    const { agent, door, journal } = this.#options;
    const { spec } = move;
    const name = plainName(spec.endpoint, spec.host);
    const old = journal.entries.get(name);
    if (old?.endpoint.spec.network !== spec.from || !agent.snapshots.isAlive(old))
      return this.#moveEnded(move, snapshot);
    const there = this.#targetOf(spec, old.endpoint.spec.netns);
    if (there === undefined && old.state === "detaching") {
      // Somebody takes it away: then it is not to be anywhere else, either.
      await this.#tell(move, { state: "gone" });
      return true;
    }
    const target = there ?? (await this.#attachTarget(move, old.endpoint));
    if (target === undefined) return false;
    const arrived = { newEndpoint: target.name, newAddresses: target.spec.addresses };
    if (spec.state !== "joined") await this.#tell(move, { state: "joined", ...arrived });
    await door.detach(name);
    await this.#tell(move, { state: "left", ...arrived });
    return true;
  }

  /** The endpoint is not here any more: this host has let it go after it made the new one, or somebody else has. */
  async #moveEnded(move: Move, snapshot: Snapshot): Promise<boolean> {
    const { journal, mirror } = this.#options;
    const { spec } = move;
    const isKnown = snapshot.endpoints.some((endpoint) => endpoint.name === spec.endpoint);
    const isHere = journal.entries.has(plainName(spec.endpoint, spec.host));
    // The journal may have been lost, and the endpoint be adopted in a moment.
    if (!mirror.isSynced || (isKnown && !isHere)) return false;
    // What is still here, but not alive, has not moved: its workload has ended.
    const target = isHere ? undefined : this.#targetOf(spec, undefined);
    const arrived = target && { newEndpoint: target.name, newAddresses: target.spec.addresses };
    await this.#tell(move, arrived === undefined ? { state: "gone" } : { state: "left", ...arrived });
    return true;
  }

  #targetOf({ to, owner }: Move["spec"], netns: string | undefined): Endpoint | undefined {
    for (const { endpoint, state } of this.#options.journal.entries.values()) {
      const { spec } = endpoint;
      const isHere = spec.owner === owner && (netns === undefined || spec.netns === netns);
      if (state === "attached" && spec.network === to && isHere) return endpoint;
    }
    return undefined;
  }

  /** The new interface; undefined if it cannot be, which the server is told once. */
  async #attachTarget(move: Move, { spec }: Endpoint): Promise<Endpoint | undefined> {
    const { owner, netns, workload, joined, securityGroups, qos } = spec;
    const request = {
      network: move.spec.to,
      owner,
      netns,
      ifname: this.#nextName(owner, netns),
      ...(workload === undefined ? {} : { workload }),
      // Its own, not the old network's: without them it would be open, or unlimited, where it comes to.
      ...(securityGroups === undefined ? {} : { securityGroups }),
      ...(qos === undefined ? {} : { qos }),
    };
    try {
      const { endpoint } = await this.#options.door.attach(request, { joined: joined === true });
      return this.#options.journal.entries.get(endpoint)?.endpoint;
    } catch (error) {
      const { reason, detail } = problemOf(error);
      if (PASSING.has(reason)) throw error;
      if (move.spec.reason !== detail) await this.#tell(move, { state: "failed", reason: detail });
      return undefined;
    }
  }

  async #tell(move: Move, report: Parameters<Transport["moved"]>[1]): Promise<void> {
    await this.#options.transport.moved(move.name, report);
  }

  #nextName(owner: string, netns: string): string {
    const { journal, kernel } = this.#options;
    const own = [...journal.entries.values()].filter(
      ({ endpoint }) => instanceOf(endpoint.spec) === instanceOf({ owner, netns }),
    );
    const last = own.map(({ endpoint }) => endpoint.spec.ifname).reduce((a, b) => (a > b ? a : b), "");
    const links = kernel.linkNames(netns as Ns);
    return nextInterface(last, (name) => links.includes(name) || journal.entries.has(endpointName(owner, name)));
  }
}
