// What an attach to a global network does before the server's word is final. The pair needs no address, and is the
// greater part of what the kernel has to do: it is made while the server decides. The rest is made while the server's
// disk works on what it has granted (docs/decisions/0017). Nobody is told before it is kept: until then what was made
// is in no journal, no round may judge it, and a crash leaves a port that the next start removes.
import { isDeepStrictEqual } from "node:util";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { NetnsId, OpResult } from "../../kernel/kernel.ts";
import type { Transport } from "../../client/transport.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Agent } from "../agent.ts";
import { type Compiled, bridgeKey, speculativePort } from "./claim.ts";
import type { Detacher } from "./detach.ts";
import type { Journal } from "../journal/journal.ts";
import type { NetworkContext } from "./networkContext.ts";
import { canFastPath } from "../reconcile/policy.ts";
import { notSynced } from "./faults.ts";

type SpeculationOptions = {
  readonly agent: Agent;
  readonly journal: Journal;
  readonly transport: Transport;
  readonly departures: Detacher;
};

/** What an attach wants; `compile` says what an endpoint is in the kernel. */
export type Wanted = {
  readonly place: NetworkContext;
  readonly claim: EndpointClaim;
  readonly name: string;
  readonly netnsId: NetnsId;
  readonly compile: (endpoint: Endpoint) => Compiled;
};

type Work = {
  readonly pair: Veth;
  readonly netnsId: NetnsId;
  /** As soon as more than the pair may be in the kernel. */
  whole?: { readonly endpoint: Endpoint; readonly objects: readonly KernelObject[] };
};

/** What stands in the kernel and in no journal. */
type Built = {
  readonly work: Work;
  readonly compiled: Compiled;
  readonly results: readonly OpResult[];
  /** What the journal said then, and what the kernel was known to hold: another state after each round. */
  readonly journalVersion: number;
  readonly held: KernelState;
};

/** An endpoint that is durable. `pair`: made ahead, and down at the workload's end, unless all is `built`. */
export type Granted = { readonly endpoint: Endpoint; readonly pair?: Veth; readonly built?: Built };

export class Speculation {
  readonly #options: SpeculationOptions;
  /** By namespace: two of one workload must know of each other, because one of them is the way out. */
  readonly #building = new Map<NetnsId, PromiseWithResolvers<void>>();

  constructor(options: SpeculationOptions) {
    this.#options = options;
  }

  /** If something in this namespace is built that the journal does not know: resolves when that is over. */
  building(netnsId: NetnsId): Promise<void> | undefined {
    return this.#building.get(netnsId)?.promise;
  }

  /**
   * An endpoint as the server keeps it. Whoever gets it writes the journal and calls `adopt`, all in one turn; if it is
   * not built, after waiting for what else is.
   */
  async granted(wanted: Wanted): Promise<Granted> {
    const { agent, transport } = this.#options;
    const { place, claim, name, netnsId } = wanted;
    const early = Promise.withResolvers<Endpoint>();
    const kept = this.#inLife(transport.attach(claim, early.resolve));
    const port = speculativePort(place, claim, name);
    if (port === undefined || !agent.held.has(bridgeKey(port))) return { endpoint: await kept };
    agent.unreconciled.add(port);
    const [made] = await agent.apply([{ op: "add", object: port }]);
    if (made?.refusal !== undefined) {
      // What was refused is refused again with the whole endpoint, and told then.
      agent.unreconciled.delete(port);
      return { endpoint: await kept };
    }
    const work: Work = { pair: port, netnsId };
    try {
      const endpoint = await Promise.race([early.promise, kept]);
      const built = this.#building.has(netnsId) ? undefined : await this.#build(wanted, endpoint, work);
      await kept;
      return built === undefined ? { endpoint, pair: port } : { endpoint, built };
    } catch (error) {
      await this.#options.departures.discard(work.whole?.objects ?? [port], work.whole?.endpoint);
      agent.unreconciled.delete(port);
      this.#leave(work);
      throw error;
    }
  }

  /** The whole endpoint into the kernel; undefined if rounds have to do it. */
  async #build({ compile }: Wanted, endpoint: Endpoint, work: Work): Promise<Built | undefined> {
    const { agent, journal } = this.#options;
    const { pair, netnsId } = work;
    const compiled = compile(endpoint);
    const { objects } = compiled;
    const port = objects.find((object) => object.kind === "veth");
    const isReady = port !== undefined && keyOf(port) === keyOf(pair) && agent.held.has(bridgeKey(port));
    if (!isReady || !canFastPath(objects, endpoint)) return undefined;
    work.whole = { endpoint, objects };
    this.#building.set(netnsId, Promise.withResolvers());
    for (const object of objects) agent.unreconciled.add(object);
    agent.unreconciled.delete(pair);
    const journalVersion = journal.version;
    const results = await agent.apply(
      objects.map((object) => (object === port ? { op: "set", from: pair, object } : { op: "add", object })),
    );
    return { compiled, results, journalVersion, held: agent.held, work };
  }

  /** What was built is an endpoint of the journal from now on. False if a round has to look at it. */
  adopt({ endpoint, pair, built }: Granted, compile: Wanted["compile"]): boolean {
    const { agent, journal } = this.#options;
    if (pair !== undefined) agent.unreconciled.delete(pair);
    if (built === undefined) return false;
    const { objects } = built.compiled;
    const done = built.results.filter(({ refusal }) => refusal === undefined);
    // A round in between left out what is apart, and may have removed what hangs on something else.
    const isHeld = agent.held === built.held || objects.every((object) => agent.held.has(keyOf(object)));
    this.#leave(built.work);
    agent.note(done);
    // One is the entry of this endpoint itself.
    const isSame =
      journal.version === built.journalVersion + 1 || isDeepStrictEqual(compile(endpoint).objects, objects);
    return done.length === objects.length && isHeld && isSame;
  }

  /** What was granted and could not be written down: nothing of it stays, neither here nor at the server. */
  async abandon({ endpoint, pair, built }: Granted): Promise<void> {
    const { agent, departures, transport } = this.#options;
    const objects = built?.compiled.objects ?? (pair === undefined ? [] : [pair]);
    await departures.discard(objects, built === undefined ? undefined : endpoint);
    if (pair !== undefined) agent.unreconciled.delete(pair);
    if (built !== undefined) this.#leave(built.work);
    // A server that cannot be told now is told when journal and server are compared.
    await transport.detach(endpoint.name).catch(() => agent.pokeServer());
  }

  #leave({ netnsId, whole }: Work): void {
    if (whole === undefined) return;
    for (const object of whole.objects) this.#options.agent.unreconciled.delete(object);
    this.#building.get(netnsId)?.resolve();
    this.#building.delete(netnsId);
  }

  /** The answer, unless this host ends before it: then what was granted is not its own any more. */
  #inLife<T>(answer: Promise<T>): Promise<T> {
    const { blockLease } = this.#options.agent;
    const { incarnation } = blockLease;
    const checked = answer.then((value) => {
      if (blockLease.incarnation !== incarnation) throw blockLease.ended ?? notSynced();
      return value;
    });
    // Awaited later; until then nobody listens for a refusal.
    checked.catch(() => undefined);
    return checked;
  }
}
