// Why a requested address or MAC cannot be given: an endpoint has it, it is held, reserved, or quarantined. Lookups in
// the network's index, and one precise refusal for each reason.
import { Fault } from "../../../model/fault.ts";
import type { Freed, Hold, Network } from "../../../model/resource.ts";
import { type QuarantineTime, quarantineEnd } from "../../../model/quarantine.ts";
import { type NetworkIndex, type Space, spaceValue, spanOf } from "../../state/networkIndex.ts";
import type { View } from "../../state/view.ts";

export type Obstacle =
  | { readonly state: "used"; readonly endpoint: string }
  | { readonly state: "held"; readonly hold: Hold }
  | { readonly state: "reserved"; readonly reservation: string }
  | { readonly state: "quarantined"; readonly freed: Freed };

/**
 * Undefined if endpoint `by` may have the address or MAC as far as other endpoints, holds and reservations are
 * concerned.
 */
export function obstacleTo(
  view: View,
  index: NetworkIndex | undefined,
  text: string,
  by: string,
  time: QuarantineTime,
): Obstacle | undefined {
  if (index === undefined) return undefined;
  const endpoint = index.holders.get(text) ?? index.macs.get(text)?.[0];
  if (endpoint !== undefined) return endpoint === by ? undefined : { state: "used", endpoint };
  const freed = view.freed.get(index.freed.get(text) ?? "");
  if (freed !== undefined && isQuarantined(freed, time) && freed.spec.endpoint !== by)
    return { state: "quarantined", freed };
  const hold = holdOn(view, index, text);
  if (hold !== undefined) return { state: "held", hold };
  const { space, value } = spaceValue(text);
  const reservation = reservationOn(index, space, value);
  return reservation === undefined ? undefined : { state: "reserved", reservation };
}

/** The name of the reservation that an address or MAC is in. */
export function reservationOn(index: NetworkIndex | undefined, space: Space, value: bigint): string | undefined {
  const below = index?.reserved[space].atOrBelow({ first: value, last: value, name: "" });
  return below !== undefined && below.last >= value ? below.name : undefined;
}

/** Whether it is still in quarantine. */
export function isQuarantined({ spec: { sinceMs, untilMs } }: Freed, time: QuarantineTime): boolean {
  return untilMs !== undefined && quarantineEnd(sinceMs, untilMs - sinceMs, time) > time.nowMs;
}

function holdOn(view: View, index: NetworkIndex, text: string): Hold | undefined {
  const { space, value } = spaceValue(text);
  const below = index.held[space].atOrBelow({ first: value, last: value, name: "" });
  const hold = below === undefined ? undefined : view.hold.get(below.name);
  return hold !== undefined && spanOf(hold).last >= value ? hold : undefined;
}

export function refusalOf(view: View, network: Network, text: string, obstacle: Obstacle, where: string): Fault {
  const place = `network "${network.name}"`;
  const what = text.includes(":") && text.length === 17 && text.split(":").length === 6 ? `MAC ${text}` : text;
  switch (obstacle.state) {
    case "used": {
      const host = view.endpoint.get(obstacle.endpoint)?.spec.host ?? "";
      return new Fault("address-taken", {
        what: `${what} is taken in ${place}`,
        where,
        why: `endpoint "${obstacle.endpoint}" on host "${host}" has it`,
        fix: "choose another, or leave it out",
      });
    }
    case "held":
      return new Fault("address-held", {
        what: `${what} is held in ${place}`,
        where,
        why: `${obstacle.hold.spec.owner} holds ${spanText(obstacle.hold)}: ${obstacle.hold.spec.reason}`,
        fix: `choose another, or release it first (weft ipam release ${network.name} ${text})`,
      });
    case "reserved": {
      const tenant = view.network.get(obstacle.reservation)?.spec.tenant;
      return new Fault("address-reserved", {
        what: `${what} is reserved in ${place}`,
        where,
        why: `it is of the network "${obstacle.reservation}"${tenant === undefined ? "" : `, of tenant ${tenant}`}`,
        fix: `choose another, or use network "${obstacle.reservation}"`,
      });
    }
    case "quarantined":
      return new Fault("address-quarantined", {
        what: `${what} is in quarantine in ${place}`,
        where,
        why:
          `endpoint "${obstacle.freed.spec.endpoint}" gave it back, and packets for it may still be under way; ` +
          `it is free at ${new Date(obstacle.freed.spec.untilMs ?? 0).toISOString()}`,
        fix: "choose another, leave it out, or wait",
      });
  }
}

export function spanText({ spec: { first, last } }: Hold): string {
  return first === last ? first : `${first} to ${last}`;
}
