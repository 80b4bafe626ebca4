// A unicast route of the main table.
import { address } from "./address.ts";
import { type Ns, defineKind, standsOn } from "./kind.ts";
import { WEFT_PROTOCOL } from "./mark.ts";

/**
 * Of our protocol number and metric. `dst` is canonical, `0.0.0.0/0` and `::/0` for default. `onlink` routes have a
 * gateway that no connected route covers.
 */
export type Route = {
  readonly kind: "route";
  readonly ns: Ns;
  readonly dst: string;
  readonly via?: string;
  readonly dev: string;
  readonly onlink: boolean;
  readonly src?: string;
  /** Only of a route that has another, as earlier builds made them in IPv4: never wanted. */
  readonly metric?: number;
};

/**
 * Metric of every route of ours (rtm priority): what the kernel gives an IPv6 route without one. A route that a
 * workload or host has from another program (metric 0 in IPv4) wins over it, and neither is refused because of the
 * other.
 */
export const WEFT_ROUTE_METRIC = 1024;

function words({ dst, via, dev, onlink, src, metric = WEFT_ROUTE_METRIC }: Route): string {
  const gateway = via === undefined ? "" : ` via ${via}`;
  const how = `${onlink ? " onlink" : ""}${src === undefined ? "" : ` src ${src}`}`;
  const place = dst === "0.0.0.0/0" ? "default" : dst;
  return `${place}${gateway} dev ${dev}${how} proto ${WEFT_PROTOCOL} metric ${metric}`;
}

const EXAMPLE: Route = { kind: "route", ns: "vrf:blue", dst: "10.9.0.0/16", dev: "wb7", onlink: false };

export const route = defineKind<Route>({
  role: "entry",
  layer: 8,
  key: ({ ns, dst, dev, metric }) => `route ${ns} ${dst} ${dev}${metric === undefined ? "" : ` metric ${metric}`}`,
  // The kernel has one route per destination and metric. One of another metric goes after its successor has come, so
  // that there is a route at every moment.
  slot: ({ ns, dst, metric = WEFT_ROUTE_METRIC }) => `${ns} ${dst} ${metric}`,
  print: {
    add: (o, shell) => [`${shell.ip(o.ns)} route add ${words(o)}`],
    set: (_, to, shell) => [`${shell.ip(to.ns)} route replace ${words(to)}`],
    remove: (o, shell) => [`${shell.ip(o.ns)} route delete ${words(o)}`],
  },
  examples: [
    {
      needs: standsOn(address),
      is: { ...EXAMPLE, via: "10.7.0.2", src: "10.7.0.1" },
      becomes: { ...EXAMPLE, via: "10.7.0.3" },
    },
    { needs: standsOn(address), is: { ...EXAMPLE, dst: "fd09::/64", via: "fd44::2", onlink: true } },
  ],
});
