// Speculative attach to a global network: builds the endpoint while the server allocates its lease, and undoes it if
// the server refuses. The veth pair needs no address and is most of the kernel's work, so it is made while the server
// decides. The rest is made while the server writes the lease to its disk (docs/decisions/0017). The caller is answered
// only when the lease is durable. Until then no journal has the endpoint and no round may judge it, and after a crash
// the next start removes the port.
import { isDeepStrictEqual } from "node:util";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { NetnsId, OpResult } from "../../kernel/kernel.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Endpoint } from "../../model/resource.ts";
import {
  canFastPath,
  type Compiled,
  compiled,
  hasBridge,
  type NetworkContext,
  opsFor,
  speculativePort,
} from "./compile.ts";
import { notSynced } from "./faults.ts";
import type { LinkRemovals } from "./linkRemovals.ts";
import type { EndpointParts } from "./parts.ts";

/** An endpoint to be: what it claims, and where. */
export type AttachIntent = {
  readonly context: NetworkContext;
  readonly claim: EndpointClaim;
  readonly name: string;
  readonly netnsId: NetnsId;
  /** Of the host, when the attach began (see BlockLease). */
  readonly incarnation: number;
};

type Work = {
  readonly pair: Veth;
  readonly netnsId: NetnsId;
  /** Set as soon as more than the pair may be in the kernel. */
  whole?: { readonly endpoint: Endpoint; readonly objects: readonly KernelObject[] };
};

/** An endpoint that is in the kernel and in no journal. */
type Built = {
  readonly work: Work;
  readonly compiled: Compiled;
  readonly results: readonly OpResult[];
  /** Journal version and known kernel state when it was built; the state is another map after each round. */
  readonly journalVersion: number;
  readonly state: KernelState;
};

/** A durable endpoint. `pair`: the pair is in the kernel, down at the workload's end. `built`: all of it is. */
export type Granted = { readonly endpoint: Endpoint; readonly pair?: Veth; readonly built?: Built };

export class Speculation {
  readonly #parts: EndpointParts;
  readonly #removals: LinkRemovals;
  /** By namespace: of one workload's endpoints the second is built after the first, which has the default route. */
  readonly #building = new Map<NetnsId, PromiseWithResolvers<void>>();

  constructor(parts: EndpointParts, removals: LinkRemovals) {
    this.#parts = parts;
    this.#removals = removals;
  }

  /** If an endpoint that the journal does not have is being built in this namespace: resolves when that has ended. */
  building(netnsId: NetnsId): Promise<void> | undefined {
    return this.#building.get(netnsId)?.promise;
  }

  /**
   * The endpoint as the server keeps it. If it is not built, the caller waits for others in the namespace; then it
   * writes the journal and calls adopt() in one turn.
   */
  async granted(intent: AttachIntent): Promise<Granted> {
    const { view, transport } = this.#parts;
    const { context, claim, name, netnsId } = intent;
    const early = Promise.withResolvers<Endpoint>();
    const durable = this.#unlessEnded(transport.attach(claim, early.resolve));
    const port = speculativePort(context, claim, name);
    if (port === undefined || !hasBridge(view.state, port)) return { endpoint: await durable };
    view.unreconciled.add(port);
    const [made] = await view.apply([{ op: "add", object: port }]);
    if (made?.refusal !== undefined) {
      // It will be refused again with the whole endpoint, and reported then.
      view.unreconciled.delete(port);
      return { endpoint: await durable };
    }
    const work: Work = { pair: port, netnsId };
    try {
      const endpoint = await Promise.race([early.promise, durable]);
      const built = this.#building.has(netnsId) ? undefined : await this.#build(intent, endpoint, work);
      await durable;
      return built === undefined ? { endpoint, pair: port } : { endpoint, built };
    } catch (error) {
      await this.#removals.discard(work.whole?.objects ?? [port], work.whole?.endpoint);
      view.unreconciled.delete(port);
      this.#ended(work);
      throw error;
    }
  }

  /** Applies the whole endpoint; undefined if rounds have to do that. */
  async #build({ context }: AttachIntent, endpoint: Endpoint, work: Work): Promise<Built | undefined> {
    const { view, journal } = this.#parts;
    const { pair, netnsId } = work;
    const result = compiled(context, endpoint, journal, netnsId);
    const { objects } = result;
    const port = objects.find((object) => object.kind === "veth");
    const isReady = port !== undefined && keyOf(port) === keyOf(pair) && hasBridge(view.state, port);
    if (!isReady || !canFastPath(objects, endpoint)) return undefined;
    work.whole = { endpoint, objects };
    this.#building.set(netnsId, Promise.withResolvers());
    for (const object of objects) view.unreconciled.add(object);
    view.unreconciled.delete(pair);
    const journalVersion = journal.version;
    const results = await view.apply(opsFor(objects, port, pair));
    return { compiled: result, results, journalVersion, state: view.state, work };
  }

  /** The journal has the endpoint now, so rounds may judge it. False if the caller still has to install it. */
  handOver({ endpoint, pair, built }: Granted, { context, netnsId }: AttachIntent): boolean {
    const { view, journal } = this.#parts;
    if (pair !== undefined) view.unreconciled.delete(pair);
    if (built === undefined) return false;
    const { objects } = built.compiled;
    const done = built.results.filter(({ refusal }) => refusal === undefined);
    // A round meanwhile left out what is unreconciled, and may have removed something that it depends on.
    const isThere = view.state === built.state || objects.every((object) => view.state.has(keyOf(object)));
    this.#ended(built.work);
    view.note(done);
    // The one change of the journal is this endpoint's own entry.
    const isSame =
      journal.version === built.journalVersion + 1 ||
      isDeepStrictEqual(compiled(context, endpoint, journal, netnsId).objects, objects);
    return done.length === objects.length && isThere && isSame;
  }

  /** The journal refused a granted endpoint: removes it from the kernel and releases its lease. */
  async abandon({ endpoint, pair, built }: Granted): Promise<void> {
    const { view, transport, pokeRegistrar } = this.#parts;
    const objects = built?.compiled.objects ?? (pair === undefined ? [] : [pair]);
    await this.#removals.discard(objects, built === undefined ? undefined : endpoint);
    if (pair !== undefined) view.unreconciled.delete(pair);
    if (built !== undefined) this.#ended(built.work);
    // If the server cannot be reached now, the comparison with the journal releases it.
    await transport.detach(endpoint.name).catch(pokeRegistrar);
  }

  #ended({ netnsId, whole }: Work): void {
    if (whole === undefined) return;
    for (const object of whole.objects) this.#parts.view.unreconciled.delete(object);
    this.#building.get(netnsId)?.resolve();
    this.#building.delete(netnsId);
  }

  /** The answer, unless the server removes this host before it comes: then the lease is no longer its own. */
  #unlessEnded<T>(answer: Promise<T>): Promise<T> {
    const { blockLease } = this.#parts;
    const { incarnation } = blockLease;
    const checked = answer.then((value) => {
      if (blockLease.incarnation !== incarnation) throw blockLease.ended ?? notSynced();
      return value;
    });
    // Awaited later; until then a rejection has no listener.
    checked.catch(() => undefined);
    return checked;
  }
}
