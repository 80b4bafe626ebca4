// Attach: makes an endpoint. It waits for what is in the way, gets addresses (from this host's block, or from the
// server), writes the journal, puts the endpoint's objects into the kernel, and answers. The objects are those that a
// round would make. For a local network the journal is written before the kernel is changed; for a global one see
// speculative.ts. The journal has the endpoint before the caller has its answer.
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { NetnsId } from "../../kernel/kernel.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { type Endpoint, endpointName } from "../../model/resource.ts";
import { parseMac } from "../../model/address.ts";
import type { AttachRequest, Attachment } from "../../model/status.ts";
import { allocate, inQuarantine } from "../journal/blockAllocator.ts";
import type { Entry } from "../journal/journal.ts";
import { attachmentOf, claimOf, type NamedRequest } from "./claim.ts";
import { compiled } from "./compile.ts";
import type { Detacher } from "./detach.ts";
import {
  attachedAlready,
  beingDetached,
  checkGroupsKnown,
  checkTakes,
  netnsMissing,
  netnsReserved,
  notObserved,
  notSynced,
} from "./faults.ts";
import type { Installer } from "./install.ts";
import type { LinkRemovals } from "./linkRemovals.ts";
import { checkShaping, limitsIn } from "./limits.ts";
import type { NetworkContext } from "./networkContext.ts";
import type { EndpointParts } from "./parts.ts";
import { PortNames } from "./portNames.ts";
import { changesOtherRoutes } from "./sideEffects.ts";
import { type AttachPlan, type Granted, Speculation } from "./speculative.ts";

/** What asks: a membership, which detaches it again; a CNI configuration, by its name (see Entry). */
export type By = { readonly joined?: boolean; readonly cni?: string };

export type AttachHelpers = {
  readonly detacher: Detacher;
  readonly installer: Installer;
  readonly removals: LinkRemovals;
};

export class Attacher {
  readonly #parts: EndpointParts;
  readonly #detacher: Detacher;
  readonly #installer: Installer;
  readonly #removals: LinkRemovals;
  readonly #speculation: Speculation;
  readonly #ports = new PortNames();
  readonly #startedAtMs: number;

  constructor(parts: EndpointParts, { detacher, installer, removals }: AttachHelpers) {
    this.#parts = parts;
    this.#detacher = detacher;
    this.#installer = installer;
    this.#removals = removals;
    this.#speculation = new Speculation(parts, removals);
    this.#startedAtMs = parts.clock.monotonicMs();
  }

  /** Idempotent by owner and interface. Rejects with a Fault, and then leaves nothing behind. */
  async attach(request: NamedRequest, by: By): Promise<Attachment> {
    const { host, view, rounds, snapshots, contexts, journal, blockLease } = this.#parts;
    const name = endpointName(request.owner, request.ifname);
    const { ended, incarnation } = blockLease;
    if (ended !== undefined) throw ended;
    if (!view.hasAdopted) await rounds.now();
    const context = contexts.of(request.network);
    if (!view.hasAdopted) throw notObserved();
    const netnsId = this.#netnsOf(request.netns);
    checkGroupsKnown(request.securityGroups, context.world.snapshot);
    if (this.#isInTheWay(name, netnsId)) await this.#detached(name, netnsId, request.ifname);
    while (this.#speculation.building(netnsId) !== undefined) await this.#speculation.building(netnsId);
    const before = journal.entries.get(name);
    if (before !== undefined) return this.#again(before, netnsId, request, by);
    checkTakes(context.world.self, context.network, blockLease);
    checkShaping(context.world.self, context.network, request);
    this.#ports.take(name, journal.entries, (other) => view.inFlight.has(other));
    view.inFlight.add(name);
    try {
      const isSecond = request.defaultRoute === undefined && this.#hasDefaultRoute(netnsId, request.ifname);
      const claim = claimOf(isSecond ? { ...request, defaultRoute: false } : request, host, by.joined === true);
      const plan: AttachPlan = { context, claim, name, netnsId, incarnation };
      let granted: Granted;
      if (context.network.spec.ipam === "global") {
        snapshots.checkHistory();
        granted = await this.#speculation.granted(plan);
        while (granted.built === undefined && this.#speculation.building(netnsId) !== undefined)
          await this.#speculation.building(netnsId);
      } else granted = { endpoint: this.#allocated(context, claim, name) };
      // Nothing is awaited from here to the entry in the journal: two attaches at once must not get the same address,
      // or both the default route.
      return await this.#keep(granted, plan, by);
    } finally {
      view.inFlight.delete(name);
      if (request.workload !== undefined) this.#parts.onNews();
    }
  }

  /** Writes the endpoint into the journal at once, then puts it into the kernel. */
  async #keep(granted: Granted, plan: AttachPlan, { cni }: By): Promise<Attachment> {
    const { view, rounds, snapshots, journal, blockLease, bootId, pokeRegistrar } = this.#parts;
    const { endpoint, built, pair } = granted;
    const { context, netnsId, incarnation } = plan;
    const { uid: networkUid, spec } = context.network;
    const wasConverged = view.isConverged(snapshots.known());
    const mark = cni === undefined ? {} : { cni };
    const entry: Entry = { endpoint, netnsId, bootId, networkUid, state: "attached", ...mark };
    try {
      journal.put(entry);
    } catch (error) {
      if (spec.ipam === "global") await this.#speculation.abandon(granted);
      throw error;
    }
    const isInstalled = this.#speculation.adopt(granted, plan);
    const result = built?.compiled ?? compiled(context, endpoint, journal, netnsId);
    try {
      if (!isInstalled) await this.#installer.install(result.objects, endpoint, built === undefined ? pair : "built");
    } catch (error) {
      // Nothing of a failed attach stays: port, entry, and the server's lease.
      const failed = journal.entries.get(endpoint.name);
      if (failed !== undefined) await this.#detacher.complete(failed).catch(() => undefined);
      throw error;
    }
    if (blockLease.incarnation !== incarnation) throw blockLease.ended ?? notSynced();
    if (changesOtherRoutes(journal.inNetns(netnsId), endpoint)) await rounds.now();
    else if (wasConverged) view.stayConverged();
    if (spec.ipam === "local") pokeRegistrar();
    return attachmentOf(context, endpoint, result);
  }

  /** Whether detached() has to wait. Usually not, and then an attach to a local network is journalled in one turn. */
  #isInTheWay(name: string, netnsId: NetnsId): boolean {
    const { journal, snapshots } = this.#parts;
    const own = journal.entries.get(name);
    if (this.#detacher.pending(name) !== undefined || (own !== undefined && !snapshots.isAlive(own))) return true;
    return own?.state === "detaching" || [...journal.inNetns(netnsId)].some(({ state }) => state === "detaching");
  }

  /**
   * Waits for what is in the way: endpoints of this name or interface that are being detached, or the one of this name
   * if its namespace is gone; and links that are being removed from the namespace. Until these are gone their routes
   * stay, and the kernel would refuse a second default route.
   */
  async #detached(name: string, netnsId: NetnsId, ifname: string): Promise<void> {
    const { journal, snapshots } = this.#parts;
    // A detach may run longer than its entry lives: the server may have removed the host meanwhile.
    await this.#detacher.pending(name);
    const own = journal.entries.get(name);
    if (own !== undefined && (own.state === "detaching" || !snapshots.isAlive(own))) await this.#detacher.complete(own);
    const isSameLink = ({ state, endpoint }: Entry) =>
      state === "detaching" && endpoint.name !== name && endpoint.spec.ifname === ifname;
    for (const entry of [...journal.inNetns(netnsId)].filter(isSameLink)) await this.#detacher.complete(entry);
    const here = [...journal.inNetns(netnsId)];
    await Promise.all(here.flatMap(({ endpoint }) => this.#removals.pending(endpoint.name) ?? []));
  }

  /** Whether an interface that exists has the default route, and would no longer be the first by name. */
  #hasDefaultRoute(netnsId: NetnsId, ifname: string): boolean {
    return [...this.#parts.journal.inNetns(netnsId)].some(({ state, endpoint: { spec } }) => {
      return state === "attached" && spec.defaultRoute !== false && ifname < spec.ifname;
    });
  }

  /** An attach that was answered before, or may have been: the same answer, if it is the same request. */
  async #again(before: Entry, netnsId: NetnsId, request: NamedRequest, { cni }: By): Promise<Attachment> {
    const { kernel, journal, contexts } = this.#parts;
    const { spec, name } = before.endpoint;
    if (before.state === "detaching") throw beingDetached(name);
    const isSame = before.netnsId === netnsId && (before.cni ?? cni) === (cni ?? before.cni) && isAnswer(spec, request);
    if (!isSame) throw attachedAlready(before.endpoint);
    if (cni !== undefined && before.cni === undefined) journal.put({ ...before, cni });
    const context = contexts.of(spec.network);
    const result = compiled(context, before.endpoint, journal);
    // The workload may have removed the interface from its namespace, of which the agent gets no event.
    if (!kernel.linkNames(spec.netns as Ns).includes(spec.ifname))
      await this.#installer.byRounds(result.objects, before.endpoint);
    return attachmentOf(context, before.endpoint, result);
  }

  #netnsOf(path: string): NetnsId {
    const { kernel } = this.#parts;
    const id = path.startsWith("/") ? kernel.netnsId(path) : undefined;
    if (id === undefined) throw netnsMissing(path);
    const own = kernel.ownNetns(id);
    if (own !== undefined) throw netnsReserved(path, own);
    return id;
  }

  /** An endpoint with addresses from this host's own block. */
  #allocated({ network, segments, world }: NetworkContext, claim: EndpointClaim, name: string): Endpoint {
    const { uid, journal, clock } = this.#parts;
    const freedAtMs = inQuarantine(journal.freed, network, name, {
      nowMs: clock.monotonicMs(),
      openedMs: this.#startedAtMs,
    });
    const { addresses: _, mac: __, range: ___, slice: ____, qos: _____, ...who } = claim;
    const lease = allocate(segments, journal.used(claim.network), claim, freedAtMs);
    const spec = { ...who, ...lease, ...limitsIn(claim) };
    return { kind: "endpoint", name, uid: uid(), revision: world.snapshot.revision, spec };
  }
}

/** Whether a request asks for what an endpoint already is. */
function isAnswer(spec: Endpoint["spec"], { network, workload, addresses = [], mac }: AttachRequest): boolean {
  return (
    spec.network === network &&
    (workload === undefined || workload === spec.workload) &&
    addresses.every((address) => spec.addresses.includes(address)) &&
    (mac === undefined || parseMac(mac, "mac") === spec.mac)
  );
}
