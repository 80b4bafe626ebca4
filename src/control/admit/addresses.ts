// An endpoint's addresses: chosen by the server in a global network, checked against the host's block in a local one.
import { type Cidr, type Ip, contains, formatCidr, formatIp, lastOf, parseCidr, parseIp } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Network, Subnet } from "../../model/resource.ts";
import { type Choice, capacity, choose, defaultGateway } from "../../ipam/assign.ts";
import { sliceAt } from "../../ipam/block.ts";
import type { Used } from "../../ipam/intervals.ts";
import type { NetworkIndex, View } from "../view.ts";

const NOTHING_USED: Used = { has: () => false, nextFree: (from) => from };

/** One address per subnet: the requested one, or the lowest that is free. */
export function globalAddresses(view: View, network: Network, requested: readonly string[]): Ip[] {
  const index = view.networks.get(network.name);
  const cidrs = network.spec.subnets.map((subnet) => parseCidr(subnet.cidr, `network/${network.name}`));
  const wanted = wantedIn(requested, cidrs, `network "${network.name}"`);
  return cidrs.map((cidr, i) => {
    const gateway = gatewayOf(network.spec.subnets[i]);
    const choice = choose(cidr, gateway, index?.assigned[cidr.family] ?? NOTHING_USED, wanted.get(cidr.family));
    return choice.ok ? choice.ip : refuse(network, cidr, gateway, choice.why, wanted.get(cidr.family), index, view);
  });
}

/**
 * The addresses that the host's agent chose, if they are its to choose. `except` is the endpoint that may have them
 * already.
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
  const wanted = wantedIn(
    claim.addresses,
    parts,
    `the part of network "${network.name}" that host "${claim.host}" has`,
  );
  return parts.flatMap((part) => {
    const ip = wanted.get(part.family);
    if (ip === undefined) return [];
    const isOwn = index?.holders.get(formatIp(ip)) === except;
    const choice = choose(
      part,
      defaultGateway(part),
      isOwn ? NOTHING_USED : (index?.assigned[part.family] ?? NOTHING_USED),
      ip,
    );
    return choice.ok ? [choice.ip] : refuse(network, part, defaultGateway(part), choice.why, ip, index, view);
  });
}

/** The host's blocks, or of each the piece that a slice has. */
function partsOf(network: Network, blocks: readonly Cidr[], slice: string | undefined): Cidr[] {
  const slices = network.spec.slices ?? [];
  if (slice === undefined) return [...blocks];
  const n = slices.findIndex(({ name }) => name === slice);
  if (n >= 0) return blocks.map((block) => sliceAt(block, n, slices.length));
  throw new Fault("request-invalid", {
    what: `network "${network.name}" has no slice "${slice}"`,
    where: "slice",
    fix: slices.length === 0 ? "leave it out" : `choose one of ${slices.map(({ name }) => name).join(", ")}`,
  });
}

/** Requested addresses by family, each inside one of the ranges. */
function wantedIn(requested: readonly string[], ranges: readonly Cidr[], place: string): Map<4 | 6, Ip> {
  const wanted = new Map<4 | 6, Ip>();
  for (const [i, text] of requested.entries()) {
    const where = `addresses[${i}]`;
    const ip = parseIp(text, where);
    if (!ranges.some((range) => contains(range, ip))) {
      throw new Fault("address-outside", {
        what: `${formatIp(ip)} is outside ${place}`,
        where,
        fix: `choose from ${ranges.map(formatCidr).join(" or ")}, or leave it out`,
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

function gatewayOf(subnet: Subnet | undefined): Ip | undefined {
  return subnet?.gateway === undefined || subnet.gateway === "none" ? undefined : parseIp(subnet.gateway, "gateway");
}

type Why = Extract<Choice, { readonly ok: false }>["why"];
function refuse(
  network: Network,
  cidr: Cidr,
  gateway: Ip | undefined,
  why: Why,
  ip: Ip | undefined,
  index: NetworkIndex | undefined,
  view: View,
): never {
  const text = ip === undefined ? "" : formatIp(ip);
  const where = "addresses";
  if (why === "exhausted") {
    throw new Fault("exhausted", {
      what: `network "${network.name}" has no free address`,
      where: "network",
      why: `all ${capacity(cidr, gateway)} of ${formatCidr(cidr)} are in use`,
      fix: "detach something, or use another network",
    });
  }
  if (why === "outside")
    throw new Fault("address-outside", {
      what: `${text} is outside ${formatCidr(cidr)}`,
      where,
      fix: "choose one inside, or leave it out",
    });
  if (why === "taken") {
    const holder = index?.holders.get(text) ?? "";
    const host = view.endpoint.get(holder)?.spec.host ?? "";
    throw new Fault("address-taken", {
      what: `${text} is taken in network "${network.name}"`,
      where,
      why: `endpoint "${holder}" on host "${host}" has it`,
      fix: "choose another, or leave it out",
    });
  }
  const role =
    ip?.value === gateway?.value
      ? "the gateway"
      : ip?.value === cidr.base
        ? "the network itself"
        : ip?.value === lastOf(cidr).value
          ? "broadcast"
          : "nobody";
  throw new Fault("address-taken", {
    what: `${text} cannot be an endpoint's address`,
    where,
    why: `in ${formatCidr(cidr)} it is kept for ${role}`,
    fix: "choose another, or leave it out",
  });
}
