// Removes links of endpoints, with their elements and flows. Removing a link takes the kernel 15-20 ms, and many at
// once take hardly longer, so all that wait while one group is being removed are the next group.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Ifb, Veth } from "../../datapath/kinds/links.ts";
import { policyOf } from "../../datapath/policy/groups.ts";
import { portName, shaperName } from "../../datapath/state/names.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import { nsOf, nsOfNamed } from "../../datapath/world/placement.ts";
import { ofSegmentOwner } from "../../datapath/world/reservations.ts";
import type { Kernel, Refusal } from "../../kernel/kernel.ts";
import { Fault } from "../../model/fault.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";
import { elementsOf, type NetworkContext } from "./compile.ts";
import type { EndpointParts } from "./parts.ts";

export type Links = readonly (Veth | Ifb)[];

/** The pair, whose removal takes everything on both ends along; and the shaping device, if one is known. */
export function linksOf({ name, spec }: Endpoint, ns: Ns, known: KernelState): readonly [Veth, ...Ifb[]] {
  const link = { ns, mtu: 0, mac: "", alias: "" } as const;
  const peer = { ns: spec.netns as Ns, name: spec.ifname, mtu: 0, mac: "" };
  const shaper: Ifb = { kind: "ifb", ...link, name: shaperName(name) };
  return [{ kind: "veth", ...link, name: portName(name), peer }, ...(known.has(keyOf(shaper)) ? [shaper] : [])];
}

type Removal = {
  readonly links: Links;
  /** Absent if only its pair was made. */
  readonly endpoint: Endpoint | undefined;
  readonly done: (refusal: Refusal | undefined) => void;
};

export class LinkRemovals {
  readonly #parts: Pick<EndpointParts, "view" | "kernel" | "contexts">;
  readonly #running = new Map<string, Promise<unknown>>();
  #queue: Removal[] = [];
  #isRemoving = false;

  constructor(parts: Pick<EndpointParts, "view" | "kernel" | "contexts">) {
    this.#parts = parts;
  }

  /** If this endpoint's link is being removed: resolves when nothing of it is in its workload's namespace any more. */
  pending(name: string): Promise<unknown> | undefined {
    return this.#running.get(name);
  }

  /** Resolves to why the kernel refused, if it did; then the next round removes what is left. */
  async remove(links: Links, endpoint: Endpoint): Promise<Refusal | undefined> {
    const removal = this.#enqueue(links, endpoint);
    this.#running.set(endpoint.name, removal);
    return await removal.finally(() => this.#running.delete(endpoint.name));
  }

  /** Removes what was built for an attach that failed: a pair, or a whole endpoint. */
  async discard(objects: readonly KernelObject[], endpoint: Endpoint | undefined): Promise<void> {
    const links = objects.filter((object) => object.kind === "veth" || object.kind === "ifb");
    if (links.length === 0) return;
    if ((await this.#enqueue(links, endpoint)) !== undefined) this.#parts.view.diverged();
  }

  /** Ends flows: the next owners of the addresses must not inherit them. Returns why the kernel refused, if it did. */
  endFlows(endpoints: readonly Endpoint[]): Refusal | undefined {
    const filteredIn = (context: NetworkContext | undefined) => {
      if (context === undefined || policyOf(context.world, context.vrf.name).profiles.size === 0) return undefined;
      return nsOf(context.vrf);
    };
    try {
      endFlowsOf(this.#parts.kernel, endpoints, (network) => filteredIn(this.#contextOf(network)));
      return undefined;
    } catch (error) {
      return { class: "invalid", message: `flows cannot be ended: ${String(error)}` };
    }
  }

  #enqueue(links: Links, endpoint: Endpoint | undefined): Promise<Refusal | undefined> {
    const done = new Promise<Refusal | undefined>((resolve) => this.#queue.push({ links, endpoint, done: resolve }));
    if (!this.#isRemoving) void this.#removeQueued();
    return done;
  }

  async #removeQueued(): Promise<void> {
    const { view } = this.#parts;
    this.#isRemoving = true;
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      const removals = group.flatMap(({ links, done }) => links.map((object) => ({ object, done })));
      // Elements first: they go at once, so a round that runs while the links are removed finds no leftovers.
      const endpoints = group.flatMap(({ endpoint }) => endpoint ?? []);
      const elements = endpoints.flatMap((endpoint) => this.#elementsOf(endpoint));
      const objects = [...elements, ...removals.map(({ object }) => object)];
      const all = await view.apply(objects.map((object) => ({ op: "remove", object })));
      const results = all.slice(elements.length);
      const left = this.endFlows(endpoints);
      for (const { links } of group) for (const link of links) view.unreconciled.delete(link);
      // An observation that began earlier may have read them. The next round removes what was refused.
      view.note(results.filter((result) => result.refusal === undefined));
      // A promise keeps its first result, so refusals come before successes.
      for (const isRefusal of [true, false])
        for (const [i, { done }] of removals.entries())
          if (((results[i]?.refusal ?? left) !== undefined) === isRefusal) done(results[i]?.refusal ?? left);
    }
    this.#isRemoving = false;
  }

  /** The elements of an endpoint; allowed addresses, which others may have, too, are left to the next round. */
  #elementsOf(endpoint: Endpoint): readonly KernelObject[] {
    const { allowedAddresses: _, ...spec } = endpoint.spec;
    const context = this.#contextOf(spec.network);
    if (context === undefined) return [];
    return elementsOf(context, ofSegmentOwner({ ...endpoint, spec }, context.world.segmentOwners));
  }

  #contextOf(network: string): NetworkContext | undefined {
    try {
      return this.#parts.contexts.of(network);
    } catch (error) {
      if (error instanceof Fault) return undefined;
      throw error;
    }
  }
}

type FlowKernel = Pick<Kernel, "cutFlows">;

/** Reads each VRF's flows once for all its endpoints. `nsOf`: where a network is. Throws if the kernel refuses. */
export function endFlowsOf(
  kernel: FlowKernel,
  endpoints: Iterable<Endpoint>,
  nsOf: (network: string) => Ns | undefined,
): void {
  const byNs = new Map<Ns, Set<string>>();
  for (const { spec } of endpoints) {
    const ns = nsOf(spec.network);
    if (ns === undefined) continue;
    const addresses = byNs.get(ns) ?? new Set();
    byNs.set(ns, addresses);
    for (const address of spec.addresses) addresses.add(address);
  }
  for (const [ns, gone] of byNs)
    kernel.cutFlows(ns, ({ source, destination }) => !gone.has(source) && !gone.has(destination));
}

type FlowsOptions = {
  readonly kernel: FlowKernel;
  readonly journal: Pick<Journal, "entries">;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

// A detach ends flows when it removes the link. If a round removed the port instead (the server wanted it, or a killed
// agent had begun the detach), they are ended here, before the address is free for another owner.

/** Ports whose addresses are not free: those in the kernel (`existing`), and those whose flows could not be ended. */
export function portsWithAddresses(
  { kernel, journal, log }: FlowsOptions,
  snapshot: Snapshot,
  existing: ReadonlySet<string>,
  inFlight: ReadonlySet<string>,
): ReadonlySet<string> {
  const gone = [...journal.entries.values()].flatMap(({ endpoint, state }) =>
    state === "detaching" && !inFlight.has(endpoint.name) && !existing.has(portName(endpoint.name)) ? [endpoint] : [],
  );
  const places = new Map(snapshot.networks.map(({ name, spec }) => [name, nsOfNamed(snapshot.vrfs, spec.vrf)]));
  try {
    endFlowsOf(kernel, gone, (network) => places.get(network));
    return existing;
  } catch (error) {
    log("flows of endpoints that left cannot be ended", { error: String(error) });
    return new Set([...existing, ...gone.map(({ name }) => portName(name))]);
  }
}
