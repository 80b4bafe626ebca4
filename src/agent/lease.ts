// Addresses from this host's own blocks: what makes an attach to a local network work with the server away. Pure; the
// used addresses come from the journal, which is locked by being one process's.
import { type Ip, contains, formatCidr, formatIp, hostMask, ipOf, macFromIp, macOf } from "../model/address.ts";
import { Fault } from "../model/fault.ts";
import type { Range, Segment } from "../datapath/layout.ts";

export type LeaseRequest = {
  readonly network: string;
  readonly slice?: string;
  readonly addresses?: readonly string[];
  readonly mac?: string;
};
export type Lease = { readonly slice?: string; readonly addresses: readonly string[]; readonly mac: string };

/**
 * One address per family of the segment, the lowest free one unless requested. Faults: unsupported, address-*,
 * exhausted.
 */
export function assign(segments: readonly Segment[], used: ReadonlySet<string>, request: LeaseRequest): Lease {
  const segment = chosen(segments, request);
  const wanted = (request.addresses ?? []).map((text) => ipAt(text));
  for (const ip of wanted) check(ip, segment, used, request.network);
  const addresses = segment.ranges.map(
    (range) => wanted.find((ip) => contains(range.cidr, ip)) ?? lowestFree(range, used, request.network),
  );
  const mac = request.mac === undefined ? macFromIp(addresses[0] ?? { family: 4, value: 0n }) : unicast(request.mac);
  return { addresses: addresses.map(formatIp), mac, ...(segment.slice === undefined ? {} : { slice: segment.slice }) };
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

function ipAt(text: string): Ip {
  const ip = ipOf(text);
  if (ip === undefined)
    throw new Fault("address-invalid", {
      what: `"${text}" is not an IP address`,
      where: "addresses",
      fix: "write it like 10.1.2.3 or fd00::1",
    });
  return ip;
}

function check(ip: Ip, segment: Segment, used: ReadonlySet<string>, network: string): void {
  const range = segment.ranges.find((r) => contains(r.cidr, ip));
  const text = formatIp(ip);
  if (range === undefined) {
    throw new Fault("address-outside", {
      what: `${text} is not in this host's part of network "${network}"`,
      where: "addresses",
      fix: `choose from ${segment.ranges.map((r) => formatCidr(r.cidr)).join(" or ")}, or leave the address out`,
    });
  }
  if (used.has(text) || isReserved(ip, range)) {
    throw new Fault("address-taken", {
      what: `${text} is taken in network "${network}"`,
      where: "addresses",
      fix: "choose another, or leave it out and the lowest free one is used",
    });
  }
}

/** First and last address of an IPv4 range, the first of an IPv6 one (RFC 4291 2.6.1), and the gateway. */
function isReserved(ip: Ip, { cidr, gateway }: Range): boolean {
  const isLast = ip.family === 4 && ip.value === (cidr.base | hostMask(4, cidr.length));
  return ip.value === cidr.base || isLast || ip.value === gateway?.value;
}

function lowestFree(range: Range, used: ReadonlySet<string>, network: string): Ip {
  const { family, base, length } = range.cidr;
  const last = base | hostMask(family, length);
  for (let value = base + 1n; value <= last; value++) {
    const ip = { family, value };
    if (!used.has(formatIp(ip)) && !isReserved(ip, range)) return ip;
  }
  throw new Fault("exhausted", {
    what: `network "${network}" has no free address on this host`,
    why: `all of ${formatIp({ family, value: base })}/${length} is in use`,
    fix: "detach something (`weft endpoint list`), or use a network with larger blocks",
  });
}

function unicast(text: string): string {
  const mac = macOf(text);
  if (mac === undefined || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === "00:00:00:00:00:00") {
    throw new Fault("address-invalid", {
      what: `"${text}" is not a unicast MAC`,
      where: "mac",
      fix: "write it like 02:00:0a:01:02:03",
    });
  }
  return mac;
}
