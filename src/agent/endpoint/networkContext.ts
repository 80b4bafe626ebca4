// Where a network is on this host: all that one endpoint of it needs to be compiled.
import { clashingNetworks } from "../../datapath/world/deviceClash.ts";
import { type Segment, segmentsOf } from "../../datapath/world/layout.ts";
import { networkMtu } from "../../datapath/world/mtu.ts";
import { type World, segmentOwner, worldOf } from "../../datapath/world/world.ts";
import { Fault } from "../../model/fault.ts";
import type { Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { Agent } from "../agent.ts";
import { isSameExceptOwn } from "../reconcile/localSnapshot.ts";
import { notSynced, sharesDevice, unknownNetwork } from "./faults.ts";

export type NetworkContext = {
  readonly world: World;
  readonly network: Network;
  /** The network itself, or what it is a reservation from in the end: its segment. */
  readonly root: Network;
  readonly vrf: Vrf;
  readonly segments: readonly Segment[];
  readonly mtu: number;
};

/** What was made of a snapshot, and holds as long as nothing but this host's endpoints changes. */
type Ground = { readonly snapshot: Snapshot; readonly world: World; readonly places: Map<string, NetworkContext> };

export class NetworkContexts {
  readonly #agent: Agent;
  readonly #host: string;
  #ground: Ground | undefined;

  constructor(agent: Agent, host: string) {
    this.#agent = agent;
    this.#host = host;
  }

  /** By the agent's snapshot as it is now, or this one; Faults: `not-synced`, `network-unknown`, `host-unknown`. */
  of(name: string, snapshot: Snapshot | undefined = this.#agent.snapshots.current()): NetworkContext {
    if (snapshot === undefined) throw notSynced();
    const { world, places } = this.#groundIn(snapshot);
    const known = places.get(name);
    if (known !== undefined) return known;
    const network = snapshot.networks.find((one) => one.name === name);
    if (network === undefined) throw unknownNetwork(name, snapshot.networks);
    const vrf = snapshot.vrfs.find((one) => one.name === network.spec.vrf);
    if (vrf === undefined) throw new Error(`network ${name} is in the unknown VRF ${network.spec.vrf}`);
    const blocks = (world.blocks.get(name) ?? []).filter((block) => block.spec.host === this.#host);
    const root = segmentOwner(world, vrf, network);
    if (clashingNetworks(world.networks.get(vrf.name) ?? []).has(root.name)) throw sharesDevice(name);
    const segments = segmentsOf(vrf, root, world.self, blocks);
    const place = { world, network, root, vrf, segments, mtu: networkMtu(world, vrf, root) };
    places.set(name, place);
    return place;
  }

  /** Of endpoints, those on other hosts matter: they decide which hosts are peers. This host's come and go. */
  #groundIn(snapshot: Snapshot): Ground {
    const known = this.#ground;
    if (known !== undefined && isSameExceptOwn(known.snapshot, snapshot, this.#host))
      // The next question is mostly about the same snapshot, or about the next one.
      return known.snapshot === snapshot ? known : (this.#ground = { ...known, snapshot });
    const world = worldOf(snapshot, this.#host);
    if (world === undefined)
      throw new Fault("host-unknown", {
        what: `the server does not know this host "${this.#host}"`,
        why: "it was deleted there",
        fix: "start the agent again with the join token",
      });
    return (this.#ground = { snapshot, world, places: new Map() });
  }
}
