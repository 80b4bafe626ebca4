// Where a network's addresses are on one host: blocks, slices, gateways. Pure arithmetic on a snapshot; the compiler,
// the agent that assigns local leases and the door that answers an attach all read the same layout.
import { type Cidr, type Family, type Ip, cidrOf, contains, formatIp, ipOf, macFromIp } from "../model/address.ts";
import { slicesOn } from "../model/membership.ts";
import type { Block, Host, Network, Vrf } from "../model/resource.ts";
import { deviceName } from "./names.ts";

/** One bridge of a network on a host, with what it holds per family. */
export type Segment = {
  readonly bridge: string;
  readonly mac: string;
  /** Undefined for a network without slices. */
  readonly slice?: string;
  readonly ranges: readonly Range[];
};
/**
 * Addresses of one family on a segment: from `cidr`, endpoints use `cidr.length` as prefix, `gateway` is the bridge's.
 */
export type Range = { readonly cidr: Cidr; readonly gateway?: Ip };

/**
 * The bridges that a host has for a network: one per slice of its blocks, or one; none for a routed network without a
 * block here or without slices for this host. `blocks` are this host's of this network, at most one per family.
 */
export function segmentsOf(vrf: Vrf, network: Network, host: Host, blocks: readonly Block[]): readonly Segment[] {
  if (network.spec.ipam === "global") return [globalSegment(network)];
  const cidrs = blocks.map((block) => mustCidr(block.spec.cidr)).sort((a, b) => a.family - b.family);
  if (cidrs.length === 0) return [];
  const all = network.spec.slices ?? [];
  if (all.length === 0) return [segment(deviceName("wb", network.name), cidrs)];
  return slicesOn(vrf, network, host).map((slice) => {
    const parts = cidrs.map((cidr) => part(cidr, all.indexOf(slice), all.length));
    return { ...segment(deviceName(slice.bridge, network.name), parts), slice: slice.name };
  });
}

function segment(bridge: string, cidrs: readonly Cidr[]): Segment {
  const ranges = cidrs.map((cidr) => ({ cidr, gateway: { family: cidr.family, value: cidr.base + 1n } }));
  return { bridge, mac: macFromIp(ranges[0]?.gateway ?? { family: 4, value: 0n }), ranges };
}

/** The n-th of `count` equal parts of a block; count is a power of two (checked when the network is admitted). */
function part(block: Cidr, n: number, count: number): Cidr {
  const length = block.length + Math.log2(count);
  const size = 1n << BigInt((block.family === 4 ? 32 : 128) - length);
  return { family: block.family, base: block.base + BigInt(n) * size, length };
}

/** One segment over all hosts; gateway address and MAC are the same on each (anycast). */
function globalSegment(network: Network): Segment {
  const ranges = network.spec.subnets.map((subnet): Range => {
    const gateway = subnet.gateway === undefined || subnet.gateway === "none" ? undefined : ipOf(subnet.gateway);
    return { cidr: mustCidr(subnet.cidr), ...(gateway === undefined ? {} : { gateway }) };
  });
  const gateway = ranges.find((range) => range.gateway !== undefined)?.gateway;
  return {
    bridge: deviceName("wb", network.name),
    mac: gateway === undefined ? isolatedMac(network) : macFromIp(gateway),
    ranges,
  };
}

/**
 * A segment without gateway still needs a fixed MAC: a bridge without one takes its ports' and flushes neighbours when
 * it changes.
 */
function isolatedMac(network: Network): string {
  const vni = network.spec.vni ?? 0;
  return `0a:57:00:${[16, 8, 0].map((shift) => ((vni >>> shift) & 255).toString(16).padStart(2, "0")).join(":")}`;
}

/** What goes on an endpoint's interface: addresses with length, and the way out. */
export type EndpointLayout = {
  readonly segment: Segment;
  readonly addresses: readonly string[];
  readonly gateways: readonly { readonly family: Family; readonly ip: string }[];
};

/** Undefined if none of the segments holds the addresses: the block moved away, or the host has no bridge for them. */
export function layoutOf(
  segments: readonly Segment[],
  slice: string | undefined,
  addresses: readonly string[],
): EndpointLayout | undefined {
  const candidates = segments.filter((s) => slice === undefined || s.slice === slice);
  const ips = addresses.map((text) => ipOf(text)).filter((ip) => ip !== undefined);
  for (const candidate of candidates) {
    const ranges = ips.map((ip) => candidate.ranges.find((range) => contains(range.cidr, ip)));
    if (ips.length === 0 || ranges.some((range) => range === undefined)) continue;
    return {
      segment: candidate,
      addresses: ips.map((ip, i) => `${formatIp(ip)}/${ranges[i]?.cidr.length ?? 0}`),
      gateways: ranges.flatMap((range) =>
        range?.gateway === undefined ? [] : [{ family: range.cidr.family, ip: formatIp(range.gateway) }],
      ),
    };
  }
  return undefined;
}

/** Resources are canonical since they were admitted; anything else is a bug. */
export function mustCidr(text: string): Cidr {
  const cidr = cidrOf(text);
  if (cidr === undefined) throw new Error(`not a canonical network: ${text}`);
  return cidr;
}
