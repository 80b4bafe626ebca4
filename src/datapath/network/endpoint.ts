// Port, addresses and routes of one endpoint of this host: everything that an attach adds to the kernel. The far end is
// created in the workload's namespace, because moving it there afterwards costs an RCU barrier under RTNL (20 ms
// against 0.8).
import { type Cidr, type Family, BITS, cidrAround, formatCidr, formatIp, interfaceOf } from "../../model/address.ts";
import { IPV6_MTU_MIN } from "../../model/limits.ts";
import type { Endpoint, EndpointSpec, Vrf } from "../../model/resource.ts";
import type { EndpointLayout, Segment } from "../world/layout.ts";
import { alias, portMac, portName } from "../state/names.ts";
import { nsOf } from "../world/placement.ts";
import { isWayOut, reach } from "../world/reach.ts";
import type { KernelObject } from "../kinds.ts";
import { DEFAULT_ROUTE } from "../kinds/entries.ts";
import type { Ns } from "../kinds/kind.ts";
import type { Veth } from "../kinds/links.ts";
import type { World } from "../world/world.ts";

/**
 * Where an endpoint is: its VRF, and its place on the network's segment. Without a layout no segment of this host has
 * the endpoint's addresses, because its block is gone.
 */
type Attached = {
  readonly vrf: Vrf;
  readonly layout: EndpointLayout | undefined;
  readonly mtu: number;
  /** Larger packets are not sent, although the interface would take them. */
  readonly narrow: number | undefined;
};

/** Empty without a layout. `mtu` is the network's. */
export function compileEndpoint(
  world: World,
  { vrf, layout, mtu, narrow }: Attached,
  endpoint: Endpoint,
): KernelObject[] {
  if (layout === undefined) return [];
  const { spec } = endpoint;
  const port = portOn(endpoint, nsOf(vrf), layout.segment, endpointMtu(layout, mtu));
  if (port === undefined) return [];
  const { ns, name: dev } = port.peer;
  const isFirst = isWayOut(spec, world.interfaces.get(ns) ?? []);
  const behind = (family: Family) => (isFirst ? [DEFAULT_ROUTE[family]] : reach(world, vrf, { spec, layout }, family));
  const most = (dst: string) => (narrow === undefined ? {} : { mtu: routeMtu(endpointMtu(layout, narrow), dst) });
  return [
    port,
    { kind: "bridge-fdb", ns: port.ns, dev: port.name, mac: spec.mac },
    ...layout.addresses.map((cidr): KernelObject => ({ kind: "address", ns, dev, cidr })),
    ...layout.gateways.flatMap(({ family, ip: via }) =>
      behind(family).map((dst): KernelObject => ({ kind: "route", ns, dst, via, dev, onlink: false, ...most(dst) })),
    ),
    ...(narrow === undefined ? [] : layout.addresses.flatMap(halvesOf)).map(
      ({ dst, src }): KernelObject => ({ kind: "route", ns, dst, dev, onlink: false, src, ...most(dst) }),
    ),
  ];
}

/**
 * When a link gets a larger MTU, the kernel gives it to all IPv6 routes by the link that have the link's former one, as
 * if it had come from there (fib6_nh_mtu_change). One byte less is left alone.
 */
function routeMtu(mtu: number, dst: string): number {
  return dst.includes(":") ? Math.max(mtu - 1, IPV6_MTU_MIN) : mtu;
}

/**
 * The kernel's own route to the addresses on the link has no MTU, and is not ours to change. Two routes to the halves
 * of it go before it, and leave it as it was when they go.
 */
function halvesOf(address: string): { readonly dst: string; readonly src: string }[] {
  const { ip, length } = interfaceOf(address) ?? {};
  if (ip === undefined || length === undefined || length >= BITS[ip.family]) return [];
  const first: Cidr = { ...cidrAround(ip, length), length: length + 1 };
  const second = { ...first, base: first.base + (1n << BigInt(BITS[ip.family] - first.length)) };
  return [first, second].map((half) => ({ dst: formatCidr(half), src: formatIp(ip) }));
}

type PortOwner = {
  readonly name: string;
  readonly spec: Pick<EndpointSpec, "netns" | "ifname" | "mac" | "allowedAddresses">;
};

/** An endpoint's pair; undefined if its workload's namespace has no path. */
export function portOn({ name, spec }: PortOwner, ns: Ns, segment: Segment, mtu: number): Veth | undefined {
  const { netns, ifname, mac } = spec;
  if (!isPath(netns)) return undefined;
  const macs = segment.macs ?? (hasVirtualMac(spec) ? "learned" : undefined);
  return {
    kind: "veth",
    ns,
    name: portName(name),
    mtu,
    mac: portMac(name),
    alias: alias("endpoint", name),
    master: segment.bridge,
    ...(macs === undefined ? {} : { macs }),
    peer: { ns: netns, name: ifname, mtu, mac },
  };
}

/**
 * Whether the endpoint may send from a further MAC. Several endpoints may have the same one, so frames show where it
 * is; spoofing filters ensure that the endpoint uses no other MAC.
 */
export function hasVirtualMac({ mac, allowedAddresses = [] }: Pick<EndpointSpec, "mac" | "allowedAddresses">): boolean {
  return allowedAddresses.some((allowed) => allowed.mac !== undefined && allowed.mac !== mac);
}

/** For both ends of its port: the MTU of its range, never more than the network's. */
export function endpointMtu({ mtu }: EndpointLayout, networkMtu: number): number {
  return Math.min(mtu ?? networkMtu, networkMtu);
}

function isPath(netns: string): netns is Ns & `/${string}` {
  return netns.startsWith("/");
}
