// A network's subnets and slices, each alone: no host bits, room for blocks and their slices, a gateway inside.
import {
  type Cidr,
  type Family,
  cidrOf,
  contains,
  firstOf,
  formatCidr,
  formatIp,
  parseCidr,
  parseIp,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import type { NetworkSpec, Slice, Subnet } from "../../../model/resource.ts";
import { defaultGateway, isAllocatable, slicePrefix } from "../../../ipam/allocate.ts";
import { checkSome, within } from "../context.ts";
import { PREFIX_MAX } from "../numbers.ts";
import { checkUsable } from "./overlap.ts";

type WithSubnets = Pick<NetworkInput, "slices" | "ranges"> & { readonly subnets: readonly Subnet[] };

/** Subnets in canonical text with their defaults; throws the Fault that names the wrong one. At most one per family. */
export function subnetsOf(input: WithSubnets, ipam: NetworkSpec["ipam"]): Subnet[] {
  if (ipam === "local" || (input.ranges ?? []).length === 0)
    checkSome(input.subnets, "spec.subnets", "give the network addresses, or ranges that need no subnet (ether, ip6)");
  const seen = new Set<Family>();
  const canonical = (subnet: Subnet): Subnet => {
    const cidr = parseCidr(subnet.cidr, "cidr");
    checkUsable(cidr, "cidr");
    if (seen.has(cidr.family)) {
      throw new Fault("request-invalid", {
        what: `${formatCidr(cidr)} is a second IPv${cidr.family} subnet`,
        why: "a network has at most one per family",
        fix: "make another network in the same VRF",
      });
    }
    seen.add(cidr.family);
    return ipam === "local" ? localSubnet(subnet, cidr, input.slices?.length ?? 1) : globalSubnet(subnet, cidr);
  };
  return input.subnets.map((subnet, i) => within(`spec.subnets[${i}]`, () => canonical(subnet)));
}

/**
 * The subnets to write; without a gateway they keep the existing one. So a subnet that grows keeps the gateway that its
 * endpoints have, even if it is no longer the first address.
 */
export function withGateways(subnets: readonly Subnet[], old: NetworkSpec | undefined): Subnet[] {
  if (old?.ipam !== "global") return [...subnets];
  return subnets.map((subnet) => {
    const before = old.subnets.find((each) => isWithin(each.cidr, subnet.cidr));
    const isOpen = subnet.gateway === undefined && subnet.hostPrefix === undefined && before?.gateway !== undefined;
    return isOpen ? { ...subnet, gateway: before.gateway } : subnet;
  });
}

/** The field that what is in an old subnet uses, and that is another now; none if each is in a new one as it was. */
export function movedIn(before: readonly Subnet[], after: readonly Subnet[]): keyof Subnet | "subnets" | undefined {
  for (const old of before) {
    const subnet = after.find(({ cidr }) => isWithin(old.cidr, cidr));
    if (subnet === undefined) return "subnets";
    const field = (["hostPrefix", "gateway"] as const).find((name) => old[name] !== subnet[name]);
    if (field !== undefined) return field;
  }
  return undefined;
}

function isWithin(inner: string, outer: string): boolean {
  const [small, large] = [cidrOf(inner), cidrOf(outer)];
  return small !== undefined && large !== undefined && small.length >= large.length && contains(large, firstOf(small));
}

function localSubnet(subnet: Subnet, cidr: Cidr, slices: number): Subnet {
  if (subnet.gateway !== undefined) {
    throw new Fault("request-invalid", {
      what: "a local network has no gateway of its own",
      where: "gateway",
      why: "each block's first address is its host's gateway",
      fix: "leave it out",
    });
  }
  const { hostPrefix } = subnet;
  if (hostPrefix === undefined) {
    throw new Fault("prefix-invalid", {
      what: `${formatCidr(cidr)} has no hostPrefix`,
      where: "hostPrefix",
      why: "a local network gives each host a block",
      fix: `give the length of a block, like ${cidr.family === 4 ? 24 : 80}`,
    });
  }
  if (hostPrefix < cidr.length) {
    throw new Fault("prefix-invalid", {
      what: `a /${hostPrefix} block does not fit into ${formatCidr(cidr)}`,
      where: "hostPrefix",
      why: "it is larger than the whole subnet",
      fix: `choose ${cidr.length} or more`,
    });
  }
  const most = PREFIX_MAX[cidr.family];
  if (slicePrefix(hostPrefix, slices) > most) {
    const room = most - Math.ceil(Math.log2(slices));
    throw new Fault("prefix-invalid", {
      what: `a /${hostPrefix} block has no room for endpoints${slices > 1 ? ` in ${slices} slices` : ""}`,
      where: "hostPrefix",
      why: `no part of it may be smaller than /${most}`,
      fix: room < cidr.length ? "choose a larger subnet" : `choose ${room} or less`,
    });
  }
  return { cidr: formatCidr(cidr), hostPrefix };
}

function globalSubnet(subnet: Subnet, cidr: Cidr): Subnet {
  if (subnet.hostPrefix !== undefined) {
    throw new Fault("request-invalid", {
      what: "a global network has no blocks",
      where: "hostPrefix",
      why: "the server assigns each address itself",
      fix: "leave hostPrefix out, or set ipam to local",
    });
  }
  if (cidr.length > PREFIX_MAX[cidr.family]) {
    throw new Fault("prefix-invalid", {
      what: `${formatCidr(cidr)} has no room for endpoints`,
      where: "cidr",
      fix: `choose a prefix of /${PREFIX_MAX[cidr.family]} or less`,
    });
  }
  return { cidr: formatCidr(cidr), gateway: gatewayOf(subnet, cidr) };
}

function gatewayOf(subnet: Subnet, cidr: Cidr): string {
  if (subnet.gateway === "none") return "none";
  const gateway = subnet.gateway === undefined ? defaultGateway(cidr) : parseIp(subnet.gateway, "gateway");
  if (isAllocatable(cidr, undefined, gateway)) return formatIp(gateway);
  throw new Fault("address-outside", {
    what: `gateway ${formatIp(gateway)} is not a usable address of ${formatCidr(cidr)}`,
    where: "gateway",
    fix: `choose one inside, leave it out for ${formatIp(defaultGateway(cidr))}, or write none`,
  });
}

/** Slices that divide a block evenly and have bridges of different names. */
export function checkSlices(
  slices: readonly Slice[],
  ipam: NetworkSpec["ipam"],
  subnets: readonly Subnet[],
): readonly Slice[] {
  const where = "spec.slices";
  if (ipam !== "local") {
    throw new Fault("request-invalid", {
      what: "only local networks have slices",
      where,
      fix: "leave them out, or give the subnets a hostPrefix",
    });
  }
  if (slices.length === 0 || (slices.length & (slices.length - 1)) !== 0) {
    throw new Fault("prefix-invalid", {
      what: `${slices.length} slices do not divide a block of ${subnets[0]?.cidr ?? "the network"} evenly`,
      where,
      fix: "choose 1, 2, 4, 8 ... slices, or leave them out",
    });
  }
  for (const [i, slice] of slices.entries()) {
    for (const field of ["name", "bridge"] as const) {
      if (!/^[a-zA-Z0-9][a-zA-Z0-9-]{0,30}$/.test(slice[field])) {
        throw new Fault("name-invalid", {
          what: `"${slice[field]}" cannot be a slice's ${field}`,
          where: `${where}[${i}].${field}`,
          fix: "use letters, digits and dashes",
        });
      }
      if (slices.findIndex((other) => other[field] === slice[field]) !== i) {
        throw new Fault("name-taken", {
          what: `two slices have the ${field} "${slice[field]}"`,
          where: `${where}[${i}].${field}`,
          fix: "give each its own",
        });
      }
    }
  }
  return slices;
}
