// Why a requested address or MAC cannot be given: an endpoint has it, it is held, reserved, or quarantined. Lookups in
// the network's index, and one precise refusal for each reason.
import { macOf } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { Freed, Hold, Network } from "../../../model/resource.ts";
import { type QuarantineTime, quarantineEnd } from "../../../model/quarantine.ts";
import type { Draft } from "../../state/draft.ts";
import { type NetworkIndex, spaceValue } from "../../state/networkIndex.ts";
import type { View } from "../../state/view.ts";

export type Obstacle = { readonly text: string } & (
  | { readonly state: "used"; readonly endpoint: string }
  | { readonly state: "held"; readonly hold: Hold }
  | { readonly state: "reserved"; readonly reservation: string }
  | { readonly state: "quarantined"; readonly freed: Freed }
);

/** Undefined if the address or MAC is free for endpoint `by`: from other endpoints, holds and reservations. */
export function obstacleTo(
  { view, context }: Draft,
  index: NetworkIndex | undefined,
  text: string,
  by: string,
): Obstacle | undefined {
  if (index === undefined) return undefined;
  const endpoint = index.holders.get(text) ?? index.macs.get(text)?.[0];
  if (endpoint !== undefined) return endpoint === by ? undefined : { text, state: "used", endpoint };
  const freed = view.freed.get(index.freed.get(text) ?? "");
  if (freed !== undefined && freed.spec.endpoint !== by && isQuarantined(freed, context.quarantineTime()))
    return { text, state: "quarantined", freed };
  const { space, value } = spaceValue(text);
  const hold = view.hold.get(lastMeeting(index.held[space], value)?.name ?? "");
  if (hold !== undefined) return { text, state: "held", hold };
  const reserved = lastMeeting(index.reserved[space], value);
  return reserved === undefined ? undefined : { text, state: "reserved", reservation: reserved.name };
}

type Spans = NetworkIndex["held"]["mac"];

/** The last of these spans that meets the one from `first` to `last`. */
export function lastMeeting(spans: Spans | undefined, first: bigint, last = first): ReturnType<Spans["atOrBelow"]> {
  const below = spans?.atOrBelow({ first: last, last, name: "" });
  return below !== undefined && below.last >= first ? below : undefined;
}

/** Whether it is still in quarantine. */
export function isQuarantined({ spec: { sinceMs, untilMs } }: Freed, time: QuarantineTime): boolean {
  return untilMs !== undefined && quarantineEnd(sinceMs, untilMs - sinceMs, time) > time.nowMs;
}

export function refusalOf(view: View, network: Network, obstacle: Obstacle, where: string): Fault {
  const { text } = obstacle;
  const place = `network "${network.name}"`;
  const what = macOf(text) === undefined ? text : `MAC ${text}`;
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
    case "held": {
      const { name, spec } = obstacle.hold;
      return new Fault("address-held", {
        what: `${what} is held in ${place}`,
        where,
        why: `hold "${name}" has ${spanText(obstacle.hold)} for ${spec.owner}: ${spec.reason}`,
        fix: `choose another, or release it first (weft ipam release ${network.name} ${text})`,
      });
    }
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
