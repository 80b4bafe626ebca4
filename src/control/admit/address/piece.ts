// Where a piece of a network is, and where one could be: arithmetic on the network's ranges, or on its subnets if it
// has no ranges. A search finds the lowest free run; a refusal says what was in the way.
import {
  type Cidr,
  addressCount,
  firstOf,
  formatCidr,
  formatIp,
  formatMac,
  parseCidr,
} from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { ReserveRequest } from "../../../model/input.ts";
import { parseAddressOrMac } from "../../../model/parse.ts";
import type { AddressRange } from "../../../model/range.ts";
import type { Network } from "../../../model/resource.ts";
import {
  type Excluded,
  type Plan,
  type Run,
  ALL_SPACES_FREE,
  freeRun,
  indexOfIp,
  indexOfMac,
  indexOfText,
  leaseAt,
  obstacleIn,
  planOf,
  spansOfRun,
} from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { excludedFault } from "./addresses.ts";
import { segmentOwnerOf } from "../contents.ts";
import { textOf } from "../context.ts";
import { MAC_BASE, MAC_BITS } from "../numbers.ts";
import { macBaseOf } from "./derivedMac.ts";
import { endMemory } from "./freed.ts";
import { blockedIn, isWithin } from "./hold.ts";
import { excludedOf, rangesNamed, unknownRange } from "./lease.ts";
import { obstacleTo, refusalOf } from "./obstacle.ts";
import { drawnMacs } from "./range.ts";

/** A network to reserve from, and where in it. */
type PieceSource = { readonly draft: Draft; readonly parent: Network; readonly excluded: Excluded };
/** A range of a network, or one of its subnets treated as a range. */
type Field = { readonly range: AddressRange; readonly plan: Plan };
type Piece = Omit<AddressRange, "name">;

export function pieceSource(draft: Draft, parent: Network): PieceSource {
  return { draft, parent, excluded: excludedOf(parent) };
}

/** A piece of the requested size, without a name: the lowest free one, or the one at the requested place. */
export function pieceFor(source: PieceSource, request: ReserveRequest): Piece {
  const { parent } = source;
  const size = BigInt(request.size);
  if (parent.spec.ranges === undefined) return pieceOfSubnets(source, request, size);
  const fields = rangesNamed(parent, request.range).map(fieldOf);
  if (request.first !== undefined) return pieceAt(source, fields, request.first, size);
  const longest: FoundRun[] = [];
  for (const field of fields) {
    const found = search(source, field.plan, size);
    if ("run" in found) return cut(source, field, found.run);
    longest.push({ field, run: found.longest });
  }
  throw tooShort(parent, size, longest);
}

function fieldOf(range: AddressRange): Field {
  return { range, plan: planOf(range) };
}

/** A network without ranges gives an address of each subnet, and so does its piece, wherever in each is room. */
function pieceOfSubnets(source: PieceSource, request: ReserveRequest, size: bigint): Piece {
  const { parent } = source;
  if (request.range !== undefined) throw unknownRange(parent, request.range);
  const wanted = request.first === undefined ? undefined : parseAddressOrMac(request.first, "first");
  const fields = parent.spec.subnets.map(({ cidr }) =>
    fieldOf(rangeOfSubnet(parseCidr(cidr, "subnet"), macBaseOf(parent.spec))),
  );
  if (wanted !== undefined && !fields.some(({ plan }) => indexOfText(plan, wanted) !== undefined))
    throw outside(parent, wanted, fields);
  const pieces = fields.map((field) => {
    if (wanted !== undefined && indexOfText(field.plan, wanted) !== undefined)
      return pieceAt(source, [field], wanted, size);
    const found = search(source, field.plan, size);
    if ("run" in found) return cut(source, field, found.run);
    throw tooShort(parent, size, [{ field, run: found.longest }]);
  });
  const [one, two] = pieces;
  if (one === undefined) throw new Error(`network ${parent.name} has neither subnets nor ranges`);
  if (two === undefined) return one;
  const { first, first6 } = { ...two, ...one };
  // Without one they are made from the IPv4 address.
  const mac = pieces.find((piece) => piece.first !== undefined)?.mac;
  return { type: "ip4-6-static", ...defined({ first, first6, mac }), size: request.size };
}

/** A subnet as if it were a range, with the MACs that its endpoints get. */
function rangeOfSubnet(cidr: Cidr, macBase: bigint): AddressRange {
  const name = formatCidr(cidr);
  if (cidr.family === 6)
    return { name, type: "ip6-static", first6: formatIp(firstOf(cidr)), prefixLength: cidr.length };
  const mac = macBase === MAC_BASE ? {} : { mac: formatMac(macBase + cidr.base) };
  return { name, type: "ip4", first: formatIp(firstOf(cidr)), size: Number(addressCount(cidr)), ...mac };
}

function search({ draft, parent, excluded }: PieceSource, plan: Plan, size: bigint) {
  return freeRun(plan, draft.view.networks.get(parent.name)?.blocked ?? ALL_SPACES_FREE, excluded, size);
}

/** The piece that begins with an address or MAC; every lease of it must be free. */
function pieceAt(source: PieceSource, fields: readonly Field[], first: string, size: bigint): Piece {
  const text = parseAddressOrMac(first, "first");
  const field = fields.find(({ plan }) => indexOfText(plan, text) !== undefined);
  const at = field === undefined ? undefined : indexOfText(field.plan, text);
  if (field === undefined || at === undefined) throw outside(source.parent, text, fields);
  const room = field.plan.size - at;
  if (room < size) {
    throw new Fault("exhausted", {
      what: `there are not ${size} addresses of network "${source.parent.name}" from ${text} on`,
      where: "size",
      why: `${placeText(field)} ends after ${room}`,
      fix: `choose a size of at most ${room}, or begin lower`,
    });
  }
  const run = { at, size };
  checkFree(source, field.plan, run, "first");
  return cut(source, field, run);
}

/** Throws a Fault unless the whole run is free; the Fault names the first obstacle. */
export function checkFree(source: PieceSource, plan: Plan, { at, size }: Run, where: string): void {
  const { draft, parent, excluded } = source;
  const kept = obstacleIn(plan, ALL_SPACES_FREE, excluded, { at, size });
  if (kept < at + size) throw keptFault(source, plan, kept, where);
  for (const span of spansOfRun(plan, at, at + size)) {
    for (const value of blockedIn(draft, parent, span)) {
      const text = textOf(span.space, value);
      const obstacle = obstacleTo(draft, draft.view.networks.get(parent.name), text, "");
      if (obstacle !== undefined) throw refusalOf(draft.view, parent, obstacle, where);
      // Its quarantine is over, but has not been removed yet.
      endMemory(draft, parent, [text]);
    }
  }
}

function keptFault({ draft, parent, excluded }: PieceSource, plan: Plan, at: bigint, where: string): Fault {
  const { ips, mac } = leaseAt(plan, at);
  const ip = ips.find(({ family, value }) => excluded[family].includes(value));
  if (ip !== undefined) return excludedFault(segmentOwnerOf(draft.view, parent), ip, where);
  return new Fault("address-taken", {
    what: `MAC ${formatMac(mac ?? 0n)} cannot be reserved`,
    where,
    why: `the gateway of network "${parent.name}" has it`,
    fix: "begin behind it, or reserve less",
  });
}

/** A part of a range as a range of its own: same addresses, same MACs. */
function cut(source: PieceSource, { range, plan }: Field, { at, size }: Run): Piece {
  const { type, prefix, ula } = range;
  const mac =
    plan.mac !== undefined && at + size <= plan.macs
      ? range.mac === undefined
        ? undefined
        : plan.mac + at
      : freeMacs(source, (plan.first6 ?? 0n) + at, size);
  return defined({
    type,
    first: plan.first4 === undefined ? undefined : textOf(4, plan.first4 + at),
    first6: plan.first6 === undefined ? undefined : textOf(6, plan.first6 + at),
    prefix,
    ula,
    mac: mac === undefined ? undefined : formatMac(mac),
    size: Number(size),
    from: source.parent.spec.ranges === undefined ? undefined : range.name,
  });
}

/** MACs for IPv6 addresses that have none of their own: those made from the first address, else any in a row. */
function freeMacs({ draft, parent, excluded }: PieceSource, first6: bigint, size: bigint): bigint {
  const taken = draft.view.networks.get(parent.name)?.blocked ?? ALL_SPACES_FREE;
  const isFree = (mac: bigint) =>
    obstacleIn({ name: "", size, mac, macs: size, slaac: [] }, taken, excluded, { at: 0n, size }) === size;
  const base = macBaseOf(segmentOwnerOf(draft.view, parent).spec);
  const made = base + (first6 % MAC_BITS);
  if (made + size <= base + MAC_BITS && isFree(made)) return made;
  const mac = drawnMacs(draft.context, size, isFree);
  if (mac !== undefined) return mac;
  throw new Fault("exhausted", {
    what: `network "${parent.name}" has no ${size} MACs in a row`,
    where: "size",
    why: "each lease of a reservation has a MAC of its own on the segment",
    fix: "choose a smaller size",
  });
}

/**
 * The parent's range that a piece is in, "" for a subnet; undefined if it is in none. Leases of a piece are leases of
 * its parent, including the MAC, as far as those have one.
 */
export function rangeAround(parent: Network, piece: AddressRange): string | undefined {
  const own = planOf(piece);
  if (parent.spec.ranges === undefined) return isInSubnets(parent, piece, own) ? "" : undefined;
  const around = parent.spec.ranges.find((range) => {
    const plan = planOf(range);
    const [first] = leaseAt(own, 0n).ips;
    const at =
      first !== undefined && own.slaac.length === 0
        ? indexOfIp(plan, first)
        : own.mac === undefined
          ? undefined
          : indexOfMac(plan, own.mac);
    if (range.type !== piece.type || at === undefined || at + own.size > plan.size) return false;
    const [inner, outer] = [leaseAt(own, 0n), leaseAt(plan, at)];
    const isSameMac = at + own.size > plan.macs || inner.mac === outer.mac;
    return isSameMac && inner.ips.map(formatIp).join() === outer.ips.map(formatIp).join();
  });
  return around?.name;
}

function isInSubnets(parent: Network, piece: AddressRange, plan: Plan): boolean {
  if (piece.prefix !== undefined || piece.ula !== undefined) return false;
  const spans = spansOfRun(plan, 0n, plan.size).filter(({ space }) => space !== "mac");
  return spans.length > 0 && spans.every((span) => isWithin(parent, span));
}

function placeText({ range }: Field): string {
  return range.name.includes("/") ? range.name : `range "${range.name}"`;
}

type FoundRun = { readonly field: Field; readonly run: Run };

function tooShort(parent: Network, size: bigint, found: readonly FoundRun[]): Fault {
  const best = found.toSorted((a, b) => Number(b.run.size - a.run.size))[0];
  const length = best?.run.size ?? 0n;
  const begins = best === undefined ? "" : `${firstText(best)} in ${placeText(best.field)}`;
  return new Fault("exhausted", {
    what: `network "${parent.name}" has no ${size} free addresses in a row`,
    where: "size",
    why: length === 0n ? "none is free" : `the longest free run has ${length}, from ${begins}`,
    fix:
      length === 0n
        ? "return a reservation, detach something, or add a range"
        : `reserve at most ${length}, and the rest as a further piece`,
  });
}

function firstText({ field, run }: FoundRun): string {
  const { ips, mac } = leaseAt(field.plan, run.at);
  return ips[0] === undefined ? formatMac(mac ?? 0n) : formatIp(ips[0]);
}

function outside(parent: Network, text: string, fields: readonly Field[]): Fault {
  return new Fault("address-outside", {
    what: `${text} is not an address or MAC of network "${parent.name}"`,
    where: "first",
    why: `it gives ${fields.map(placeText).join(" and ")}`,
    fix: `see \`weft ipam map ${parent.name}\` and choose one inside, or leave it out`,
  });
}
