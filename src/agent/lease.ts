// Addresses from this host's own blocks: what makes an attach to a local network work with the server away. Pure; the
// used addresses come from the journal, which is locked by being one process's. Which address is next is decided where
// the server decides it, too (ipam).
import type { Range, Segment } from "../datapath/layout.ts";
import { type Choice, choose } from "../ipam/assign.ts";
import type { Used } from "../ipam/intervals.ts";
import { contains, formatCidr, formatIp, type Ip, macFromIp, parseIp } from "../model/address.ts";
import { Fault } from "../model/fault.ts";
import { parseMac } from "../model/parse.ts";

export type LeaseRequest = {
  readonly network: string;
  readonly slice?: string;
  readonly addresses?: readonly string[];
  readonly mac?: string;
};
export type Lease = { readonly slice?: string; readonly addresses: readonly string[]; readonly mac: string };

/**
 * One address per family of the segment, the lowest free one unless requested. Faults: request-invalid, address-*,
 * exhausted.
 */
export function assign(segments: readonly Segment[], used: ReadonlySet<string>, request: LeaseRequest): Lease {
  const segment = chosen(segments, request);
  const wanted = (request.addresses ?? []).map((text, i) => parseIp(text, `addresses[${i}]`));
  for (const ip of wanted) {
    if (!segment.ranges.some((range) => contains(range.cidr, ip))) throw outside(ip, segment, request.network);
  }
  const ips = segment.ranges.map((range) => {
    const ip = wanted.find((one) => contains(range.cidr, one));
    const choice = choose(range.cidr, range.gateway, usedIn(used, range), ip);
    return choice.ok ? choice.ip : refuse(choice, range, ip, request.network);
  });
  const mac = request.mac === undefined ? macFromIp(ips[0] ?? { family: 4, value: 0n }) : parseMac(request.mac, "mac");
  return { addresses: ips.map(formatIp), mac, ...(segment.slice === undefined ? {} : { slice: segment.slice }) };
}

/** The journal's addresses as what an assignment asks: a block is small, so a walk over what is taken is short. */
function usedIn(used: ReadonlySet<string>, { cidr: { family } }: Range): Used {
  const has = (value: bigint) => used.has(formatIp({ family, value }));
  return {
    has,
    nextFree(from) {
      let value = from;
      while (has(value)) value++;
      return value;
    },
  };
}

function chosen(segments: readonly Segment[], { network, slice }: LeaseRequest): Segment {
  const segment = slice === undefined ? segments[0] : segments.find((s) => s.slice === slice);
  if (segment !== undefined) return segment;
  if (segments.length === 0) {
    throw new Fault("exhausted", {
      what: `network "${network}" has no block on this host`,
      why: "its subnet had no block left when the host joined, or the host has no bridges of it",
      fix: "see `weft status` and `weft lease list`; add a subnet or remove a host",
    });
  }
  throw new Fault("request-invalid", {
    what: `network "${network}" has no slice "${slice}" on this host`,
    where: "slice",
    fix: `choose one of ${segments.map((s) => s.slice).join(", ")}`,
  });
}

function outside(ip: Ip, segment: Segment, network: string): Fault {
  return new Fault("address-outside", {
    what: `${formatIp(ip)} is not in this host's part of network "${network}"`,
    where: "addresses",
    fix: `choose from ${segment.ranges.map((r) => formatCidr(r.cidr)).join(" or ")}, or leave the address out`,
  });
}

function refuse({ why }: Choice & { ok: false }, { cidr }: Range, ip: Ip | undefined, network: string): never {
  if (ip === undefined) {
    throw new Fault("exhausted", {
      what: `network "${network}" has no free address on this host`,
      why: `all of ${formatCidr(cidr)} is in use`,
      fix: "detach something (`weft endpoint list`), or use a network with larger blocks",
    });
  }
  throw new Fault("address-taken", {
    what: `${formatIp(ip)} is taken in network "${network}"`,
    where: "addresses",
    why: why === "reserved" ? "it is the subnet's own, its broadcast or its gateway's address" : "an endpoint has it",
    fix: "choose another, or leave it out and the lowest free one is used",
  });
}
