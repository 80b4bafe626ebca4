// Checks an endpoint's addresses in a local network against its host's block; and the refusals that local and global
// networks share.
import {
  type Cidr,
  type Ip,
  contains,
  formatCidr,
  formatIp,
  ipOf,
  lastOf,
  macFromIp,
  parseCidr,
  parseIp,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { EndpointClaim } from "../../../model/input.ts";
import type { Network, NetworkSpec } from "../../../model/resource.ts";
import { capacity, defaultGateway, isAllocatable, sliceAt } from "../../../ipam/allocate.ts";
import type { Draft } from "../../state/draft.ts";
import type { NetworkIndex } from "../../state/networkIndex.ts";
import type { View } from "../../state/view.ts";
import { existing } from "../context.ts";
import { refusalOf } from "./obstacle.ts";

/** One claim on one network, with everything that the choice of addresses needs. */
export type AttachRequest = {
  readonly draft: Draft;
  readonly network: Network;
  readonly claim: EndpointClaim;
  /** Of the endpoint. */
  readonly name: string;
  readonly index: NetworkIndex | undefined;
};

type Done = { readonly done: string; readonly fix: string };

/** The network; a Fault if it is local, so that nothing can be `done` with its addresses here. */
export function globalNetwork(view: View, name: string, where: string, { done, fix }: Done): Network {
  const network = existing(view, "network", name, where);
  if (network.spec.ipam === "global") return network;
  throw new Fault("unsupported", {
    what: `addresses of network "${name}" cannot be ${done}`,
    where,
    why: "it is local: each host's agent assigns from its block, also while the server is away",
    fix,
  });
}

/** A subnet, block or slice that endpoints get addresses of. */
export type Room = { readonly cidr: Cidr; readonly gateway: Ip | undefined };

export function roomsOf({ name, spec }: Network): Room[] {
  return spec.subnets.map(({ cidr, gateway = "" }) => ({
    cidr: parseCidr(cidr, `network/${name}`),
    gateway: ipOf(gateway),
  }));
}

/** The addresses that the host's agent chose, if the agent may choose them. */
export function localAddresses({ draft, network, claim, name, index }: AttachRequest): Ip[] {
  const blocks = Object.values(index?.blocks.get(claim.host) ?? {});
  if (blocks.length === 0) {
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
  const cidrs = blocks.map((block) => parseCidr(block.spec.cidr, block.name));
  const parts = partsOf(network, cidrs, claim.slice);
  const part = `the part of network "${network.name}" that host "${claim.host}" has`;
  const wanted = requestedByFamily(claim.addresses, parts, network, part);
  return parts.flatMap((cidr) => {
    const ip = wanted.get(cidr.family);
    if (ip === undefined) return [];
    const gateway = defaultGateway(cidr);
    if (!isAllocatable(cidr, gateway, ip)) throw unallocatableFault({ cidr, gateway }, ip);
    const text = formatIp(ip);
    const endpoint = index?.holders.get(text);
    if (endpoint !== undefined && endpoint !== name)
      throw refusalOf(draft.view, network, { text, state: "used", endpoint }, "addresses");
    return [ip];
  });
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

/** Neither a free nor a quarantined address is left in a subnet. */
export function exhausted({ network, index }: AttachRequest, { cidr, gateway }: Room): never {
  const used = index?.assigned[cidr.family].count ?? 0n;
  const held = (index?.blocked[cidr.family].count ?? 0n) - used;
  throw new Fault("exhausted", {
    what: `network "${network.name}" has no free address`,
    where: "network",
    why: `all ${capacity(cidr, gateway)} of ${formatCidr(cidr)} are in use${held === 0n ? "" : ` or held (${held})`}`,
    fix: held === 0n ? "detach something, or use another network" : "detach something, or release what is held",
  });
}

/** An address that no endpoint of the network can get. */
export function excludedFault(network: Network, ip: Ip, where: string): Fault {
  const room = roomsOf(network).find(({ cidr }) => cidr.family === ip.family);
  return unallocatableFault(room, ip, where);
}

/** An address that no endpoint can get. Without a subnet around it, it is a range's gateway. */
export function unallocatableFault(room: Room | undefined, ip: Ip, where = "addresses"): Fault {
  const role =
    ip.value === room?.gateway?.value
      ? "the gateway"
      : ip.value === room?.cidr.base
        ? "the network itself"
        : ip.family === 4 && room !== undefined && ip.value === lastOf(room.cidr).value
          ? "broadcast"
          : "a gateway";
  return new Fault("address-taken", {
    what: `${formatIp(ip)} cannot be an endpoint's address`,
    where,
    why: `${room === undefined ? "" : `in ${formatCidr(room.cidr)} `}it is kept for ${role}`,
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
