// The indexes that a compile needs, built once per snapshot, so that cost grows with what a host holds and not with its
// square. Derived only; dropping them changes nothing.
import { familyOf } from "../../model/address.ts";
import { type Driver, tunnelMtu } from "../../model/driver.ts";
import { type TunnelWay, tunnelEnd } from "../../model/multicast.ts";
import { isOnHost, vrfsOn } from "../../model/carrying.ts";
import {
  type Block,
  type Conversion,
  type Endpoint,
  type EndpointSpec,
  type Host,
  type Network,
  type PhysicalNetwork,
  type SecurityGroup,
  type Snapshot,
  type Vrf,
  type Vtep,
  listIn,
} from "../../model/resource.ts";
import { withoutReservations, segmentOwnersOf } from "./reservations.ts";

export type World = {
  /** Without reservations (reservations.ts). */
  readonly snapshot: Snapshot;
  /** The network that owns the segment, by the name of each reservation. */
  readonly segmentOwners: ReadonlyMap<string, string>;
  readonly self: Host;
  readonly hosts: ReadonlyMap<string, Host>;
  /** VRFs this host carries, by name. */
  readonly vrfs: readonly Vrf[];
  readonly networks: ReadonlyMap<string, readonly Network[]>;
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  readonly blocks: ReadonlyMap<string, readonly Block[]>;
  readonly vteps: ReadonlyMap<string, readonly Vtep[]>;
  readonly groups: ReadonlyMap<string, SecurityGroup>;
  /** What changes while it is in use, by VRF (ways.ts). */
  readonly conversions: ReadonlyMap<string, Conversion>;
  /** Physical networks, by name. */
  readonly parents: ReadonlyMap<string, PhysicalNetwork>;
  /** This host's endpoints by their workload's namespace: which of its interfaces leads where (reach.ts). */
  readonly interfaces: ReadonlyMap<string, readonly EndpointSpec[]>;
  /**
   * Hosts that carry a VRF, by its name: their packets may come in, and the tunnel must fit through the least of them.
   */
  readonly carriers: ReadonlyMap<string, ReadonlySet<Host>>;
};

/** Undefined when the snapshot does not know the host: it has not joined, or has been deleted. */
export function worldOf(seen: Snapshot, self: string): World | undefined {
  const snapshot = withoutReservations(seen);
  const hosts = new Map(snapshot.hosts.map((host) => [host.name, host]));
  const host = hosts.get(self);
  if (host === undefined) return undefined;
  const carried = vrfsOn(snapshot, self);
  const vrfs = snapshot.vrfs.filter((vrf) => carried.has(vrf.name));
  const networks = Map.groupBy(snapshot.networks, (network) => network.spec.vrf);
  const endpoints = Map.groupBy(snapshot.endpoints, (endpoint) => endpoint.spec.network);
  const vteps = Map.groupBy(snapshot.vteps, (vtep) => vtep.spec.vrf);
  const carriersOf = (vrf: string) => {
    const names = new Set([self, ...(vteps.get(vrf) ?? []).map((vtep) => vtep.spec.host)]);
    for (const network of networks.get(vrf) ?? []) {
      for (const e of endpoints.get(network.name) ?? []) names.add(e.spec.host);
      if (network.spec.hosts !== undefined || network.spec.hostAddresses !== undefined)
        for (const each of hosts.values()) if (isOnHost(network.spec, each)) names.add(each.name);
    }
    return new Set([...names].map((name) => hosts.get(name)).filter((h) => h !== undefined));
  };
  const own = snapshot.endpoints.filter(({ spec }) => spec.host === self).map(({ spec }) => spec);
  return {
    snapshot,
    segmentOwners: segmentOwnersOf(seen.networks),
    self: host,
    hosts,
    vrfs,
    networks,
    endpoints,
    blocks: Map.groupBy(snapshot.blocks, (block) => block.spec.network),
    vteps,
    parents: new Map(listIn(snapshot, "physicalnetwork").map((one) => [one.name, one])),
    groups: new Map(snapshot.securityGroups.map((group) => [group.name, group])),
    conversions: new Map(listIn(snapshot, "conversion").map((conversion) => [conversion.spec.vrf, conversion])),
    interfaces: Map.groupBy(own, ({ netns }) => netns),
    carriers: new Map(vrfs.map(({ name }) => [name, carriersOf(name)])),
  };
}

/** This host's endpoints of a network. */
export function ownEndpoints({ endpoints, self }: World, network: string): readonly Endpoint[] {
  return (endpoints.get(network) ?? []).filter(({ spec }) => spec.host === self.name);
}

/** This host's blocks of a network. */
export function ownBlocks({ blocks, self }: World, network: string): readonly Block[] {
  return (blocks.get(network) ?? []).filter(({ spec }) => spec.host === self.name);
}

/** The owner of a network's segment, with the ranges of all that is reserved from it. */
export function segmentOwnerOf(world: World, vrf: Vrf, network: Network): Network {
  const name = world.segmentOwners.get(network.name) ?? network.name;
  return world.networks.get(vrf.name)?.find((each) => each.name === name) ?? network;
}

/**
 * Where a peer's tunnel packets go: its underlay address, if this host can reach that family at all. `way`: of a
 * network whose tunnel may cross by another device.
 */
export function tunnelTo(world: World, host: string, way: TunnelWay = {}): string | undefined {
  const peer = world.hosts.get(host);
  if (peer === undefined || peer === world.self) return undefined;
  const [from, to] = [tunnelEnd(way, world.self.spec), tunnelEnd(way, peer.spec)];
  if (from === undefined || to === undefined) return undefined;
  return familyOf(from.underlay) === familyOf(to.underlay) ? to.underlay : undefined;
}

/** What a VRF's tunnel carries: the least underlay MTU among the hosts that carry the VRF, less the overhead. */
export function vrfMtu(world: World, vrf: Vrf, driver: Driver, way: TunnelWay = {}): number {
  const { underlay, underlayMtu } = world.self.spec;
  let least = Number.POSITIVE_INFINITY;
  for (const host of [world.self, ...(world.carriers.get(vrf.name) ?? [])])
    least = Math.min(least, tunnelEnd(way, host.spec)?.underlayMtu ?? least);
  // A host that lacks the device of a tunnel keeps the MTU of the others.
  const known = Number.isFinite(least) ? least : underlayMtu;
  return tunnelMtu(driver, { underlay: way.group ?? underlay, underlayMtu: known });
}
