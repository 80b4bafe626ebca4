// The link plan: the links of one host as its configuration files say them, whatever the format. Readers make one,
// writers print one. Defaults of a format are filled in by its reader, so that two plans can be compared.

/** Where something stands in a file. */
export type Position = { readonly file: string; readonly line: number };

export type Positions = ReadonlyMap<string, Position>;

/** A unicast route by a link. `to` is a network; `0.0.0.0/0` and `::/0` are the default routes. */
export type PlanRoute = {
  readonly to: string;
  readonly via?: string;
  /** The gateway is reached directly, although no address of the link covers it. */
  readonly onlink?: true;
  readonly source?: string;
  readonly metric?: number;
};
/** A permanent neighbour of a link. */
export type PlanNeighbour = { readonly ip: string; readonly mac: string };

type Common = {
  readonly name: string;
  readonly at: Position;
  /** Where each field was said, by its name; one of several as `addresses 10.0.0.1/24`. */
  readonly where?: Positions;
  /** Undefined: as the kernel chooses. */
  readonly mtu?: number;
  readonly mac?: string;
  /** The bridge that it is a port of. */
  readonly master?: string;
  /** As a port: frames of one isolated port never go on to another, as between tunnels to several hosts. */
  readonly isolated?: true;
  /** Of a tunnel: the kernel writes checksums before packets enter it (`ethtool -K tx-checksum-ip-generic off`). */
  readonly offload?: false;
  /** With their prefix length, host bits kept. */
  readonly addresses: readonly string[];
  readonly routes: readonly PlanRoute[];
  readonly neighbours: readonly PlanNeighbour[];
};

/** A device that the files do not make: a network card, a bond, anything named by others alone. */
type NicLink = Common & { readonly kind: "nic" };

export type BridgeLink = Common & {
  readonly kind: "bridge";
  readonly stp: boolean;
  /** Seconds. */
  readonly forwardDelay: number;
};

export type VxlanLink = Common & {
  readonly kind: "vxlan";
  readonly vni: number;
  readonly port: number;
  readonly learning: boolean;
  /** Multicast group that broadcasts go to; needs `dev`. */
  readonly group?: string;
  /** Head-end replication: a copy of each broadcast goes to each of these. */
  readonly remotes: readonly string[];
  /** Hosts behind MACs that are known beforehand. */
  readonly fdb: readonly { readonly mac: string; readonly dst: string }[];
  readonly local?: string;
  readonly dev?: string;
  /** Undefined: as the kernel chooses, which is 1 for a group. */
  readonly ttl?: number;
};

/** gretap, or ip6gretap if its addresses are IPv6 (without an encapsulation limit then). */
type GretapLink = Common & {
  readonly kind: "gretap";
  readonly local: string;
  readonly remote: string;
  readonly key?: number;
  readonly ttl?: number;
  readonly dev?: string;
};

export type VlanLink = Common & {
  readonly kind: "vlan";
  readonly parent: string;
  readonly id: number;
  /** 802.1ad: the outer tag of two. */
  readonly outer: boolean;
};

export type PlanLink = NicLink | BridgeLink | VxlanLink | GretapLink | VlanLink;
export type LinkPlan = { readonly links: readonly PlanLink[] };

/** Where a field was said; of one that was not, where the link was made, or first named. */
export function saidAt(said: { readonly at: Position; readonly where?: Positions }, field: string): Position {
  return said.where?.get(field) ?? said.where?.get("kind") ?? said.at;
}

/** The devices that a link needs before it can be made. */
export function needsOf(link: PlanLink): readonly string[] {
  if (link.kind === "vlan") return [link.parent];
  return (link.kind === "vxlan" || link.kind === "gretap") && link.dev !== undefined ? [link.dev] : [];
}

/** Whether the plan only mentions the device: no file has to say anything of it. */
export function isBare(link: PlanLink): boolean {
  const { kind, mtu, mac, master, addresses, routes, neighbours } = link;
  return (
    kind === "nic" &&
    [mtu, mac, master].every((value) => value === undefined) &&
    [addresses, routes, neighbours].every((list) => list.length === 0)
  );
}

/** Parents before what stands on them, ports before their bridges; otherwise in the order of the plan. */
export function inOrder({ links }: LinkPlan): readonly PlanLink[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  const placed = new Set<PlanLink>();
  const place = (link: PlanLink, depth: number): void => {
    if (placed.has(link) || depth > links.length) return;
    const ports = link.kind === "bridge" ? links.filter(({ master }) => master === link.name) : [];
    for (const need of [...needsOf(link).flatMap((name) => byName.get(name) ?? []), ...ports]) place(need, depth + 1);
    placed.add(link);
  };
  for (const link of links) place(link, 0);
  return [...placed];
}

/** The ports of a bridge, in the order of the plan. */
export function portsOf({ links }: LinkPlan, bridge: string): readonly PlanLink[] {
  return links.filter(({ master }) => master === bridge);
}
