// Attaches endpoints, as workloads, the CNI plugin and memberships ask for it, and passes their detaches on to
// detach.ts. An attach waits for what is in the way, gets addresses (from this host's block, or from the server),
// writes the journal, puts the endpoint's objects into the kernel, and answers. The objects are those that a round
// would make. For a local network the journal is written before the kernel is changed; for a global one see
// speculative.ts. The journal has the endpoint before the caller has its answer.
import { defined } from "../../model/defined.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { portName } from "../../datapath/state/names.ts";
import { keyOf } from "../../datapath/state/state.ts";
import type { NetnsId } from "../../kernel/kernel.ts";
import { parseMac } from "../../model/address.ts";
import { checkAble } from "../../model/lacking.ts";
import { Fault } from "../../model/fault.ts";
import { checkEndpointName } from "../../model/endpointName.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { checkName } from "../../model/parse.ts";
import { AUTO_NETWORK, onNetwork } from "../../model/selection.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Attachment, AttachRequest } from "../../model/status.ts";
import { allocate, inQuarantine } from "../journal/blockAllocator.ts";
import type { Entry } from "../journal/journal.ts";
import { attachmentOf, canFastPath, changesOtherRoutes, compiled, hasBridge, opsFor } from "./compile.ts";
import { Detacher } from "./detach.ts";
import * as faults from "./faults.ts";
import { LinkRemovals } from "./linkRemovals.ts";
import type { EndpointParts } from "./parts.ts";
import { PortNames } from "./portNames.ts";
import { attachSelected } from "./selected.ts";
import { type AttachIntent, type Granted, Speculation } from "./speculative.ts";

/** What asks: a membership, which detaches it again; a CNI configuration, by its name (see Entry). */
type By = { readonly joined?: boolean; readonly user?: string; readonly cni?: string };

/** Attaches and detaches endpoints. Calls for one endpoint run one after another, also after a failure. */
export class Attacher {
  readonly #parts: EndpointParts;
  readonly #removals: LinkRemovals;
  readonly #detacher: Detacher;
  readonly #speculation: Speculation;
  readonly #ports = new PortNames();
  readonly #startedAtMs: number;
  readonly #lastCalls = new Map<string, Promise<void>>();

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#removals = new LinkRemovals(parts);
    this.#detacher = new Detacher(parts, this.#removals);
    this.#speculation = new Speculation(parts, this.#removals);
    this.#startedAtMs = parts.clock.monotonicMs();
  }

  /** Idempotent by owner and interface. Rejects with a Fault (throws one for an impossible name) and leaves nothing. */
  attach(request: AttachRequest, { joined, user, cni }: By = {}): Promise<Attachment> {
    const claim = { ...claimOf(request, this.#parts.host, joined === true), ...defined({ user }) };
    const name = checkEndpointName(claim.owner, claim.ifname);
    return this.#inTurn(name, () =>
      claim.network === AUTO_NETWORK ? this.#attachAnywhere(claim, name, cni) : this.#attach(claim, name, cni),
    );
  }

  /** See Detacher. Succeeds if there is no such endpoint; `isMeant` looks at it when the turn has come. */
  detach(name: string, isMeant: (entry: Entry) => boolean = () => true): Promise<void> {
    return this.#inTurn(name, () => this.#detacher.detach(name, isMeant));
  }

  #inTurn<T>(name: string, call: () => Promise<T>): Promise<T> {
    const before = this.#lastCalls.get(name);
    const result = before === undefined ? call() : before.then(call);
    const end = () => {
      if (this.#lastCalls.get(name) === ended) this.#lastCalls.delete(name);
    };
    const ended: Promise<void> = result.then(end, end);
    this.#lastCalls.set(name, ended);
    return result;
  }

  /** To a network that the server selects, or selected for this name before. */
  async #attachAnywhere(claim: EndpointClaim, name: string, cni: string | undefined): Promise<Attachment> {
    const { journal } = this.#parts;
    await this.#begun();
    if (!this.#parts.view.hasAdopted) throw faults.notObserved();
    const netnsId = this.#netnsOf(claim.netns);
    if (this.#isInTheWay(name, netnsId)) await this.#detached(name, netnsId, claim.ifname);
    const before = journal.entries.get(name)?.endpoint.spec.network;
    const attach = (named: EndpointClaim) => this.#attach(named, name, cni);
    return before === undefined ? attachSelected(this.#parts, claim, name, attach) : attach(onNetwork(claim, before));
  }

  async #begun(): Promise<void> {
    const { view, rounds, blockLease } = this.#parts;
    if (blockLease.ended !== undefined) throw blockLease.ended;
    if (!view.hasAdopted) await rounds.now();
  }

  async #attach(claim: EndpointClaim, name: string, cni: string | undefined): Promise<Attachment> {
    const { view, snapshots, contexts, journal, blockLease } = this.#parts;
    const { incarnation } = blockLease;
    await this.#begun();
    const context = contexts.of(claim.network);
    const { network, world } = context;
    if (!view.hasAdopted) throw faults.notObserved();
    const netnsId = this.#netnsOf(claim.netns);
    faults.checkGroupsKnown(claim.securityGroups, world.snapshot);
    if (this.#isInTheWay(name, netnsId)) await this.#detached(name, netnsId, claim.ifname);
    while (this.#speculation.building(netnsId) !== undefined) await this.#speculation.building(netnsId);
    const before = journal.entries.get(name);
    if (before !== undefined) return this.#again(before, netnsId, claim, cni);
    faults.checkTakes(world.self, network, blockLease);
    faults.checkShaping(world.self, network, claim);
    checkAble(world.self, network);
    if (claim.userToken !== undefined && network.spec.ipam === "local") throw faults.usersOfLocal(network.name);
    this.#ports.take(name, journal.entries, (other) => view.inFlight.has(other));
    view.inFlight.add(name);
    try {
      const isSecond = claim.defaultRoute === undefined && hasDefaultRoute(journal, netnsId, claim.ifname);
      const wanted = isSecond ? { ...claim, defaultRoute: false } : claim;
      const intent: AttachIntent = { context, claim: wanted, name, netnsId, incarnation };
      let granted: Granted;
      if (network.spec.ipam === "global") {
        snapshots.checkHistory();
        granted = await this.#speculation.granted(intent);
        while (granted.built === undefined && this.#speculation.building(netnsId) !== undefined)
          await this.#speculation.building(netnsId);
      } else granted = { endpoint: this.#allocated(intent) };
      // Nothing is awaited from here to the entry in the journal: two attaches at once must not get the same address,
      // or both the default route.
      return await this.#keep(granted, intent, cni);
    } finally {
      view.inFlight.delete(name);
      if (claim.workload !== undefined) this.#parts.onNews();
    }
  }

  /** Writes the endpoint into the journal at once, then puts it into the kernel. */
  async #keep(granted: Granted, intent: AttachIntent, cni: string | undefined): Promise<Attachment> {
    const { view, rounds, snapshots, journal, blockLease, bootId, pokeRegistrar } = this.#parts;
    const { endpoint, built, pair } = granted;
    const { context, netnsId, incarnation } = intent;
    const { uid: networkUid, spec } = context.network;
    const wasConverged = view.isConverged(snapshots.known());
    const mark = cni === undefined ? {} : { cni };
    try {
      journal.put({ endpoint, netnsId, bootId, networkUid, state: "attached", ...mark });
    } catch (error) {
      if (spec.ipam === "global") await this.#speculation.abandon(granted);
      throw error;
    }
    const isInstalled = this.#speculation.handOver(granted, intent);
    const result = built?.compiled ?? compiled(context, endpoint, journal, netnsId);
    try {
      if (!isInstalled) await install(this.#parts, result.objects, endpoint, built === undefined ? pair : "built");
    } catch (error) {
      // Nothing of a failed attach stays: port, entry, and the server's lease.
      const failed = journal.entries.get(endpoint.name);
      if (failed !== undefined) await this.#detacher.complete(failed).catch(() => undefined);
      throw error;
    }
    if (blockLease.incarnation !== incarnation) throw blockLease.ended ?? faults.notSynced();
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
    return own?.state === "detaching" || journal.inNetns(netnsId).some(({ state }) => state === "detaching");
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
    for (const entry of journal.inNetns(netnsId).filter(isSameLink).toArray()) await this.#detacher.complete(entry);
    const here = [...journal.inNetns(netnsId)];
    await Promise.all(here.flatMap(({ endpoint }) => this.#removals.pending(endpoint.name) ?? []));
  }

  /** An attach that was answered before, or may have been: the same answer, if it is the same request. */
  async #again(before: Entry, netnsId: NetnsId, claim: EndpointClaim, cni: string | undefined): Promise<Attachment> {
    const { kernel, journal, contexts, view } = this.#parts;
    const { spec, name } = before.endpoint;
    if (before.state === "detaching") throw faults.beingDetached(name);
    const isSame = before.netnsId === netnsId && (before.cni ?? cni) === (cni ?? before.cni) && isAnswer(spec, claim);
    if (!isSame) throw faults.attachedAlready(before.endpoint);
    if (cni !== undefined && before.cni === undefined) journal.put({ ...before, cni });
    const context = contexts.of(spec.network);
    const result = compiled(context, before.endpoint, journal);
    // After a kill, a round may be putting back what the agent before had not finished. And the workload may have
    // removed the interface from its namespace, of which the agent gets no event.
    const isWhole = result.objects.every((object) => view.state.has(keyOf(object)));
    if (!isWhole || !kernel.linkNames(spec.netns as Ns).includes(spec.ifname))
      await byRounds(this.#parts, result.objects, before.endpoint);
    return attachmentOf(context, before.endpoint, result);
  }

  #netnsOf(path: string): NetnsId {
    const { kernel } = this.#parts;
    const id = path.startsWith("/") ? kernel.netnsId(path) : undefined;
    if (id === undefined) throw faults.netnsMissing(path);
    const own = kernel.ownNetns(id);
    if (own !== undefined) throw faults.netnsReserved(path, own);
    return id;
  }

  /** An endpoint with addresses from this host's own block. */
  #allocated({ context: { network, segments, world }, claim, name }: AttachIntent): Endpoint {
    const { uid, journal, clock } = this.#parts;
    const time = { nowMs: clock.monotonicMs(), openedMs: this.#startedAtMs };
    const lease = allocate(
      segments,
      journal.used(claim.network),
      claim,
      inQuarantine(journal.freed, network, name, time),
    );
    const { addresses: _, mac: __, range: ___, slice: ____, qos: _____, ...who } = claim;
    const spec = { ...who, ...lease, ...faults.limitsIn(claim) };
    return { kind: "endpoint", name, uid: uid(), revision: world.snapshot.revision, spec };
  }
}

/** What an endpoint is to be. Default owner: the namespace's file name, or `pid-N`; default interface: `eth0`. */
export function claimOf(request: AttachRequest, host: string, joined: boolean): EndpointClaim {
  const { network, netns, owner = ownerOf(netns), ifname = "eth0", ...wishes } = request;
  return { network, host, owner, ifname, netns, ...wishes, ...(joined ? { joined } : {}) };
}

export function ownerOf(netns: string): string {
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(netns)?.[1];
  return checkName("endpoint", pid === undefined ? (netns.split("/").at(-1) ?? "") : `pid-${pid}`, "owner");
}

/** Whether a claim is for what an endpoint already is. */
function isAnswer(spec: Endpoint["spec"], { network, workload, addresses = [], mac }: EndpointClaim): boolean {
  return (
    spec.network === network &&
    (workload === undefined || workload === spec.workload) &&
    addresses.every((address) => spec.addresses.includes(address)) &&
    (mac === undefined || parseMac(mac, "mac") === spec.mac)
  );
}

/** Whether an interface that exists has the default route, and would no longer be the first by name. */
function hasDefaultRoute(journal: EndpointParts["journal"], netnsId: NetnsId, ifname: string): boolean {
  return journal.inNetns(netnsId).some(({ state, endpoint: { spec } }) => {
    return state === "attached" && spec.defaultRoute !== false && ifname < spec.ifname;
  });
}

type InstallParts = Pick<EndpointParts, "view" | "kernel" | "rounds" | "errors">;

/**
 * Puts an endpoint's objects into the kernel: at once if its bridge is there (the fast path), otherwise by rounds.
 * `speculated`: the pair that exists already; or `built`, if rounds have to check what was built.
 */
async function install(
  parts: InstallParts,
  objects: readonly KernelObject[],
  endpoint: Endpoint,
  speculated?: Veth | "built",
): Promise<void> {
  const { view, kernel } = parts;
  const port = objects.find((object) => object.kind === "veth");
  if (port === undefined)
    throw new Fault("address-outside", {
      what: `${endpoint.spec.addresses.join(", ")} is on no bridge of this host`,
      fix: "detach and attach again",
    });
  const isReady = speculated !== "built" && hasBridge(view.state, port) && canFastPath(objects, endpoint);
  if (!isReady) return byRounds(parts, objects, endpoint);
  const results = await view.apply(opsFor(objects, port, speculated));
  const refused = results.find((result) => result.refusal !== undefined);
  if (refused?.refusal === undefined) return;
  const { netns, ifname } = endpoint.spec;
  // A route may exist already, on another interface whose default route leads to the same gateway.
  const isPort = refused.op.object.kind === "veth";
  const isTaken = isPort && refused.refusal.class === "exists" && kernel.linkNames(netns as Ns).includes(ifname);
  const isGone = refused.refusal.class === "missing" && kernel.netnsId(netns) === undefined;
  const isStale = refused.refusal.class === "exists" || refused.refusal.class === "missing";
  if (isTaken || isGone || !isStale) throw faults.faultOf(refused.refusal, endpoint);
  // What was known of the kernel was old: a round observes it and builds what is missing.
  return byRounds(parts, objects, endpoint);
}

/** How many rounds an attach waits for: the remains of a removed network or a killed agent may be in the way. */
const ROUNDS_MAX = 3;

async function byRounds(parts: InstallParts, objects: readonly KernelObject[], endpoint: Endpoint): Promise<void> {
  const { view, rounds, kernel, errors } = parts;
  const missing = () => objects.find((object) => !view.state.has(keyOf(object)));
  for (let round = 0; round < ROUNDS_MAX && (round === 0 || missing() !== undefined); round++) await rounds.now();
  const first = missing();
  if (first === undefined) return;
  const { netns, ifname } = endpoint.spec;
  const isTaken = first.kind === "veth" && kernel.linkNames(netns as Ns).includes(ifname);
  const lines = errors();
  const message = lines.find((line) => line.includes(portName(endpoint.name))) ?? lines[0];
  throw faults.faultOf(
    { class: isTaken ? "exists" : "invalid", message: message ?? "the kernel does not have it" },
    endpoint,
  );
}
