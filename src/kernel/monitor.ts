// Pokes the agent when the kernel reports that something of Weft's may have changed. Two sockets per namespace (the
// host's and each VRF's), rtnetlink and nftables, are all waited for by one poll() in one thread of the pool; a
// directory watch reports VRF namespaces that other programs add or remove. Lost events count as events. Which messages
// count is in kinds/events.ts.
import { type FSWatcher, closeSync, mkdirSync, readSync, watch as watchDirectory, writeSync } from "node:fs";
import { MARK } from "../datapath/kinds/kind.ts";
import { SystemError } from "./errno.ts";
import { ALL_KINDS } from "./kinds.ts";
import type { Source } from "./kinds/events.ts";
import * as libc from "./libc.ts";
import { type Namespaces, RUN_DIR, type Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { readAddress } from "./netlink/entry.ts";
import { allLinks, readLink } from "./netlink/link.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { type Layout, type Received, eachMessage, fill, textAt } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

/** What kinds are told by; several of them share one. */
const EVENTS = [...new Set(ALL_KINDS.flatMap(({ events }) => events ?? []))];
const GROUPS = EVENTS.flatMap(({ groups }) => groups);

/** A process that ends without closing waits at most this long for the thread. */
const POLL_MS = 1000;
const inbox = Buffer.allocUnsafe(256 * 1024);

type Listener = Source & {
  readonly route: NetlinkSocket;
  readonly nft: NetlinkSocket;
  /** In the host's namespace: its links, by index. */
  readonly links: Map<number, Known>;
};
/** Links of the host's namespace that count, whosever they are, when they come and go; see Kernel.heed. */
export type Heeded = { names: ReadonlySet<string> };
type Known = { readonly name: string; readonly mtu: number };

export class Monitor {
  readonly #namespaces: Namespaces;
  readonly #poke: () => unknown;
  readonly #moved: () => void;
  /** By inode: a namespace that was made again under its old name is another one. */
  readonly #listeners = new Map<string, Listener>();
  readonly #wake = libc.eventfd();
  readonly #directory: FSWatcher;
  readonly #heeded: Heeded;
  #isStale = false;
  #isClosed = false;

  /**
   * Listens until close(). Calls `poke` for changes of Weft's objects, `moved` for changes of the host's own addresses
   * and of its links' MTUs.
   */
  constructor(
    { namespaces, heeded }: { readonly namespaces: Namespaces; readonly heeded: Heeded },
    poke: () => unknown,
    moved: () => void,
  ) {
    this.#namespaces = namespaces;
    this.#heeded = heeded;
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
      const sockets = new Map<number, Listener>();
      for (const listener of this.#listeners.values())
        sockets.set(listener.route.fd, listener).set(listener.nft.fd, listener);
      const readable = await libc.pollReadable([this.#wake, ...sockets.keys()], POLL_MS);
      let isConcerned = false;
      for (const fd of readable) {
        const listener = sockets.get(fd);
        if (listener === undefined) readSync(this.#wake, Buffer.alloc(8));
        else if (this.#drain(fd, listener)) isConcerned = true;
      }
      if (this.#isClosed) break;
      if (this.#isStale && this.#listen()) isConcerned = true;
      // Nothing is read until the promise resolves: a burst causes one observation, and an overflow of the queue is an
      // event too.
      if (isConcerned) await this.#poke();
    }
    for (const listener of this.#listeners.values()) closeListener(listener);
    closeSync(this.#wake);
  }

  /** Whether any message in the queue concerns Weft. */
  #drain(fd: number, listener: Listener): boolean {
    let isConcerned = false;
    let hasMoved = false;
    try {
      for (let length = libc.recvNow(fd, inbox); length >= 0; length = libc.recvNow(fd, inbox)) {
        eachMessage(inbox, length, (message) => {
          isConcerned = (fd === listener.nft.fd ? isOurTable(message) : concerns(listener, message)) || isConcerned;
          if (fd !== listener.route.fd || !listener.isHost) return;
          const link = isAboutLink(message) ? linkChange(listener, message) : undefined;
          const isAwaited = link !== undefined && this.#isHeeded(link);
          const isOwn = link === undefined ? isHostsAddress(listener, message) : hasOtherMtu(listener, link);
          isConcerned ||= isAwaited;
          hasMoved ||= isAwaited || isOwn;
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

  #isHeeded({ before, now }: LinkChange): boolean {
    if (before?.name === now?.name) return false;
    return [before, now].some((link) => link !== undefined && this.#heeded.names.has(link.name));
  }

  /**
   * Opens and closes sockets so that there is one pair per namespace; returns whether there is a new one, which missed
   * earlier events.
   */
  #listen(): boolean {
    this.#isStale = false;
    const spaces = new Map([this.#namespaces.host, ...this.#namespaces.vrfs()].map((space) => [space.inode, space]));
    for (const [inode, listener] of this.#listeners) {
      if (spaces.has(inode)) continue;
      closeListener(listener);
      this.#listeners.delete(inode);
    }
    let isNew = false;
    for (const [inode, space] of spaces) {
      if (this.#listeners.has(inode)) continue;
      this.#listeners.set(inode, this.#open(space));
      isNew = true;
    }
    return isNew;
  }

  #open(space: Space): Listener {
    const [route, nft] = this.#namespaces.within(
      space.fd,
      () => [new NetlinkSocket(k.NETLINK_ROUTE), new NetlinkSocket(k.NETLINK_NETFILTER)] as const,
    );
    route.listen(GROUPS);
    nft.listen([k.NFNLGRP_NFTABLES]);
    const isHost = space.ns === "host";
    const links = isHost ? space.socket.list(allLinks, () => true) : [];
    const ours = new Set(links.filter(isOurs).map(({ index }) => index));
    return { isHost, ours, links: new Map(links.map((link) => [link.index, known(link)])), route, nft };
  }
}

function closeListener(listener: Listener): void {
  listener.route.close();
  listener.nft.close();
}

/** Every nftables message that names a table does so in its first attribute. */
const NAMED: Layout<{ table: string }> = { 1: ["table", textAt] };

function isOurTable(message: Received): boolean {
  return fill({ table: "" }, NAMED, message, 4).table === MARK;
}

function concerns(source: Source, message: Received): boolean {
  return EVENTS.some((events) => events.types.includes(message.type) && events.concerns(source, message));
}

function isAboutLink({ type }: Received): boolean {
  return type === k.RTM_NEWLINK || type === k.RTM_DELLINK;
}

/** A link of the host's namespace before and after an event, as far as it is there. */
type LinkChange = { readonly index: number; readonly before?: Known | undefined; readonly now?: Known };

function known({ name, mtu }: Known): Known {
  return { name, mtu };
}

function linkChange({ links }: Listener, message: Received): LinkChange | undefined {
  const link = readLink(message);
  const { index } = link;
  const before = links.get(index);
  if (message.type === k.RTM_DELLINK) {
    // A port that leaves a bridge is told alike, with its name alone.
    if (message.bytes[message.start] === k.AF_BRIDGE) return undefined;
    links.delete(index);
    return { index, before };
  }
  const now = { name: link.name, mtu: link.mtu === 0 ? (before?.mtu ?? 0) : link.mtu };
  links.set(index, now);
  return { index, before, now };
}

/** Of the host itself, and not what every link gets by itself: containers come and go with those. */
function isHostsAddress({ ours }: Source, message: Received): boolean {
  if (message.type !== k.RTM_NEWADDR && message.type !== k.RTM_DELADDR) return false;
  const { index, ip } = readAddress(message);
  return !ours.has(index) && !/^fe[89ab]/.test(ip);
}

/** Over some tunnels, packets that the underlay no longer carries vanish until the devices have its MTU. */
function hasOtherMtu({ ours }: Source, { index, before, now }: LinkChange): boolean {
  return before !== undefined && now !== undefined && before.mtu !== now.mtu && !ours.has(index);
}
