// How endpoints leave. Removing a link takes the kernel an RCU grace period (15-20 ms), and nobody has to wait for it:
// the intent is written, the port is cut off, which takes 0.15 ms and ends its traffic, and that is the answer. What
// follows happens behind it, in this order: its elements and its link are removed, all that wait as one group; the
// server lets go; the journal forgets. So an address is never free before its link is gone, and whoever wants the same
// name or interface again waits here for that. A killed agent leaves a port that its successor's first round removes.
import { policyOf } from "../../datapath/policy/groups.ts";
import { ofSegmentOwner } from "../../datapath/world/reservations.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ifb } from "../../datapath/kinds/ifb.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import type { Transport } from "../../client/transport.ts";
import type { Kernel, Refusal } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import type { Agent } from "../agent.ts";
import { endFlowsOf } from "./endedFlows.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { linksOf } from "./links.ts";
import { changesOtherRoutes, isInUse } from "../reconcile/localSnapshot.ts";
import type { NetworkContext, NetworkContexts } from "./networkContext.ts";
import { elementsOf } from "../reconcile/policy.ts";
import { notSynced } from "./faults.ts";

type Links = readonly (Veth | Ifb)[];

export type DetacherOptions = {
  readonly agent: Agent;
  readonly kernel: Kernel;
  readonly transport: Transport;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly places: NetworkContexts;
};

export class Detacher {
  readonly #options: DetacherOptions;
  /** By endpoint: resolves when nothing of it is left, or what is left is for the loop to remove. */
  readonly #going = new Map<string, Promise<void>>();
  readonly #leaving = new Map<string, Promise<unknown>>();
  #doomed: {
    readonly links: Links;
    readonly endpoint: Endpoint | undefined;
    readonly done: (refusal: Refusal | undefined) => void;
  }[] = [];
  #isReaping = false;

  constructor(options: DetacherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the endpoint carries no traffic any more and its journal entry says `detaching`. Rejects with a Fault
   * if it may still carry some; then the loop goes on trying.
   */
  async begin(entry: Entry): Promise<void> {
    const { agent, journal } = this.#options;
    const { endpoint } = entry;
    if (this.#going.has(endpoint.name)) return;
    agent.inFlight.add(endpoint.name);
    try {
      const network = this.#networkOf(endpoint);
      const { isSettled } = agent;
      if (entry.state === "attached") journal.put({ ...entry, state: "detaching" });
      if (network === undefined) await agent.roundNow();
      const links = network === undefined ? undefined : linksOf(endpoint, network, agent.held);
      if (links !== undefined) this.#cutOff(links[0], endpoint);
      this.#settled(isSettled, endpoint);
      this.#going.set(endpoint.name, this.#finish(endpoint, links, network?.spec.ipam === "global"));
    } catch (error) {
      agent.inFlight.delete(endpoint.name);
      agent.missed();
      throw error;
    }
  }

  /** begin(), and nothing is left of it here when this resolves; of a global endpoint the lease may be, see journal. */
  async complete(entry: Entry): Promise<void> {
    await this.begin(entry);
    await this.#going.get(entry.endpoint.name);
  }

  /** If a departure of this name is at work: resolves when it has ended. */
  pending(name: string): Promise<void> | undefined {
    return this.#going.get(name);
  }

  /** If its link is being removed: resolves when nothing of it is in its workload's namespace any more. */
  linkRemoval(name: string): Promise<unknown> | undefined {
    return this.#leaving.get(name);
  }

  /** Removes what was made ahead of an answer, and the answer was no: a pair, or all of an endpoint. */
  async discard(objects: readonly KernelObject[], endpoint: Endpoint | undefined): Promise<void> {
    const links = objects.filter((object) => object.kind === "veth" || object.kind === "ifb");
    if (links.length === 0) return;
    if ((await this.#reap(links, endpoint)) !== undefined) this.#options.agent.missed();
  }

  #networkOf({ spec }: Endpoint): Network | undefined {
    const snapshot = this.#options.agent.snapshots.known();
    if (snapshot !== undefined) return snapshot.networks.find((network) => network.name === spec.network);
    throw notSynced();
  }

  /** Never rejects: what cannot be done now is done by rounds and by settling with the server. */
  async #finish(endpoint: Endpoint, links: Links | undefined, isGlobal: boolean): Promise<void> {
    const { agent, journal, transport, clock } = this.#options;
    try {
      const left = links === undefined ? this.#cutFlows([endpoint]) : await this.#leave(links, endpoint);
      if (left !== undefined) return agent.missed();
      // A local address is this host's own: free as soon as its port is gone, whether or not the server can hear of it.
      const isTold =
        !isGlobal ||
        (await transport.detach(endpoint.name).then(
          () => true,
          () => false,
        ));
      const { isSettled } = agent;
      if (isTold) journal.remove(endpoint.name, clock.monotonicMs());
      this.#settled(isSettled, endpoint);
      if (!isTold || !isGlobal) agent.pokeServer();
    } catch {
      agent.missed();
    } finally {
      this.#going.delete(endpoint.name);
      agent.inFlight.delete(endpoint.name);
      if (endpoint.spec.workload !== undefined) agent.onNews();
    }
  }

  /**
   * With the last endpoint its VRF may go from this host, with the last of its groups their rules, with one of
   * several interfaces the others' routes change: all are the next round's work and nobody's drift.
   */
  #settled(wasSettled: boolean, endpoint: Endpoint): void {
    const { agent, journal } = this.#options;
    const entries = () => journal.entries.values();
    if (!wasSettled || endpoint.spec.securityGroups !== undefined) return;
    if (isInUse(entries(), endpoint.spec.network) && !changesOtherRoutes(entries(), endpoint)) agent.settled();
  }

  #cutOff(port: Veth, endpoint: Endpoint): void {
    const { agent, kernel } = this.#options;
    const [refusal] = kernel.cutOff([port]);
    if (refusal !== undefined) throw notCutOff(endpoint, refusal);
    agent.unreconciled.add(port);
    agent.note([{ op: { op: "remove", object: port } }]);
  }

  /** What a detach takes out of the sets; addresses that others may have, too, are left to the next round. */
  #elementsOf(endpoint: Endpoint): readonly KernelObject[] {
    const { allowedAddresses: _, ...spec } = endpoint.spec;
    const place = this.#placeOf(spec.network);
    return place === undefined
      ? []
      : elementsOf(place, ofSegmentOwner({ ...endpoint, spec }, place.world.segmentOwners));
  }

  /**
   * Whoever gets their addresses next must not inherit their flows. A VRF's flows are read once for all of them. Says
   * why not, if it cannot be done.
   */
  #cutFlows(endpoints: readonly Endpoint[]): Refusal | undefined {
    const vrfOf = (place: NetworkContext | undefined) =>
      place === undefined || policyOf(place.world, place.vrf.name).profiles.size === 0 ? undefined : place.vrf.name;
    try {
      endFlowsOf(this.#options.kernel, endpoints, (network) => vrfOf(this.#placeOf(network)));
      return undefined;
    } catch (error) {
      return { class: "invalid", message: `flows cannot be ended: ${String(error)}` };
    }
  }

  #placeOf(network: string): NetworkContext | undefined {
    try {
      return this.#options.places.of(network);
    } catch (error) {
      if (error instanceof Fault) return undefined;
      throw error;
    }
  }

  async #leave(links: Links, endpoint: Endpoint): Promise<Refusal | undefined> {
    const gone = this.#reap(links, endpoint);
    this.#leaving.set(endpoint.name, gone);
    return await gone.finally(() => this.#leaving.delete(endpoint.name));
  }

  #reap(links: Links, endpoint: Endpoint | undefined): Promise<Refusal | undefined> {
    const done = new Promise<Refusal | undefined>((resolve) => this.#doomed.push({ links, endpoint, done: resolve }));
    if (!this.#isReaping) void this.#reapAll();
    return done;
  }

  /** All that come while a group is being removed are the next group. */
  async #reapAll(): Promise<void> {
    const { agent } = this.#options;
    this.#isReaping = true;
    while (this.#doomed.length > 0) {
      const batch = this.#doomed;
      this.#doomed = [];
      const doomed = batch.flatMap(({ links, done }) => links.map((object) => ({ object, done })));
      // Elements first: they go at once, and a round in the middle of the links' removal finds nothing left over.
      const endpoints = batch.flatMap(({ endpoint }) => endpoint ?? []);
      const elements = endpoints.flatMap((endpoint) => this.#elementsOf(endpoint));
      const objects = [...elements, ...doomed.map(({ object }) => object)];
      const all = await agent.apply(objects.map((object) => ({ op: "remove", object })));
      const results = all.slice(elements.length);
      const left = this.#cutFlows(endpoints);
      for (const { links } of batch) for (const link of links) agent.unreconciled.delete(link);
      // A look that began before may have seen them. What was refused is for the next round.
      agent.note(results.filter((result) => result.refusal === undefined));
      // A promise keeps the first answer it gets: a refusal must come before the rest.
      for (const isRefusal of [true, false])
        for (const [i, { done }] of doomed.entries())
          if (((results[i]?.refusal ?? left) !== undefined) === isRefusal) done(results[i]?.refusal ?? left);
    }
    this.#isReaping = false;
  }
}

function notCutOff({ name }: Endpoint, { message }: Refusal): Fault {
  return new Fault("kernel-refused", {
    what: `the kernel did not take the port of endpoint "${name}" down`,
    why: message,
    fix: "see the agent's log and `weft status`; the agent goes on trying",
  });
}
