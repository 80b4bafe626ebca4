// Pokes the agent when the kernel reports that something of Weft's may have changed. Two sockets per namespace (the
// host's and each VRF's), rtnetlink and nftables, are all waited for by one poll() in one thread of the pool; a
// directory watch reports VRF namespaces that other programs add or remove. Lost events count as events.
//
// The host's namespace may be busy with other programs' links: there, only events about Weft's links count. Learning
// (bridge ports, ARP) never counts: it is not Weft's, and there is much of it.
import { type FSWatcher, closeSync, mkdirSync, readSync, watch as watchDirectory, writeSync } from "node:fs";
import type { Ns } from "../datapath/kinds/kind.ts";
import { MARK, WEFT_PROTOCOL } from "../datapath/kinds/mark.ts";
import { SystemError } from "./errno.ts";
import * as libc from "./libc.ts";
import { type Namespaces, RUN_DIR, type Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { readAddress, readNeighbour, readRoute } from "./netlink/entry.ts";
import { allLinks, readLink } from "./netlink/link.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { type Received, eachAttribute, eachMessage, textAt } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

const ROUTE_GROUPS = [
  k.RTNLGRP_LINK,
  k.RTNLGRP_NEIGH,
  k.RTNLGRP_TC,
  k.RTNLGRP_IPV4_IFADDR,
  k.RTNLGRP_IPV6_IFADDR,
  k.RTNLGRP_IPV4_ROUTE,
  k.RTNLGRP_IPV6_ROUTE,
];
/** Every nftables message that names a table does so in its first attribute. */
const NFTA_TABLE = 1;
/** A process that ends without closing waits at most this long for the thread. */
const POLL_MS = 1000;
const inbox = Buffer.allocUnsafe(256 * 1024);

type Ear = {
  readonly ns: Ns;
  readonly route: NetlinkSocket;
  readonly nft: NetlinkSocket;
  /** Indexes of our links, in the host's namespace only: what tells our events from others'. */
  readonly ours: Set<number>;
};

export class Monitor {
  readonly #namespaces: Namespaces;
  readonly #poke: () => unknown;
  readonly #moved: () => void;
  /** By inode: a namespace that was made again under its old name is another one. */
  readonly #ears = new Map<string, Ear>();
  readonly #wake = libc.eventfd();
  readonly #directory: FSWatcher;
  #isStale = false;
  #isClosed = false;

  /**
   * Listens until close(). Calls `poke` for changes of Weft's objects, `moved` for changes of the host's own addresses.
   */
  constructor(namespaces: Namespaces, poke: () => unknown, moved: () => void) {
    this.#namespaces = namespaces;
    this.#poke = poke;
    this.#moved = moved;
    mkdirSync(RUN_DIR, { recursive: true, mode: 0o755 });
    const look = () => {
      this.refresh();
      void poke();
    };
    // Other programs' namespaces come and go in the same directory.
    this.#directory = watchDirectory(RUN_DIR, { persistent: false }, (_event, file) => {
      if (file === null || namespaces.mayOwn(file)) look();
    }).on("error", look);
    this.#listen();
    void this.#run();
  }

  /** A namespace of a VRF was made or removed. */
  refresh(): void {
    this.#isStale = true;
    this.#wakeUp();
  }

  /** Closes everything as soon as the waiting thread returns, which is at once. */
  close(): void {
    this.#isClosed = true;
    this.#directory.close();
    this.#wakeUp();
  }

  #wakeUp(): void {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    writeSync(this.#wake, one);
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const sockets = new Map<number, Ear>();
      for (const ear of this.#ears.values()) sockets.set(ear.route.fd, ear).set(ear.nft.fd, ear);
      const readable = await libc.pollReadable([this.#wake, ...sockets.keys()], POLL_MS);
      let isConcerned = false;
      for (const fd of readable) {
        const ear = sockets.get(fd);
        if (ear === undefined) readSync(this.#wake, Buffer.alloc(8));
        else if (this.#drain(fd, ear)) isConcerned = true;
      }
      if (this.#isClosed) break;
      if (this.#isStale && this.#listen()) isConcerned = true;
      // Nothing is read until the promise resolves: a burst causes one observation, and an overflow of the queue is an
      // event too.
      if (isConcerned) await this.#poke();
    }
    for (const ear of this.#ears.values()) closeEar(ear);
    closeSync(this.#wake);
  }

  /** Whether any message in the queue concerns Weft. */
  #drain(fd: number, ear: Ear): boolean {
    let isConcerned = false;
    let hasMoved = false;
    try {
      for (let length = libc.recvNow(fd, inbox); length >= 0; length = libc.recvNow(fd, inbox)) {
        eachMessage(inbox, length, (message) => {
          isConcerned = (fd === ear.nft.fd ? isOurTable(message) : concerns(ear, message)) || isConcerned;
          hasMoved ||= fd === ear.route.fd && isHostsAddress(ear, message);
        });
      }
    } catch (error) {
      // ENOBUFS: more happened than the queue holds, and it is unknown what.
      if (!(error instanceof SystemError)) throw error;
      isConcerned = true;
      hasMoved = true;
    }
    if (hasMoved) this.#moved();
    return isConcerned;
  }

  /**
   * Opens and closes sockets so that there is one pair per namespace; returns whether there is a new one, which missed
   * earlier events.
   */
  #listen(): boolean {
    this.#isStale = false;
    const spaces = new Map([this.#namespaces.host, ...this.#namespaces.vrfs()].map((space) => [space.inode, space]));
    for (const [inode, ear] of this.#ears) {
      if (spaces.has(inode)) continue;
      closeEar(ear);
      this.#ears.delete(inode);
    }
    let isNew = false;
    for (const [inode, space] of spaces) {
      if (this.#ears.has(inode)) continue;
      this.#ears.set(inode, this.#open(space));
      isNew = true;
    }
    return isNew;
  }

  #open(space: Space): Ear {
    const [route, nft] = this.#namespaces.within(
      space.fd,
      () => [new NetlinkSocket(k.NETLINK_ROUTE), new NetlinkSocket(k.NETLINK_NETFILTER)] as const,
    );
    route.listen(ROUTE_GROUPS);
    nft.listen([k.NFNLGRP_NFTABLES]);
    const ours =
      space.ns !== "host"
        ? []
        : space.socket.list(k.RTM_GETLINK, allLinks, (message) => {
            const link = readLink(message);
            return isOurs(link) ? link.index : undefined;
          });
    return { ns: space.ns, route, nft, ours: new Set(ours) };
  }
}

function closeEar(ear: Ear): void {
  ear.route.close();
  ear.nft.close();
}

function isOurTable({ bytes, start, end }: Received): boolean {
  let isOurs = false;
  // struct nfgenmsg: 4 bytes.
  eachAttribute(bytes, start + 4, end, (type, from, to) => {
    isOurs ||= type === NFTA_TABLE && textAt(bytes, from, to) === MARK;
  });
  return isOurs;
}

function concerns(ear: Ear, message: Received): boolean {
  // Everything in a VRF's namespace is Weft's, whatever the message says.
  const isEverywhere = ear.ns !== "host";
  switch (message.type) {
    case k.RTM_NEWLINK:
    case k.RTM_DELLINK:
      return isEverywhere || isLinkOfOurs(ear, message);
    case k.RTM_NEWADDR:
    case k.RTM_DELADDR:
      return isEverywhere || ear.ours.has(readAddress(message).index);
    case k.RTM_NEWROUTE:
    case k.RTM_DELROUTE:
      return isEverywhere || isRouteOfOurs(ear, message);
    case k.RTM_NEWQDISC:
    case k.RTM_DELQDISC:
    case k.RTM_NEWTFILTER:
    case k.RTM_DELTFILTER:
      return isEverywhere || ear.ours.has(message.bytes.readInt32LE(message.start + 4));
    case k.RTM_NEWNEIGH:
    case k.RTM_DELNEIGH: {
      const entry = readNeighbour(message);
      // One of Weft's next hops sends an event each time it is resolved; a removed one has lost its flags before.
      if (!isEverywhere && entry.protocol === WEFT_PROTOCOL) return message.type === k.RTM_DELNEIGH;
      return (isEverywhere || ear.ours.has(entry.index)) && isNotLearned(message.type, entry);
    }
    default:
      return false;
  }
}

/** Not of Weft's links, and not what every link gets by itself: containers come and go with those. */
function isHostsAddress({ ns, ours }: Ear, message: Received): boolean {
  if (ns !== "host" || (message.type !== k.RTM_NEWADDR && message.type !== k.RTM_DELADDR)) return false;
  const { index, ip } = readAddress(message);
  return !ours.has(index) && !/^fe[89ab]/.test(ip);
}

/** A link that lost its mark is recognised by its index. */
function isLinkOfOurs({ ours }: Ear, message: Received): boolean {
  const link = readLink(message);
  if (isOurs(link)) ours.add(link.index);
  return ours.has(link.index);
}

function isRouteOfOurs({ ours }: Ear, message: Received): boolean {
  const route = readRoute(message);
  return route.protocol === WEFT_PROTOCOL || ours.has(route.index);
}

/**
 * What a bridge learned has no destination and is not sticky; what ARP learned comes and goes without being
 * permanent.
 */
function isNotLearned(type: number, entry: ReturnType<typeof readNeighbour>): boolean {
  if (entry.family === k.AF_BRIDGE)
    return (
      (entry.flags & (k.NTF_STICKY | k.NTF_EXT_LEARNED)) !== 0 || ((entry.flags & k.NTF_SELF) !== 0 && entry.ip !== "")
    );
  // A deleted neighbour has lost its state before it is announced.
  return type === k.RTM_DELNEIGH || (entry.state & (k.NUD_PERMANENT | k.NUD_NOARP)) !== 0;
}
