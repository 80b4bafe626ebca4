// How full networks are, from the indexes: a few lookups per network, however many endpoints there are.
import { type Family, type Ip, addressCount, ipOf, parseCidr } from "../../model/address.ts";
import { blockCount, capacity, defaultGateway } from "../../ipam/allocate.ts";
import type { Interval } from "../../ipam/intervals.ts";
import { type Excluded, type Plan, indexOfIp, indexOfMac, leaseAt, planOf } from "../../ipam/range.ts";
import type { Network } from "../../model/resource.ts";
import { excludedOf } from "../admit/address/lease.ts";
import type { NetworkIndex } from "./networkIndex.ts";
import type { View } from "./view.ts";

export type AddressUse = {
  readonly network: string;
  readonly family: Family;
  readonly ipam: "local" | "global";
  /** Addresses in use, and how many could be. A number beyond 2^53 is rounded. */
  readonly used: number;
  readonly total: number;
  /** Of the others: how many are held, and how many quarantined. */
  readonly held: number;
  readonly quarantined: number;
  /** ipam local: blocks that hosts have, and how many exist. */
  readonly blocksUsed: number;
  readonly blocksTotal: number;
};

export function addressUseOf(view: View): AddressUse[] {
  return [...view.network.values()].flatMap((network) => usesOf(view, network));
}

/** One network's, per family. */
export function usesOf(view: View, network: Network): AddressUse[] {
  const { name, spec } = network;
  if (spec.ranges !== undefined) return rangesUse(view, network);
  return spec.subnets.map((subnet): AddressUse => {
    const cidr = parseCidr(subnet.cidr, name);
    const index = view.networks.get(name);
    const used = Number(index?.assigned[cidr.family].count ?? 0n);
    const base = { network: name, family: cidr.family, ipam: spec.ipam, used, ...restOf(index, cidr.family) };
    const { hostPrefix } = subnet;
    if (hostPrefix === undefined) {
      const gateway = subnet.gateway === undefined || subnet.gateway === "none" ? undefined : ipOf(subnet.gateway);
      const total = capacity(cidr, gateway) - reservedOf(index, cidr.family);
      return { ...base, total: Number(total), blocksUsed: 0, blocksTotal: 0 };
    }
    const parts = spec.slices?.length ?? 1;
    const part = { family: cidr.family, base: cidr.base, length: hostPrefix + Math.log2(parts) };
    const blocks = blockCount(cidr, hostPrefix);
    const carved = (index?.carved[cidr.family].count ?? 0n) / addressCount({ ...cidr, length: hostPrefix });
    return {
      ...base,
      total: Number(blocks) * parts * Number(capacity(part, defaultGateway(part))),
      blocksUsed: Number(carved),
      blocksTotal: Number(blocks),
    };
  });
}

function restOf(index: NetworkIndex | undefined, family: Family): Pick<AddressUse, "held" | "quarantined"> {
  if (index === undefined) return { held: 0, quarantined: 0 };
  const held = sizeOf(index.held[family]);
  const quarantined = index.blocked[family].count - index.assigned[family].count - held - reservedOf(index, family);
  return { held: Number(held), quarantined: Number(quarantined) };
}

/** Of each family that a network's ranges give. */
function rangesUse(view: View, network: Network): AddressUse[] {
  const kept = excludedOf(network);
  const plans = network.spec.ranges?.map(planOf) ?? [];
  const index = view.networks.get(network.name);
  return ([4, 6] as const).flatMap((family): AddressUse[] => {
    const perLease = (plan: Plan) => leaseAt(plan, 0n).ips.filter((ip) => ip.family === family).length;
    const total = plans.reduce((sum, plan) => sum + leasesOf(plan, kept) * BigInt(perLease(plan)), 0n);
    const used = Number(index?.assigned[family].count ?? 0n);
    if (total === 0n && used === 0) return [];
    return [
      {
        network: network.name,
        family,
        ipam: "global",
        used,
        ...restOf(index, family),
        total: Number(total - reservedOf(index, family)),
        blocksUsed: 0,
        blocksTotal: 0,
      },
    ];
  });
}

/** How many addresses of a family are reserved, so that another network gives them. */
function reservedOf(index: NetworkIndex | undefined, family: Family): bigint {
  return sizeOf(index?.reserved[family] ?? []);
}

function sizeOf(spans: Iterable<Interval>): bigint {
  let sum = 0n;
  for (const { first, last } of spans) sum += last - first + 1n;
  return sum;
}

/** How many leases a range can give: all except those with an excluded address. */
function leasesOf(plan: Plan, kept: Excluded): bigint {
  const ips = ([4, 6] as const).flatMap((family) => kept[family].map((value): Ip => ({ family, value })));
  const indexes = [...ips.map((ip) => indexOfIp(plan, ip)), ...kept.mac.map((mac) => indexOfMac(plan, mac))];
  return plan.size - BigInt(new Set(indexes.filter((index) => index !== undefined)).size);
}
