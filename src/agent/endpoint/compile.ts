// What one endpoint is in the kernel (the same objects that a round compiles for it), the answer about it, and what it
// changes for others on its host. Pure, but for the contexts of networks, which are kept.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { compileEndpoint, endpointMtu, portOn } from "../../datapath/network/endpoint.ts";
import { compileShaping } from "../../datapath/network/shaping.ts";
import { policyOf } from "../../datapath/policy/groups.ts";
import { endpointElements, lacksProfile, membershipOf } from "../../datapath/policy/spoofing.ts";
import { type KernelState, keyOf, type Op } from "../../datapath/state/state.ts";
import { clashingNetworks } from "../../datapath/world/deviceClash.ts";
import { type EndpointLayout, layoutOf, type Segment, segmentsOf } from "../../datapath/world/layout.ts";
import { nsOf } from "../../datapath/world/placement.ts";
import { isAnyFurther } from "../../datapath/world/reach.ts";
import { ofSegmentOwner } from "../../datapath/world/reservations.ts";
import { narrowMtu, networkMtu } from "../../datapath/world/ways.ts";
import { segmentOwnerOf, type World, worldOf } from "../../datapath/world/world.ts";
import { Fault } from "../../model/fault.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Endpoint, EndpointSpec, Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { Attachment } from "../../model/status.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { isSameExceptOwn, type SnapshotSource } from "../reconcile/snapshotSource.ts";
import { notSynced, sharesDevice, unknownNetwork } from "./faults.ts";

/** A network on this host: everything that is needed to compile one endpoint of it. */
export type NetworkContext = {
  readonly world: World;
  readonly network: Network;
  /** The network itself; of a reservation, the network that it is reserved from in the end. */
  readonly segmentOwner: Network;
  readonly vrf: Vrf;
  readonly segments: readonly Segment[];
  readonly mtu: number;
  /** While a conversion changes the MTU: what the routes of endpoints allow. */
  readonly narrow: number | undefined;
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
    const mtu = networkMtu(world, vrf, segmentOwner);
    const narrow = narrowMtu(world, vrf, segmentOwner);
    const context = { world, network, segmentOwner, vrf, segments, mtu, narrow };
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

/** `layout` is undefined and there are no objects if no segment of this host has the endpoint's addresses. */
export type Compiled = { readonly layout: EndpointLayout | undefined; readonly objects: readonly KernelObject[] };

/** `netnsId`: the namespace that the journal has for it, or will have. Other interfaces there decide who has routes. */
export function compiled(
  context: NetworkContext,
  endpoint: Endpoint,
  journal: Pick<Journal, "entries" | "inNetns">,
  netnsId = journal.entries.get(endpoint.name)?.netnsId,
): Compiled {
  const { vrf, segmentOwner, mtu, narrow, segments } = context;
  const beside: EndpointSpec[] = [];
  for (const entry of netnsId === undefined ? [] : journal.inNetns(netnsId)) {
    if (entry.endpoint.spec.netns === endpoint.spec.netns && entry.state === "attached")
      beside.push(ofSegmentOwner(entry.endpoint, context.world.segmentOwners).spec);
  }
  const world = { ...context.world, interfaces: new Map([[endpoint.spec.netns, beside]]) };
  const atOwner = ofSegmentOwner(endpoint, world.segmentOwners);
  const layout = layoutOf(segments, atOwner.spec);
  const [port, ...rest] = compileEndpoint(world, { vrf, layout, mtu, narrow }, atOwner);
  if (port === undefined) return { layout, objects: [] };
  const limits = compileShaping(vrf, segmentOwner, atOwner, mtu);
  return { layout, objects: [...elementsOf(context, atOwner), port, ...limits, ...rest] };
}

/** Its elements in the sets of its VRF, without which its port passes nothing. `endpoint`: one of the segment owner. */
export function elementsOf({ world, vrf, segmentOwner }: NetworkContext, endpoint: Endpoint): KernelObject[] {
  return [
    ...endpointElements(world, vrf, segmentOwner, endpoint),
    ...membershipOf(vrf, segmentOwner, endpoint, policyOf(world, vrf.name).peers),
  ];
}

/** Whether an attach may apply the objects itself: the tables have its rules, and no other may have its addresses. */
export function canFastPath(objects: readonly KernelObject[], { spec }: Endpoint): boolean {
  return spec.allowedAddresses === undefined && !objects.some(lacksProfile);
}

/** The operations that put these objects into the kernel. `pair`: their port as it exists already, if it does. */
export function opsFor(objects: readonly KernelObject[], port: Veth, pair: Veth | undefined): Op[] {
  const isThere = pair !== undefined && keyOf(pair) === keyOf(port);
  return objects.map((object) => {
    return isThere && object === port ? { op: "set", from: pair, object } : { op: "add", object };
  });
}

/** Whether the bridge of a port is known to be there. */
export function hasBridge(known: KernelState, { ns, master }: Veth): boolean {
  return known.has(`bridge ${ns} ${master}`);
}

/** Whether routes of other interfaces in its namespace change: of all but the one with the default route. */
export function changesOtherRoutes(entries: Iterable<Entry>, { name, spec }: Endpoint): boolean {
  const beside = [spec];
  for (const { endpoint, state } of entries)
    if (endpoint.spec.netns === spec.netns && endpoint.name !== name && state === "attached")
      beside.push(endpoint.spec);
  return isAnyFurther(beside, spec.ifname);
}

/** Whether an endpoint of the network is attached here. */
export function isInUse(entries: Iterable<Entry>, network: string): boolean {
  for (const { endpoint, state } of entries) if (endpoint.spec.network === network && state === "attached") return true;
  return false;
}

/** The answer to an attach. */
export function attachmentOf(
  { mtu, segmentOwner }: Pick<NetworkContext, "mtu" | "segmentOwner">,
  endpoint: Endpoint,
  { layout, objects }: Compiled,
): Attachment {
  return {
    endpoint: endpoint.name,
    spec: endpoint.spec,
    mtu: layout === undefined ? mtu : endpointMtu(layout, mtu),
    routes: objects.flatMap((object) =>
      object.kind === "route" && object.via !== undefined ? [`${object.dst} via ${object.via}`] : [],
    ),
    interfaceAddresses: layout?.addresses ?? [],
    gateways: layout?.gateways.map((gateway) => gateway.ip) ?? [],
    dns: layout?.dns ?? segmentOwner.spec.dns ?? [],
  };
}

/** The same for an endpoint whose network is not known. */
export function withoutNetwork({ name, spec }: Endpoint): Attachment {
  return { endpoint: name, spec, mtu: 0, routes: [], interfaceAddresses: [], gateways: [], dns: [] };
}

/** The pair of an endpoint whose addresses are not known yet; the far end's MAC is empty unless the claim has one. */
export function speculativePort({ vrf, segments, mtu }: NetworkContext, claim: EndpointClaim, name: string) {
  const { ifname, netns, mac } = claim;
  const [segment] = segments;
  return segment === undefined
    ? undefined
    : portOn({ name, spec: { ifname, netns, mac: mac ?? "" } }, nsOf(vrf), segment, mtu);
}
