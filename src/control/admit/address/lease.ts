// Chooses the lease of an endpoint in a global network: the requested one, the one that it had, or the next free one by
// the network's strategy. If none is free, it takes the one that has been in quarantine longest: quarantine must not
// stop a workload. A network without ranges gives an address per subnet; a network with ranges gives one lease of one
// range, with everything that belongs to it.
import {
  type Cidr,
  type Ip,
  formatIp,
  formatMac,
  ipOf,
  lastOf,
  macValue,
  parseCidr,
  parseIp,
  parseMac,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { EndpointClaim } from "../../../model/input.ts";
import { type Freed, type Network, cursorName } from "../../../model/resource.ts";
import { choose, nextFreeFrom, usableRange } from "../../../ipam/assign.ts";
import {
  type Excluded,
  type Plan,
  type UsedValues,
  freeIndex,
  indexOfIp,
  indexOfMac,
  isExcluded,
  leaseAt,
  planOf,
} from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import type { NetworkIndex } from "../../state/networkIndex.ts";
import { get } from "../../state/view.ts";
import {
  NOTHING_USED,
  exhausted,
  gatewayMac,
  gatewayOf,
  unassignableFault,
  macFault,
  requestedByFamily,
} from "./addresses.ts";
import { type Context, chance } from "../context.ts";
import { endMemory, formerLease } from "./freed.ts";
import { obstacleTo, refusalOf } from "./obstacle.ts";

/** `mac` is absent where it is made from the address. */
export type Lease = { readonly ips: readonly Ip[]; readonly mac?: string; readonly range?: string };

/** One claim on one network, with everything that the decision needs. */
type Case = {
  readonly draft: Draft;
  readonly network: Network;
  readonly claim: EndpointClaim;
  /** Of the endpoint. */
  readonly name: string;
  readonly context: Context;
  readonly index: NetworkIndex | undefined;
};

/** Chooses a lease and ends its quarantine; the caller puts the endpoint. Faults give the exact reason. */
export function globalLease(
  draft: Draft,
  network: Network,
  claim: EndpointClaim,
  name: string,
  context: Context,
): Lease {
  const index = draft.view.networks.get(network.name);
  const one: Case = { draft, network, claim, name, context, index };
  const lease = network.spec.ranges === undefined ? subnetLease(one) : rangeLease(one);
  endMemory(draft, network, textsOf(lease), context);
  return lease;
}

function textsOf({ ips, mac }: Lease): string[] {
  return [...ips.map(formatIp), ...(mac === undefined ? [] : [mac])];
}

function isFree({ draft, index, name, context }: Case, text: string): boolean {
  return obstacleTo(draft.view, index, text, name, context.quarantineTime()) === undefined;
}

function assertFree({ draft, network, index, name, context }: Case, text: string, where: string): void {
  const obstacle = obstacleTo(draft.view, index, text, name, context.quarantineTime());
  if (obstacle !== undefined) throw refusalOf(draft.view, network, text, obstacle, where);
}

// Networks without ranges: each subnet gives an address.

type Room = { readonly cidr: Cidr; readonly gateway: Ip | undefined };

function subnetLease(one: Case): Lease {
  const { network, claim } = one;
  if (claim.range !== undefined) throw unknownRange(network, claim.range);
  const rooms = network.spec.subnets.map((subnet): Room => {
    const cidr = parseCidr(subnet.cidr, `network/${network.name}`);
    return { cidr, gateway: gatewayOf(subnet) };
  });
  const requested = claim.addresses ?? [];
  const wanted = requestedByFamily(
    requested.length > 0 ? requested : formerAddresses(one, rooms),
    rooms.map(({ cidr }) => cidr),
    network,
  );
  const last = network.spec.strategy === "next" ? lastGiven(one, "") : [];
  const ips = rooms.map((room) => {
    const ip = wanted.get(room.cidr.family);
    return ip === undefined ? freeIn(one, room, last) : requestedIn(one, room, ip);
  });
  if (wanted.size === 0) moveOn(one, "", ips.map(formatIp));
  return { ips };
}

/** The endpoint's earlier lease, if all of it can be given again. */
function formerAddresses(one: Case, rooms: readonly Room[]): readonly string[] {
  const freed = formerLease(one.draft, one.network, one.name, one.context);
  if (freed === undefined) return [];
  const isUsable = (text: string) => {
    const ip = ipOf(text);
    const room = rooms.find(({ cidr }) => cidr.family === ip?.family);
    return room !== undefined && choose(room.cidr, room.gateway, NOTHING_USED, ip).ok && isFree(one, text);
  };
  return freed.spec.addresses.every(isUsable) ? freed.spec.addresses : [];
}

function requestedIn(one: Case, { cidr, gateway }: Room, ip: Ip): Ip {
  const choice = choose(cidr, gateway, NOTHING_USED, ip);
  if (!choice.ok) throw unassignableFault(cidr, gateway, ip);
  assertFree(one, formatIp(ip), "addresses");
  return ip;
}

function freeIn(one: Case, { cidr, gateway }: Room, last: readonly string[]): Ip {
  const { network, index, context } = one;
  const range = usableRange(cidr);
  const exclude = gateway === undefined ? [] : [gateway.value];
  const before = last.map((text) => ipOf(text)).find((ip) => ip?.family === cidr.family)?.value;
  const from =
    network.spec.strategy === "random"
      ? range.first + chance(context, range.last - range.first + 1n)
      : before === undefined
        ? range.first
        : before + 1n;
  const ip = nextFreeFrom(range, index?.blocked[cidr.family] ?? NOTHING_USED, exclude, from);
  return ip ?? oldestIn(one, { cidr, gateway }) ?? exhausted(network, cidr, gateway, index);
}

function oldestIn({ draft, index }: Case, { cidr, gateway }: Room): Ip | undefined {
  for (const freed of quarantinedIn(draft, index, "")) {
    for (const text of freed.spec.addresses) {
      const ip = ipOf(text);
      if (ip?.family === cidr.family && choose(cidr, gateway, NOTHING_USED, ip).ok) return ip;
    }
  }
  return undefined;
}

function* quarantinedIn(draft: Draft, index: NetworkIndex | undefined, range: string): Generator<Freed> {
  for (const { key } of index?.quarantined.get(range) ?? []) {
    const freed = get(draft.view, "freed", key.slice("freed/".length));
    if (freed !== undefined) yield freed;
  }
}

// Networks with ranges: a lease is an index into one of them.

type Spot = { readonly plan: Plan; readonly at: bigint };

const NOTHING_TAKEN: UsedValues = { 4: NOTHING_USED, 6: NOTHING_USED, mac: NOTHING_USED };

function rangeLease(one: Case): Lease {
  const { network, claim, index } = one;
  const plans = plansOf(network, claim.range);
  const excluded = excludedOf(network);
  const requested = requestedSpot(one, plans);
  if (requested !== undefined) return requestedLease(one, requested, excluded);
  const former = formerSpot(one, plans, excluded);
  if (former !== undefined) return leaseOf(former);
  for (const plan of plans) {
    const at = freeIndex(plan, index?.blocked ?? NOTHING_TAKEN, excluded, startOf(one, plan));
    if (at === undefined) continue;
    const lease = leaseOf({ plan, at });
    moveOn(one, plan.name, textsOf(lease).slice(0, 1));
    return lease;
  }
  return leaseOf(oldestSpot(one, plans, excluded) ?? noLease(network, plans));
}

function leaseOf({ plan, at }: Spot): Lease {
  const { ips, mac } = leaseAt(plan, at);
  return { ips, range: plan.name, ...(mac === undefined ? {} : { mac: formatMac(mac) }) };
}

export function plansOf(network: Network, only?: string): readonly Plan[] {
  const ranges = (network.spec.ranges ?? []).filter((range) => only === undefined || range.name === only);
  if (only !== undefined && ranges.length === 0) throw unknownRange(network, only);
  return ranges.map(planOf);
}

/** Single addresses that no lease has: the subnets' own, broadcast, every gateway. */
export function excludedOf({ name, spec }: Network): Excluded {
  const bridge = gatewayMac(spec);
  const excluded = { 4: [] as bigint[], 6: [] as bigint[], mac: bridge === undefined ? [] : [macValue(bridge)] };
  for (const subnet of spec.subnets) {
    const cidr = parseCidr(subnet.cidr, `network/${name}`);
    excluded[cidr.family].push(cidr.base);
    if (cidr.family === 4) excluded[4].push(lastOf(cidr).value);
  }
  const gateways = [
    ...spec.subnets.map((subnet) => subnet.gateway),
    ...(spec.ranges ?? []).flatMap((range) => [range.gateway, range.gateway6]),
  ];
  for (const ip of gateways.map((text) => ipOf(text ?? ""))) if (ip !== undefined) excluded[ip.family].push(ip.value);
  return excluded;
}

function startOf(one: Case, plan: Plan): bigint {
  const { strategy } = one.network.spec;
  if (strategy === "random") return chance(one.context, plan.size);
  const [last] = strategy === "next" ? lastGiven(one, plan.name) : [];
  const at = last === undefined ? undefined : indexOf(plan, last);
  return at === undefined ? 0n : at + 1n;
}

function indexOf(plan: Plan, text: string): bigint | undefined {
  const ip = ipOf(text);
  return ip === undefined ? indexOfMac(plan, macValue(text)) : indexOfIp(plan, ip);
}

/** The index at which everything requested is; undefined if nothing was requested. */
function requestedSpot({ claim, network }: Case, plans: readonly Plan[]): Spot | undefined {
  const wishes = (claim.addresses ?? []).map((text, i) => {
    const where = `addresses[${i}]`;
    return { where, text: formatIp(parseIp(text, where)) };
  });
  if (claim.mac !== undefined) wishes.push({ where: "mac", text: parseMac(claim.mac, "mac") });
  let spot: Spot | undefined;
  for (const { where, text } of wishes) {
    const plan = plans.find((each) => indexOf(each, text) !== undefined);
    if (plan === undefined) throw outside(network, plans, text, where);
    const at = indexOf(plan, text) ?? 0n;
    if (spot !== undefined && (spot.plan !== plan || spot.at !== at)) throw apart(wishes, spot, { plan, at }, where);
    spot = { plan, at };
  }
  return spot;
}

function requestedLease(one: Case, spot: Spot, excluded: Excluded): Lease {
  const where = one.claim.addresses === undefined ? "mac" : "addresses";
  const lease = leaseOf(spot);
  if (isExcluded(spot.plan, excluded, spot.at)) throw excludedFault(one.network, lease, excluded, where);
  for (const text of textsOf(lease)) assertFree(one, text, where);
  return lease;
}

function formerSpot(one: Case, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  const freed = formerLease(one.draft, one.network, one.name, one.context);
  const spot = freed === undefined ? undefined : spotOf(freed, plans, excluded);
  return spot !== undefined && textsOf(leaseOf(spot)).every((text) => isFree(one, text)) ? spot : undefined;
}

/** The index of an earlier lease, if the range still has it. */
function spotOf({ spec }: Freed, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  const plan = plans.find((each) => each.name === spec.range);
  const at = plan === undefined ? undefined : indexOf(plan, spec.addresses[0] ?? spec.mac);
  return plan === undefined || at === undefined || isExcluded(plan, excluded, at) ? undefined : { plan, at };
}

/** The lease that has been in quarantine longest and is otherwise free. */
function oldestSpot(one: Case, plans: readonly Plan[], excluded: Excluded): Spot | undefined {
  const { draft, index } = one;
  let oldest: { readonly spot: Spot; readonly sinceMs: number } | undefined;
  for (const { name } of plans) {
    for (const freed of quarantinedIn(draft, index, name)) {
      const spot = spotOf(freed, plans, excluded);
      if (
        spot === undefined ||
        !textsOf(leaseOf(spot)).every((text) => isFree({ ...one, name: freed.spec.endpoint }, text))
      )
        continue;
      if (oldest === undefined || freed.spec.sinceMs < oldest.sinceMs) oldest = { spot, sinceMs: freed.spec.sinceMs };
      break;
    }
  }
  return oldest?.spot;
}

// Next-fit: where the last one was.

function lastGiven({ draft, network }: Case, range: string): readonly string[] {
  return get(draft.view, "cursor", cursorName(network.name, range))?.spec.last ?? [];
}

function moveOn({ draft, network }: Case, range: string, last: readonly string[]): void {
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

function apart(wishes: readonly { readonly text: string }[], a: Spot, b: Spot, where: string): Fault {
  const shown = ({ plan, at }: Spot) => textsOf(leaseOf({ plan, at })).join(", ");
  return new Fault("request-invalid", {
    what: `${wishes.map(({ text }) => text).join(" and ")} are not of one lease`,
    where,
    why: `one is of the lease ${shown(a)}, the other of ${shown(b)}`,
    fix: "ask for one of them, or for what belongs together",
  });
}

function excludedFault(network: Network, lease: Lease, excluded: Excluded, where: string): Fault {
  const ip = lease.ips.find(({ family, value }) => excluded[family].includes(value)) ?? lease.ips[0];
  const subnet = network.spec.subnets
    .map((one) => ({ cidr: parseCidr(one.cidr, "subnet"), gateway: gatewayOf(one) }))
    .find(({ cidr }) => cidr.family === ip?.family);
  const isIp = ip !== undefined && excluded[ip.family].includes(ip.value);
  if (!isIp) return macFault(network, lease.mac ?? "", "the gateway");
  return unassignableFault(subnet?.cidr, subnet?.gateway, ip, where);
}
