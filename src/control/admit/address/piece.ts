// Where a piece of a network is, and where one could be: arithmetic on the network's ranges, or on its subnets if it
// has no ranges. A search finds the lowest free run; a refusal says what was in the way.
import {
  type Cidr,
  addressCount,
  formatCidr,
  formatIp,
  formatMac,
  ipOf,
  macValue,
  parseCidr,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { ReserveRequest } from "../../../model/input.ts";
import { parseAddressOrMac } from "../../../model/parse.ts";
import type { AddressRange } from "../../../model/range.ts";
import type { Network } from "../../../model/resource.ts";
import { Intervals } from "../../../ipam/intervals.ts";
import { type Excluded, type Plan, indexOfIp, indexOfMac, leaseAt, planOf } from "../../../ipam/range.ts";
import { type Run, freeRun, obstacleIn, spansOfRun } from "../../../ipam/run.ts";
import type { Draft } from "../../state/draft.ts";
import { get } from "../../state/view.ts";
import { unassignableFault } from "./addresses.ts";
import { type Context, chance } from "../context.ts";
import { endMemory } from "./freed.ts";
import { textOf } from "./hold.ts";
import { excludedOf, plansOf } from "./lease.ts";
import { segmentOwnerOf } from "./reservationChain.ts";
import { obstacleTo, refusalOf } from "./obstacle.ts";

/** MACs that Weft makes up: 02:00 and 32 bits. */
const MAC_BASE = 0x0200_0000_0000n;
const MAC_BITS = 1n << 32n;
const DRAWS = 64;
const FREE = { 4: new Intervals(), 6: new Intervals(), mac: new Intervals() };

/** A network to reserve from, and where in it. */
type PieceSource = {
  readonly draft: Draft;
  readonly parent: Network;
  readonly excluded: Excluded;
  readonly context: Context;
};
/** A range of a network, or one of its subnets treated as a range. */
type Field = { readonly range: AddressRange; readonly plan: Plan };

export function pieceSource(draft: Draft, parent: Network, context: Context): PieceSource {
  return { draft, parent, excluded: excludedOf(parent), context };
}

/** A piece of the requested size, without a name: the lowest free one, or the one at the requested place. */
export function pieceFor(source: PieceSource, request: ReserveRequest): Omit<AddressRange, "name"> {
  const { parent } = source;
  const size = BigInt(request.size);
  if (parent.spec.ranges === undefined) return pieceOfSubnets(source, request, size);
  const fields = fieldsOf(parent, plansOf(parent, request.range));
  if (request.first !== undefined) return pieceAt(source, fields, request.first, size);
  const longest: { readonly field: Field; readonly run: Run }[] = [];
  for (const field of fields) {
    const found = search(source, field.plan, size);
    if ("run" in found) return cut(source, field, found.run);
    longest.push({ field, run: found.longest });
  }
  throw tooShort(parent, size, longest);
}

function fieldsOf({ spec }: Network, plans: readonly Plan[]): Field[] {
  return plans.flatMap((plan) => {
    const range = spec.ranges?.find(({ name }) => name === plan.name);
    return range === undefined ? [] : [{ range, plan }];
  });
}

/**
 * A network without ranges gives an address of each subnet, and so does its piece, wherever in each subnet there is
 * room.
 */
function pieceOfSubnets(source: PieceSource, request: ReserveRequest, size: bigint): Omit<AddressRange, "name"> {
  const { parent } = source;
  if (request.range !== undefined) plansOf(parent, request.range);
  const wanted = request.first === undefined ? undefined : parseAddressOrMac(request.first, "first");
  const fields = parent.spec.subnets.map(subnetField);
  const isMet = wanted === undefined || fields.some(({ plan }) => indexOf(plan, wanted) !== undefined);
  if (!isMet) throw outside(parent, wanted, fields);
  const pieces = fields.map((field) => {
    if (wanted !== undefined && indexOf(field.plan, wanted) !== undefined)
      return pieceAt(source, [field], wanted, size);
    const found = search(source, field.plan, size);
    if ("run" in found) return cut(source, field, found.run);
    throw tooShort(parent, size, [{ field, run: found.longest }]);
  });
  const [one, two] = pieces;
  if (one === undefined) throw new Error(`network ${parent.name} has neither subnets nor ranges`);
  if (two === undefined) return one;
  const { first, first6 } = { ...two, ...one };
  return {
    type: "ip4-6-static",
    ...(first === undefined ? {} : { first }),
    ...(first6 === undefined ? {} : { first6 }),
    size: request.size,
  };
}

/** A subnet as if it were a range. */
function subnetField({ cidr: text }: { readonly cidr: string }): Field {
  const cidr = parseCidr(text, "subnet");
  const range = rangeOfSubnet(cidr);
  return { range, plan: planOf(range) };
}

function rangeOfSubnet(cidr: Cidr): AddressRange {
  const name = formatCidr(cidr);
  if (cidr.family === 6)
    return { name, type: "ip6-static", first6: formatIp({ family: 6, value: cidr.base }), prefixLength: cidr.length };
  const first = formatIp({ family: 4, value: cidr.base });
  return { name, type: "ip4", first, size: Number(addressCount(cidr)) };
}

function search({ draft, parent, excluded }: PieceSource, plan: Plan, size: bigint) {
  return freeRun(plan, draft.view.networks.get(parent.name)?.blocked ?? FREE, excluded, size);
}

/** The piece that begins with an address or MAC; every lease of it must be free. */
function pieceAt(
  source: PieceSource,
  fields: readonly Field[],
  first: string,
  size: bigint,
): Omit<AddressRange, "name"> {
  const text = parseAddressOrMac(first, "first");
  const field = fields.find(({ plan }) => indexOf(plan, text) !== undefined);
  const at = field === undefined ? undefined : indexOf(field.plan, text);
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
  const { draft, parent, excluded, context } = source;
  const index = draft.view.networks.get(parent.name);
  const kept = obstacleIn(plan, FREE, excluded, { at, size });
  if (kept < at + size) throw excludedFault(source, plan, kept, where);
  for (const { space, first, last } of spansOfRun(plan, at, at + size)) {
    const blocked = index?.blocked[space];
    for (let value = blocked?.nextUsed(first); value !== undefined && value <= last; ) {
      const text = textOf(space, value);
      const obstacle = obstacleTo(draft.view, index, text, "", context.quarantineTime());
      if (obstacle !== undefined) throw refusalOf(draft.view, parent, text, obstacle, where);
      // Its quarantine is over, but has not been removed yet.
      endMemory(draft, parent, [text], context);
      value = blocked?.nextUsed(value + 1n);
    }
  }
}

function excludedFault({ draft, parent, excluded }: PieceSource, plan: Plan, at: bigint, where: string): Fault {
  const { ips, mac } = leaseAt(plan, at);
  const ip = ips.find(({ family, value }) => excluded[family].includes(value));
  if (ip === undefined) {
    return new Fault("address-taken", {
      what: `MAC ${formatMac(mac ?? 0n)} cannot be reserved`,
      where,
      why: `the gateway of network "${parent.name}" has it`,
      fix: "begin behind it, or reserve less",
    });
  }
  const subnet = segmentOwnerOf(draft.view, parent).spec.subnets.find(
    ({ cidr }) => cidr.includes(":") === (ip.family === 6),
  );
  return unassignableFault(
    subnet === undefined ? undefined : parseCidr(subnet.cidr, "subnet"),
    ipOf(subnet?.gateway ?? ""),
    ip,
    where,
  );
}

/** A part of a range as a range of its own: same addresses, same MACs. */
function cut(source: PieceSource, { range, plan }: Field, { at, size }: Run): Omit<AddressRange, "name"> {
  const { type, prefix, ula } = range;
  const mac =
    plan.mac !== undefined && at + size <= plan.macs
      ? range.mac === undefined
        ? undefined
        : plan.mac + at
      : freeMacs(source, (plan.first6 ?? 0n) + at, size);
  return {
    type,
    ...(plan.first4 === undefined ? {} : { first: formatIp({ family: 4, value: plan.first4 + at }) }),
    ...(plan.first6 === undefined ? {} : { first6: formatIp({ family: 6, value: plan.first6 + at }) }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(ula === undefined ? {} : { ula }),
    ...(mac === undefined ? {} : { mac: formatMac(mac) }),
    size: Number(size),
    ...(source.parent.spec.ranges === undefined ? {} : { from: range.name }),
  };
}

/** MACs for IPv6 addresses that have none of their own: those made from the first address, else any in a row. */
function freeMacs({ draft, parent, excluded, context }: PieceSource, first6: bigint, size: bigint): bigint {
  const taken = draft.view.networks.get(parent.name)?.blocked ?? FREE;
  const isFree = (mac: bigint) => {
    const plan: Plan = { name: "", size, mac, macs: size, slaac: [] };
    return obstacleIn(plan, taken, excluded, { at: 0n, size }) === size;
  };
  const low = first6 % MAC_BITS;
  if (low + size <= MAC_BITS && isFree(MAC_BASE + low)) return MAC_BASE + low;
  for (let draw = 0; draw < DRAWS; draw++) {
    const mac = MAC_BASE + chance(context, MAC_BITS - size + 1n);
    if (isFree(mac)) return mac;
  }
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

function isInSubnets({ spec }: Network, piece: AddressRange, plan: Plan): boolean {
  const firsts = [
    { family: 4, value: plan.first4 },
    { family: 6, value: plan.first6 },
  ] as const;
  const wanted = firsts.filter(({ value }) => value !== undefined);
  if (wanted.length === 0 || piece.prefix !== undefined || piece.ula !== undefined) return false;
  return wanted.every(({ family, value = 0n }) =>
    spec.subnets.some(({ cidr: text }) => {
      const cidr = parseCidr(text, "subnet");
      return cidr.family === family && value >= cidr.base && value + plan.size <= cidr.base + addressCount(cidr);
    }),
  );
}

function indexOf(plan: Plan, text: string): bigint | undefined {
  const ip = ipOf(text);
  return ip === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, ip);
}

function placeText({ range }: Field): string {
  return range.name.includes("/") ? range.name : `range "${range.name}"`;
}

function tooShort(
  parent: Network,
  size: bigint,
  found: readonly { readonly field: Field; readonly run: Run }[],
): Fault {
  const best = found.toSorted((a, b) => Number(b.run.size - a.run.size))[0];
  const length = best?.run.size ?? 0n;
  const begins = best === undefined ? "" : `${firstText(best.field.plan, best.run.at)} in ${placeText(best.field)}`;
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

function firstText(plan: Plan, at: bigint): string {
  const { ips, mac } = leaseAt(plan, at);
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

/** The network to reserve from. */
export function parentOf(draft: Draft, name: string, where: string): Network {
  const parent = get(draft.view, "network", name);
  if (parent === undefined) {
    throw new Fault("network-unknown", {
      what: `there is no network "${name.slice(0, 80)}"`,
      where,
      fix: "see `weft network list`",
    });
  }
  if (parent.spec.ipam === "global") return parent;
  throw new Fault("unsupported", {
    what: `addresses of network "${name}" cannot be reserved`,
    where,
    why: "it is local: each host's agent assigns from its block, also while the server is away",
    fix: "reserve from a global network",
  });
}
