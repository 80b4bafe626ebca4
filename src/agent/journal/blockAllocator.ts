// Allocates addresses from this host's own blocks, so that attaches to local networks work without the server. The used
// addresses come from the journal, which only one process has. The choice itself is in ipam, as for the server. Pure.
import type { SegmentPrefix, Segment } from "../../datapath/world/layout.ts";
import { type Choice, choose, usableBounds } from "../../ipam/allocate.ts";
import type { Used } from "../../ipam/intervals.ts";
import { contains, formatCidr, formatIp, type Ip, macFromIp, parseIp, parseMac } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { quarantineEnd, type QuarantineTime } from "../../model/quarantine.ts";
import { quarantineMs } from "../../model/range.ts";
import type { Network } from "../../model/resource.ts";
import { addressKey, type Former, type UsedAddresses } from "./journal.ts";

export type LeaseRequest = Pick<EndpointClaim, "network" | "slice" | "addresses" | "mac" | "range">;
export type Lease = { readonly slice?: string; readonly addresses: readonly string[]; readonly mac: string };

/** When an address in quarantine was released, by the monotonic clock; undefined if it is not in quarantine. */
export type FreedAtMs = (address: string) => number | undefined;

/** For a lease of this endpoint, whose own former addresses are free for it at once. */
export function inQuarantine(
  freed: ReadonlyMap<string, Former>,
  network: Network,
  endpoint: string,
  time: QuarantineTime,
): FreedAtMs {
  const keptMs = quarantineMs(network.spec);
  return (address) => {
    const former = freed.get(addressKey(network.name, address));
    if (former === undefined || former.endpoint === endpoint) return undefined;
    return quarantineEnd(former.atMs, keptMs, time) > time.nowMs ? former.atMs : undefined;
  };
}

/**
 * One address per family of the segment: the requested one, or the lowest free one. Addresses in quarantine are given
 * only if no other is free. Throws a Fault `request-invalid`, `range-unknown`, `address-*` or `exhausted`.
 */
export function allocate(
  segments: readonly Segment[],
  usedAddresses: Pick<UsedAddresses, "of">,
  request: LeaseRequest,
  freedAtMs: FreedAtMs = () => undefined,
): Lease {
  if (request.range !== undefined)
    throw new Fault("range-unknown", {
      what: `network "${request.network}" has no address ranges`,
      where: "range",
      why: "it is local: the address is from this host's block",
      fix: "leave it out",
    });
  const segment = chosen(segments, request);
  const wanted = (request.addresses ?? []).map((text, i) => parseIp(text, `addresses[${i}]`));
  for (const [i, ip] of wanted.entries()) {
    if (!segment.prefixes.some((prefix) => contains(prefix.cidr, ip))) throw outside(ip, segment, request.network);
    if (wanted.findIndex(({ family }) => family === ip.family) < i) throw second(ip, i);
  }
  const ips = segment.prefixes.map((prefix) => {
    const ip = wanted.find((one) => contains(prefix.cidr, one));
    const used = usedAddresses.of(prefix.cidr.family);
    const taken = ip === undefined ? withQuarantined(used, prefix, freedAtMs) : used;
    const choice = choose(prefix.cidr, prefix.gateway, taken, ip);
    if (choice.ok) return choice.ip;
    const oldest = ip === undefined ? oldestIn(prefix, used, freedAtMs) : undefined;
    return oldest ?? refuse(choice, prefix, ip, request.network);
  });
  const mac = request.mac === undefined ? macFromIp(ips[0] ?? { family: 4, value: 0n }) : parseMac(request.mac, "mac");
  return { addresses: ips.map(formatIp), mac, ...(segment.slice === undefined ? {} : { slice: segment.slice }) };
}

/** The unused address that is in quarantine longest; no other is free, so every address is tried. */
function oldestIn(prefix: SegmentPrefix, used: Used, freedAtMs: FreedAtMs): Ip | undefined {
  const { family, first, last } = usableBounds(prefix.cidr);
  let oldest: { readonly ip: Ip; readonly atMs: number } | undefined;
  for (let value = first; value <= last; value++) {
    const ip: Ip = { family, value };
    const atMs = used.has(value) || value === prefix.gateway?.value ? undefined : freedAtMs(formatIp(ip));
    if (atMs !== undefined && (oldest === undefined || atMs < oldest.atMs)) oldest = { ip, atMs };
  }
  return oldest?.ip;
}

/** Addresses in quarantine count as used, too. */
function withQuarantined(used: Used, { cidr: { family } }: SegmentPrefix, freedAtMs: FreedAtMs): Used {
  const isQuarantined = (value: bigint) => freedAtMs(formatIp({ family, value })) !== undefined;
  return {
    has: (value) => used.has(value) || isQuarantined(value),
    nextFree(from) {
      let value = used.nextFree(from);
      while (isQuarantined(value)) value = used.nextFree(value + 1n);
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
    fix: segments[0]?.slice === undefined ? "leave it out" : `choose one of ${segments.map((s) => s.slice).join(", ")}`,
  });
}

function outside(ip: Ip, segment: Segment, network: string): Fault {
  return new Fault("address-outside", {
    what: `${formatIp(ip)} is not in this host's part of network "${network}"`,
    where: "addresses",
    fix: `choose from ${segment.prefixes.map((r) => formatCidr(r.cidr)).join(" or ")}, or leave the address out`,
  });
}

function second(ip: Ip, i: number): Fault {
  return new Fault("request-invalid", {
    what: `${formatIp(ip)} is a second IPv${ip.family} address`,
    where: `addresses[${i}]`,
    fix: "give one per family",
  });
}

function refuse({ why }: Choice & { ok: false }, { cidr }: SegmentPrefix, ip: Ip | undefined, network: string): never {
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
