// From what the kernel tells about namespaces to Weft's objects. Pure: dumps in, objects out.
//
// A link that is there but not as Weft leaves every link (up; a bridge without snooping; a port that shows groups of
// bridges to the hooks; where packets are routed: forwarding) is given with an MTU of 0, which nobody wants: so the
// next diff sets it again, and setting a link always restores all of that.
// So is the near end of a pair whose far end nobody asked about, if it has no carrier: then the far end is not up.
import type { KernelObject } from "../datapath/kinds.ts";
import { AGEING } from "../datapath/kinds/bridge.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { GROUPS_SEEN, type Macs } from "../datapath/kinds/link.ts";
import { WEFT_ROUTE_METRIC } from "../datapath/kinds/route.ts";
import type { AddressInfo, NeighbourInfo, RouteInfo } from "./netlink/entry.ts";
import type { QueueInfo } from "./netlink/tc.ts";
import type { LinkInfo } from "./netlink/link.ts";
import { isFixed, isPrimary, isRouted, peerNs } from "./ownership.ts";

/** One namespace as the kernel tells it, less what is plainly not Weft's. */
export type Dump = {
  /** All names this namespace goes by here; a workload's may be given under several paths. */
  readonly names: readonly Ns[];
  readonly links: readonly LinkInfo[];
  readonly addresses: readonly AddressInfo[];
  readonly routes: readonly RouteInfo[];
  readonly neighbours: readonly NeighbourInfo[];
  /** On links of the host's own. */
  readonly hops: readonly { readonly dev: string; readonly ip: string }[];
  readonly tunnelFdb: readonly NeighbourInfo[];
  readonly bridgeFdb: readonly NeighbourInfo[];
  /** Uplinks that write checksums as packets go in, by index. */
  readonly makesChecksums: ReadonlySet<number>;
  readonly queues: readonly QueueInfo[];
  /** Where everything goes that comes in on a link. */
  readonly redirects: readonly { readonly index: number; readonly target: number }[];
};

/** A link that objects may hang on: its namespace as Weft calls it, and its name. */
type Device = { readonly ns: Ns; readonly name: string };

export function objectsOf(dumps: readonly Dump[]): KernelObject[] {
  const objects: KernelObject[] = [];
  const devices = new Map<Dump, Map<number, Device>>(dumps.map((dump) => [dump, new Map()]));
  const ends = pairEnds(dumps);
  for (const dump of dumps) {
    const [ns] = dump.names;
    if (ns === undefined) continue;
    const names = new Map(dump.links.map((link) => [link.index, link.name]));
    for (const link of dump.links) {
      if (!isPrimary(link)) continue;
      const far = link.kind === "veth" ? ends.get(`${link.peer} ${link.index}`) : undefined;
      const farNs = far === undefined ? undefined : peerNs(far.link, far.dump.names);
      const object = linkObject(
        ns,
        link,
        names,
        far === undefined || farNs === undefined ? undefined : { ns: farNs, link: far.link },
      );
      if (object === undefined) continue;
      const isMade = object.kind === "veth" && dump.makesChecksums.has(link.index);
      objects.push(isMade ? { ...object, makesChecksums: true } : object);
      devices.get(dump)?.set(link.index, { ns, name: link.name });
      if (far !== undefined && farNs !== undefined)
        devices.get(far.dump)?.set(far.link.index, { ns: farNs, name: far.link.name });
    }
  }
  for (const { hops } of dumps) for (const hop of hops) objects.push({ kind: "hop", ns: "host", ...hop });
  for (const [dump, found] of devices) objects.push(...entriesOf(dump, found));
  return objects;
}

/** Every veth end by its own index and its peer's. */
function pairEnds(dumps: readonly Dump[]): Map<string, { readonly dump: Dump; readonly link: LinkInfo }> {
  const ends = new Map<string, { readonly dump: Dump; readonly link: LinkInfo }>();
  for (const dump of dumps) {
    for (const link of dump.links) if (link.kind === "veth") ends.set(`${link.index} ${link.peer}`, { dump, link });
  }
  return ends;
}

function linkObject(
  ns: Ns,
  link: LinkInfo,
  names: ReadonlyMap<number, string>,
  far: { readonly ns: Ns; readonly link: LinkInfo } | undefined,
): KernelObject | undefined {
  const { name, mac, alias } = link;
  const masterName = link.master === 0 ? undefined : (names.get(link.master) ?? `index ${link.master}`);
  const master = masterName === undefined ? {} : { master: masterName };
  const macs = macsOf(link);
  const isPort = link.kind === "veth" && link.master !== 0;
  const isPortRight = !link.snoops && (!isPort || link.groups === (macs === "flooded" ? 0 : GROUPS_SEEN));
  const isFarRight = link.kind !== "veth" || far !== undefined || link.hasCarrier;
  const isRight = link.isUp && isPortRight && isFarRight && forwardsIfRouted(link, link);
  const common = { ns, name, mtu: isRight ? link.mtu : 0, mac, alias };
  if (link.kind === "ifb") return { kind: "ifb", ...common };
  if (link.kind === "bridge")
    return { kind: "bridge", ...common, ...(link.ageing === AGEING.keeps ? {} : { forgets: true }) };
  const port = macs === undefined ? {} : { macs };
  if (link.kind === "vxlan" && link.vxlan !== undefined) {
    const floods = link.master !== 0 && !link.neighSuppress ? { floodsArp: true as const } : {};
    return { kind: "vxlan", ...common, ...link.vxlan, ...master, ...port, ...floods };
  }
  if (link.kind !== "veth") return undefined;
  // The far end is in a namespace that nobody asked about: gone for us, so the pair is one that nobody wants.
  const peer =
    far === undefined
      ? { ns: "/" as const, name: `index ${link.peer}`, mtu: 0, mac: "" }
      : { ns: far.ns, name: far.link.name, mtu: isFarWhole(link, far.link) ? far.link.mtu : 0, mac: far.link.mac };
  return { kind: "veth", ...common, ...master, ...port, peer };
}

function macsOf({ master, learning, floods }: LinkInfo): Macs | undefined {
  if (master === 0) return undefined;
  return floods ? "flooded" : learning ? "learned" : undefined;
}

function isFarWhole(near: LinkInfo, far: LinkInfo): boolean {
  return far.isUp && forwardsIfRouted(near, far);
}

/** Of a pair whose near end is no port of a bridge, both ends are routed through: an uplink. */
function forwardsIfRouted(near: LinkInfo, { forwards }: LinkInfo): boolean {
  return forwards || !isRouted(near);
}

function entriesOf(dump: Dump, devices: ReadonlyMap<number, Device>): KernelObject[] {
  const objects: KernelObject[] = [];
  const on = (index: number, make: (ns: Ns, dev: string) => KernelObject) => {
    const device = devices.get(index);
    if (device !== undefined) objects.push(make(device.ns, device.name));
  };
  for (const { index, ip, length } of dump.addresses)
    on(index, (ns, dev) => ({ kind: "address", ns, dev, cidr: `${ip}/${length}` }));
  for (const { index, dst, via, src, onlink, metric } of dump.routes) {
    on(index, (ns, dev) => ({
      kind: "route",
      ns,
      dst,
      dev,
      onlink,
      ...(via === "" ? {} : { via }),
      ...(src === "" ? {} : { src }),
      ...(metric === WEFT_ROUTE_METRIC ? {} : { metric }),
    }));
  }
  for (const { index, ip, mac } of dump.neighbours) on(index, (ns, dev) => ({ kind: "neighbour", ns, dev, ip, mac }));
  for (const { index, ip, mac } of dump.tunnelFdb) on(index, (ns, dev) => ({ kind: "fdb", ns, dev, mac, dst: ip }));
  for (const { index, tbf } of dump.queues) on(index, (ns, dev) => ({ kind: "tbf", ns, dev, ...tbf }));
  for (const { index, target } of dump.redirects)
    on(index, (ns, dev) => ({ kind: "redirect", ns, dev, to: devices.get(target)?.name ?? "" }));
  for (const entry of dump.bridgeFdb) {
    const loose = isFixed(entry) ? {} : { loose: true as const };
    on(entry.index, (ns, dev) => ({ kind: "bridge-fdb", ns, dev, mac: entry.mac, ...loose }));
  }
  return objects;
}
