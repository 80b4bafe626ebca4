// Chooses the lease of an endpoint in a global network: the requested one, the one that it had, or the next free one by
// the network's strategy. If none is free, it takes the one that has been in quarantine longest: quarantine must not
// stop a workload. A network without ranges gives an address per subnet; a network with ranges gives one lease of one
// range, with everything that belongs to it.
import { formatIp, formatMac, ipOf, lastOf, macValue, parseIp, parseMac, type Ip } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { AddressRange } from "../../../model/range.ts";
import { type Freed, type Network, cursorName } from "../../../model/resource.ts";
import { isAllocatable, nextFreeFrom, usableBounds } from "../../../ipam/allocate.ts";
import { NOTHING_USED } from "../../../ipam/intervals.ts";
import {
  type Excluded,
  ALL_SPACES_FREE,
  type Plan,
  freeIndex,
  indexOfText,
  isExcluded,
  leaseAt,
  planOf,
} from "../../../ipam/range.ts";
import { get } from "../../state/view.ts";
import {
  type AttachRequest,
  type Room,
  excludedFault,
  exhausted,
  gatewayMac,
  macFault,
  requestedByFamily,
  roomsOf,
  unallocatableFault,
} from "./addresses.ts";
import { chance } from "../context.ts";
import { endMemory, formerLease } from "./freed.ts";
import { obstacleTo, refusalOf } from "./obstacle.ts";

/** `mac` is absent where it is made from the address. */
export type Lease = { readonly ips: readonly Ip[]; readonly mac?: string; readonly range?: string };

/** Chooses a lease and ends its quarantine; the caller puts the endpoint. Faults give the exact reason. */
export function globalLease(request: AttachRequest): Lease {
  const { draft, network } = request;
  const lease = network.spec.ranges === undefined ? subnetLease(request) : rangeLease(request);
  endMemory(draft, network, textsOf(lease));
  return lease;
}

function textsOf({ ips, mac }: Lease): string[] {
  return [...ips.map(formatIp), ...(mac === undefined ? [] : [mac])];
}

function areFree({ draft, index, name }: AttachRequest, texts: readonly string[], by = name): boolean {
  return texts.every((text) => obstacleTo(draft, index, text, by) === undefined);
}

function assertFree({ draft, network, index, name }: AttachRequest, text: string, where: string): void {
  const obstacle = obstacleTo(draft, index, text, name);
  if (obstacle !== undefined) throw refusalOf(draft.view, network, obstacle, where);
}

// Networks without ranges: each subnet gives an address.

function subnetLease(request: AttachRequest): Lease {
  const { network, claim } = request;
  if (claim.range !== undefined) throw unknownRange(network, claim.range);
  const rooms = roomsOf(network);
  const requested = claim.addresses ?? [];
  const wanted = requestedByFamily(
    requested.length > 0 ? requested : formerAddresses(request, rooms),
    rooms.map(({ cidr }) => cidr),
    network,
  );
  const last = network.spec.strategy === "next" ? lastGiven(request, "") : [];
  const ips = rooms.map((room) => {
    const ip = wanted.get(room.cidr.family);
    return ip === undefined ? freeIn(request, room, last) : requestedIn(request, room, ip);
  });
  if (wanted.size === 0) moveOn(request, "", ips.map(formatIp));
  return { ips };
}

/** The endpoint's earlier lease, if all of it can be given again. */
function formerAddresses(request: AttachRequest, rooms: readonly Room[]): readonly string[] {
  const addresses = formerLease(request.draft, request.network, request.name)?.spec.addresses ?? [];
  const isUsable = (text: string) => {
    const ip = ipOf(text);
    return ip !== undefined && rooms.some(({ cidr, gateway }) => isAllocatable(cidr, gateway, ip));
  };
  return addresses.every(isUsable) && areFree(request, addresses) ? addresses : [];
}

function requestedIn(request: AttachRequest, room: Room, ip: Ip): Ip {
  if (!isAllocatable(room.cidr, room.gateway, ip)) throw unallocatableFault(room, ip);
  assertFree(request, formatIp(ip), "addresses");
  return ip;
}

function freeIn(request: AttachRequest, room: Room, last: readonly string[]): Ip {
  const { cidr, gateway } = room;
  const { network, index, draft } = request;
  const bounds = usableBounds(cidr);
  const exclude = gateway === undefined ? [] : [gateway.value];
  const before = last.map((text) => ipOf(text)).find((ip) => ip?.family === cidr.family)?.value;
  const from =
    network.spec.strategy === "random"
      ? bounds.first + chance(draft.context, bounds.last - bounds.first + 1n)
      : before === undefined
        ? bounds.first
        : before + 1n;
  const ip = nextFreeFrom(bounds, index?.blocked[cidr.family] ?? NOTHING_USED, exclude, from);
  return ip ?? oldestIn(request, room) ?? exhausted(request, room);
}

function oldestIn(request: AttachRequest, { cidr, gateway }: Room): Ip | undefined {
  for (const freed of quarantinedIn(request, "")) {
    const ip = freed.spec.addresses.map(ipOf).find((each) => each !== undefined && isAllocatable(cidr, gateway, each));
    if (ip !== undefined) return ip;
  }
  return undefined;
}

/** Quarantined leases of a range, the oldest first. */
function* quarantinedIn({ draft, index }: AttachRequest, range: string): Generator<Freed> {
  for (const { key } of index?.quarantined.get(range) ?? []) {
    const freed = get(draft.view, "freed", key.slice("freed/".length));
    if (freed !== undefined) yield freed;
  }
}

// Networks with ranges: a lease is an index into one of them.

type Spot = { readonly plan: Plan; readonly at: bigint };

function rangeLease(request: AttachRequest): Lease {
  const { network, claim, index } = request;
  const plans = rangesNamed(network, claim.range).map(planOf);
  const excluded = excludedOf(network);
  const requested = requestedSpot(request, plans);
  if (requested !== undefined) return requestedLease(request, requested, excluded);
  const former = formerSpot(request, plans, excluded);
  if (former !== undefined) return leaseOf(former);
  for (const plan of plans) {
    const at = freeIndex(plan, index?.blocked ?? ALL_SPACES_FREE, excluded, startOf(request, plan));
    if (at === undefined) continue;
    const lease = leaseOf({ plan, at });
    moveOn(request, plan.name, textsOf(lease).slice(0, 1));
    return lease;
  }
  return leaseOf(oldestSpot(request, plans, excluded) ?? noLease(network, plans));
}

function leaseOf({ plan, at }: Spot): Lease {
  const { ips, mac } = leaseAt(plan, at);
  return { ips, range: plan.name, ...(mac === undefined ? {} : { mac: formatMac(mac) }) };
}

/** All ranges of a network, or the one of that name. */
export function rangesNamed(network: Network, only?: string): readonly AddressRange[] {
  const ranges = network.spec.ranges ?? [];
  const named = only === undefined ? ranges : ranges.filter(({ name }) => name === only);
  if (only !== undefined && named.length === 0) throw unknownRange(network, only);
  return named;
}

export function plansOf(network: Network): readonly Plan[] {
  return (network.spec.ranges ?? []).map(planOf);
}

/** Single addresses that no lease has: the subnets' own, broadcast, every gateway. */
export function excludedOf(network: Network): Excluded {
  const { spec } = network;
  const bridge = gatewayMac(spec);
  const excluded = { 4: [] as bigint[], 6: [] as bigint[], mac: bridge === undefined ? [] : [macValue(bridge)] };
  for (const { cidr } of roomsOf(network)) {
    excluded[cidr.family].push(cidr.base);
    if (cidr.family === 4) excluded[4].push(lastOf(cidr).value);
  }
  const gateways = [
    ...spec.subnets.map(({ gateway }) => gateway),
    ...(spec.ranges ?? []).flatMap(({ gateway, gateway6 }) => [gateway, gateway6]),
  ];
  for (const ip of gateways.map((text) => ipOf(text ?? ""))) if (ip !== undefined) excluded[ip.family].push(ip.value);
  return excluded;
}

function startOf(request: AttachRequest, plan: Plan): bigint {
  const { strategy } = request.network.spec;
  if (strategy === "random") return chance(request.draft.context, plan.size);
  const [last] = strategy === "next" ? lastGiven(request, plan.name) : [];
  const at = last === undefined ? undefined : indexOfText(plan, last);
  return at === undefined ? 0n : at + 1n;
}

/** The index at which everything requested is; undefined if nothing was requested. */
function requestedSpot({ claim, network }: AttachRequest, plans: readonly Plan[]): Spot | undefined {
  const wishes = (claim.addresses ?? []).map((text, i) => {
    const where = `addresses[${i}]`;
    return { where, text: formatIp(parseIp(text, where)) };
  });
  if (claim.mac !== undefined) wishes.push({ where: "mac", text: parseMac(claim.mac, "mac") });
  let spot: Spot | undefined;
  for (const { where, text } of wishes) {
    const plan = plans.find((each) => indexOfText(each, text) !== undefined);
    if (plan === undefined) throw outside(network, plans, text, where);
    const at = indexOfText(plan, text) ?? 0n;
    if (spot !== undefined && (spot.plan !== plan || spot.at !== at)) {
      const [one, other] = [spot, { plan, at }].map((each) => textsOf(leaseOf(each)).join(", "));
      throw new Fault("request-invalid", {
        what: `${wishes.map((wish) => wish.text).join(" and ")} are not of one lease`,
        where,
        why: `one is of the lease ${one}, the other of ${other}`,
        fix: "ask for one of them, or for what belongs together",
      });
    }
    spot = { plan, at };
  }
  return spot;
}

function requestedLease(request: AttachRequest, spot: Spot, excluded: Excluded): Lease {
  const where = request.claim.addresses === undefined ? "mac" : "addresses";
  const lease = leaseOf(spot);
  if (isExcluded(spot.plan, excluded, spot.at)) {
    const ip = lease.ips.find(({ family, value }) => excluded[family].includes(value));
    throw ip === undefined
      ? macFault(request.network, lease.mac ?? "", "the gateway")
      : excludedFault(request.network, ip, where);
  }
  for (const text of textsOf(lease)) assertFree(request, text, where);
  return lease;
}

function formerSpot(request: AttachRequest, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  const freed = formerLease(request.draft, request.network, request.name);
  const spot = freed === undefined ? undefined : spotOf(freed, plans, excluded);
  return spot !== undefined && areFree(request, textsOf(leaseOf(spot))) ? spot : undefined;
}

/** The index of an earlier lease, if the range still has it. */
function spotOf({ spec }: Freed, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  const plan = plans.find((each) => each.name === spec.range);
  const at = plan === undefined ? undefined : indexOfText(plan, spec.addresses[0] ?? spec.mac);
  return plan === undefined || at === undefined || isExcluded(plan, excluded, at) ? undefined : { plan, at };
}

/** The lease that has been in quarantine longest and is otherwise free. */
function oldestSpot(request: AttachRequest, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  let oldest: { readonly spot: Spot; readonly sinceMs: number } | undefined;
  for (const { name } of plans) {
    for (const freed of quarantinedIn(request, name)) {
      const { sinceMs, endpoint } = freed.spec;
      const spot = spotOf(freed, plans, excluded);
      if (spot === undefined || !areFree(request, textsOf(leaseOf(spot)), endpoint)) continue;
      if (oldest === undefined || sinceMs < oldest.sinceMs) oldest = { spot, sinceMs };
      break;
    }
  }
  return oldest?.spot;
}

// Next-fit: where the last one was.

function lastGiven({ draft, network }: AttachRequest, range: string): readonly string[] {
  return get(draft.view, "cursor", cursorName(network.name, range))?.spec.last ?? [];
}

function moveOn({ draft, network }: AttachRequest, range: string, last: readonly string[]): void {
  if (network.spec.strategy !== "next") return;
  draft.put("cursor", cursorName(network.name, range), { network: network.name, range, last });
}

// Refusals.

export function unknownRange(network: Network, range: string): Fault {
  const names = (network.spec.ranges ?? []).map(({ name }) => name);
  return new Fault("range-unknown", {
    what: `network "${network.name}" has no address range "${range.slice(0, 80)}"`,
    where: "range",
    fix: names.length === 0 ? "leave it out: the network has no ranges" : `choose one of ${names.join(", ")}`,
  });
}

function noLease(network: Network, plans: readonly Plan[]): never {
  throw new Fault("exhausted", {
    what: `network "${network.name}" has no free address`,
    where: "network",
    why: `every lease of ${plans.map((plan) => `range "${plan.name}" (${plan.size})`).join(" and ")} is used or held`,
    fix: "detach something, release what is held, or add or resize a range",
  });
}

function outside(network: Network, plans: readonly Plan[], text: string, where: string): Fault {
  const ip = ipOf(text);
  const ranges = plans.map((plan) => `"${plan.name}"`).join(", ");
  const isFamilyThere = plans.some((plan) =>
    ip === undefined
      ? plan.mac !== undefined
      : ip.family === 4
        ? plan.first4 !== undefined
        : plan.first6 !== undefined || plan.slaac.length > 0,
  );
  if (!isFamilyThere) {
    return new Fault("family-wrong", {
      what: `network "${network.name}" gives no ${ip === undefined ? "MACs of its own" : `IPv${ip.family} addresses`}`,
      where,
      why: `none of its ranges ${ranges} does`,
      fix: "leave it out, or add a range of that kind",
    });
  }
  return new Fault("address-outside", {
    what: `${text} is in no range of network "${network.name}"`,
    where,
    why: `its ranges are ${ranges}`,
    fix: `see \`weft network range list ${network.name}\` and choose one inside, or leave it out`,
  });
}
