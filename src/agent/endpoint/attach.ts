// The door's two verbs. Attach is the one measured fast path: it compiles and applies one endpoint's objects, in the
// same terms as a round does, and falls back to a whole round where the ground (namespace, bridge) is not there yet.
// Of a local network intent is written before the kernel is touched; what a global one does ahead is in speculative.ts.
// It is on disk before the caller hears "done".
import { compileEndpoint } from "../../datapath/network/endpoint.ts";
import { portName } from "../../datapath/state/names.ts";
import { layoutOf } from "../../datapath/world/layout.ts";
import { ofSegmentOwner } from "../../datapath/world/reservations.ts";
import { compileShaping } from "../../datapath/network/shaping.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { keyOf } from "../../datapath/state/state.ts";
import type { Kernel, NetnsId } from "../../kernel/kernel.ts";
import type { Transport } from "../../client/transport.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import { type Endpoint, type EndpointSpec, type Network, type Snapshot, endpointName } from "../../model/resource.ts";
import { parseMac } from "../../model/address.ts";
import { checkEndpointName } from "../../model/ifname.ts";
import type { AttachRequest, Attachment, EndpointCounters, QueueCounters } from "../../model/status.ts";
import type { Agent } from "../agent.ts";
import { Speculation, type Granted, type Wanted } from "./speculative.ts";
import { type Compiled, bridgeKey, claimOf, ownerOf, attachmentOf, withoutNetwork } from "./claim.ts";
import { Detacher } from "./detach.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { allocate, inQuarantine } from "../journal/blockAllocator.ts";
import { checkShaping, limitsIn, queuesOf } from "./limits.ts";
import { changesOtherRoutes } from "../reconcile/localSnapshot.ts";
import { type NetworkContext, NetworkContexts } from "./networkContext.ts";
import { PortNames } from "./portNames.ts";
import { checkGroupsKnown, countersOf, elementsOf, canFastPath } from "../reconcile/policy.ts";
import { attachedAlready, checkTakes, faultOf, netnsReserved, notLooked, notSynced } from "./faults.ts";

export type DoorOptions = {
  readonly agent: Agent;
  readonly host: string;
  readonly kernel: Kernel;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly uid: () => string;
};

/** Who asks: a membership, which takes it away again; a CNI configuration, by its name (see Entry). */
type By = { readonly joined?: boolean; readonly cni?: string };

/** Rounds that an attach waits for where one does not do it. */
const ROUNDS_MAX = 3;

export class Door {
  readonly #options: DoorOptions;
  readonly #openedMs: number;
  readonly #places: NetworkContexts;
  readonly #departures: Detacher;
  readonly #ahead: Speculation;
  readonly #ports = new PortNames();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#openedMs = options.clock.monotonicMs();
    this.#places = new NetworkContexts(options.agent, options.host);
    this.#departures = new Detacher({ ...options, places: this.#places });
    this.#ahead = new Speculation({ ...options, departures: this.#departures });
  }

  /** Idempotent by (owner, ifname). Rejects with a Fault and leaves nothing behind when it cannot. */
  attach(request: AttachRequest, by: By = {}): Promise<Attachment> {
    const owner = request.owner ?? ownerOf(request.netns);
    const name = checkEndpointName(owner, request.ifname ?? "eth0");
    return this.#inTurn(name, () => this.#attach(request, owner, by));
  }

  async #attach(request: AttachRequest, owner: string, by: By): Promise<Attachment> {
    const { agent, journal } = this.#options;
    const ifname = request.ifname ?? "eth0";
    const name = endpointName(owner, ifname);
    const { ended, incarnation } = agent.blockLease;
    if (ended !== undefined) throw ended;
    if (!agent.hasAdopted) await agent.roundNow();
    const place = this.#places.of(request.network);
    if (!agent.hasAdopted) throw notLooked();
    const netnsId = this.#netnsOf(request.netns);
    checkGroupsKnown(request.securityGroups, place.world.snapshot);
    // A departure may outlive its entry: the host may have ended meanwhile.
    const leaving = this.#departures.pending(name);
    if (leaving !== undefined) await leaving;
    for (const entry of this.#inTheWay(name, netnsId, ifname)) await this.#departures.complete(entry);
    // Routes of a link that is going are there until it is gone, and a second default route would be refused.
    const leftovers = [...journal.inNetns(netnsId)].flatMap(
      ({ endpoint }) => this.#departures.linkRemoval(endpoint.name) ?? [],
    );
    if (leftovers.length > 0) await Promise.all(leftovers);
    while (this.#ahead.building(netnsId) !== undefined) await this.#ahead.building(netnsId);
    const before = journal.entries.get(name);
    if (before !== undefined) return this.#again(before, netnsId, request, by);
    checkTakes(place.world.self, place.network, agent.blockLease);
    checkShaping(place.world.self, place.network, request);
    this.#ports.take(name, journal.entries, (other) => agent.inFlight.has(other));
    agent.inFlight.add(name);
    try {
      const isSecond = request.defaultRoute === undefined && this.#hasWayOut(netnsId, ifname);
      const wish = isSecond ? { ...request, defaultRoute: false } : request;
      const claim = claimOf(wish, this.#options.host, owner, ifname, by.joined === true);
      const wanted: Wanted = { place, claim, name, netnsId, compile: (one) => this.#compile(place, one, netnsId) };
      let granted: Granted;
      if (place.network.spec.ipam === "global") {
        agent.checkFollows();
        granted = await this.#ahead.granted(wanted);
        while (granted.built === undefined && this.#ahead.building(netnsId) !== undefined)
          await this.#ahead.building(netnsId);
      } else granted = { endpoint: this.#assign(place, claim, name) };
      // From what was assigned or kept to its record in the journal nothing is awaited, so that two attaches at once
      // never see the same address free, or both the way out.
      const { endpoint, built, pair } = granted;
      const { isSettled } = agent;
      const mark = by.cni === undefined ? {} : { cni: by.cni };
      const networkUid = place.network.uid;
      const entry: Entry = { endpoint, netnsId, bootId: agent.bootId, networkUid, state: "attached", ...mark };
      try {
        journal.put(entry);
      } catch (error) {
        if (place.network.spec.ipam === "global") await this.#ahead.abandon(granted);
        throw error;
      }
      const isThere = this.#ahead.adopt(granted, wanted.compile);
      const compiled = built?.compiled ?? wanted.compile(endpoint);
      const done = isThere ? undefined : this.#apply(compiled.objects, endpoint, built === undefined ? pair : "built");
      await done?.catch(async (error: unknown) => {
        await this.#rollBack(endpoint);
        throw error;
      });
      if (agent.blockLease.incarnation !== incarnation) throw agent.blockLease.ended ?? notSynced();
      if (changesOtherRoutes(journal.inNetns(netnsId), endpoint)) await agent.roundNow();
      else if (isSettled) agent.settled();
      if (place.network.spec.ipam === "local") agent.pokeServer();
      return attachmentOf(place, endpoint, compiled);
    } finally {
      agent.inFlight.delete(name);
      if (request.workload !== undefined) agent.onNews();
    }
  }

  /**
   * What an attach has to wait for: an endpoint of this name or interface that is leaving, or one of this name whose
   * namespace is gone, which nobody can want any more.
   */
  #inTheWay(name: string, netnsId: NetnsId, ifname: string): readonly Entry[] {
    const { agent, journal } = this.#options;
    const own = journal.entries.get(name);
    const isOwnLeaving = own !== undefined && (own.state === "detaching" || !agent.snapshots.isAlive(own));
    const beside = [...journal.inNetns(netnsId)].filter(({ state, endpoint }) => {
      return state === "detaching" && endpoint.name !== name && endpoint.spec.ifname === ifname;
    });
    return isOwnLeaving ? [own, ...beside] : beside;
  }

  /** Whether an interface that is there already is the way out, and would no longer be the first by name. */
  #hasWayOut(netnsId: NetnsId, ifname: string): boolean {
    return [...this.#options.journal.inNetns(netnsId)].some(({ state, endpoint: { spec } }) => {
      return state === "attached" && spec.defaultRoute !== false && ifname < spec.ifname;
    });
  }

  /** An attach that was answered before, or may have been: the same again, if it is the same. */
  async #again(before: Entry, netnsId: NetnsId, request: AttachRequest, { cni }: By): Promise<Attachment> {
    const { kernel, journal } = this.#options;
    const { name, spec } = before.endpoint;
    if (before.state === "detaching") {
      throw new Fault("unavailable", {
        what: `"${name}" is detached, but the server cannot be told`,
        why: "its address is not free before the server has let go of it",
        fix: "try again when the server is back, or give this one another name",
      });
    }
    const isSame =
      before.netnsId === netnsId &&
      (cni === undefined || (before.cni ?? cni) === cni) &&
      spec.network === request.network &&
      (request.workload === undefined || request.workload === spec.workload) &&
      (request.addresses ?? []).every((address) => spec.addresses.includes(address)) &&
      (request.mac === undefined || parseMac(request.mac, "mac") === spec.mac);
    if (!isSame) throw attachedAlready(before.endpoint);
    if (cni !== undefined && before.cni === undefined) journal.put({ ...before, cni });
    const place = this.#places.of(spec.network);
    const compiled = this.#compile(place, before.endpoint);
    // Somebody may have taken the interface away, and nobody told the agent: a workload's namespace is its own.
    if (!kernel.linkNames(spec.netns as Ns).includes(spec.ifname)) {
      await this.#byRounds(compiled.objects, before.endpoint);
    }
    return attachmentOf(place, before.endpoint, compiled);
  }

  #netnsOf(path: string): NetnsId {
    const { kernel } = this.#options;
    const id = path.startsWith("/") ? kernel.netnsId(path) : undefined;
    const own = id === undefined ? undefined : kernel.ownNetns(id);
    if (own !== undefined) throw netnsReserved(path, own);
    if (id !== undefined) return id;
    throw new Fault("netns-missing", {
      what: `there is no network namespace at "${path}"`,
      where: "netns",
      fix: "give an absolute path such as /run/netns/NAME or /proc/PID/ns/net (see `ip netns list`)",
    });
  }

  /** An endpoint with addresses from this host's own block. */
  #assign(place: NetworkContext, claim: EndpointClaim, name: string): Endpoint {
    const { uid, journal, clock } = this.#options;
    const used = journal.used(claim.network);
    const rest = inQuarantine(journal.freed, place.network, name, {
      nowMs: clock.monotonicMs(),
      openedMs: this.#openedMs,
    });
    const { addresses: _, mac: __, range: ___, slice: ____, qos: _____, ...who } = claim;
    const spec = { ...who, ...allocate(place.segments, used, claim, rest), ...limitsIn(claim) };
    return { kind: "endpoint", name, uid: uid(), revision: place.world.snapshot.revision, spec };
  }

  /** The endpoint's objects into the kernel: at once if its bridge is there, else with the next round. */
  async #apply(objects: readonly KernelObject[], endpoint: Endpoint, ahead: Veth | "built" | undefined): Promise<void> {
    const { agent, kernel } = this.#options;
    const port = objects.find((object) => object.kind === "veth");
    if (port === undefined)
      throw new Fault("address-outside", {
        what: `${endpoint.spec.addresses.join(", ")} is on no bridge of this host`,
        fix: "detach and attach again",
      });
    const isReady = ahead !== "built" && agent.held.has(bridgeKey(port)) && canFastPath(objects, endpoint);
    if (!isReady) return this.#byRounds(objects, endpoint);
    const isAhead = ahead !== undefined && keyOf(ahead) === keyOf(port);
    const results = await agent.apply(
      objects.map((object) =>
        isAhead && object === port ? { op: "set", from: ahead, object } : { op: "add", object },
      ),
    );
    const refused = results.find((result) => result.refusal !== undefined);
    if (refused?.refusal === undefined) return;
    const { netns, ifname } = endpoint.spec;
    // Of what hangs on it, a route may be there still, on an interface whose way out goes to this one.
    const isPort = refused.op.object.kind === "veth";
    const isTaken = isPort && refused.refusal.class === "exists" && kernel.linkNames(netns as Ns).includes(ifname);
    const isGone = refused.refusal.class === "missing" && kernel.netnsId(netns) === undefined;
    const isStale = refused.refusal.class === "exists" || refused.refusal.class === "missing";
    if (isTaken || isGone || !isStale) throw faultOf(refused.refusal, endpoint);
    // The view of the ground was old: a round looks, and builds what is missing.
    return this.#byRounds(objects, endpoint);
  }

  /** A round does it, or says why not: more than one, because what a network's end or a dead agent left takes time. */
  async #byRounds(objects: readonly KernelObject[], endpoint: Endpoint): Promise<void> {
    const { agent, kernel } = this.#options;
    const missing = () => objects.find((object) => !agent.held.has(keyOf(object)));
    for (let round = 0; round < ROUNDS_MAX && (round === 0 || missing() !== undefined); round++) await agent.roundNow();
    const first = missing();
    if (first === undefined) return;
    const { netns, ifname } = endpoint.spec;
    const isTaken = first.kind === "veth" && kernel.linkNames(netns as Ns).includes(ifname);
    const { errors } = agent.report;
    const said = errors.find((line) => line.includes(portName(endpoint.name))) ?? errors[0];
    throw faultOf({ class: isTaken ? "exists" : "invalid", message: said ?? "the kernel does not have it" }, endpoint);
  }

  /** `netnsId`: as the journal has it, or will. */
  #compile(
    place: NetworkContext,
    endpoint: Endpoint,
    netnsId = this.#options.journal.entries.get(endpoint.name)?.netnsId,
  ): Compiled {
    const beside: EndpointSpec[] = [];
    for (const entry of netnsId === undefined ? [] : this.#options.journal.inNetns(netnsId)) {
      if (entry.endpoint.spec.netns === endpoint.spec.netns && entry.state === "attached")
        beside.push(ofSegmentOwner(entry.endpoint, place.world.segmentOwners).spec);
    }
    const world = { ...place.world, interfaces: new Map([[endpoint.spec.netns, beside]]) };
    const atOwner = ofSegmentOwner(endpoint, world.segmentOwners);
    const layout = layoutOf(place.segments, atOwner.spec);
    const [port, ...rest] = compileEndpoint(world, place.vrf, layout, atOwner, place.mtu);
    if (port === undefined) return { layout, objects: [] };
    const limits = compileShaping(place.vrf, place.root, atOwner, place.mtu);
    return { layout, objects: [...elementsOf(place, atOwner), port, ...limits, ...rest] };
  }

  /** Nothing of a failed attach stays: port, journal, and the server's lease. */
  async #rollBack(endpoint: Endpoint): Promise<void> {
    const entry = this.#options.journal.entries.get(endpoint.name);
    if (entry !== undefined) await this.#departures.complete(entry).catch(() => undefined);
  }

  /**
   * Detaching what is not attached succeeds. Resolves when the endpoint carries no traffic any more (detach.ts); after
   * an attach of the same name that is still on its way. `isMeant`: whether what is attached then is what is to go.
   */
  detach(name: string, isMeant: (entry: Entry) => boolean = () => true): Promise<void> {
    return this.#inTurn(name, async () => {
      const { journal, agent } = this.#options;
      const entry = journal.entries.get(name);
      if (entry === undefined || !isMeant(entry)) return;
      if (!changesOtherRoutes(journal.entries.values(), entry.endpoint)) return this.#departures.begin(entry);
      // What went through this interface goes through another one when it is gone.
      await this.#departures.complete(entry);
      await agent.roundNow();
    });
  }

  /** One endpoint's attaches and detaches, one after the other; whatever became of the one before. */
  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name);
    const turn = before === undefined ? work() : before.then(work);
    const ended = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(name, ended);
    void ended.then(() => {
      if (this.#turns.get(name) === ended) this.#turns.delete(name);
    });
    return turn;
  }

  /** Packets and drops of what is attached on this host, as the kernel counts them now. */
  counters(): readonly EndpointCounters[] {
    const { agent, kernel, host } = this.#options;
    const snapshot = agent.snapshots.current();
    return snapshot === undefined ? [] : countersOf(kernel, agent.snapshots.local(snapshot), host);
  }

  /** What went through the queues that limit this host's endpoints. */
  queues(): readonly QueueCounters[] {
    const { agent, kernel, journal } = this.#options;
    return queuesOf(kernel, journal, agent.snapshots.current());
  }

  /** What an attach answered, and the objects that stand for it in the kernel. */
  shown(
    endpoint: Endpoint,
    snapshot?: Snapshot,
  ): { readonly attachment: Attachment; readonly objects: readonly KernelObject[] } {
    const place = this.#places.of(endpoint.spec.network, snapshot);
    const compiled = this.#compile(place, endpoint);
    return { attachment: attachmentOf(place, endpoint, compiled), objects: compiled.objects };
  }

  /** The network, or the Fault that an attach to it would be refused with; from memory. */
  networkFor(name: string, slice: string | undefined): Network {
    const { agent } = this.#options;
    const { ended } = agent.blockLease;
    if (ended !== undefined) throw ended;
    const { network, segments, world } = this.#places.of(name);
    checkTakes(world.self, network, agent.blockLease);
    if (network.spec.ipam === "local")
      allocate(segments, this.#options.journal.used(name), {
        network: name,
        ...(slice === undefined ? {} : { slice }),
      });
    else if (!agent.isServerThere)
      throw new Fault("unavailable", {
        what: `the server cannot be reached, and it assigns the addresses of network "${name}"`,
        fix: "wait until it is back; endpoints that are attached are not affected",
      });
    return network;
  }

  /** What is attached on this host, as an attach answers it: also of a network that is not known (any more). */
  list(): readonly Attachment[] {
    const { agent, journal } = this.#options;
    // An agent that has just started does not act on what it saved yet, but what is attached is attached.
    const snapshot = agent.snapshots.current() ?? agent.snapshots.known();
    return [...journal.entries.values()]
      .filter((entry) => entry.state === "attached")
      .map(({ endpoint }) => {
        try {
          return this.shown(endpoint, snapshot).attachment;
        } catch (error) {
          if (error instanceof Fault) return withoutNetwork(endpoint);
          throw error;
        }
      });
  }
}
