// A network on this host: everything that is needed to compile one endpoint of it.
import { clashingNetworks } from "../../datapath/world/deviceClash.ts";
import { type Segment, segmentsOf } from "../../datapath/world/layout.ts";
import { type World, networkMtu, segmentOwnerOf, worldOf } from "../../datapath/world/world.ts";
import { Fault } from "../../model/fault.ts";
import type { Network, Snapshot, Vrf } from "../../model/resource.ts";
import { isSameExceptOwn } from "../reconcile/localSnapshot.ts";
import type { SnapshotSource } from "../reconcile/snapshotSource.ts";
import { notSynced, sharesDevice, unknownNetwork } from "./faults.ts";

export type NetworkContext = {
  readonly world: World;
  readonly network: Network;
  /** The network itself; of a reservation, the network that it is reserved from in the end. */
  readonly segmentOwner: Network;
  readonly vrf: Vrf;
  readonly segments: readonly Segment[];
  readonly mtu: number;
};

/** Made from a snapshot, and valid until something other than this host's endpoints changes. */
type Cache = { readonly snapshot: Snapshot; readonly world: World; readonly contexts: Map<string, NetworkContext> };

export class NetworkContexts {
  readonly #snapshots: Pick<SnapshotSource, "current">;
  readonly #host: string;
  #cache: Cache | undefined;

  constructor(snapshots: Pick<SnapshotSource, "current">, host: string) {
    this.#snapshots = snapshots;
    this.#host = host;
  }

  /** In the snapshot to act on, or in this one; throws a Fault `not-synced`, `network-unknown` or `host-unknown`. */
  of(name: string, snapshot: Snapshot | undefined = this.#snapshots.current()): NetworkContext {
    if (snapshot === undefined) throw notSynced();
    const { world, contexts } = this.#cacheFor(snapshot);
    const known = contexts.get(name);
    if (known !== undefined) return known;
    const network = snapshot.networks.find((one) => one.name === name);
    if (network === undefined) throw unknownNetwork(name, snapshot.networks);
    const vrf = snapshot.vrfs.find((one) => one.name === network.spec.vrf);
    if (vrf === undefined) throw new Error(`network ${name} is in the unknown VRF ${network.spec.vrf}`);
    const blocks = (world.blocks.get(name) ?? []).filter((block) => block.spec.host === this.#host);
    const segmentOwner = segmentOwnerOf(world, vrf, network);
    if (clashingNetworks(world.networks.get(vrf.name) ?? []).has(segmentOwner.name)) throw sharesDevice(name);
    const segments = segmentsOf(vrf, segmentOwner, world.self, blocks);
    const context = { world, network, segmentOwner, vrf, segments, mtu: networkMtu(world, vrf, segmentOwner) };
    contexts.set(name, context);
    return context;
  }

  /** Endpoints on other hosts count: they decide which hosts are peers. This host's own do not. */
  #cacheFor(snapshot: Snapshot): Cache {
    const known = this.#cache;
    if (known !== undefined && isSameExceptOwn(known.snapshot, snapshot, this.#host))
      // The next call is usually about this snapshot, or about the one after it.
      return known.snapshot === snapshot ? known : (this.#cache = { ...known, snapshot });
    const world = worldOf(snapshot, this.#host);
    if (world === undefined)
      throw new Fault("host-unknown", {
        what: `the server does not know this host "${this.#host}"`,
        why: "it was deleted there",
        fix: "start the agent again with the join token",
      });
    return (this.#cache = { snapshot, world, contexts: new Map() });
  }
}
