// Checks an endpoint's addresses in a local network against its host's block; and the refusals that local and global
// networks share.
import {
  type Cidr,
  type Ip,
  contains,
  formatCidr,
  formatIp,
  lastOf,
  macFromIp,
  parseCidr,
  parseIp,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { EndpointClaim } from "../../../model/input.ts";
import type { Network, NetworkSpec, Subnet } from "../../../model/resource.ts";
import { capacity, choose, defaultGateway } from "../../../ipam/assign.ts";
import { sliceAt } from "../../../ipam/block.ts";
import type { Used } from "../../../ipam/intervals.ts";
import type { NetworkIndex } from "../../state/networkIndex.ts";
import type { View } from "../../state/view.ts";
import { type Obstacle, refusalOf } from "./obstacle.ts";

export const NOTHING_USED: Used = { has: () => false, nextFree: (from) => from };

/**
 * The addresses that the host's agent chose, if the agent may choose them. `except` is the endpoint that may already
 * have them.
 */
export function localAddresses(view: View, network: Network, claim: EndpointClaim, except: string): Ip[] {
  const index = view.networks.get(network.name);
  const blocks = index?.blocks.get(claim.host);
  const cidrs = [blocks?.[4], blocks?.[6]]
    .filter((block) => block !== undefined)
    .map((block) => parseCidr(block.spec.cidr, block.name));
  if (cidrs.length === 0) {
    throw new Fault("exhausted", {
      what: `host "${claim.host}" has no block of network "${network.name}"`,
      where: "network",
      why: network.spec.enabled ? "the network had none left" : "the network is disabled",
      fix: "see `weft status`; give the network a larger subnet, or delete a host that is gone",
    });
  }
  if (claim.addresses === undefined || claim.addresses.length === 0) {
    throw new Fault("request-invalid", {
      what: "addresses: expected at least one, got nothing",
      where: "addresses",
      why: "in a local network the host's agent assigns",
      fix: "attach through the host's agent",
    });
  }
  const parts = partsOf(network, cidrs, claim.slice);
  const wanted = requestedByFamily(
    claim.addresses,
    parts,
    network,
    `the part of network "${network.name}" that host "${claim.host}" has`,
  );
  return parts.flatMap((part) => {
    const ip = wanted.get(part.family);
    if (ip === undefined) return [];
    const choice = choose(part, defaultGateway(part), NOTHING_USED, ip);
    if (!choice.ok) throw unassignableFault(part, defaultGateway(part), ip);
    const obstacle = holderOf(index, formatIp(ip), except);
    if (obstacle !== undefined) throw refusalOf(view, network, formatIp(ip), obstacle, "addresses");
    return [ip];
  });
}

function holderOf(index: NetworkIndex | undefined, text: string, except: string): Obstacle | undefined {
  const endpoint = index?.holders.get(text);
  return endpoint === undefined || endpoint === except ? undefined : { state: "used", endpoint };
}

/** The host's blocks; with a slice, the slice's part of each. */
function partsOf(network: Network, blocks: readonly Cidr[], slice: string | undefined): Cidr[] {
  const slices = network.spec.slices ?? [];
  if (slice === undefined) return [...blocks];
  const n = slices.findIndex(({ name }) => name === slice);
  if (n >= 0) return blocks.map((block) => sliceAt(block, n, slices.length));
  throw noSlice(network, slice);
}

/** The network has no slices, or not this one. */
export function noSlice({ name: network, spec: { slices = [] } }: Network, slice: string): Fault {
  return new Fault("request-invalid", {
    what: `network "${network}" has no slice "${slice}"`,
    where: "slice",
    fix: slices.length === 0 ? "leave it out" : `choose one of ${slices.map(({ name }) => name).join(", ")}`,
  });
}

/** Requested addresses by family, each inside one of the cidrs, which are at most one per family. */
export function requestedByFamily(
  requested: readonly string[],
  cidrs: readonly Cidr[],
  network: Network,
  part = `network "${network.name}"`,
): Map<4 | 6, Ip> {
  const wanted = new Map<4 | 6, Ip>();
  for (const [i, text] of requested.entries()) {
    const where = `addresses[${i}]`;
    const ip = parseIp(text, where);
    const cidr = cidrs.find(({ family }) => family === ip.family);
    if (cidr === undefined) {
      throw new Fault("family-wrong", {
        what: `network "${network.name}" gives no IPv${ip.family} addresses`,
        where,
        why: `it has ${cidrs.map(formatCidr).join(" and ")}`,
        fix: `leave ${formatIp(ip)} out, or add an IPv${ip.family} subnet`,
      });
    }
    if (!contains(cidr, ip)) {
      throw new Fault("address-outside", {
        what: `${formatIp(ip)} is outside ${part}`,
        where,
        fix: `choose from ${cidrs.map(formatCidr).join(" or ")}, or leave it out`,
      });
    }
    if (wanted.has(ip.family)) {
      throw new Fault("request-invalid", {
        what: `${formatIp(ip)} is a second IPv${ip.family} address`,
        where,
        fix: "give one per family",
      });
    }
    wanted.set(ip.family, ip);
  }
  return wanted;
}

export function gatewayOf(subnet: Subnet | undefined): Ip | undefined {
  return subnet?.gateway === undefined || subnet.gateway === "none" ? undefined : parseIp(subnet.gateway, "gateway");
}

/** Neither a free nor a quarantined address is left in a subnet. */
export function exhausted(
  network: Network,
  cidr: Cidr,
  gateway: Ip | undefined,
  index: NetworkIndex | undefined,
): never {
  const used = index?.assigned[cidr.family].count ?? 0n;
  const held = (index?.blocked[cidr.family].count ?? 0n) - used;
  throw new Fault("exhausted", {
    what: `network "${network.name}" has no free address`,
    where: "network",
    why: `all ${capacity(cidr, gateway)} of ${formatCidr(cidr)} are in use${held === 0n ? "" : ` or held (${held})`}`,
    fix: held === 0n ? "detach something, or use another network" : "detach something, or release what is held",
  });
}

/** An address that no endpoint can get. Without a subnet around it, it is a range's gateway. */
export function unassignableFault(cidr: Cidr | undefined, gateway: Ip | undefined, ip: Ip, where = "addresses"): Fault {
  const role =
    ip.value === gateway?.value
      ? "the gateway"
      : ip.value === cidr?.base
        ? "the network itself"
        : ip.family === 4 && cidr !== undefined && ip.value === lastOf(cidr).value
          ? "broadcast"
          : "a gateway";
  return new Fault("address-taken", {
    what: `${formatIp(ip)} cannot be an endpoint's address`,
    where,
    why: `${cidr === undefined ? "" : `in ${formatCidr(cidr)} `}it is kept for ${role}`,
    fix: "choose another, or leave it out",
  });
}

/** The bridge of a global network has this MAC on every host (the anycast gateway). */
export function gatewayMac({ ipam, subnets }: NetworkSpec): string | undefined {
  const gateway = ipam === "global" ? subnets.find((subnet) => subnet.gateway !== "none")?.gateway : undefined;
  return gateway === undefined ? undefined : macFromIp(parseIp(gateway, "gateway"));
}

export function macFault(network: Network, mac: string, holder: string): Fault {
  return new Fault("address-taken", {
    what: `MAC ${mac} is taken in network "${network.name}"`,
    where: "mac",
    why: `${holder} has it`,
    fix: "choose another, or leave it out",
  });
}
