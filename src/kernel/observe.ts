// Reads what is Weft's on this host. First each namespace is dumped as the kernel tells it, by interface index; then,
// without the kernel, that becomes objects by name: which links are ours, whose far end is whose, what is on them.
//
// Both indexes of a pair are chosen at random by Weft, so two links that name each other's index are a pair, in
// whatever namespaces they are.
import { setImmediate } from "node:timers/promises";
import { type KernelObject, leadsTo } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { type KernelState, stateOf } from "../datapath/state/state.ts";
import { ALL_KINDS, type AnyKind, linkKindOf } from "./kinds.ts";
import type { EntryReader, Indexed, Reading, SeenLink } from "./kinds/kind.ts";
import { type Namespaces, type Space, inodeOf } from "./namespaces.ts";
import { type NeighbourInfo, allNeighbours, fdbIn, fdbOf } from "./netlink/entry.ts";
import { type LinkInfo, allLinks } from "./netlink/link.ts";
import { type QueueInfo, allQueues } from "./netlink/tc.ts";
import type { NftOf } from "./nft.ts";
import type { OpenVswitch } from "./ovsdb/openVswitch.ts";
import * as offload from "./offload.ts";
import { makesChecksums } from "./offload.ts";
import { isKnownNeighbour, isOurBridgeFdb, isOurTunnelFdb, isOurs, isPrimary, isRouted, peerNs } from "./ownership.ts";

/** Namespaces after which the event loop gets its turn: some milliseconds. */
const TURN_NAMESPACES = 32;

/** One namespace as the kernel tells it, less what is plainly not Weft's. */
type Dump = {
  /** All names this namespace goes by here; a workload's may be given under several paths. */
  readonly names: readonly Ns[];
  readonly links: readonly LinkInfo[];
  /** Names of all its links, also of others'; and the indexes of those that are down. */
  readonly linkNames: ReadonlyMap<number, string>;
  readonly down: ReadonlySet<number>;
  /** Indexes of links of which isExtra() said so. */
  readonly extras: ReadonlySet<number>;
  readonly entries: readonly (readonly [EntryReader<KernelObject>, readonly Indexed[]])[];
};

type Readers = { readonly namespaces: Namespaces; readonly nft: NftOf; readonly ovs: OpenVswitch };

export async function observe(readers: Readers, workloads: readonly Ns[]): Promise<KernelState> {
  const { namespaces, ovs } = readers;
  const objects: KernelObject[] = [];
  const dumps: Dump[] = [];
  let read = 0;
  const breathe = async () => {
    if (++read % TURN_NAMESPACES === 0) await setImmediate();
  };
  await ovs.look();
  // Several paths may be one namespace; what is not there is left out.
  const paths = Map.groupBy(workloads, (path) => inodeOf(path));
  paths.delete(undefined);
  // By name, not as they are open now: one may be removed, or replaced, while the event loop has its turn.
  for (const ns of [namespaces.host, ...namespaces.vrfs()].map((space) => space.ns)) {
    namespaces.use(ns, (space) => {
      dumps.push(dumpSpace(space, [ns, ...(paths.get(space.inode) ?? [])]));
      paths.delete(space.inode);
      for (const { observe: kind } of ALL_KINDS)
        if (kind.standing !== undefined) objects.push(...kind.standing(space, readers));
    });
    await breathe();
  }
  const nears = new Set(dumps.flatMap(vethsOf).map(pairKey));
  for (const names of paths.values()) {
    const [path] = names;
    const dump = path === undefined ? undefined : namespaces.use(path, (space) => dumpWorkload(space, names, nears));
    if (dump !== undefined) dumps.push(dump);
    await breathe();
  }
  await setImmediate();
  return stateOf([...objects, ...objectsOf(dumps)]);
}

function dumpSpace(space: Space, names: readonly Ns[]): Dump {
  const isHost = space.ns === "host";
  const linkNames = new Map<number, string>();
  const down = new Set<number>();
  const links = space.socket.list(allLinks, (link) => {
    linkNames.set(link.index, link.name);
    if (!link.isUp) down.add(link.index);
    // Ports of bridges, too: a device of the host's own may be one of ours (kinds/port.ts).
    return link.kind === "veth" || link.master !== 0 || isOurs(link);
  });
  // The host has many links and tables of others; where no link is ours, only what may be on any link is.
  const isEmpty = links.length === 0 || (isHost && !links.some(isOurs));
  const reading = readingOf(space, links, linkNames);
  const entries = entriesIn(reading, (kind) => !isEmpty || kind.observe.entry?.isOnAnyLink === true);
  const extras = links.filter((link) => linkKindOf(link.kind)?.observe.isExtra?.(link, space, offload) === true);
  return { names, links, linkNames, down, extras: new Set(extras.map(({ index }) => index)), entries };
}

function entriesIn(reading: Reading, isRead: (kind: AnyKind) => boolean): Dump["entries"] {
  return ALL_KINDS.flatMap((kind) => {
    const { entry } = kind.observe;
    return entry === undefined || !isRead(kind) ? [] : [[entry, entry.list(reading)] as const];
  });
}

/** Far ends, and what is on them: all else in a workload's namespace is its own. */
function dumpWorkload(space: Space, names: readonly Ns[], nears: ReadonlySet<string>): Dump {
  const isFarEnd = ({ kind, index, peer }: LinkInfo) =>
    kind === "veth" && nears.has(pairKey({ index: peer, peer: index }));
  const links = space.socket.listAny(allLinks, isFarEnd);
  const entries = entriesIn(
    readingOf(space, links, new Map()),
    ({ isInWorkloads }) => links.length > 0 && isInWorkloads,
  );
  return { names, links, linkNames: new Map(), down: new Set(), extras: new Set(), entries };
}

function vethsOf({ links }: Dump): LinkInfo[] {
  return links.filter(({ kind }) => kind === "veth");
}

/** Both ends of a pair, the near one first. */
function pairKey({ index, peer }: Pick<LinkInfo, "index" | "peer">): string {
  return `${index} ${peer}`;
}

function readingOf(space: Space, links: readonly LinkInfo[], linkNames: Reading["linkNames"]): Reading {
  const { ns, socket } = space;
  const indexes = new Set(links.map(({ index }) => index));
  return {
    space,
    isWorkload: ns.startsWith("/"),
    isHost: ns === "host",
    links,
    linkNames,
    indexes,
    neighbours: once(() => socket.list(allNeighbours, isKnownNeighbour)),
    fdb: once(() => fdbEntries(space, links, indexes)),
    queues: once(() => socket.list(allQueues, (one) => isWatched(one, indexes))),
    writesChecksums: ({ name }) => makesChecksums(space, name),
  };
}

/** Of bridges, with their tunnels' own; and of tunnels that are no port of one. */
function fdbEntries({ socket }: Space, links: readonly LinkInfo[], indexes: ReadonlySet<number>): NeighbourInfo[] {
  const isOurEntry = (entry: NeighbourInfo) =>
    indexes.has(entry.index) && (isOurTunnelFdb(entry) || isOurBridgeFdb(entry));
  return links
    .filter(isOurs)
    .filter(({ kind, master }) => kind === "bridge" || (leadsTo(kind) === "hosts" && master === 0))
    .flatMap(({ kind, index }) => socket.list(kind === "bridge" ? fdbIn(index) : fdbOf(index), isOurEntry));
}

function isWatched({ kind, index }: QueueInfo, indexes: ReadonlySet<number>): boolean {
  return (kind === "tbf" || kind === "ingress") && indexes.has(index);
}

function once<T>(read: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => (value ??= { of: read() }).of;
}

type Device = { readonly ns: Ns; readonly name: string };

/** Pure: dumps in, objects out. */
function objectsOf(dumps: readonly Dump[]): KernelObject[] {
  const objects: KernelObject[] = [];
  const devices = new Map<Dump, Map<number, Device>>(dumps.map((dump) => [dump, new Map()]));
  // Every veth end by its own index and its peer's.
  const veths = dumps.flatMap((dump) => vethsOf(dump).map((link) => ({ dump, link })));
  const ends = new Map(veths.map((end) => [pairKey(end.link), end]));
  const host = dumps.find(({ names: [ns] }) => ns === "host");
  const hostNames = host?.linkNames ?? new Map<number, string>();
  for (const dump of dumps) {
    const [ns] = dump.names;
    if (ns === undefined) continue;
    for (const link of dump.links) {
      const kind = isPrimary(link) ? linkKindOf(link.kind) : undefined;
      if (kind?.observe.link === undefined) continue;
      const end = link.kind === "veth" ? ends.get(pairKey({ index: link.peer, peer: link.index })) : undefined;
      const farNs = end === undefined ? undefined : peerNs(end.link, end.dump.names);
      const far = end === undefined || farNs === undefined ? undefined : { ns: farNs, link: end.link };
      // The device below a VLAN is in its own namespace, or in the host's.
      const lower = link.kind !== "vlan" ? undefined : link.peerNsid === undefined ? dump : host;
      objects.push(kind.observe.link(link, seenLink(ns, dump, link, { far, hostNames, lower })));
      devices.get(dump)?.set(link.index, { ns, name: link.name });
      if (end !== undefined && far !== undefined)
        devices.get(end.dump)?.set(far.link.index, { ns: far.ns, name: far.link.name });
    }
  }
  for (const [dump, found] of devices) objects.push(...entriesOf(dump, found));
  return objects;
}

type Elsewhere = Pick<SeenLink, "far"> & {
  readonly hostNames: ReadonlyMap<number, string>;
  /** Of a link above another: the dump of that one's namespace. */
  readonly lower: Dump | undefined;
};

function seenLink(ns: Ns, { linkNames, extras }: Dump, link: LinkInfo, elsewhere: Elsewhere): SeenLink {
  const { far, hostNames, lower } = elsewhere;
  const { name, mac, alias, index, peer } = link;
  // Above a device that is down it is down, too.
  const isUp = link.isUp || lower?.down.has(peer) === true;
  const isRight = isUp && (link.inet.forwards || !isRouted(link));
  return {
    ns,
    common: (isIntact) => ({ ns, name, mtu: isRight && isIntact ? link.mtu : 0, mac, alias }),
    master: link.master === 0 ? undefined : (linkNames.get(link.master) ?? `index ${link.master}`),
    far,
    isExtra: extras.has(index),
    hostLink: (other) => hostNames.get(other) ?? `index ${other}`,
    below: lower?.linkNames.get(peer),
  };
}

function entriesOf({ names: [ns], linkNames, entries }: Dump, devices: ReadonlyMap<number, Device>): KernelObject[] {
  const objects: KernelObject[] = [];
  const nameOf = (index: number) => devices.get(index)?.name;
  for (const [kind, items] of entries) {
    for (const item of items) {
      const device = devices.get(item.index);
      if (device !== undefined) objects.push(kind.decode(item, { ns: device.ns, dev: device.name }, nameOf));
      else if (kind.isOnAnyLink && ns !== undefined)
        objects.push(kind.decode(item, { ns, dev: linkNames.get(item.index) ?? `index ${item.index}` }, nameOf));
    }
  }
  return objects;
}
