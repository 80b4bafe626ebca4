// Addresses that must not overlap: networks of one VRF, the VRF's VTEP subnets, hosts' own addresses and routes, and
// the range of Weft's uplinks. In both directions: containing is as bad as being contained.
import { type Cidr, formatCidr, ipOf, overlaps, parseCidr } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { Vrf } from "../../../model/resource.ts";
import { UPLINK_CIDRS } from "../../../model/uplink.ts";
import { NOT_UNICAST } from "../numbers.ts";
import type { View } from "../../state/view.ts";
import { type Context, cidrsOf } from "../context.ts";

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
  view: View,
  vrf: string,
  cidr: Cidr,
  { moving }: Context,
  except?: string,
): Collision | undefined {
  for (const name of view.vrfs.get(vrf)?.networks ?? []) {
    const network = name === except || moving?.has(name) === true ? undefined : view.network.get(name);
    const met = network === undefined ? undefined : cidrsOf(network).find((other) => overlaps(other, cidr));
    if (met !== undefined)
      return { with: `network "${name}" (${formatCidr(met)})`, why: `both would be in VRF "${vrf}"` };
  }
  return undefined;
}

/** A VTEP subnet of the VRF that meets the range. */
function vtepCollision(vrf: Vrf, cidr: Cidr): Collision | undefined {
  const met = vrf.spec.vtepSubnets
    .map((text) => parseCidr(text, `vrf/${vrf.name}`))
    .find((other) => overlaps(other, cidr));
  return met === undefined
    ? undefined
    : { with: `the VTEP subnet ${formatCidr(met)}`, why: `hosts have tunnel addresses from it in VRF "${vrf.name}"` };
}

/** A host reaches all VRFs with hostAccess by one routing table, so networks of two such VRFs must not overlap. */
export function hostAccessCollision(view: View, vrf: string, cidr: Cidr, context: Context): Collision | undefined {
  for (const other of view.vrf.values()) {
    if (other.name === vrf || !other.spec.hostAccess) continue;
    const met = networkCollision(view, other.name, cidr, context);
    if (met !== undefined)
      return { with: met.with, why: `hosts have access to both VRF "${vrf}" and VRF "${other.name}"` };
  }
  return undefined;
}

/** An underlay address, an address or a route of a host that meets the range. */
export function hostCollision(view: View, cidr: Cidr, context: Context): Collision | undefined {
  for (const host of view.host.values()) {
    const underlay = ipOf(host.spec.underlay);
    if (
      underlay !== undefined &&
      overlaps(cidr, { family: underlay.family, base: underlay.value, length: underlay.family === 4 ? 32 : 128 })
    ) {
      return {
        with: `the underlay address ${host.spec.underlay} of host "${host.name}"`,
        why: "tunnels would run through themselves",
      };
    }
    const met = context.prefixes.get(host.name)?.find((prefix) => !isDefaultRoute(prefix) && overlaps(prefix, cidr));
    if (met !== undefined)
      return { with: `${formatCidr(met)} of host "${host.name}"`, why: "the host has that address or route itself" };
  }
  return undefined;
}

/** Everything that a range must not overlap in its VRF, or on any host. */
export function subnetCollision(
  view: View,
  network: string,
  vrfName: string,
  cidr: Cidr,
  context: Context,
): Collision | undefined {
  const vrf = view.vrf.get(vrfName);
  return (
    networkCollision(view, vrfName, cidr, context, network) ??
    (vrf === undefined ? undefined : vtepCollision(vrf, cidr)) ??
    (vrf?.spec.hostAccess === true ? hostAccessCollision(view, vrfName, cidr, context) : undefined) ??
    hostCollision(view, cidr, context)
  );
}

/** A default route is no overlap, whole or in the two halves that VPNs use. */
export function isDefaultRoute(prefix: Cidr): boolean {
  return prefix.length <= 1;
}
