// The networks in a link plan: each bridge, and each link with addresses and no bridge, is one segment, and what leads
// out of it to other hosts is its way. What no network of Weft can be becomes a note with its line.
import { FORWARD_DELAY } from "../datapath/kinds/links.ts";
import type { LinkPlan, Positions, PlanLink, Position, VlanLink, VxlanLink } from "./plan.ts";
import { needsOf, saidAt, portsOf } from "./plan.ts";
import { type Reading, note } from "./reading.ts";

/** How frames cross between hosts. `device`: the host's that leads to the physical network; `name`: what is on it. */
type Way =
  | ({ readonly driver: "vxlan"; readonly name: string } & Pick<
      VxlanLink,
      "vni" | "port" | "group" | "ttl" | "dev" | "remotes" | "local"
    >)
  | { readonly driver: "gre"; readonly vni: number; readonly remotes: readonly string[]; readonly local: string }
  | {
      readonly driver: "vlan";
      readonly name: string;
      readonly device: string;
      readonly vlan: number;
      readonly outerVlan?: number;
    }
  | { readonly driver: "bridge"; readonly device?: string };

export type Segment = {
  readonly at: Position;
  /** Of its bridge's fields, and of those of what leads out. */
  readonly where: Positions;
  /** Of its bridge, or of the link that has the addresses itself. */
  readonly name: string;
  readonly isBridge: boolean;
  readonly way: Way;
  readonly addresses: readonly string[];
  readonly mtu?: number;
  readonly offload?: "off";
  readonly stp: boolean;
  readonly forwardDelay: number;
};

export function segmentsOf(plan: LinkPlan, reading: Reading): readonly Segment[] {
  const carried = new Set(plan.links.flatMap(needsOf));
  const own: PlanLink[] = [];
  const segments = plan.links.flatMap((link): Segment | readonly Segment[] => {
    sayEntries(link, reading);
    if (link.kind === "bridge") return bridgeSegment(plan, link, reading) ?? [];
    if (link.master !== undefined) return sayPort(link, reading) ?? [];
    if (link.kind === "nic") own.push(link);
    else if (link.addresses.length > 0) return bareSegment(plan, link, reading) ?? [];
    else if (!carried.has(link.name))
      note(reading, link.at, link.name, "no bridge and no address uses it: not imported");
    return [];
  });
  for (const { name, at, addresses } of own)
    if (addresses.length > 0 || !carried.has(name))
      note(reading, at, name, "it stays as it is: the host's own interface");
  return segments;
}

type BridgeLink = Extract<PlanLink, { kind: "bridge" }>;

function bridgeSegment(plan: LinkPlan, link: BridgeLink, reading: Reading): Segment | undefined {
  const { name, at, mtu, addresses, stp, forwardDelay } = link;
  const ports = portsOf(plan, name);
  const way = wayOf(plan, ports);
  if (typeof way === "string") return note(reading, at, name, way);
  sayWay(ports, reading);
  // A bridge has the MTU of its port unless it was set.
  const least = mtu ?? ports.find((port) => port.mtu !== undefined)?.mtu;
  const size = least === undefined ? {} : { mtu: least };
  const switches = offloadOf(ports);
  const where = new Map([link, ...ports].flatMap((each) => [...(each.where ?? [])]));
  return { at, where, name, isBridge: true, way, addresses, stp, forwardDelay, ...size, ...switches };
}

/** In Weft the host's address is on a bridge, which the network has in any case. */
function bareSegment(plan: LinkPlan, link: PlanLink, reading: Reading): Segment | undefined {
  const { name, at, where = new Map(), mtu, addresses } = link;
  const way = wayOf(plan, [link]);
  if (typeof way === "string") return note(reading, at, name, way);
  sayWay([link], reading);
  note(reading, at, name, "its addresses will be on the network's bridge");
  const size = mtu === undefined ? {} : { mtu };
  const switches = { stp: false, forwardDelay: FORWARD_DELAY, ...offloadOf([link]) };
  return { at, where, name, isBridge: false, way, addresses, ...switches, ...size };
}

/** A network has one for all its tunnels: if one of them needs it, off is right for all. */
function offloadOf(ports: readonly PlanLink[]): Pick<Segment, "offload"> {
  return ports.some(({ offload }) => offload === false) ? { offload: "off" } : {};
}

/** What leads out through these ports; a text says why no network can be that. */
function wayOf(plan: LinkPlan, ports: readonly PlanLink[]): Way | string {
  const [port, ...others] = ports;
  if (port === undefined) return { driver: "bridge" };
  if (port.kind === "gretap") return greWay(ports);
  if (others.length > 0) return `it has several ports (${ports.map(({ name }) => name).join(", ")}); a network has one`;
  switch (port.kind) {
    case "vxlan": {
      const { name, vni, port: udp, group, ttl, dev, remotes, local } = port;
      const how = { name, vni, port: udp, remotes };
      return { driver: "vxlan", ...how, ...given({ group, ttl, dev, local }) };
    }
    case "nic":
      return { driver: "bridge", device: port.name };
    case "vlan":
      return vlanWay(plan, port);
    case "bridge":
      return `its port ${port.name} is a bridge`;
  }
}

/** Optional members that are there. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}

function greWay(ports: readonly PlanLink[]): Way | string {
  const tunnels = ports.flatMap((port) => (port.kind === "gretap" ? [port] : []));
  const [first] = tunnels;
  if (first === undefined || tunnels.length < ports.length)
    return "it has GRE tunnels and other ports; a network has one kind";
  const { key, local } = first;
  if (key === undefined || key === 0) return `${first.name} has no key, and GRE networks of Weft have one`;
  if (tunnels.some((tunnel) => tunnel.key !== key)) return "its GRE tunnels have several keys; a network has one";
  return { driver: "gre", vni: key, local, remotes: tunnels.map(({ remote }) => remote) };
}

/** On a device of the host, or on a VLAN on one: then that is the outer tag. */
function vlanWay({ links }: LinkPlan, { name: own, id, parent, outer }: VlanLink): Way | string {
  const below = links.find(({ name }) => name === parent);
  if (below?.kind === "vlan") {
    const device = links.find(({ name }) => name === below.parent);
    if (device?.kind === "nic")
      return { driver: "vlan", name: own, device: device.name, vlan: id, outerVlan: below.id };
  }
  if (below?.kind !== "nic") return `${parent}, which its VLAN is on, is no device of the host's own`;
  if (outer) return "a network has 802.1ad only around a second tag";
  return { driver: "vlan", name: own, device: parent, vlan: id };
}

/** What of the ports Weft decides itself, or has nothing for. */
function sayWay(ports: readonly PlanLink[], reading: Reading): void {
  for (const link of ports) {
    const say = (field: string, text: string, why: string) =>
      note(reading, saidAt(link, field), `${link.name}: ${text}`, why);
    if (link.kind === "gretap" && link.ttl !== undefined)
      say("ttl", `ttl ${link.ttl}`, "Weft's GRE packets have a TTL of 64");
    if (link.kind !== "vxlan") continue;
    if (link.group !== undefined && !link.learning)
      say("learning", "learning is off", "with a group, hosts learn which host has a MAC");
    if (link.group === undefined && link.ttl !== undefined)
      say("ttl", `ttl ${link.ttl}`, "only networks with a group have one");
    if (link.group === undefined && link.dev !== undefined)
      say("dev", `dev ${link.dev}`, "tunnels to single hosts cross where each host's underlay address is");
    if (link.fdb.length > 0) say("fdb", "MACs of other hosts", "Weft knows them itself");
  }
}

function sayPort(link: PlanLink, reading: Reading): undefined {
  for (const address of link.addresses)
    note(
      reading,
      saidAt(link, `addresses ${address}`),
      `${link.name}: ${address}`,
      "the address of a port is not imported",
    );
}

function sayEntries(link: PlanLink, reading: Reading): void {
  const { name, routes, neighbours } = link;
  for (const { to } of routes)
    note(reading, saidAt(link, `routes ${to}`), `${name}: route to ${to}`, "routes stay the host's own: not imported");
  for (const { ip } of neighbours)
    note(reading, saidAt(link, `neighbours ${ip}`), `${name}: neighbour ${ip}`, "Weft knows neighbours itself");
}
