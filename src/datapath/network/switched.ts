// A switched network: one L2 segment over all its hosts. What leads to other hosts (datapath/tunnel) is a port of the
// bridge and learns nothing; the control plane says where each endpoint is.
//
// Per remote endpoint (here 10.7.0.9, 02:00:0a:07:00:09 on h2, with VXLAN):
//   bridge fdb  02:00:0a:07:00:09 dev wx7 dst 172.31.77.12 self   the host behind the MAC
//   bridge fdb  02:00:0a:07:00:09 dev wx7 master static sticky    the port behind it: unicast is never flooded
//   ip neigh    10.7.0.9 lladdr 02:00:0a:07:00:09 dev wb-blue     the answer to ARP and ND, which never cross
// Per host with endpoints of the network, an all-zero FDB entry: where broadcast and multicast go (head-end
// replication). Where an endpoint has allowed addresses (virtual IPs), only the workloads know the holder, so ARP
// and ND cross after all: the holder announces itself, and answers. With learning on, a learned entry would survive its
// endpoint and shadow the true one (the stale entry of every peer).
//
// With a group (`peers: multicast`) the kernel floods to that instead. Machines that Weft does not know may be in it,
// so the device and the tunnel's port learn; entries for endpoints are as ever, and no packet moves them.
import { formatMac } from "../../model/address.ts";
import type { Endpoint, Network, Vrf } from "../../model/resource.ts";
import { allHostAddresses, hostAddressesOf, hostMac, isOnHost, learnsFromTunnel } from "../../model/carrying.ts";
import { defined } from "../../model/defined.ts";
import { type TunnelEnd, tunnelEnd } from "../../model/multicast.ts";
import { networkBridge } from "../../model/device.ts";
import { hasDevicePerPeer } from "../../model/driver.ts";
import { hasVirtualMac } from "./endpoint.ts";
import { nsOf } from "../world/placement.ts";
import { tunnelMacsOf } from "../world/layout.ts";
import { closedElements } from "../policy/closing.ts";
import { floodElements } from "../policy/learning.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { peerOf, tunnelDriverOf } from "../tunnel/drivers.ts";
import type { Peer, SwitchedDevices, TunnelGroup } from "../tunnel/tunnel.ts";
import { type Way, deviceOf, mtuOf, waysOf } from "../world/ways.ts";
import type { World } from "../world/world.ts";

export function compileSwitched(world: World, vrf: Vrf, network: Network, mtu: number): KernelObject[] {
  const ways = waysOf(world, vrf, network);
  const endpoints = world.endpoints.get(network.name) ?? [];
  const isAlone = ways.length === 1;
  return ways.flatMap((way, i) => {
    const peers = peersOf(world, way.network, endpoints);
    const tunnel = tunnelOf(world, way, { endpoints, peers, mtu: Math.min(mtu, mtuOf(world, way)), isAlone });
    return tunnel === undefined ? [] : compileWay(way, tunnel, { endpoints, peers, sends: i === 0 });
  });
}

type Segment = { readonly endpoints: readonly Endpoint[]; readonly peers: ReadonlyMap<string, Peer> };

/** Of two, neither gives the other what it takes from the underlay: they are isolated from each other. */
function tunnelOf(
  world: World,
  way: Way,
  { endpoints, peers, mtu, isAlone }: Segment & { readonly mtu: number; readonly isAlone: boolean },
): SwitchedDevices | undefined {
  const { vrf, network } = way;
  const { vni } = network.spec;
  const end = tunnelEnd(network.spec, world.self.spec);
  if (vni === undefined || end === undefined) return undefined;
  // Addresses that move from one endpoint to another without the control plane.
  const hasVirtualIps = endpoints.some(({ spec: { allowedAddresses = [] } }) => allowedAddresses.length > 0);
  const macs = tunnelMacsOf(network) ?? (endpoints.some(({ spec }) => hasVirtualMac(spec)) ? "learned" : undefined);
  return tunnelDriverOf(network).switched({
    network,
    ns: nsOf(vrf),
    name: deviceOf(way),
    vni,
    local: end.underlay,
    port: vrf.spec.tunnelPort,
    mtu,
    // No frame has it as source or destination; it is set so that the kernel does not choose one later.
    mac: formatMac(0x0a58_00_000000n + BigInt(vni)),
    alias: alias("network", network.name),
    bridge: networkBridge(network),
    ...groupOf(network, end),
    ...(isAlone ? {} : { isolated: true }),
    ...(macs === undefined ? {} : { macs }),
    // Hosts that have kept their MACs are asked for them.
    ...(hasVirtualIps || network.spec.takeOver === true ? { floodsArp: true } : {}),
    ...(learnsFromTunnel(network.spec) && network.spec.group === undefined ? { learns: true } : {}),
    peers: [...peers.values()],
  });
}

/** What leads to other hosts' endpoints through a tunnel; if nothing is sent by it, what would. */
function compileWay(
  way: Way,
  tunnel: SwitchedDevices,
  { endpoints, peers, sends }: Segment & { readonly sends: boolean },
): KernelObject[] {
  const { vrf, network } = way;
  const ns = nsOf(vrf);
  const bridge = networkBridge(network);
  const stations = [...endpoints.map(({ spec }) => spec), ...hostsOn(network)];
  const { portTo, unicast, broadcast } = tunnel;
  const behind = new Map<string, string[]>(tunnel.ports.map((port) => [port, []]));
  const objects = [...tunnel.devices];
  for (const { host, mac, addresses } of stations) {
    const peer = peers.get(host);
    if (peer === undefined) continue;
    const dev = portTo(peer);
    behind.get(dev)?.push(mac);
    if (unicast !== undefined) objects.push(unicast(mac, peer));
    if (!sends) continue;
    objects.push({ kind: "bridge-fdb", ns, dev, mac });
    for (const ip of addresses) objects.push({ kind: "neighbour", ns, dev: bridge, ip, mac });
  }
  for (const [port, itsMacs] of behind) objects.push(...floodElements(vrf, tunnelMacsOf(network), port, itsMacs));
  if (!sends) objects.push(...closedElements(vrf, way, tunnel.ports));
  if (broadcast !== undefined) objects.push(...[...peers.values()].map(broadcast));
  return objects;
}

function groupOf({ spec: { group, ttl } }: Network, { device }: TunnelEnd): { readonly group?: TunnelGroup } {
  return group === undefined || device === undefined ? {} : { group: defined({ address: group, dev: device, ttl }) };
}

/**
 * Hosts with addresses of their own on the segment: for the others each is as an endpoint. Not one that may have a
 * bridge with another MAC than Weft would choose: others learn that.
 */
function hostsOn({ spec }: Network): readonly Station[] {
  if (spec.takeOver === true) return [];
  const hosts = new Set(allHostAddresses(spec).map(({ host }) => host));
  return [...hosts].sort().map((host) => {
    const own = hostAddressesOf(spec, host);
    const addresses = own.map((address) => address.slice(0, address.indexOf("/")));
    return { host, mac: hostMac(own[0] ?? ""), addresses };
  });
}

type Station = Pick<Endpoint["spec"], "host" | "mac" | "addresses">;

/**
 * The other hosts with these endpoints, or that have the network without any, by name. If the tunnel is a device for
 * each peer, also hosts that only route into the network, from another of its VRF: nothing else takes what they send.
 */
function peersOf(world: World, { name, spec }: Network, endpoints: readonly Endpoint[]): ReadonlyMap<string, Peer> {
  const peers = new Map<string, Peer>();
  const add = (host: string) => {
    if (peers.has(host)) return;
    const peer = peerOf(world, host, spec);
    if (peer !== undefined) peers.set(host, peer);
  };
  for (const endpoint of endpoints) add(endpoint.spec.host);
  if (spec.hosts !== undefined || spec.hostAddresses !== undefined)
    for (const host of world.hosts.values()) if (isOnHost(spec, host)) add(host.name);
  const hasOthers = world.networks.get(spec.vrf)?.some((other) => other.name !== name) === true;
  if (hasDevicePerPeer(spec.driver) && hasOthers) for (const host of world.carriers.get(spec.vrf) ?? []) add(host.name);
  return peers;
}
