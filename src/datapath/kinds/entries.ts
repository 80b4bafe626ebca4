// Entries: what is on a link, and goes with it.
import { type Ns, type Shell, WEFT_PROTOCOL, defineKind } from "./kind.ts";

type Entry = { readonly ns: Ns; readonly dev: string };

/**
 * A token bucket as the queue of a link, at the root, with a handle of TBF_HANDLES: `rate` bytes per second in the long
 * run, `burst` bytes at once, `limit` bytes may wait. With `peak`, a burst goes at that rate, in pieces of its `burst`
 * bytes. Sizes of buckets are ones that the kernel can keep exactly (network/shaping.ts, wholeTicks).
 */
export type Tbf = Entry & {
  readonly kind: "tbf";
  readonly rate: number;
  readonly burst: number;
  readonly limit: number;
  readonly peak?: { readonly rate: number; readonly burst: number };
};

/**
 * Sends everything that comes in on a link to an ifb instead: an ingress queue with one filter of priority
 * REDIRECT_PRIORITY. `to` is empty if the ifb is gone; then nothing comes in.
 */
export type Redirect = Entry & { readonly kind: "redirect"; readonly to: string };

/**
 * The kernel writes the checksums of packets before they enter a tunnel, and leaves none to the device that carries the
 * tunnel. The kernel's default is that nothing says so, and that device writes them.
 */
export type Checksums = Entry & { readonly kind: "checksums" };

/** `cidr` is address/length with the host bits kept. IPv6 without duplicate address detection. */
export type Address = Entry & { readonly kind: "address"; readonly cidr: string };

/** A permanent neighbour: address to MAC, ARP and ND alike. */
export type Neighbour = Entry & { readonly kind: "neighbour"; readonly ip: string; readonly mac: string };

/**
 * A neighbour on a link of the host's own: the next hop towards a peer or the server. The kernel finds its MAC and
 * keeps it, also when its table is full (`extern_learn`, `managed`); with our protocol number, because the link is not
 * ours.
 */
export type Hop = Entry & { readonly kind: "hop"; readonly ns: "host"; readonly ip: string };

/**
 * A MAC and the host behind it. Permanent, on the VXLAN device itself. The all-zero MAC is the flood list, one entry
 * per host.
 */
export type Fdb = Entry & { readonly kind: "fdb"; readonly mac: string; readonly dst: string };

/**
 * An entry of a bridge: this MAC is behind that port, whatever frames say. Static and sticky. `loose`: as seen where
 * frames could move it, which is never wanted.
 */
export type BridgeFdb = Entry & { readonly kind: "bridge-fdb"; readonly mac: string; readonly loose?: true };

/**
 * A device of the host's own as a port of a bridge of ours. We tell it from one that another made a port by its
 * priority (PORT_PRIORITY), and leave everything else of it as it is.
 */
export type Port = Entry & {
  readonly kind: "port";
  readonly ns: "host";
  readonly master: string;
  readonly macs: "flooded";
};

/**
 * The far end of a pair of ours as a port of a bridge in the host's namespace, which may be another program's: of the
 * bridge itself nothing is said.
 */
export type Plug = Entry & { readonly kind: "plug"; readonly ns: "host"; readonly master: string };

/**
 * A unicast route of the main table, of our protocol number and metric. `dst` is canonical. `onlink` routes have a
 * gateway that no connected route covers.
 */
export type Route = Entry & {
  readonly kind: "route";
  readonly dst: string;
  readonly via?: string;
  readonly onlink: boolean;
  readonly src?: string;
  /** Largest packet that is sent by it, if that is less than its link takes. */
  readonly mtu?: number;
  /** Only of a route that has another, as earlier builds made them in IPv4: never wanted. */
  readonly metric?: number;
};

/**
 * Major numbers of our queues (`tc` shows `7766:`), which tell them from others'. Two, because a queue is replaced by
 * one of another number.
 */
export const TBF_HANDLES = [0x7766, 0x7767] as const;

/** The priority of our filters, which tells them from others'. */
export const REDIRECT_PRIORITY = 87;

/** Of a port of a bridge in the spanning tree: the last choice. A bridge gives 32. */
export const PORT_PRIORITY = 63;

export const FLOOD_MAC = "00:00:00:00:00:00";

export const DEFAULT_ROUTE = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/**
 * Metric of every route of ours (rtm priority): what the kernel gives an IPv6 route without one. A route that a
 * workload or host has from another program (metric 0 in IPv4) wins over it, and neither is refused because of the
 * other.
 */
export const WEFT_ROUTE_METRIC = 1024;

/** `tc` writes rates in bits per second and sizes in bytes. */
function bucketLine(verb: "add" | "change", { dev, rate, burst, limit, peak }: Tbf, { tc }: Shell): string {
  const more = peak === undefined ? "" : ` peakrate ${peak.rate * 8}bit mtu ${peak.burst}`;
  const bucket = `tbf rate ${rate * 8}bit burst ${burst} limit ${limit}${more}`;
  return `${tc} qdisc ${verb} dev ${dev} root handle ${TBF_HANDLES[0].toString(16)}: ${bucket}`;
}

function addRedirect({ dev, to }: Redirect, { tc }: Shell): readonly string[] {
  return [
    `${tc} qdisc add dev ${dev} ingress`,
    `${tc} filter add dev ${dev} parent ffff: protocol all prio ${REDIRECT_PRIORITY}` +
      ` u32 match u32 0 0 action mirred egress redirect dev ${to}`,
  ];
}

function removeRedirect({ dev }: Redirect, { tc }: Shell): readonly string[] {
  return [`${tc} qdisc delete dev ${dev} ingress`];
}

function routeWords({ dst, via, dev, onlink, src, mtu, metric = WEFT_ROUTE_METRIC }: Route): string {
  const gateway = via === undefined ? "" : ` via ${via}`;
  const how = `${onlink ? " onlink" : ""}${src === undefined ? "" : ` src ${src}`}`;
  const place = dst === DEFAULT_ROUTE[4] ? "default" : dst;
  const size = mtu === undefined ? "" : ` mtu ${mtu}`;
  return `${place}${gateway} dev ${dev}${how} proto ${WEFT_PROTOCOL} metric ${metric}${size}`;
}

export const ENTRY_KINDS = {
  checksums: defineKind<Checksums>({
    role: "entry",
    // Before anything is sent into the tunnel.
    layer: 5.3,
    key: ({ ns, dev }) => `checksums ${ns} ${dev}`,
    add: ({ dev }, { inside }) => [`${inside}ethtool -K ${dev} tx-checksum-ip-generic off`],
    remove: ({ dev }, { inside }) => [`${inside}ethtool -K ${dev} tx-checksum-ip-generic on`],
  }),
  tbf: defineKind<Tbf>({
    role: "entry",
    layer: 5.4,
    key: ({ ns, dev }) => `tbf ${ns} ${dev}`,
    add: (o, shell) => [bucketLine("add", o, shell)],
    set: (_, to, shell) => [bucketLine("change", to, shell)],
    remove: ({ dev }, { tc }) => [`${tc} qdisc delete dev ${dev} root`],
  }),
  redirect: defineKind<Redirect>({
    role: "entry",
    layer: 5.6,
    // Before the shaper goes that it leads to: frames redirected to nowhere are lost.
    removal: () => -20,
    key: ({ ns, dev }) => `redirect ${ns} ${dev}`,
    add: addRedirect,
    set: (from, to, shell) => [...removeRedirect(from, shell), ...addRedirect(to, shell)],
    remove: removeRedirect,
  }),
  port: defineKind<Port>({
    role: "entry",
    layer: 5.8,
    // Before its bridge goes.
    removal: () => -21,
    key: ({ dev }) => `port ${dev}`,
    add: ({ dev, master }, { ip }) => [
      `${ip} link set ${dev} master ${master}`,
      `${ip} link set ${dev} type bridge_slave priority ${PORT_PRIORITY} learning on flood on`,
    ],
    remove: ({ dev }, { ip }) => [`${ip} link set ${dev} nomaster`],
  }),
  plug: defineKind<Plug>({
    role: "entry",
    layer: 5.9,
    key: ({ dev }) => `plug ${dev}`,
    add: ({ dev, master }, { ip }) => [`${ip} link set ${dev} master ${master}`],
    remove: ({ dev }, { ip }) => [`${ip} link set ${dev} nomaster`],
  }),
  address: defineKind<Address>({
    role: "entry",
    layer: 6,
    key: ({ ns, dev, cidr }) => `address ${ns} ${dev} ${cidr}`,
    add: ({ cidr, dev }, { ip }) => [`${ip} address add ${cidr} dev ${dev}${cidr.includes(":") ? " nodad" : ""}`],
    remove: ({ cidr, dev }, { ip }) => [`${ip} address delete ${cidr} dev ${dev}`],
  }),
  neighbour: defineKind<Neighbour>({
    role: "entry",
    layer: 7,
    key: ({ ns, dev, ip }) => `neighbour ${ns} ${dev} ${ip}`,
    add: (o, { ip }) => [`${ip} neigh replace ${o.ip} lladdr ${o.mac} dev ${o.dev} nud permanent`],
    remove: (o, { ip }) => [`${ip} neigh delete ${o.ip} dev ${o.dev}`],
  }),
  hop: defineKind<Hop>({
    role: "entry",
    layer: 7,
    key: ({ dev, ip }) => `hop ${dev} ${ip}`,
    add: (o, { ip }) => [`${ip} neigh add ${o.ip} dev ${o.dev} managed extern_learn protocol ${WEFT_PROTOCOL}`],
    remove: (o, { ip }) => [`${ip} neigh delete ${o.ip} dev ${o.dev}`],
  }),
  fdb: defineKind<Fdb>({
    role: "entry",
    layer: 7,
    // Flood entries are a set (one per remote VTEP); a unicast MAC lives behind exactly one VTEP and may move.
    key: ({ ns, dev, mac, dst }) => (mac === FLOOD_MAC ? `fdb ${ns} ${dev} ${mac} ${dst}` : `fdb ${ns} ${dev} ${mac}`),
    add: ({ dev, mac, dst }, { bridge }) => [
      `${bridge} fdb ${mac === FLOOD_MAC ? "append" : "replace"} ${mac} dev ${dev} dst ${dst} self permanent`,
    ],
    remove: ({ dev, mac, dst }, { bridge }) => [`${bridge} fdb delete ${mac} dev ${dev} dst ${dst} self`],
  }),
  "bridge-fdb": defineKind<BridgeFdb>({
    role: "entry",
    layer: 7,
    key: ({ ns, dev, mac }) => `bridge-fdb ${ns} ${dev} ${mac}`,
    add: ({ dev, mac }, { bridge }) => [`${bridge} fdb replace ${mac} dev ${dev} master static sticky`],
    remove: ({ dev, mac }, { bridge }) => [`${bridge} fdb delete ${mac} dev ${dev} master`],
  }),
  route: defineKind<Route>({
    role: "entry",
    layer: 8,
    key: ({ ns, dst, dev, metric }) => `route ${ns} ${dst} ${dev}${metric === undefined ? "" : ` metric ${metric}`}`,
    // The kernel has one route per destination and metric. One of another metric goes after its successor has come, so
    // that there is a route at every moment.
    slot: ({ ns, dst, metric = WEFT_ROUTE_METRIC }) => `${ns} ${dst} ${metric}`,
    add: (o, { ip }) => [`${ip} route add ${routeWords(o)}`],
    set: (_, to, { ip }) => [`${ip} route replace ${routeWords(to)}`],
    remove: (o, { ip }) => [`${ip} route delete ${routeWords(o)}`],
  }),
};
