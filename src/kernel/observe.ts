// Reads what is Weft's on this host. First each namespace is dumped as the kernel tells it, by interface index; then,
// without the kernel, that becomes objects by name: which links are ours, whose far end is whose, what hangs on them.
//
// Both indexes of a pair are chosen at random by Weft, so two links that name each other's index are a pair, in
// whatever namespaces they are.
import { setImmediate } from "node:timers/promises";
import type { KernelObject } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { WEFT_PROTOCOL } from "../datapath/kinds/mark.ts";
import { type KernelState, stateOf } from "../datapath/state/state.ts";
import type { Counters } from "./kernel.ts";
import { type Namespaces, type Space, inodeOf } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import {
  type NeighbourInfo,
  addressesOfLink,
  allAddresses,
  fdbIn,
  fdbOf,
  allNeighbours,
  allRoutes,
  readAddress,
  readNeighbour,
  readRoute,
} from "./netlink/entry.ts";
import { type LinkInfo, allLinks, readLink } from "./netlink/link.ts";
import { type QueueInfo, allQueues, ingressFilters, readQueue, readRedirect } from "./netlink/tc.ts";
import type { MessageWriter, Received } from "./netlink/wire.ts";
import type { Nft } from "./nft.ts";
import { makesChecksums } from "./offload.ts";
import { type Dump, objectsOf } from "./objects.ts";
import {
  isOurAddress,
  isOurBridgeFdb,
  isOurHop,
  isOurNeighbour,
  isOurRoute,
  isOurTunnelFdb,
  isOurs,
  isUplink,
  WORKLOAD_MOST,
} from "./ownership.ts";
import { readSysctls } from "./sysctl.ts";

/** Namespaces after which the event loop gets its turn: some milliseconds. */
const TURN_NAMESPACES = 32;

export async function observe(namespaces: Namespaces, nft: Nft, workloads: readonly Ns[]): Promise<KernelState> {
  const objects: KernelObject[] = [];
  const dumps: Dump[] = [];
  let read = 0;
  const breathe = async () => {
    if (++read % TURN_NAMESPACES === 0) await setImmediate();
  };
  const paths = pathsByInode(workloads);
  // By name, not as they are open now: one may be removed, or replaced, while the event loop has its turn.
  for (const ns of [namespaces.host, ...namespaces.vrfs()].map((space) => space.ns)) {
    namespaces.use(ns, (space) => {
      dumps.push(dumpSpace(space, [ns, ...(paths.get(space.inode) ?? [])]));
      paths.delete(space.inode);
      objects.push(...standing(namespaces, nft, space));
    });
    await breathe();
  }
  const nears = new Set(dumps.flatMap(({ links }) => links.filter(({ kind }) => kind === "veth").map(pairKey)));
  for (const names of paths.values()) {
    const [path] = names;
    const dump = path === undefined ? undefined : namespaces.use(path, (space) => dumpWorkload(space, names, nears));
    if (dump !== undefined) dumps.push(dump);
    await breathe();
  }
  await setImmediate();
  return stateOf([...objects, ...objectsOf(dumps)]);
}

/** Which of the paths are one namespace; what is not there is left out. */
function pathsByInode(workloads: readonly Ns[]): Map<string, Ns[]> {
  const paths = new Map<string, Ns[]>();
  for (const path of workloads) {
    const inode = inodeOf(path);
    if (inode === undefined) continue;
    const same = paths.get(inode);
    if (same === undefined) paths.set(inode, [path]);
    else same.push(path);
  }
  return paths;
}

/** What belongs to a namespace and not to a link in it. */
function standing(namespaces: Namespaces, nft: Nft, space: Space): KernelObject[] {
  const { ns } = space;
  const objects: KernelObject[] = isVrf(ns) ? [{ kind: "netns", ns }] : [];
  for (const [key, value] of readSysctls(namespaces, space)) objects.push({ kind: "sysctl", ns, key, value });
  const digest = nft.digest(space);
  if (digest !== undefined) objects.push({ kind: "nft", ns, digest, body: "" }, ...nft.elements(space));
  return objects;
}

function isVrf(ns: Ns): ns is `vrf:${string}` {
  return ns.startsWith("vrf:");
}

function dumpSpace(space: Space, names: readonly Ns[]): Dump {
  const { socket } = space;
  const isHost = space.ns === "host";
  const linkNames = new Map<number, string>();
  const links = socket.list(
    k.RTM_GETLINK,
    allLinks,
    wanted(readLink, (link) => {
      linkNames.set(link.index, link.name);
      return link.kind === "veth" || isOurs(link);
    }),
  );
  const isEntry = (entry: NeighbourInfo) => isOurNeighbour(entry) || (isHost && isOurHop(entry));
  const neighbours = () => socket.list(k.RTM_GETNEIGH, allNeighbours, wanted(readNeighbour, isEntry));
  // The host has many links and tables of others; without one of ours there is nothing of ours on them but next hops.
  if (links.length === 0 || (isHost && !links.some(isOurs))) {
    const hops = isHost ? hopsIn(neighbours(), linkNames) : [];
    return { names, links, addresses: [], routes: [], ...NO_ENTRIES, hops };
  }
  const route = (w: MessageWriter) => allRoutes(w, WEFT_PROTOCOL);
  const indexes = new Set(links.map(({ index }) => index));
  const fdb = links
    .filter(({ kind, master }) => kind === "bridge" || (kind === "vxlan" && master === 0))
    .flatMap(({ kind, index }) =>
      socket.list(
        k.RTM_GETNEIGH,
        (w) => (kind === "bridge" ? fdbIn(w, index) : fdbOf(w, index)),
        wanted(readNeighbour, (e) => indexes.has(e.index) && (isOurTunnelFdb(e) || isOurBridgeFdb(e))),
      ),
    );
  const entries = neighbours();
  return {
    names,
    links,
    addresses: socket.list(k.RTM_GETADDR, allAddresses, wanted(readAddress, isOurAddress)),
    routes: socket.list(k.RTM_GETROUTE, route, wanted(readRoute, isOurRoute)),
    hops: isHost ? hopsIn(entries, linkNames) : [],
    neighbours: entries.filter(isOurNeighbour),
    tunnelFdb: fdb.filter(isOurTunnelFdb),
    bridgeFdb: fdb.filter(isOurBridgeFdb),
    makesChecksums: new Set(
      links.filter((link) => isUplink(link) && makesChecksums(space, link.name)).map(({ index }) => index),
    ),
    ...queuesOf(space, new Set(links.map((link) => link.index))),
  };
}

function hopsIn(entries: readonly NeighbourInfo[], linkNames: ReadonlyMap<number, string>): Dump["hops"] {
  return entries.filter(isOurHop).map(({ index, ip }) => ({ dev: linkNames.get(index) ?? `index ${index}`, ip }));
}

const NO_QUEUES = { queues: [], redirects: [] };
const NO_ENTRIES = {
  neighbours: [],
  hops: [],
  tunnelFdb: [],
  bridgeFdb: [],
  makesChecksums: new Set<number>(),
  ...NO_QUEUES,
};

/** Both ends of a pair, the near one first. */
function pairKey({ index, peer }: Pick<LinkInfo, "index" | "peer">): string {
  return `${index} ${peer}`;
}

/**
 * Far ends, and what hangs on them. All else in there is the workload's: its root may have any number of links and
 * addresses, and change them all the time; so addresses are asked for by link.
 */
function dumpWorkload({ socket }: Space, names: readonly Ns[], nears: ReadonlySet<string>): Dump {
  const isFarEnd = ({ kind, index, peer }: LinkInfo) =>
    kind === "veth" && nears.has(pairKey({ index: peer, peer: index }));
  const links = socket.listAny(k.RTM_GETLINK, allLinks, wanted(readLink, isFarEnd));
  const indexes = new Set(links.map(({ index }) => index));
  const isOn = ({ index }: { readonly index: number }) => indexes.has(index);
  const address = wanted(readAddress, (one) => isOurAddress(one) && isOn(one));
  const route = (w: MessageWriter) => allRoutes(w, WEFT_PROTOCOL);
  return {
    names,
    links,
    addresses: [...indexes].flatMap((index) =>
      socket.listAny(k.RTM_GETADDR, (w) => addressesOfLink(w, index, undefined), address),
    ),
    routes:
      links.length === 0
        ? []
        : socket.listAny(
            k.RTM_GETROUTE,
            route,
            wanted(readRoute, (one) => isOurRoute(one) && isOn(one)),
            // The last that is asked of this socket.
            WORKLOAD_MOST,
          ),
    ...NO_ENTRIES,
  };
}

/** Of these links. Only links that have an ingress queue at all are asked for its filters. */
function queuesOf({ socket }: Space, links: ReadonlySet<number>): Pick<Dump, "queues" | "redirects"> {
  const isWanted = ({ index, kind }: QueueInfo) => (kind === "tbf" || kind === "ingress") && links.has(index);
  const all = socket.list(k.RTM_GETQDISC, allQueues, wanted(readQueue, isWanted));
  const redirects = all.flatMap(({ index, kind }) =>
    kind !== "ingress"
      ? []
      : socket
          .list(k.RTM_GETTFILTER, (w) => ingressFilters(w, index), readRedirect)
          .slice(0, 1)
          .map((target) => ({ index, target })),
  );
  return { queues: all.filter((queue) => queue.isOurTbf), redirects };
}

/** What went through the queues of ours, by the link they are on. */
export function queuesIn({ socket }: Space): ReadonlyMap<string, Counters> {
  const names = new Map(
    socket.list(k.RTM_GETLINK, allLinks, wanted(readLink, isOurs)).map((link) => [link.index, link.name]),
  );
  const queues = socket.list(
    k.RTM_GETQDISC,
    allQueues,
    wanted(readQueue, (queue) => queue.isOurTbf),
  );
  return new Map(
    queues.flatMap(({ index, counters }) => {
      const name = names.get(index);
      return name === undefined ? [] : [[name, counters]];
    }),
  );
}

function wanted<T>(
  read: (message: Received) => T,
  isWanted: (item: T) => boolean,
): (message: Received) => T | undefined {
  return (message) => {
    const item = read(message);
    return isWanted(item) ? item : undefined;
  };
}
