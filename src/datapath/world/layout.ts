// A network's addresses on one host: blocks, slices, gateways. Pure arithmetic on a snapshot. The compiler, the agent's
// allocation of local leases and the answer to an attach all use this layout.
import {
  type Cidr,
  type Family,
  type Ip,
  cidrOf,
  contains,
  formatCidr,
  formatIp,
  formatMac,
  ipOf,
  macFromIp,
} from "../../model/address.ts";
import { hostAddressesOf, hostMac, learnsFromTunnel, prefixesOf, slicesOn } from "../../model/carrying.ts";
import { isPhysical } from "../../model/driver.ts";
import { takeOverOn } from "../../model/physical.ts";
import type { AddressRange } from "../../model/range.ts";
import type { Block, EndpointSpec, Host, Network, Vrf } from "../../model/resource.ts";
import type { Macs } from "../kinds/links.ts";
import { deviceName, networkBridge } from "../../model/device.ts";
import { hashedMac } from "../state/names.ts";

/** One bridge of a network on a host, with its addresses per family. */
export type Segment = {
  readonly bridge: string;
  /** How the bridge learns which MACs are behind its ports. */
  readonly macs?: Macs;
  readonly mac: string;
  /** Undefined for a network without slices. */
  readonly slice?: string;
  readonly prefixes: readonly SegmentPrefix[];
  /** The bridge's own addresses, with length. */
  readonly gateways: readonly string[];
  /** The host's own addresses on the segment, with length. */
  readonly own?: readonly string[];
  /** Address ranges of a global network, by name, with the settings of their leases. */
  readonly overrides?: ReadonlyMap<string, AddressRange>;
};
/**
 * Addresses of one family on a segment: from `cidr`, endpoints use `cidr.length` as prefix, `gateway` is the bridge's.
 */
export type SegmentPrefix = { readonly cidr: Cidr; readonly gateway?: Ip };

/**
 * The bridges that a host has for a network: one per slice of its blocks, or one; none for a routed network without a
 * block here or without slices for this host. `blocks` are this host's of this network, at most one per family.
 */
export function segmentsOf(vrf: Vrf, network: Network, host: Host, blocks: readonly Block[]): readonly Segment[] {
  const macs = macsOf(network);
  const segments = bridgesOf(vrf, network, host, blocks);
  return macs === undefined ? segments : segments.map((each) => ({ ...each, macs }));
}

/**
 * If workloads may have any MAC, only frames show where one is; frames to a MAC that was silent for long go to all
 * ports if the network allows storms.
 */
export function macsOf({ spec: { spoofing } }: Network): Macs | undefined {
  if (spoofing?.mac !== true) return undefined;
  return spoofing.broadcasts === true ? "flooded" : "learned";
}

/** The same of the port that leads to other hosts: machines may be there that Weft does not know. */
export function tunnelMacsOf(network: Network): Macs | undefined {
  return learnsFromTunnel(network.spec) ? "flooded" : macsOf(network);
}

function bridgesOf(vrf: Vrf, network: Network, host: Host, blocks: readonly Block[]): readonly Segment[] {
  if (isPhysical(network.spec)) return [physicalSegment(network, host)];
  if (network.spec.ipam === "global") return [globalSegment(network, host.name)];
  const cidrs = blocks.map((block) => mustCidr(block.spec.cidr)).sort((a, b) => a.family - b.family);
  if (cidrs.length === 0) return [];
  const all = network.spec.slices ?? [];
  if (all.length === 0) return [segment(networkBridge(network), cidrs)];
  return slicesOn(vrf, network, host).map((slice) => {
    const parts = cidrs.map((cidr) => part(cidr, all.indexOf(slice), all.length));
    return { ...segment(deviceName(slice.bridge, network.name), parts), slice: slice.name };
  });
}

function segment(bridge: string, cidrs: readonly Cidr[]): Segment {
  const prefixes = cidrs.map((cidr) => ({ cidr, gateway: { family: cidr.family, value: cidr.base + 1n } }));
  const mac = macFromIp(prefixes[0]?.gateway ?? { family: 4, value: 0n });
  return { bridge, mac, prefixes, gateways: gatewaysOf(prefixes) };
}

function gatewaysOf(all: readonly SegmentPrefix[]): string[] {
  return all.flatMap(({ cidr, gateway }) => (gateway === undefined ? [] : [`${formatIp(gateway)}/${cidr.length}`]));
}

/** The n-th of `count` equal parts of a block; count is a power of two (checked when the network is admitted). */
function part(block: Cidr, n: number, count: number): Cidr {
  const length = block.length + Math.log2(count);
  const size = 1n << BigInt((block.family === 4 ? 32 : 128) - length);
  return { family: block.family, base: block.base + BigInt(n) * size, length };
}

/**
 * One segment over all hosts; gateway address and MAC are the same on each (anycast). A network without a gateway may
 * have an address of each host instead, with a MAC of its own, which the others know as that of an endpoint.
 */
function globalSegment(network: Network, host: string): Segment {
  const { subnets, ranges: wanted = [] } = network.spec;
  const prefixes = prefixesOf(network.spec).map((cidr, i): SegmentPrefix => {
    // After the subnets come SLAAC prefixes, whose only gateway is a range's own.
    const gateway = ipOf(subnets[i]?.gateway ?? "");
    return { cidr: mustCidr(cidr), ...(gateway === undefined ? {} : { gateway }) };
  });
  const gateway = prefixes.find((prefix) => prefix.gateway !== undefined)?.gateway;
  const more = wanted
    .flatMap((range) => ownGateways(range, prefixes))
    .flatMap((ip) => prefixes.filter(({ cidr }) => contains(cidr, ip)).map(({ cidr }) => ({ cidr, gateway: ip })));
  const own = hostAddressesOf(network.spec, host);
  const [first] = own;
  return {
    bridge: networkBridge(network),
    mac: first === undefined ? (gateway === undefined ? isolatedMac(network) : macFromIp(gateway)) : hostMac(first),
    prefixes,
    gateways: [...new Set(gatewaysOf([...prefixes, ...more]))],
    ...(first === undefined ? {} : { own }),
    ...(wanted.length === 0 ? {} : { overrides: new Map(wanted.map((range) => [range.name, range])) }),
  };
}

/**
 * On a physical network the gateway is a machine outside, and bridges of other hosts are on the same segment: each has
 * a MAC of its own. With what the host has on a device goes the device's MAC: others on the segment know it.
 */
function physicalSegment(network: Network, { name, spec }: Host): Segment {
  const segment = { ...globalSegment(network, name), gateways: [] };
  const mac = takeOverOn(spec, network.spec)?.mac;
  if (mac !== undefined) return { ...segment, mac };
  return segment.own === undefined ? { ...segment, mac: hashedMac(network.name, name) } : segment;
}

/**
 * Gateways of an address range. A range with two SLAAC prefixes and a gateway in one of them needs the bridge in the
 * other as well: workloads choose either as their source, and answers must find their way back.
 */
function ownGateways({ gateway, gateway6, prefix, ula }: AddressRange, prefixes: readonly SegmentPrefix[]): Ip[] {
  const [four, six] = [ipOf(gateway ?? ""), ipOf(gateway6 ?? "")];
  const others = prefixes
    .filter((other) => other.gateway === undefined && [prefix, ula].includes(formatCidr(other.cidr)))
    .filter(({ cidr }) => six !== undefined && !contains(cidr, six))
    .map(({ cidr }): Ip => ({ family: cidr.family, value: cidr.base + 1n }));
  return [four, six, ...others].filter((ip) => ip !== undefined);
}

/**
 * A segment without a gateway still needs a fixed MAC: otherwise the bridge takes a MAC of its ports and flushes
 * neighbours when that changes.
 */
function isolatedMac(network: Network): string {
  return formatMac(0x0a57_00_000000n + BigInt(network.spec.vni ?? 0));
}

/** What an endpoint's interface gets: addresses with length, and the default gateway. */
export type EndpointLayout = {
  readonly segment: Segment;
  readonly addresses: readonly string[];
  readonly gateways: readonly { readonly family: Family; readonly ip: string }[];
  /** Of its address range: not more than this. */
  readonly mtu?: number;
  readonly dns?: readonly string[];
};

/**
 * Undefined if no segment has the addresses: the block moved away, or the host has no bridge for them. A lease of an
 * address range may have no addresses; then it is on the segment with its MAC alone.
 */
export function layoutOf(
  segments: readonly Segment[],
  { slice, addresses, range: name }: Pick<EndpointSpec, "slice" | "addresses" | "range">,
): EndpointLayout | undefined {
  const candidates = segments.filter((s) => slice === undefined || s.slice === slice);
  const ips = addresses.map((text) => ipOf(text)).filter((ip) => ip !== undefined);
  for (const candidate of candidates) {
    const prefixes = ips.map((ip) => candidate.prefixes.find((prefix) => contains(prefix.cidr, ip)));
    if ((ips.length === 0 && name === undefined) || prefixes.some((prefix) => prefix === undefined)) continue;
    const own = candidate.overrides?.get(name ?? "");
    return {
      segment: candidate,
      addresses: ips.map((ip, i) => `${formatIp(ip)}/${prefixes[i]?.cidr.length ?? 0}`),
      gateways: ([4, 6] as const).flatMap((family) => {
        const ip = gatewayFor(family, prefixes, own);
        return ip === undefined ? [] : [{ family, ip }];
      }),
      ...(own?.mtu === undefined ? {} : { mtu: own.mtu }),
      ...(own?.dns === undefined ? {} : { dns: own.dns }),
    };
  }
  return undefined;
}

/** The gateway for addresses of a family: that of the lease's own range, else of the subnet. */
function gatewayFor(
  family: Family,
  prefixes: readonly (SegmentPrefix | undefined)[],
  own: AddressRange | undefined,
): string | undefined {
  const there = prefixes.filter((prefix) => prefix?.cidr.family === family);
  if (there.length === 0) return undefined;
  const wanted = family === 4 ? own?.gateway : own?.gateway6;
  if (wanted !== undefined) return wanted === "none" ? undefined : wanted;
  const gateway = there.find((prefix) => prefix?.gateway !== undefined)?.gateway;
  return gateway === undefined ? undefined : formatIp(gateway);
}

/** Resources were made canonical by admission; anything else is a bug. */
export function mustCidr(text: string): Cidr {
  const cidr = cidrOf(text);
  if (cidr === undefined) throw new Error(`not a canonical network: ${text}`);
  return cidr;
}
