// The rules about bridges in the host's own namespace, as parts of its table. A packet that a workload has on such a
// bridge may become one of the host: what may leave and what may come in is the same as for a VRF with a namespace of
// its own, which the tables of two namespaces share between them (firewall.ts, uplinkFilter.ts). Rules name our bridges
// in every line, so nothing else in that namespace is judged here.
//
// What stays inside the VRF is tracked like the rest: a program that translates addresses on the host (kube-proxy)
// must see both directions of a connection. There is one such VRF, so no two of its networks have the same addresses,
// and one zone of connection tracking is enough.
import { familyOf } from "../../model/address.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { type Segment, segmentsOf } from "../world/layout.ts";
import type { World } from "../world/world.ts";
import { connectionLimitChain } from "./connectionLimit.ts";
import {
  ASKED,
  FAMILIES,
  IP,
  MADE_UP,
  NO_TUNNEL_FROM_VRFS,
  OF_GATEWAY,
  REJECT,
  chain,
  hex,
  oneOf,
} from "./tableParts.ts";

/** Of the host's table: lines of base chains that others have, too, and chains of their own. */
export type HostBridges = {
  /** In nft's words: what comes from one of the bridges. */
  readonly from: string;
  readonly forward: readonly string[];
  readonly input: readonly string[];
  /** Connections whose ports have to be chosen beside those of tunnels: what is to be masqueraded. */
  readonly hidden: readonly string[];
  readonly chains: string;
};

type Place = { readonly network: Network; readonly segment: Segment };

/** What the VRF's own lines need of the uplink filter: where workloads may ask for names, and where they may not go. */
export type Reach = { readonly resolvers: readonly string[]; readonly closed: readonly string[] };

/** `networks`: those of the VRF that this host has; undefined without any. */
export function hostBridges(
  world: World,
  vrf: Vrf,
  networks: readonly Network[],
  { resolvers, closed }: Reach,
): HostBridges | undefined {
  const places = networks.flatMap((network) =>
    segmentsOf(vrf, network, world.self, []).map((segment): Place => ({ network, segment })),
  );
  if (places.length === 0) return undefined;
  const names = places.map(({ segment }) => `"${segment.bridge}"`).sort();
  const bridges = oneOf(names);
  const [from, to, notTo] = [`iifname ${bridges}`, `oifname ${bridges}`, `oifname != ${bridges}`];
  const all = world.networks.get(vrf.name) ?? [];
  const isOpen = vrf.spec.hostAccess;
  const leaving = chain("from_bridges", [
    `${to} goto counted`,
    NO_TUNNEL_FROM_VRFS,
    MADE_UP,
    ...ASKED,
    ...rejectedInside(all),
    ...unhidden(networks),
    ...resolvers.map((line) => `${line} goto counted`),
    ...(isOpen ? [] : closed),
    "goto counted",
  ]);
  const coming = chain("to_bridges", [
    // A bit that says that the host itself sent it (see below) is another program's here.
    `meta mark set meta mark & ${hex(~OF_GATEWAY)}`,
    "ct state related accept",
    ...ASKED,
    "drop",
  ]);
  return {
    from,
    forward: [`iifname != ${bridges} ${to} goto to_bridges`],
    input: [`${from} goto bridges_at_host`],
    hidden: [
      ...FAMILIES.flatMap((family) =>
        subnetsOf(
          networks.filter(({ spec }) => spec.masquerade),
          family,
        ).map((some) => `${from} ${notTo} ${IP[family]} saddr ${some}`),
      ),
      `${from} ${notTo} ct status dnat`,
      // Back to the segment that it came from: its answer would not pass by here.
      `iifname . oifname ${oneOf(names.map((name) => `${name} . ${name}`))} ct status dnat`,
    ],
    chains:
      connectionLimitChain(networks) +
      isolated(places) +
      leaving +
      coming +
      chain("bridges_at_host", atHost(places, isOpen, resolvers)) +
      chain("errors", gatewayOutput(to)),
  };
}

/** What is sent to the host's own sockets. With `hostAccess` as much as the host's own filters let in. */
function atHost(places: readonly Place[], isOpen: boolean, resolvers: readonly string[]): string[] {
  return [
    NO_TUNNEL_FROM_VRFS,
    // The host takes no routes or addresses from a segment of workloads.
    "icmpv6 type { nd-router-advert, nd-redirect } drop",
    "icmp type redirect drop",
    ...FAMILIES.flatMap((family) => {
      const bare = places.filter(({ segment }) => !hasAddress(segment, family) && !hasOwn(segment, family));
      const names = bare.map(({ segment }) => `"${segment.bridge}"`).sort();
      const link = family === 6 ? "ip6 daddr != { fe80::/10, ff00::/8 } " : "";
      return names.length === 0 ? [] : [`iifname ${oneOf(names)} meta nfproto ipv${family} ${link}drop`];
    }),
    MADE_UP,
    ...ASKED,
    ...(isOpen ? ["goto counted"] : closedAtHost(places, resolvers)),
  ];
}

function closedAtHost(places: readonly Place[], resolvers: readonly string[]): string[] {
  const toGateways = (family: 4 | 6) => {
    const keys = places.flatMap(({ segment }) =>
      segment.gateways
        .filter((cidr) => familyOf(cidr) === family)
        .map((cidr) => `"${segment.bridge}" . ${cidr.slice(0, cidr.indexOf("/"))}`),
    );
    return keys.length === 0 ? [] : [`iifname . ${IP[family]} daddr ${oneOf(keys.sort())}`];
  };
  const ping = { 4: "icmp type echo-request", 6: "icmpv6 type echo-request" } as const;
  return [
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
    ...FAMILIES.flatMap((family) => toGateways(family).map((which) => `${which} ${ping[family]} accept`)),
    ...onSegment(places),
    ...resolvers.map((line) => `${line} goto counted`),
    REJECT,
  ];
}

/**
 * Where the host has an address of its own it is a machine on the segment: by all addresses that the bridge has, also
 * those that other programs of the host put there (virtual IPs), and by what goes to many. Not by its other addresses.
 */
function onSegment(places: readonly Place[]): string[] {
  const own = places.filter(({ segment }) => segment.own !== undefined);
  const names = own.map(({ segment }) => `"${segment.bridge}"`).sort();
  return names.length === 0
    ? []
    : [`iifname ${oneOf(names)} fib daddr . iif type { local, broadcast, multicast } goto counted`];
}

function hasAddress({ gateways }: Segment, family: 4 | 6): boolean {
  return gateways.some((cidr) => familyOf(cidr) === family);
}

function hasOwn({ own = [] }: Segment, family: 4 | 6): boolean {
  return own.some((cidr) => familyOf(cidr) === family);
}

/**
 * A segment without a gateway leads nowhere (as in firewall.ts). What stays on the segment is not routed, though with
 * br_netfilter the hooks of IP see it, coming from and going to the bridge.
 */
function isolated(places: readonly Place[]): string {
  const drops = FAMILIES.flatMap((family) =>
    places
      .filter(({ network }) => prefixesOf(network.spec).some((cidr) => familyOf(cidr) === family))
      .filter(({ segment }) => !hasAddress(segment, family))
      .map(({ segment: { bridge } }) => `meta nfproto ipv${family} iifname "${bridge}" oifname != "${bridge}" drop`)
      .sort(),
  );
  return drops.length === 0
    ? ""
    : chain("isolated", ["type filter hook forward priority filter - 1; policy accept;", ...drops]);
}

/** Addresses of the VRF that this host has no way to. */
function rejectedInside(all: readonly Network[]): string[] {
  return [
    ...subnetsOf(all, 4).map((subnets) => `ip daddr ${subnets} reject with icmp net-unreachable`),
    ...subnetsOf(all, 6).map((subnets) => `ip6 daddr ${subnets} reject with icmpv6 no-route`),
  ];
}

/** Nothing leaves with a source that is not hidden: the host's own network could not answer it. */
function unhidden(networks: readonly Network[]): string[] {
  const hidden = networks.filter(({ spec }) => spec.masquerade);
  return FAMILIES.map((family) => {
    const [some] = subnetsOf(hidden, family);
    const source = some === undefined ? `meta nfproto ipv${family}` : `${IP[family]} saddr != ${some}`;
    return `${source} ${REJECT}`;
  });
}

/**
 * Errors that the host itself sends pass the groups of the endpoint that they go to (groups.ts). One bit of the mark
 * says so; the others are the host's. What programs of the host send is judged by groups, like what others send.
 */
function gatewayOutput(to: string): string[] {
  const mark = `meta mark set meta mark | ${hex(OF_GATEWAY)}`;
  return [
    "type filter hook output priority filter; policy accept;",
    `${to} meta mark & ${hex(OF_GATEWAY)} != 0 meta mark set meta mark & ${hex(~OF_GATEWAY)}`,
    `${to} icmp type { destination-unreachable, time-exceeded, parameter-problem } ${mark}`,
    `${to} icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } ${mark}`,
  ];
}

/** Subnets of one family as a set without a name; none if there are none. */
function subnetsOf(networks: readonly Network[], family: 4 | 6): string[] {
  const subnets = networks
    .flatMap((network) => prefixesOf(network.spec))
    .filter((cidr) => familyOf(cidr) === family)
    .sort();
  return subnets.length === 0 ? [] : [oneOf(subnets)];
}
