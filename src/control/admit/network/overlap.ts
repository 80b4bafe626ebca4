// Addresses that must not overlap: networks of one VRF, the VRF's VTEP subnets, hosts' own addresses and routes, and
// the range of Weft's uplinks. In both directions: containing is as bad as being contained.
import {
  type Cidr,
  cidrAround,
  contains,
  formatCidr,
  interfaceOf,
  ipOf,
  overlaps,
  parseCidr,
} from "../../../model/address.ts";
import { hostAddressesOf } from "../../../model/carrying.ts";
import { isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkSpec, VrfSpec } from "../../../model/resource.ts";
import { UPLINK_CIDRS } from "../../../model/uplink.ts";
import { NOT_UNICAST } from "../numbers.ts";
import type { Draft } from "../../state/draft.ts";
import { cidrsOf } from "../context.ts";

type HostAddresses = Pick<NetworkSpec, "hostAddresses" | "allocatedAddresses">;

/** What a range overlaps: text for the `why` of a refusal. */
export type Collision = { readonly with: string; readonly why: string };

/** Refuses ranges that no workload can use: multicast, loopback, Weft's own uplinks. */
export function checkUsable(cidr: Cidr, where: string): void {
  const special = NOT_UNICAST.find((range) => overlaps(range, cidr));
  if (special !== undefined) {
    throw new Fault("cidr-invalid", {
      what: `${formatCidr(cidr)} cannot be given to workloads`,
      where,
      why: `it overlaps ${formatCidr(special)}, which is not ordinary unicast`,
      fix: "choose a private range like 10.1.0.0/16 or fd00:1::/64",
    });
  }
  const own = UPLINK_CIDRS.find((range) => overlaps(range, cidr));
  if (own !== undefined) {
    throw overlapFault(cidr, where, {
      with: `Weft's uplinks (${formatCidr(own)})`,
      why: "each host uses these addresses itself",
    });
  }
}

export function overlapFault(cidr: Cidr, where: string, { with: other, why }: Collision): Fault {
  return new Fault("overlap", {
    what: `${formatCidr(cidr)} overlaps ${other}`,
    where,
    why,
    fix: "choose another range",
  });
}

/** Another network of the VRF that overlaps the range, now or after the write. */
export function networkCollision(
  { view, coming }: Draft,
  vrf: string,
  cidr: Cidr,
  except?: string,
): Collision | undefined {
  // Of thousands of networks, none is looked at if none of them has it.
  if (view.vrfs.get(vrf)?.prefixes[cidr.family].meets(cidr) !== true) return undefined;
  for (const name of view.vrfs.get(vrf)?.networks ?? []) {
    const network = name === except || coming.networks.has(name) ? undefined : view.network.get(name);
    const met = network === undefined ? undefined : cidrsOf(network).find((other) => overlaps(other, cidr));
    if (met !== undefined)
      return { with: `network "${name}" (${formatCidr(met)})`, why: `both would be in VRF "${vrf}"` };
  }
  return undefined;
}

/** A VTEP subnet of the VRF that meets the range. */
function vtepCollision({ view }: Draft, vrf: string, cidr: Cidr): Collision | undefined {
  const met = view.vrf.get(vrf)?.spec.vtepSubnets.find((text) => overlaps(parseCidr(text, `vrf/${vrf}`), cidr));
  return met === undefined
    ? undefined
    : { with: `the VTEP subnet ${met}`, why: `hosts have tunnel addresses from it in VRF "${vrf}"` };
}

/** Whether the host's own routing table leads to the networks of a VRF. */
export function isReachedByHosts({ hostAccess, placement }: VrfSpec): boolean {
  return hostAccess || placement === "host";
}

/** A host reaches all such VRFs by one routing table, so networks of two of them must not overlap. */
export function hostAccessCollision(draft: Draft, vrf: string, cidr: Cidr): Collision | undefined {
  for (const other of draft.view.vrf.values()) {
    if (other.name === vrf || !isReachedByHosts(other.spec)) continue;
    const met = networkCollision(draft, other.name, cidr);
    if (met !== undefined)
      return { with: met.with, why: `hosts have access to both VRF "${vrf}" and VRF "${other.name}"` };
  }
  return undefined;
}

/**
 * An underlay address, an address or a route of a host that meets the range. `itself`: the network of the range, which
 * takes over where a host has the address already that it is to have there.
 */
export function hostCollision({ view, context }: Draft, cidr: Cidr, itself: HostAddresses = {}): Collision | undefined {
  for (const { name, spec } of view.host.values()) {
    const underlay = ipOf(spec.underlay);
    if (underlay !== undefined && contains(cidr, underlay)) {
      return {
        with: `host "${name}" (underlay address ${spec.underlay})`,
        why: "tunnels would run through themselves",
      };
    }
    const own = hostSegments(itself, name);
    const met = context.prefixes
      .get(name)
      ?.find((prefix) => !isDefaultRoute(prefix) && overlaps(prefix, cidr) && !own.has(formatCidr(prefix)));
    if (met !== undefined)
      return { with: `host "${name}" (${formatCidr(met)})`, why: "the host has that address or route itself" };
  }
  return undefined;
}

/** What a host has routes to because of the addresses that a network gives it. */
export function hostSegments(network: HostAddresses, host: string): ReadonlySet<string> {
  return new Set(hostAddressesOf(network, host).map(segmentText));
}

/** What a host has a route to because of an address. */
function segmentText(address: string): string {
  const spread = interfaceOf(address);
  return spread === undefined ? address : formatCidr(cidrAround(spread.ip, spread.length));
}

type Placed = {
  readonly name: string;
  readonly spec: Pick<NetworkSpec, "vrf" | "driver" | "tunnel" | "hostAddresses" | "allocatedAddresses">;
};

/**
 * Everything that a network's range must not overlap in its VRF, or on any host. On a physical network it may be what
 * hosts have a route to: the addresses are those of machines there, and of the hosts themselves.
 */
export function subnetCollision(draft: Draft, { name, spec: network }: Placed, cidr: Cidr): Collision | undefined {
  const { vrf } = network;
  const spec = draft.view.vrf.get(vrf)?.spec;
  return (
    networkCollision(draft, vrf, cidr, name) ??
    vtepCollision(draft, vrf, cidr) ??
    (spec !== undefined && isReachedByHosts(spec) ? hostAccessCollision(draft, vrf, cidr) : undefined) ??
    (isPhysical(network) ? undefined : hostCollision(draft, cidr, network))
  );
}

/** A default route is no overlap, whole or in the two halves that VPNs use. */
export function isDefaultRoute(prefix: Cidr): boolean {
  return prefix.length <= 1;
}
