// Detach: removes an endpoint. Removing a link takes the kernel an RCU grace period (15-20 ms), so a detach answers
// earlier: when the journal has the intent and the port is down (0.15 ms), which ends its traffic. The rest follows in
// this order: the endpoint's elements and links are removed, all that wait as one group; the server releases the lease;
// the journal forgets the endpoint. So an address is never free before its link is gone, and an attach of the same name
// or interface waits for that here. A killed agent leaves a port that the first round of the next one removes.
import type { Veth } from "../../datapath/kinds/links.ts";
import { nsOfNamed } from "../../datapath/world/placement.ts";
import { portName } from "../../datapath/state/names.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";
import { portsIn } from "../reconcile/knownState.ts";
import { changesOtherRoutes, isInUse } from "./compile.ts";
import { notAdopted, notCutOff, notSynced } from "./faults.ts";
import { type LinkRemovals, type Links, linksOf } from "./linkRemovals.ts";
import type { EndpointParts } from "./parts.ts";

export class Detacher {
  readonly #parts: EndpointParts;
  readonly #removals: LinkRemovals;
  /** By endpoint: resolves when nothing of it is left, or what is left is for rounds to remove. */
  readonly #pending = new Map<string, Promise<void>>();

  constructor(parts: EndpointParts, removals: LinkRemovals) {
    this.#parts = parts;
    this.#removals = removals;
  }

  /**
   * Detaches what the journal has under this name and `isMeant` agrees to, which may be nothing. Resolves when the
   * endpoint passes no traffic any more. Rejects with a Fault `unavailable` if the kernel has a port of this name whose
   * endpoint is not known yet: it may be adopted later, and would stay for good.
   */
  async detach(name: string, isMeant: (entry: Entry) => boolean): Promise<void> {
    const { journal, rounds } = this.#parts;
    // Usually there is an entry, and then it says `detaching` in the same turn.
    if (!journal.entries.has(name) && (await this.#isStray(name))) {
      await rounds.now();
      if (await this.#isStray(name)) throw notAdopted(name);
    }
    const entry = journal.entries.get(name);
    if (entry === undefined || !isMeant(entry)) return;
    if (!changesOtherRoutes(journal.entries.values(), entry.endpoint)) return this.begin(entry);
    // Traffic of the other interfaces went through this one, and needs new routes.
    await this.complete(entry);
    await rounds.now();
  }

  /** Resolves when it passes no traffic and its entry says `detaching`; if it rejects, rounds go on trying. */
  async begin(entry: Entry): Promise<void> {
    const { view, rounds, snapshots, journal } = this.#parts;
    const { endpoint } = entry;
    if (this.#pending.has(endpoint.name)) return;
    view.inFlight.add(endpoint.name);
    try {
      const network = this.#networkOf(endpoint);
      const wasConverged = view.isConverged(snapshots.known());
      if (entry.state === "attached") journal.put({ ...entry, state: "detaching" });
      if (network === undefined) await rounds.now();
      const vrfs = snapshots.known()?.vrfs ?? [];
      const links =
        network === undefined ? undefined : linksOf(endpoint, nsOfNamed(vrfs, network.spec.vrf), view.state);
      if (links !== undefined) this.#cutOff(links[0], endpoint);
      this.#stayConverged(wasConverged, endpoint);
      this.#pending.set(endpoint.name, this.#finish(endpoint, links, network?.spec.ipam === "global"));
    } catch (error) {
      view.inFlight.delete(endpoint.name);
      view.diverged();
      throw error;
    }
  }

  /** begin(), and resolves when nothing of the endpoint is left here; the lease of a global one may be, see journal. */
  async complete(entry: Entry): Promise<void> {
    await this.begin(entry);
    await this.#pending.get(entry.endpoint.name);
  }

  /** If an endpoint of this name is being detached: resolves when that has ended. */
  pending(name: string): Promise<void> | undefined {
    return this.#pending.get(name);
  }

  /** Whether the kernel has a port of this name and the journal no entry. */
  async #isStray(name: string): Promise<boolean> {
    const { view, journal, kernel } = this.#parts;
    if (journal.entries.has(name)) return false;
    const port = portName(name);
    if (view.hasAdopted) return portsIn(view.state).has(port);
    return (await kernel.ports()).some((seen) => seen.name === port);
  }

  #networkOf({ spec }: Endpoint): Network | undefined {
    const snapshot = this.#parts.snapshots.known();
    if (snapshot !== undefined) return snapshot.networks.find((network) => network.name === spec.network);
    throw notSynced();
  }

  /** Never rejects: rounds and the comparison with the server do what cannot be done now. */
  async #finish(endpoint: Endpoint, links: Links | undefined, isGlobal: boolean): Promise<void> {
    const { view, snapshots, journal, transport, clock, pokeRegistrar, onNews } = this.#parts;
    try {
      const left =
        links === undefined ? this.#removals.endFlows([endpoint]) : await this.#removals.remove(links, endpoint);
      if (left !== undefined) return view.diverged();
      // A local address is this host's own: free as soon as its port is gone, whether or not the server is there.
      let isReleased = true;
      if (isGlobal) await transport.detach(endpoint.name).catch(() => (isReleased = false));
      const wasConverged = view.isConverged(snapshots.known());
      if (isReleased) journal.remove(endpoint.name, clock.monotonicMs());
      this.#stayConverged(wasConverged, endpoint);
      if (!isReleased || !isGlobal) pokeRegistrar();
    } catch {
      view.diverged();
    } finally {
      this.#pending.delete(endpoint.name);
      view.inFlight.delete(endpoint.name);
      if (endpoint.spec.workload !== undefined) onNews();
    }
  }

  /**
   * Unless the next round has more to do, which is no drift: with the last endpoint of its network a VRF may leave this
   * host, with the last of a security group its rules, and with one of several interfaces the others' routes change.
   */
  #stayConverged(wasConverged: boolean, endpoint: Endpoint): void {
    const { view, journal } = this.#parts;
    const entries = () => journal.entries.values();
    if (!wasConverged || endpoint.spec.securityGroups !== undefined) return;
    if (isInUse(entries(), endpoint.spec.network) && !changesOtherRoutes(entries(), endpoint)) view.stayConverged();
  }

  #cutOff(port: Veth, endpoint: Endpoint): void {
    const { view, kernel } = this.#parts;
    const [refusal] = kernel.cutOff([port]);
    if (refusal !== undefined) throw notCutOff(endpoint, refusal);
    view.unreconciled.add(port);
    view.note([{ op: { op: "remove", object: port } }]);
  }
}
