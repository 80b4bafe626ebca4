// Holds: spans of addresses, or of MACs, that no endpoint gets. Spans of a network are disjoint.
// What is released must be held; a release in the middle leaves the two ends. Also what ends by itself: holds with an
// expiry, quarantines.
import { formatIp, formatMac, ipOf, parseCidr } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import { unknownFault } from "../../../model/kinds.ts";
import type { HoldRelease, HoldRequest } from "../../../model/input.ts";
import { parseAddressOrMac } from "../../../model/parse.ts";
import { type Hold, type Key, type Network, holdName } from "../../../model/resource.ts";
import type { Interval } from "../../../ipam/intervals.ts";
import { indexOfIp, indexOfMac } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { type Space, spaceValue, spanOf } from "../../state/networkIndex.ts";
import { type View, get, getKey } from "../../state/view.ts";
import { unassignableFault } from "./addresses.ts";
import type { Context } from "../context.ts";
import { endMemory } from "./freed.ts";
import { excludedOf, plansOf } from "./lease.ts";
import { isQuarantined, refusalOf } from "./obstacle.ts";

/** Names in a refusal. */
const BLOCKERS_MAX = 100;
/** How many expire in one commit: more would keep others waiting. */
const EXPIRE_MAX = 2000;

type Span = Interval & { readonly space: Space };

/** Holds a span. Quarantine in it ends, because no endpoint can get it now. */
export function hold(draft: Draft, request: HoldRequest, context: Context): Hold {
  const network = globalNetwork(draft, request.network);
  const span = spanIn(request);
  checkInside(network, span);
  checkUnused(draft, network, span);
  endQuarantine(draft, network, span, context);
  const { reason, owner, expiresInSeconds } = request;
  return draft.put("hold", holdName(network.name, textOf(span.space, span.first)), {
    network: network.name,
    first: textOf(span.space, span.first),
    last: textOf(span.space, span.last),
    reason,
    owner,
    ...(expiresInSeconds === undefined ? {} : { expiresAtMs: context.nowMs() + expiresInSeconds * 1000 }),
  });
}

/** Gives a span back; every address of it must be held. */
export function release(draft: Draft, wanted: HoldRelease): void {
  const network = globalNetwork(draft, wanted.network);
  const span = spanIn(wanted);
  const held = heldIn(draft, network, span);
  let at = span.first;
  for (const each of held) {
    const { first, last } = spanOf(each);
    if (first > at) break;
    at = last + 1n;
  }
  if (at <= span.last) throw notHeld(network, span, at);
  for (const each of held) cut(draft, each, span);
}

/** Holds and quarantines whose time has come, at most so many. */
export function dueIn(
  view: View,
  { nowMs, quarantineTime }: Pick<Context, "nowMs" | "quarantineTime">,
  limit: number,
): readonly Key[] {
  const keys: Key[] = [];
  const wallMs = nowMs();
  for (const { atMs, key } of view.expiring) {
    if (atMs > wallMs || keys.length === limit) break;
    keys.push(key);
  }
  const time = quarantineTime();
  for (const { atMs, key } of view.quarantines) {
    if (atMs > time.nowMs || keys.length === limit) break;
    const freed = getKey(view, key);
    if (freed?.kind === "freed" && !isQuarantined(freed, time)) keys.push(key);
  }
  return keys;
}

/** Ends what is due. A sticky network remembers the owner of a lease until another owner has it. */
export function expire(draft: Draft, context: Context): void {
  const { view } = draft;
  for (const key of dueIn(view, context, EXPIRE_MAX)) {
    const due = getKey(view, key);
    if (due?.kind === "hold") draft.remove("hold", due.name);
    if (due?.kind !== "freed") continue;
    const { untilMs: _, ...memory } = due.spec;
    const isSticky = get(view, "network", due.spec.network)?.spec.sticky === true;
    if (isSticky) draft.put("freed", due.name, memory);
    else draft.remove("freed", due.name);
  }
}

/** Ends holds, or parts of them, that are in nothing the network has now. */
export function endForeignHolds(draft: Draft, network: Network, isInside: (hold: Hold) => boolean): void {
  for (const each of holdsOf(draft, network.name)) if (!isInside(each)) draft.remove("hold", each.name);
}

export function holdsOf(draft: Draft, network: string): Hold[] {
  const held = draft.view.networks.get(network)?.held;
  const names = held === undefined ? [] : [held[4], held[6], held.mac].flatMap((spans) => [...spans]);
  return names.map(({ name }) => get(draft.view, "hold", name)).filter((each) => each !== undefined);
}

function globalNetwork(draft: Draft, name: string): Network {
  const network = get(draft.view, "network", name);
  if (network === undefined) throw unknownFault("network", name, "network");
  if (network.spec.ipam === "global") return network;
  throw new Fault("unsupported", {
    what: `addresses of network "${name}" cannot be held`,
    where: "network",
    why: "it is local: each host's agent assigns from its block, also while the server is away",
    fix: "attach an endpoint with that address, or use a global network",
  });
}

function spanIn({ first, last = first }: HoldRelease): Span {
  const [a, b] = [spaceValue(parseAddressOrMac(first, "first")), spaceValue(parseAddressOrMac(last, "last"))];
  if (a.space === b.space && a.value <= b.value) return { space: a.space, first: a.value, last: b.value };
  throw new Fault("request-invalid", {
    what: `${first} to ${last} is not a span of addresses`,
    where: "last",
    why: a.space === b.space ? "it ends before it begins" : "the two are not of one kind",
    fix: "give the lower address first, and two of one kind",
  });
}

export function textOf(space: Space, value: bigint): string {
  return space === "mac" ? formatMac(value) : formatIp({ family: space, value });
}

function checkInside(network: Network, { space, first, last }: Span): void {
  const ends = [first, last].map((value) => textOf(space, value));
  if (!isWithin(network, space, first, last)) {
    throw new Fault("address-outside", {
      what: `${[...new Set(ends)].join(" to ")} is not inside one ${
        network.spec.ranges === undefined ? "subnet" : "range"
      } of network "${network.name}"`,
      where: "first",
      fix: "hold what the network gives; each of its ranges by itself",
    });
  }
  const excluded = space === "mac" || first !== last ? [] : excludedOf(network)[space];
  if (!excluded.includes(first) || space === "mac") return;
  const subnet = network.spec.subnets.find(({ cidr }) => cidr.includes(":") === (space === 6));
  const gateway = ipOf(subnet?.gateway ?? "");
  const ip = { family: space, value: first };
  throw unassignableFault(subnet === undefined ? undefined : parseCidr(subnet.cidr, "subnet"), gateway, ip, "first");
}

/** Whether a span lies in one subnet, or in one range where there are some. */
export function isWithin(network: Network, space: Space, first: bigint, last: bigint): boolean {
  if (network.spec.ranges === undefined) {
    return network.spec.subnets.some(({ cidr: text }) => {
      const cidr = parseCidr(text, "subnet");
      if (cidr.family !== space) return false;
      const room = 1n << BigInt((space === 4 ? 32 : 128) - cidr.length);
      return first >= cidr.base && last < cidr.base + room;
    });
  }
  return plansOf(network).some((plan) =>
    [first, last].every((value) =>
      space === "mac"
        ? indexOfMac(plan, value) !== undefined
        : (space === 4 || plan.first6 !== undefined) && indexOfIp(plan, { family: space, value }) !== undefined,
    ),
  );
}

function checkUnused(draft: Draft, network: Network, span: Span): void {
  const index = draft.view.networks.get(network.name);
  const [held] = heldIn(draft, network, span);
  if (held !== undefined) {
    const { first } = spanOf(held);
    const text = textOf(span.space, first > span.first ? first : span.first);
    throw refusalOf(draft.view, network, text, { state: "held", hold: held }, "first");
  }
  const reserved = reservedIn(draft, network, span);
  if (reserved !== undefined) {
    const text = textOf(span.space, reserved.first > span.first ? reserved.first : span.first);
    throw refusalOf(draft.view, network, text, { state: "reserved", reservation: reserved.name }, "first");
  }
  const blockers: string[] = [];
  let taken: string | undefined;
  for (const value of blockedIn(draft, network, span)) {
    const text = textOf(span.space, value);
    const endpoint = index?.holders.get(text) ?? index?.macs.get(text)?.[0];
    if (endpoint === undefined) continue;
    taken ??= text;
    if (blockers.push(`${endpoint} (${text})`) === BLOCKERS_MAX) break;
  }
  if (taken === undefined) return;
  throw new Fault("address-taken", {
    what: `${taken} is taken in network "${network.name}"`,
    where: "first",
    why: "endpoints have addresses of the span",
    fix: "detach them first, or hold what is between them",
    blockers,
  });
}

function endQuarantine(draft: Draft, network: Network, span: Span, context: Context): void {
  const texts = [...blockedIn(draft, network, span)].map((value) => textOf(span.space, value));
  endMemory(draft, network, texts, context);
}

function* blockedIn(draft: Draft, network: Network, { space, first, last }: Span): Generator<bigint> {
  const blocked = draft.view.networks.get(network.name)?.blocked[space];
  for (let at = blocked?.nextUsed(first); at !== undefined && at <= last; at = blocked?.nextUsed(at + 1n)) yield at;
}

/** Holds that meet the span, in order. */
function heldIn(draft: Draft, network: Network, span: Span): Hold[] {
  const spans = draft.view.networks.get(network.name)?.held[span.space];
  const start = { first: span.first, last: span.first, name: "" };
  const below = spans?.atOrBelow(start);
  const names = below !== undefined && below.last >= span.first ? [below.name] : [];
  for (const { first, name } of spans?.after(start) ?? []) {
    if (first > span.last) break;
    names.push(name);
  }
  return names.map((name) => get(draft.view, "hold", name)).filter((each) => each !== undefined);
}

/** The last of the reserved spans that meet the span. */
function reservedIn(draft: Draft, network: Network, { space, first, last }: Span) {
  const below = draft.view.networks.get(network.name)?.reserved[space].atOrBelow({ first: last, last, name: "" });
  return below !== undefined && below.last >= first ? below : undefined;
}

/** What is left of a hold without the span: nothing, one end, or both. */
function cut(draft: Draft, each: Hold, span: Span): void {
  const { space, first, last } = spanOf(each);
  if (first < span.first) draft.put("hold", each.name, { ...each.spec, last: textOf(space, span.first - 1n) });
  else draft.remove("hold", each.name);
  if (last <= span.last) return;
  const rest = textOf(space, span.last + 1n);
  draft.put("hold", holdName(each.spec.network, rest), { ...each.spec, first: rest });
}

function notHeld(network: Network, span: Span, at: bigint): Fault {
  return new Fault("hold-unknown", {
    what: `${textOf(span.space, at)} is not held in network "${network.name}"`,
    where: "first",
    why: "only what is held can be released; an endpoint's address is freed by detaching it",
    fix: `see \`weft lease list --network ${network.name} --state held\``,
  });
}
