// The door's two verbs. Attach is the one measured fast path: it compiles and applies one endpoint's objects, in the
// same terms as a round does, and falls back to a whole round where the ground (namespace, bridge) is not there yet.
// Intent is written before the kernel is touched; it is on disk before the caller hears "done".
import { compileEndpoint, endpointMtu, portOn } from "../datapath/endpoint.ts";
import { type Segment, layoutOf, segmentsOf } from "../datapath/layout.ts";
import { networkMtu } from "../datapath/mtu.ts";
import { portName } from "../datapath/names.ts";
import { atRoot } from "../datapath/rooted.ts";
import { type KernelObject, type Ns, type Veth, keyOf } from "../datapath/state.ts";
import { type World, rootOf, worldOf } from "../datapath/world.ts";
import type { Kernel, NetnsId, Refusal } from "../kernel/kernel.ts";
import type { EndpointClaim, Transport } from "../client/transport.ts";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import { type Endpoint, type Network, type Snapshot, type Vrf, endpointName } from "../model/resource.ts";
import type { AttachRequest, Attachment } from "../model/status.ts";
import type { Agent } from "./agent.ts";
import { claimOf, ownerOf } from "./claim.ts";
import type { Journal } from "./journal.ts";
import { assign, inQuarantine } from "./lease.ts";
import { isBeforeOthers, isInUse } from "./local.ts";
import { attachedAlready, checkInterface, checkTakes, faultOf, notSynced, unknownNetwork } from "./refusals.ts";

export type DoorOptions = {
  readonly agent: Agent;
  readonly host: string;
  readonly kernel: Kernel;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly uid: () => string;
  /** Resolves when what has been written to connections is on its way. */
  readonly turn: () => Promise<void>;
};

/** An endpoint that has its addresses; `ahead` is its pair, if that is in the kernel already. */
type Granted = { readonly endpoint: Endpoint; readonly ahead?: Veth };

/** Where a network is on this host: all that one endpoint of it needs to be compiled. */
type Place = {
  readonly world: World;
  readonly network: Network;
  readonly root: Network;
  readonly vrf: Vrf;
  readonly segments: readonly Segment[];
  readonly mtu: number;
};

export class Door {
  readonly #options: DoorOptions;
  #world: { readonly snapshot: Snapshot; readonly world: World } | undefined;
  #reaping: { readonly port: KernelObject; readonly done: (refusal: Refusal | undefined) => void }[] = [];
  #isReaping = false;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /**
   * Idempotent by (owner, ifname). Rejects with a Fault and leaves nothing behind when it cannot. `joined`: a
   * membership asks for it, and takes it away again.
   */
  async attach(request: AttachRequest, by: "by hand" | "joined" = "by hand"): Promise<Attachment> {
    const { agent, journal } = this.#options;
    const ifname = request.ifname ?? "eth0";
    const owner = request.owner ?? ownerOf(request.netns);
    const name = endpointName(owner, ifname);
    const { ended, life } = agent.standing;
    if (ended !== undefined) throw ended;
    const place = this.#placeOf(request.network);
    const netnsId = this.#netnsOf(request.netns);
    checkInterface(ifname);
    const before = journal.entries.get(name);
    if (before?.state === "attached") {
      const { spec } = before.endpoint;
      const isSameWorkload = request.workload === undefined || request.workload === spec.workload;
      if (before.netnsId === netnsId && spec.network === request.network && isSameWorkload)
        return this.#shown(before.endpoint);
      throw attachedAlready(before.endpoint);
    }
    if (before !== undefined || agent.inFlight.has(name)) {
      throw new Fault("in-use", {
        what: `"${name}" is being ${before === undefined ? "attached" : "detached"}`,
        fix: "try again in a moment",
      });
    }
    checkTakes(place.world.self, place.network, agent.standing);
    agent.inFlight.add(name);
    try {
      const claim = claimOf(request, this.#options.host, owner, ifname, by === "joined");
      // Between a local assignment and its record in the journal nothing is awaited, so that two attaches at once never
      // see the same address free.
      const { endpoint, ahead } =
        place.network.spec.ipam === "global"
          ? await this.#granted(place, claim, name)
          : { endpoint: this.#assign(place, claim, name) };
      const { isSettled } = agent;
      const networkUid = place.network.uid;
      journal.put({ endpoint, netnsId, bootId: agent.bootId, networkUid, state: "attached" });
      if (ahead !== undefined) agent.ahead.delete(ahead);
      const objects = this.#compile(place, endpoint);
      await this.#apply(objects, endpoint, ahead).catch(async (error: unknown) => {
        await this.#rollBack(endpoint);
        throw error;
      });
      if (agent.standing.life !== life) throw agent.standing.ended ?? notSynced();
      // The first interface by name has the default route: one that comes before others takes it from them.
      if (isBeforeOthers(journal.entries.values(), endpoint)) await agent.roundNow();
      else if (isSettled) agent.settled();
      if (place.network.spec.ipam === "local") agent.pokeServer();
      return present(place, endpoint, objects);
    } finally {
      agent.inFlight.delete(name);
      if (request.workload !== undefined) agent.onNews();
    }
  }

  #placeOf(networkName: string): Place {
    const { agent, host } = this.#options;
    const snapshot = agent.current();
    if (snapshot === undefined) throw notSynced();
    const network = snapshot.networks.find((n) => n.name === networkName);
    if (network === undefined) throw unknownNetwork(networkName, snapshot.networks);
    if (this.#world?.snapshot !== snapshot) {
      const world = worldOf(snapshot, host);
      if (world === undefined)
        throw new Fault("host-unknown", {
          what: `the server does not know this host "${host}"`,
          why: "it was deleted there",
          fix: "start the agent again with the join token",
        });
      this.#world = { snapshot, world };
    }
    const { world } = this.#world;
    const vrf = snapshot.vrfs.find((v) => v.name === network.spec.vrf);
    if (vrf === undefined) throw new Error(`network ${networkName} is in the unknown VRF ${network.spec.vrf}`);
    const blocks = (world.blocks.get(network.name) ?? []).filter((block) => block.spec.host === host);
    const root = rootOf(world, vrf, network);
    return {
      world,
      network,
      root,
      vrf,
      segments: segmentsOf(vrf, root, world.self, blocks),
      mtu: networkMtu(world, vrf, root),
    };
  }

  #netnsOf(path: string): NetnsId {
    const id = path.startsWith("/") ? this.#options.kernel.netnsId(path) : undefined;
    if (id !== undefined) return id;
    throw new Fault("netns-missing", {
      what: `there is no network namespace at "${path}"`,
      where: "netns",
      fix: "give an absolute path such as /run/netns/NAME or /proc/PID/ns/net (see `ip netns list`)",
    });
  }

  /**
   * An endpoint as the server grants it. Its pair needs no address, and is the greater part of what the kernel has to
   * do: it is made while the server commits. Policy is there before it, and it is down at the workload's end.
   */
  async #granted(place: Place, claim: EndpointClaim, name: string): Promise<Granted> {
    const { agent, transport, turn } = this.#options;
    const answer = transport.attach(claim);
    const port = portAhead(place, claim, name);
    const inThisLife = this.#inLife(answer);
    if (port === undefined || !agent.held.has(bridgeKey(port))) return { endpoint: await inThisLife };
    await turn();
    agent.ahead.add(port);
    const [made] = await agent.apply([{ op: "add", object: port }]);
    const isMade = made?.refusal === undefined;
    // What was refused is refused again with the whole endpoint, and told then.
    if (!isMade) agent.ahead.delete(port);
    try {
      return { endpoint: await inThisLife, ...(isMade ? { ahead: port } : {}) };
    } catch (error) {
      if (isMade) await this.#reap(port).finally(() => agent.ahead.delete(port));
      throw error;
    }
  }

  /** The answer, unless this host ends before it: then what was granted is not its own any more. */
  #inLife<T>(answer: Promise<T>): Promise<T> {
    const { standing } = this.#options.agent;
    const { life } = standing;
    const checked = answer.then((value) => {
      if (standing.life !== life) throw standing.ended ?? notSynced();
      return value;
    });
    // Awaited later; until then nobody listens for a refusal.
    checked.catch(() => undefined);
    return checked;
  }

  /** An endpoint with addresses from this host's own block. */
  #assign(place: Place, claim: EndpointClaim, name: string): Endpoint {
    const { journal, uid, clock } = this.#options;
    const used = new Set<string>();
    for (const { endpoint } of journal.entries.values()) {
      if (endpoint.spec.network === claim.network) for (const address of endpoint.spec.addresses) used.add(address);
    }
    const { network, host, owner, ifname, netns, workload, joined } = claim;
    const rest = inQuarantine(journal.freed, place.network, name, clock.nowMs());
    const spec = {
      network,
      host,
      owner,
      ifname,
      netns,
      ...assign(place.segments, used, claim, rest),
      ...(workload === undefined ? {} : { workload }),
      ...(joined === true ? { joined } : {}),
    };
    return { kind: "endpoint", name, uid: uid(), revision: place.world.snapshot.revision, spec };
  }

  /** The endpoint's objects into the kernel: at once if its bridge is there, else with the next round. */
  async #apply(objects: readonly KernelObject[], endpoint: Endpoint, ahead: Veth | undefined): Promise<void> {
    const { agent, kernel } = this.#options;
    const port = objects[0];
    if (port === undefined)
      throw new Fault("address-outside", {
        what: `${endpoint.spec.addresses.join(", ")} is on no bridge of this host`,
        fix: "detach and attach again",
      });
    const isReady = port.kind === "veth" && agent.held.has(bridgeKey(port));
    if (!isReady) {
      await agent.roundNow();
      return this.#confirm(objects, endpoint);
    }
    const isAhead = ahead !== undefined && keyOf(ahead) === keyOf(port);
    const results = await agent.apply(
      objects.map((object) =>
        isAhead && object === port ? { op: "set", from: ahead, object } : { op: "add", object },
      ),
    );
    const refused = results.find((result) => result.refusal !== undefined);
    if (refused?.refusal === undefined) return;
    if (
      refused.refusal.class !== "exists" ||
      kernel.linkNames(endpoint.spec.netns as Ns).includes(endpoint.spec.ifname)
    )
      throw faultOf(refused.refusal, endpoint);
    await agent.roundNow();
    this.#confirm(objects, endpoint);
  }

  /** A round has done it, or says why not. */
  #confirm(objects: readonly KernelObject[], endpoint: Endpoint): void {
    const { agent } = this.#options;
    const missing = objects.find((object) => !agent.held.has(keyOf(object)));
    if (missing !== undefined)
      throw faultOf(
        {
          class: "invalid",
          message:
            agent.report.errors.find((line) => line.includes(portName(endpoint.name))) ??
            agent.report.errors[0] ??
            "the kernel does not have it",
        },
        endpoint,
      );
  }

  #compile(place: Place, endpoint: Endpoint): KernelObject[] {
    const names: string[] = [];
    for (const entry of this.#options.journal.entries.values()) {
      if (entry.endpoint.spec.netns === endpoint.spec.netns && entry.state === "attached")
        names.push(entry.endpoint.spec.ifname);
    }
    const world = { ...place.world, interfaces: new Map([[endpoint.spec.netns, names]]) };
    return compileEndpoint(world, place.vrf, place.segments, atRoot(endpoint, world.roots), place.mtu);
  }

  /** Nothing of a failed attach stays: port, journal, and the server's lease. */
  async #rollBack(endpoint: Endpoint): Promise<void> {
    const { journal } = this.#options;
    const entry = journal.entries.get(endpoint.name);
    if (entry !== undefined) journal.put({ ...entry, state: "detaching" });
    await this.#finishDetach(endpoint).catch(() => this.#options.agent.poke());
  }

  /** Detaching what is not attached succeeds. The server hears of it at once, or when it is back. */
  async detach(name: string): Promise<void> {
    const { journal, agent } = this.#options;
    const entry = journal.entries.get(name);
    if (agent.inFlight.has(name)) {
      // To say "gone" now would be a lie: an attach may still be on its way.
      throw new Fault("in-use", { what: `"${name}" is being attached or detached`, fix: "try again in a moment" });
    }
    if (entry === undefined) return;
    agent.inFlight.add(name);
    try {
      const { isSettled } = agent;
      if (entry.state === "attached") journal.put({ ...entry, state: "detaching" });
      await this.#finishDetach(entry.endpoint);
      if (isBeforeOthers(journal.entries.values(), entry.endpoint)) await agent.roundNow();
      // With the last endpoint its VRF may go from this host, which is the next round's work and nobody's drift.
      else if (isSettled && isInUse(journal.entries.values(), entry.endpoint.spec.network)) agent.settled();
    } finally {
      agent.inFlight.delete(name);
      if (entry.endpoint.spec.workload !== undefined) agent.onNews();
    }
  }

  async #finishDetach(endpoint: Endpoint): Promise<void> {
    const { agent, journal, transport } = this.#options;
    const network = agent.current()?.networks.find((n) => n.name === endpoint.spec.network);
    if (network === undefined) await agent.roundNow();
    else {
      const refusal = await this.#reap(portOf(endpoint, network));
      if (refusal !== undefined) throw faultOf(refusal, endpoint);
    }
    // A local address is this host's own: free as soon as its port is gone, whether or not the server can hear of it.
    const isTold =
      network?.spec.ipam !== "global" ||
      (await transport.detach(endpoint.name).then(
        () => true,
        () => false,
      ));
    if (isTold) journal.remove(endpoint.name, this.#options.clock.nowMs());
    if (!isTold || network?.spec.ipam !== "global") agent.pokeServer();
  }

  /** Deleting a link waits for an RCU grace period (15-20 ms); all that ask meanwhile are deleted as one group. */
  #reap(port: KernelObject): Promise<Refusal | undefined> {
    const done = new Promise<Refusal | undefined>((resolve) => this.#reaping.push({ port, done: resolve }));
    if (!this.#isReaping) void this.#reapAll();
    return done;
  }

  async #reapAll(): Promise<void> {
    const { agent } = this.#options;
    this.#isReaping = true;
    while (this.#reaping.length > 0) {
      const batch = this.#reaping;
      this.#reaping = [];
      const results = await agent.apply(batch.map(({ port }) => ({ op: "remove", object: port })));
      for (const [i, { done }] of batch.entries()) done(results[i]?.refusal);
    }
    this.#isReaping = false;
  }

  #shown(endpoint: Endpoint): Attachment {
    const place = this.#placeOf(endpoint.spec.network);
    return present(place, endpoint, this.#compile(place, endpoint));
  }

  /** What is attached on this host, as an attach answers it. */
  list(): readonly Attachment[] {
    return [...this.#options.journal.entries.values()]
      .filter((entry) => entry.state === "attached")
      .flatMap(({ endpoint }) => {
        try {
          return [this.#shown(endpoint)];
        } catch {
          return [];
        }
      });
  }
}

/** What the pair of an endpoint is before its addresses are known: all but the far end's MAC, if nobody chose one. */
function portAhead({ vrf, segments, mtu }: Place, { ifname, netns, mac }: EndpointClaim, name: string) {
  const [segment] = segments;
  return segment === undefined
    ? undefined
    : portOn({ name, spec: { ifname, netns, mac: mac ?? "" } }, vrf.name, segment.bridge, mtu);
}

function bridgeKey({ ns, master }: Veth): string {
  return `bridge ${ns} ${master}`;
}

/** What names an endpoint's port to the kernel: removing it takes everything on it along, at both ends. */
function portOf({ name, spec }: Endpoint, network: Network): KernelObject {
  return {
    kind: "veth",
    ns: `vrf:${network.spec.vrf}`,
    name: portName(name),
    mtu: 0,
    mac: "",
    alias: "",
    peer: { ns: spec.netns as Ns, name: spec.ifname, mtu: 0, mac: "" },
  };
}

function present(place: Place, endpoint: Endpoint, objects: readonly KernelObject[]): Attachment {
  const layout = layoutOf(place.segments, atRoot(endpoint, place.world.roots).spec);
  return {
    endpoint: endpoint.name,
    spec: endpoint.spec,
    mtu: layout === undefined ? place.mtu : endpointMtu(layout, place.mtu),
    routes: objects.flatMap((object) => (object.kind === "route" ? [`${object.dst} via ${object.via}`] : [])),
    interfaceAddresses: layout?.addresses ?? [],
    gateways: layout?.gateways.map((gateway) => gateway.ip) ?? [],
    dns: layout?.dns ?? place.root.spec.dns ?? [],
  };
}
