// Routes as files write them, and as the plan has them.
import { DEFAULT_ROUTE } from "../datapath/kinds/entries.ts";
import { cidrAround, familyOf, formatCidr, interfaceOf } from "../model/address.ts";
import { defined } from "../model/defined.ts";
import type { PlanRoute, Position } from "./plan.ts";
import { type Reading, ipTextOf, numberOf, spreadTextOf } from "./reading.ts";

type Said = { readonly [K in "to" | "via" | "source" | "metric"]?: string | undefined } & {
  readonly onlink?: boolean | undefined;
};

/** A route; undefined, with a problem, if one of its values is none. `default` is of the gateway's family. */
export function routeOf(reading: Reading, at: Position, said: Said): PlanRoute | undefined {
  const { to: written = "", onlink } = said;
  const via = said.via === undefined ? undefined : ipTextOf(reading, { text: said.via, at, of: "gateway" });
  const source = said.source === undefined ? undefined : ipTextOf(reading, { text: said.source, at, of: "source" });
  const metric =
    said.metric === undefined
      ? undefined
      : numberOf(reading, { text: said.metric, at, of: "metric" }, [0, 0xffff_ffff]);
  const text = written === "default" ? DEFAULT_ROUTE[familyOf(said.via ?? "")] : written;
  const spread = spreadTextOf(reading, { text, at, of: "route to" });
  const to = spread === undefined ? undefined : networkText(spread);
  const isWrong = [said.via !== undefined && via === undefined, said.source !== undefined && source === undefined];
  if (to === undefined || isWrong.includes(true)) return undefined;
  return { to, ...defined({ via, source, metric }), ...(onlink === true ? { onlink } : {}) };
}

/** The network that an address with a length is in. */
export function networkText(spread: string): string | undefined {
  const found = interfaceOf(spread);
  return found === undefined ? undefined : formatCidr(cidrAround(found.ip, found.length));
}

export function isDefault({ to }: PlanRoute): boolean {
  return to === DEFAULT_ROUTE[4] || to === DEFAULT_ROUTE[6];
}
