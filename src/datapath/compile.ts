// Compiles a snapshot: the desired kernel state of one host. Pure: the order of the snapshot's lists changes nothing.
// Knows the kernel's objects and does not touch the kernel.
//
//   host namespace       namespace of the VRF (weft-blue)                      namespaces of workloads
//   wu-blue ===veth=== uplink                  wb-front ===port=== eth0
//   nft: who may send    nft: masquerade       wb-back  ===port=== eth0
//        to the tunnel   wx4096 (tunnel: routed networks) or as port of wb-* (switched ones)
//
// One VRF may be in the host's own namespace: its bridges, tunnels and ports are there, its chains in the host's table.
import { sharedBridge } from "../model/bridges.ts";
import { learnsFromTunnel } from "../model/carrying.ts";
import { isPhysical } from "../model/driver.ts";
import type { Network, Snapshot, Vrf } from "../model/resource.ts";
import { withoutClashes } from "./world/deviceClash.ts";
import { compileEndpoint } from "./network/endpoint.ts";
import { compileFirewall, compileProtection } from "./policy/firewall.ts";
import { type Segment, layoutOf, segmentsOf } from "./world/layout.ts";
import { narrowMtu, networkMtu } from "./world/ways.ts";
import { type World, ownBlocks, ownEndpoints, worldOf } from "./world/world.ts";
import { alias } from "./state/names.ts";
import { type IsFaulty, compileOffload } from "./network/offload.ts";
import { compilePaths } from "./network/paths.ts";
import { compilePhysical } from "./network/physical.ts";
import { compileRouted } from "./network/routed.ts";
import { compileShaping } from "./network/shaping.ts";
import { endpointElements, memberElements } from "./policy/spoofing.ts";
import type { KernelObject } from "./kinds.ts";
import { FORWARD_DELAY } from "./kinds/links.ts";
import { type KernelState, stateOf } from "./state/state.ts";
import { compileSwitched } from "./network/switched.ts";
import { isInHost, networksOn, nsOf } from "./world/placement.ts";
import { compileUplink, usesUplink } from "./network/uplink.ts";

/**
 * Desired kernel state of a host; empty if the snapshot does not know it. `management`: where the host reaches its
 * server, which is no resource. `isFaulty`: what the host has found out about its tunnels.
 */
export function compile(
  snapshot: Snapshot,
  host: string,
  management: readonly string[] = [],
  isFaulty: IsFaulty = () => false,
): KernelState {
  const world = worldOf(snapshot, host);
  if (world === undefined) return new Map();
  const objects: KernelObject[] = [];
  for (const vrf of world.vrfs) objects.push(...compileVrf(world, vrf, isFaulty));
  objects.push(...compileProtection(world, management), ...compilePaths(world));
  return stateOf(objects);
}

function compileVrf(world: World, vrf: Vrf, isFaulty: IsFaulty): KernelObject[] {
  const networks = world.networks.get(vrf.name) ?? [];
  const [own, built] = withoutClashes(world, networksOn(world, vrf));
  const objects: KernelObject[] = [
    ...(isInHost(vrf) ? hostRouting(world, vrf, built) : [...namespaceOf(vrf), compileFirewall(world, vrf, networks)]),
    ...memberElements(world, vrf, networks),
    ...built.flatMap((network) =>
      ownEndpoints(own, network.name).flatMap((endpoint) => endpointElements(own, vrf, network, endpoint)),
    ),
  ];
  for (const network of built) objects.push(...compileNetwork(own, vrf, network));
  objects.push(...compileRouted(world, vrf, networks));
  objects.push(...compileOffload(world, vrf, objects, isFaulty));
  if (usesUplink(vrf, networks)) objects.push(...compileUplink(world, vrf, networks));
  return objects;
}

function namespaceOf({ name }: Vrf): KernelObject[] {
  const ns = `vrf:${name}` as const;
  return [
    { kind: "netns", ns },
    ...NAMESPACE_SYSCTLS.map(([key, value]): KernelObject => ({ kind: "sysctl", ns, key, value })),
  ];
}

/** The host routes for segments whose gateway it is; IPv6 forwarding is left to the operator (network/uplink.ts). */
function hostRouting(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject[] {
  const segments = networks.flatMap((network) => segmentsOf(vrf, network, world.self, []));
  if (segments.every(({ gateways }) => gateways.length === 0)) return [];
  return [{ kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" }];
}

/** Settings that a new namespace has wrong for a router. */
const NAMESPACE_SYSCTLS: readonly (readonly [string, string])[] = [
  ["ipv4/ip_forward", "1"],
  ["ipv6/conf/all/forwarding", "1"],
  // The way back of a packet may lead through another device (uplink, tunnel).
  ["ipv4/conf/all/rp_filter", "0"],
  ["ipv4/conf/default/rp_filter", "0"],
  // A router has no use for errors about packets too big, and what a workload makes up the kernel would believe: any
  // MTU, for any destination, of all packets (icmp_err() and ip_mtu_locked()). IPv6 routes by the link's.
  ["ipv4/ip_no_pmtu_disc", "2"],
  // Addresses are assigned, never negotiated: detection would only delay the first packet by a second.
  ["ipv6/conf/default/accept_dad", "0"],
  ["ipv6/conf/default/accept_ra", "0"],
  // 1 in every new namespace, and then bridged frames pass all hooks of IP, for nothing.
  ["bridge/bridge-nf-call-iptables", "0"],
  ["bridge/bridge-nf-call-ip6tables", "0"],
  ["bridge/bridge-nf-call-arptables", "0"],
];

function compileNetwork(world: World, vrf: Vrf, network: Network): KernelObject[] {
  const mtu = networkMtu(world, vrf, network);
  const segments = segmentsOf(vrf, network, world.self, ownBlocks(world, network.name));
  const objects = segments.flatMap((segment) => compileSegment(vrf, network, segment, mtu));
  if (isPhysical(network.spec)) objects.push(...compilePhysical(world, vrf, network, mtu));
  else if (network.spec.ipam === "global") objects.push(...compileSwitched(world, vrf, network, mtu));
  const narrow = narrowMtu(world, vrf, network);
  for (const endpoint of ownEndpoints(world, network.name)) {
    const own = compileEndpoint(world, { vrf, layout: layoutOf(segments, endpoint.spec), mtu, narrow }, endpoint);
    objects.push(...own, ...(own.length === 0 ? [] : compileShaping(vrf, network, endpoint, mtu)));
  }
  return objects;
}

/** Asked of a bridge of others, it is that one's. */
function spanningTree({ spec }: Network) {
  if (sharedBridge(spec) !== undefined) return {};
  const { stp, forwardDelay = FORWARD_DELAY } = spec;
  return { ...(stp === true ? { stp } : {}), ...(forwardDelay === FORWARD_DELAY ? {} : { forwardDelay }) };
}

function compileSegment(vrf: Vrf, network: Network, segment: Segment, mtu: number): KernelObject[] {
  const ns = nsOf(vrf);
  const name = segment.slice === undefined ? network.name : `${network.name}/${segment.slice}`;
  return [
    {
      kind: "bridge",
      ns,
      name: segment.bridge,
      mtu,
      mac: segment.mac,
      alias: alias("network", name),
      ...(segment.macs === undefined && !learns(network) ? {} : { forgets: true }),
      ...spanningTree(network),
    },
    ...[...(segment.own ?? []), ...segment.gateways].map(
      (cidr): KernelObject => ({ kind: "address", ns, dev: segment.bridge, cidr }),
    ),
  ];
}

/** Whether a bridge learns who is beyond the network's endpoints. */
function learns({ spec }: Network): boolean {
  return isPhysical(spec) || learnsFromTunnel(spec);
}
