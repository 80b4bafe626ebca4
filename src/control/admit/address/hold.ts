// Holds: spans of addresses, or of MACs, that no endpoint gets. Spans of a network are disjoint.
// What is released must be held; a release in the middle leaves the two ends. Also what ends by itself: holds with an
// expiry, quarantines.
import { addressCount, parseCidr } from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { HoldRelease, HoldRequest } from "../../../model/input.ts";
import { parseAddressOrMac } from "../../../model/parse.ts";
import { type Hold, type Key, type Network, holdName } from "../../../model/resource.ts";
import { type Span, indexOfValue } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { spaceValue, spanOf } from "../../state/networkIndex.ts";
import { type View, get, getKey } from "../../state/view.ts";
import { excludedFault, globalNetwork } from "./addresses.ts";
import { type Context, textOf } from "../context.ts";
import { endMemory } from "./freed.ts";
import { excludedOf, plansOf } from "./lease.ts";
import { isQuarantined, lastMeeting, refusalOf } from "./obstacle.ts";

/** The reason of a hold that a network has for the address of a host (hostAddress.ts). */
export const HOST_ADDRESS_REASON = "the host's own address";
const HELD = { done: "held", fix: "attach an endpoint with that address, or use a global network" };
/** Names in a refusal. */
const BLOCKERS_MAX = 100;
/** How many expire in one commit: more would keep others waiting. */
const EXPIRE_MAX = 2000;

/** Holds a span. Quarantine in it ends, because no endpoint can get it now. */
export function hold(draft: Draft, request: HoldRequest): Hold {
  const network = globalNetwork(draft.view, request.network, "network", HELD);
  // Such a hold is the network's own: nobody could release it.
  if (request.reason === HOST_ADDRESS_REASON)
    throw new Fault("request-invalid", {
      what: `the server alone holds addresses with the reason "${HOST_ADDRESS_REASON}"`,
      where: "reason",
      fix: "give another reason",
    });
  const span = spanIn(request);
  checkInside(network, span);
  checkUnused(draft, network, span);
  const texts = [...blockedIn(draft, network, span)].map((value) => textOf(span.space, value));
  endMemory(draft, network, texts);
  const { reason, owner, expiresInSeconds } = request;
  const first = textOf(span.space, span.first);
  const last = textOf(span.space, span.last);
  const expiresAtMs = expiresInSeconds === undefined ? undefined : draft.context.nowMs() + expiresInSeconds * 1000;
  return draft.put("hold", holdName(network.name, first), {
    network: network.name,
    first,
    last,
    reason,
    owner,
    ...defined({ expiresAtMs }),
  });
}

/** Gives a span back; every address of it must be held. */
export function release(draft: Draft, wanted: HoldRelease): undefined {
  const network = globalNetwork(draft.view, wanted.network, "network", HELD);
  const span = spanIn(wanted);
  const held = heldIn(draft, network, span);
  let at = span.first;
  for (const each of held) {
    const { first, last } = spanOf(each);
    if (first > at) break;
    at = last + 1n;
  }
  if (at <= span.last) throw notHeld(network, span, at);
  const ofHost = held.find(({ spec }) => spec.reason === HOST_ADDRESS_REASON);
  if (ofHost !== undefined) throw inUseByHost(network, ofHost);
  for (const each of held) cut(draft, each, span);
}

function inUseByHost(network: Network, { spec: { first, owner } }: Hold): Fault {
  return new Fault("in-use", {
    what: `${first} is the address of host "${owner}" in network "${network.name}"`,
    where: "first",
    fix: `change the hostAddresses of the network (weft network edit ${network.name})`,
  });
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
export function expire(draft: Draft): undefined {
  const { view } = draft;
  for (const key of dueIn(view, draft.context, EXPIRE_MAX)) {
    const due = getKey(view, key);
    if (due?.kind === "hold") draft.remove("hold", due.name);
    if (due?.kind !== "freed") continue;
    const { untilMs: _, ...memory } = due.spec;
    const isSticky = get(view, "network", due.spec.network)?.spec.sticky === true;
    if (isSticky) draft.put("freed", due.name, memory);
    else draft.remove("freed", due.name);
  }
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

function checkInside(network: Network, span: Span): void {
  const { space, first, last } = span;
  if (!isWithin(network, span)) {
    const ends = new Set([textOf(space, first), textOf(space, last)]);
    const part = network.spec.ranges === undefined ? "subnet" : "range";
    throw new Fault("address-outside", {
      what: `${[...ends].join(" to ")} is not inside one ${part} of network "${network.name}"`,
      where: "first",
      fix: "hold what the network gives; each of its ranges by itself",
    });
  }
  if (space !== "mac" && first === last && excludedOf(network)[space].includes(first))
    throw excludedFault(network, { family: space, value: first }, "first");
}

/** Whether a span lies in one subnet, or in one range where there are some; SLAAC addresses do not. */
export function isWithin(network: Network, { space, first, last }: Span): boolean {
  if (network.spec.ranges === undefined) {
    return network.spec.subnets.some(({ cidr: text }) => {
      const cidr = parseCidr(text, "subnet");
      return cidr.family === space && first >= cidr.base && last < cidr.base + addressCount(cidr);
    });
  }
  return plansOf(network).some(
    (plan) =>
      (space !== 6 || plan.first6 !== undefined) &&
      [first, last].every((value) => indexOfValue(plan, space, value) !== undefined),
  );
}

function checkUnused(draft: Draft, network: Network, span: Span): void {
  const index = draft.view.networks.get(network.name);
  const textFrom = (first: bigint) => textOf(span.space, first > span.first ? first : span.first);
  const [held] = heldIn(draft, network, span);
  if (held !== undefined) {
    const text = textFrom(spanOf(held).first);
    throw refusalOf(draft.view, network, { text, state: "held", hold: held }, "first");
  }
  const reserved = lastMeeting(index?.reserved[span.space], span.first, span.last);
  if (reserved !== undefined) {
    const text = textFrom(reserved.first);
    throw refusalOf(draft.view, network, { text, state: "reserved", reservation: reserved.name }, "first");
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

/** What of the span cannot be given now. */
export function* blockedIn(draft: Draft, network: Network, { space, first, last }: Span): Generator<bigint> {
  const blocked = draft.view.networks.get(network.name)?.blocked[space];
  for (let at = blocked?.nextUsed(first); at !== undefined && at <= last; at = blocked?.nextUsed(at + 1n)) yield at;
}

/** Holds that meet the span, in order. */
function heldIn(draft: Draft, network: Network, span: Span): Hold[] {
  const spans = draft.view.networks.get(network.name)?.held[span.space];
  const below = lastMeeting(spans, span.first);
  const names = below === undefined ? [] : [below.name];
  for (const { first, name } of spans?.after({ first: span.first, last: span.first, name: "" }) ?? []) {
    if (first > span.last) break;
    names.push(name);
  }
  return names.map((name) => get(draft.view, "hold", name)).filter((each) => each !== undefined);
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
