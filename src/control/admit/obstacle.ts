// Why an address or MAC that somebody asks for cannot be theirs: who has it, who holds it, whose it was a moment ago.
// Look-ups in the network's index, and the one precise refusal for each.
import { Fault } from "../../model/fault.ts";
import type { Freed, Hold, Network } from "../../model/resource.ts";
import { type NetworkIndex, placeOf, spanOf } from "../standing.ts";
import type { View } from "../view.ts";

export type Obstacle =
  | { readonly state: "used"; readonly endpoint: string }
  | { readonly state: "held"; readonly hold: Hold }
  | { readonly state: "quarantined"; readonly freed: Freed };

/** Undefined if endpoint `by` may have the address or MAC, as far as others are concerned. */
export function obstacleTo(
  view: View,
  index: NetworkIndex | undefined,
  text: string,
  by: string,
  nowMs: number,
): Obstacle | undefined {
  if (index === undefined) return undefined;
  const endpoint = index.holders.get(text) ?? index.macs.get(text)?.[0];
  if (endpoint !== undefined) return endpoint === by ? undefined : { state: "used", endpoint };
  const freed = view.freed.get(index.freed.get(text) ?? "");
  if (freed !== undefined && isKept(freed, nowMs) && freed.spec.endpoint !== by) return { state: "quarantined", freed };
  const hold = holdOn(view, index, text);
  return hold === undefined ? undefined : { state: "held", hold };
}

/** Whether it is still kept from others. */
export function isKept({ spec: { untilMs } }: Freed, nowMs: number): boolean {
  return untilMs !== undefined && untilMs > nowMs;
}

function holdOn(view: View, index: NetworkIndex, text: string): Hold | undefined {
  const { space, value } = placeOf(text);
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
