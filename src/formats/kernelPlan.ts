// The link plan of one network on one host, from the desired kernel state: what Weft would make there, as far as files
// can keep it without an agent. Left out is what follows the endpoints (ports, their MACs and neighbours, tables):
// without an agent it would be wrong the next minute, so devices learn instead.
import { compile } from "../datapath/compile.ts";
import type { KernelObject, ObjectOf } from "../datapath/kinds.ts";
import { FLOOD_MAC } from "../datapath/kinds/entries.ts";
import { FORWARD_DELAY } from "../datapath/kinds/links.ts";
import { alias } from "../datapath/state/names.ts";
import { defined } from "../model/defined.ts";
import type { Network, Snapshot } from "../model/resource.ts";
import { contains, firstOf, parseCidr } from "../model/address.ts";
import { ALL_HOSTS } from "../model/carrying.ts";
import { GRE_TTL } from "../datapath/kinds/gre.ts";
import { type LinkPlan, type PlanLink, type PlanRoute, type Position, needsOf } from "./plan.ts";

/** The compiled state of a host as this file reads it. */
type Objects = readonly KernelObject[];
type Device = Exclude<PlanLink, { kind: "nic" }>;

/**
 * The links of a network on a host, whether or not it has endpoints there; none if no such host has it. Remote hosts
 * are all that may have it: files are written once, and endpoints come later.
 */
export function networkPlan(snapshot: Snapshot, network: Network, host: string): LinkPlan {
  const everywhere: Network = { ...network, spec: { ...network.spec, hosts: network.spec.hosts ?? [ALL_HOSTS] } };
  const networks = snapshot.networks.map((one) => (one.name === network.name ? everywhere : one));
  const objects: Objects = [...compile({ ...snapshot, networks }, host).values()];
  const at = { file: `network/${network.name}`, line: 1 };
  const bridges = objects.filter((o) => o.kind === "bridge" && isOf(network.name, o.alias));
  const tunnels = objects.filter(isTunnel).filter((o) => isIn(o, network, bridges));
  // An outer VLAN is the device of the inner one.
  const below = objects.filter((o) => o.kind === "vlan" && tunnels.some((t) => t.kind === "vlan" && t.link === o.name));
  const links = [...below, ...tunnels, ...bridges].flatMap((o) => linkOf(objects, o, network, at));
  const ports = objects.flatMap((o) => (o.kind === "port" ? portOf(o, bridges, at) : []));
  return { links: [...parentsOf(links, at), ...ports, ...links] };
}

type Tunnel = ObjectOf<"vxlan" | "gretap" | "ip6gretap" | "vlan">;

function isTunnel(o: KernelObject): o is Tunnel {
  return o.kind === "vxlan" || o.kind === "gretap" || o.kind === "ip6gretap" || o.kind === "vlan";
}

/** A bridge of the network, or of one of its slices. */
function isOf(network: string, mark: string): boolean {
  return mark === alias("network", network) || mark.startsWith(alias("network", `${network}/`));
}

/** A port of the network's bridge; of a routed network, what the whole VRF is routed through. */
function isIn({ ns, master, alias: mark }: Tunnel, { spec }: Network, bridges: Objects): boolean {
  if (master !== undefined) return bridges.some((o) => o.kind === "bridge" && o.ns === ns && o.name === master);
  return spec.ipam === "local" && mark === alias("vrf", spec.vrf);
}

function linkOf(objects: Objects, o: KernelObject, network: Network, at: Position): readonly Device[] {
  if (o.kind === "bridge") {
    const { name, mtu, mac, stp = false, forwardDelay = FORWARD_DELAY } = o;
    return [{ kind: "bridge", name, at, mtu, mac, ...onLink(objects, o, network), stp, forwardDelay }];
  }
  if (o.kind === "vxlan") return [vxlanOf(objects, o, network, at)];
  if (o.kind === "vlan") {
    const { name, mtu, link: parent, id, isOuter: outer = false } = o;
    return [{ kind: "vlan", name, at, mtu, ...defined({ master: o.master }), ...NOTHING, parent, id, outer }];
  }
  if (o.kind !== "gretap" && o.kind !== "ip6gretap") return [];
  const { name, mtu, master, local, remote, key } = o;
  // Tunnels to several hosts in one bridge are one full mesh, through which frames must not go round.
  const port = master === undefined ? { mac: o.mac } : { master, isolated: true as const };
  return [{ kind: "gretap", name, at, mtu, ...port, ...onLink(objects, o, network), local, remote, key, ttl: GRE_TTL }];
}

function vxlanOf(objects: Objects, o: ObjectOf<"vxlan">, network: Network, at: Position): Device {
  const { name, mtu, master, vni, local, port, group } = o;
  const entries = objects.flatMap((e) => (e.kind === "fdb" && isOn(e, o) ? [e] : []));
  const remotes = entries.filter(({ mac }) => mac === FLOOD_MAC).map(({ dst }) => dst);
  const isSwitched = master !== undefined;
  return {
    kind: "vxlan",
    name,
    at,
    mtu,
    // A peer's neighbour entry names it where packets are routed into the tunnel.
    ...defined({ mac: isSwitched ? undefined : o.mac, master }),
    ...onLink(objects, o, network),
    vni,
    port,
    local,
    ...defined({ group: group?.address, dev: group?.dev, ttl: group?.ttl }),
    learning: isSwitched,
    remotes,
    fdb: isSwitched ? [] : entries.map(({ mac, dst }) => ({ mac, dst })),
  };
}

type OnLink = Pick<PlanLink, "addresses" | "routes" | "neighbours" | "offload">;

const NOTHING: OnLink = { addresses: [], routes: [], neighbours: [] };

/** Addresses of a link; where packets are routed through it, routes to the network's blocks, and the next hops. */
function onLink(objects: Objects, link: KernelObject & { readonly name: string }, network: Network): OnLink {
  const mine = objects.filter((o) => isOn(o, link));
  const addresses = mine.flatMap((o) => (o.kind === "address" ? [o.cidr] : []));
  if (link.kind === "bridge") return { addresses, routes: [], neighbours: [] };
  return {
    ...(mine.some((o) => o.kind === "checksums") ? { offload: false } : {}),
    addresses,
    routes: mine.flatMap((o) => (o.kind === "route" && isWanted(o, network) ? [routeOf(o)] : [])),
    neighbours: mine.flatMap((o) => (o.kind === "neighbour" ? [{ ip: o.ip, mac: o.mac }] : [])),
  };
}

function isOn(o: KernelObject, { ns, name }: { readonly ns: string; readonly name: string }): boolean {
  return "dev" in o && o.ns === ns && o.dev === name;
}

/** Blocks of the network, and single addresses of next hops; not blocks of other networks of the VRF. */
function isWanted({ dst, via }: ObjectOf<"route">, { spec }: Network): boolean {
  if (via === undefined) return true;
  const first = firstOf(parseCidr(dst, "dst"));
  return spec.subnets.some(({ cidr }) => contains(parseCidr(cidr, "cidr"), first));
}

function routeOf({ dst: to, via, onlink, src: source }: ObjectOf<"route">): PlanRoute {
  return { to, ...defined({ via, source }), ...(onlink ? { onlink } : {}) };
}

/** A device of the host's own that is a port of one of these bridges. */
function portOf({ dev: name, master }: ObjectOf<"port">, bridges: Objects, at: Position): readonly PlanLink[] {
  const isOurs = bridges.some((o) => o.kind === "bridge" && o.ns === "host" && o.name === master);
  return isOurs ? [{ kind: "nic", name, at, master, ...NOTHING }] : [];
}

/** Devices of the host that links stand on. */
function parentsOf(links: readonly Device[], at: Position): readonly PlanLink[] {
  const names = new Set(links.flatMap(needsOf).filter((name) => !links.some((link) => link.name === name)));
  return [...names].map((name) => ({ kind: "nic", name, at, addresses: [], routes: [], neighbours: [] }));
}
