// Network namespaces: which there are, how they are opened, made and removed. `vrf:blue` is the
// file /run/netns/weft-blue, where `ip netns` finds it too.
//
// A socket or descriptor of a namespace keeps it alive. Those of the host and of VRFs are kept open; those of workloads
// are opened for one use, so that a container's namespace dies with the container.
import { setImmediate } from "node:timers";
import { type Stats, closeSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync } from "node:fs";
import type { Ns } from "../datapath/kinds/kind.ts";
import { netnsFile } from "../datapath/kinds/namespaces.ts";
import { Fault } from "../model/fault.ts";
import { EEXIST, EINVAL, SystemError, refusalOfError, refuse } from "./errno.ts";
import * as libc from "./libc.ts";
import * as k from "./netlink/constants.ts";
import { linkByName, setLink } from "./netlink/link.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";
import { ThreadNetns } from "./threadNetns.ts";
import { netnsAlias, vrfOf } from "./ownership.ts";

export const RUN_DIR = "/run/netns";
const LOOPBACK = 1;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 0x10_0000;
const MNT_DETACH = 2;

/** An open namespace. `indexes` remembers interface indexes by name, as far as they were needed. */
export type Space = {
  readonly ns: Ns;
  /** As inodeOf() has it: of the host and of VRFs, whose spaces stay open. */
  readonly inode: string;
  readonly fd: number;
  readonly socket: NetlinkSocket;
  readonly indexes: Map<string, number>;
  /** Id of the host's namespace in this one, once it was asked for. */
  hostNsid?: number;
  /** What others keep open in it, and for as long. */
  readonly closeWith: { close(): void }[];
};

export class Namespaces {
  readonly #thread = new ThreadNetns();
  readonly #host: Space;
  readonly #prefix: string;
  readonly #files = new Map<string, string>();
  /** By file name. */
  readonly #vrfs = new Map<string, Space>();
  #isClosed = false;

  /** `host` is a path: the namespace that is to be this agent's host. */
  constructor(host: string, prefix: string) {
    this.#prefix = prefix;
    const space = this.#open("host", host, inodeOf(host) ?? "");
    if (space === undefined) throw new Error(`${host} is not a network namespace`);
    this.#host = space;
  }

  /** Runs `inside` in the namespace behind `fd`. `inside` must not start anything asynchronous. */
  within<T>(fd: number, inside: () => T): T {
    this.#mustBeOpen();
    return this.#thread.within(fd, inside);
  }

  /** Calls `inside` with a netlink socket of a new namespace, which is gone afterwards with all that is in it. */
  scratch<T>(inside: (socket: NetlinkSocket) => T, protocol = k.NETLINK_ROUTE): T {
    this.#mustBeOpen();
    const socket = this.#thread.inNew(() => new NetlinkSocket(protocol));
    try {
      return inside(socket);
    } finally {
      socket.close();
    }
  }

  get host(): Space {
    this.#mustBeOpen();
    return this.#host;
  }

  #fileOf(vrf: string): string {
    const known = this.#files.get(vrf);
    if (known !== undefined) return known;
    const file = netnsFile(this.#prefix, vrf);
    this.#files.set(vrf, file);
    return file;
  }

  /** Calls `inside` with the open namespace; undefined if there is none. Nothing of it may be used afterwards. */
  use<T>(ns: Ns, inside: (space: Space) => T): T | undefined {
    this.#mustBeOpen();
    if (ns === "host") return inside(this.#host);
    if (ns.startsWith("vrf:")) {
      const space = this.vrf(ns.slice(4));
      return space === undefined ? undefined : inside(space);
    }
    const space = this.#open(ns, ns, "");
    if (space === undefined) return undefined;
    try {
      return inside(space);
    } finally {
      // Closing a socket takes the kernel 15 us; an answer need not wait for that.
      setImmediate(() => closeSpace(space));
    }
  }

  /** use(); throws Refused `missing` if there is no such namespace. */
  inside(ns: Ns, run: (space: Space) => void): void {
    const isThere = this.use(ns, (space) => {
      run(space);
      return true;
    });
    if (isThere === undefined) refuseMissing(ns);
  }

  /**
   * The namespace of a VRF; undefined if it is not there or not ours. Kept open until it is removed, or until vrfs()
   * finds that it was removed or replaced: not looking each time saves an attach a tenth of its time.
   */
  vrf(name: string): Space | undefined {
    this.#mustBeOpen();
    const file = this.#fileOf(name);
    const space = this.#vrfs.get(file) ?? this.#vrfAt(file);
    return space?.ns === `vrf:${name}` ? space : undefined;
  }

  /** The namespaces of VRFs that this agent made, in this life or an earlier one. */
  vrfs(): Space[] {
    this.#mustBeOpen();
    const files = readDir(RUN_DIR);
    const there = new Set(files);
    for (const file of this.#vrfs.keys()) if (!there.has(file)) this.#forget(file);
    return files
      .filter((file) => this.mayOwn(file))
      .map((file) => this.#vrfAt(file))
      .filter((space) => space !== undefined)
      .sort((a, b) => (a.ns < b.ns ? -1 : 1));
  }

  /** The host's, and those of VRFs that are open: all that were made here or found. */
  known(): readonly Space[] {
    return [this.#host, ...this.#vrfs.values()];
  }

  /** Whether a file of that name may be a namespace of ours; its mark decides. */
  mayOwn(file: string): boolean {
    return file.startsWith(this.#prefix);
  }

  #vrfAt(file: string): Space | undefined {
    const path = `${RUN_DIR}/${file}`;
    const known = this.#vrfs.get(file);
    const inode = inodeOf(path);
    if (known !== undefined && inode === known.inode) return known;
    this.#forget(file);
    const opened = inode === undefined ? undefined : this.#open("vrf:", path, inode);
    if (opened === undefined) return undefined;
    const vrf = vrfOf(this.#prefix, file, opened.socket.ask(linkByName("lo"))?.alias ?? "");
    if (vrf === undefined) {
      closeSpace(opened);
      return undefined;
    }
    const space: Space = { ...opened, ns: `vrf:${vrf}` };
    this.#vrfs.set(file, space);
    return space;
  }

  /**
   * Makes a VRF's namespace, with its mark on a loopback that is up. The mark is there before the file is, so whatever
   * is found under the file is either complete or another program's. Throws SystemError EEXIST if it is there.
   */
  create(name: string): void {
    this.#mustBeOpen();
    const path = `${RUN_DIR}/${this.#fileOf(name)}`;
    makeRunDirShared();
    this.#forget(this.#fileOf(name));
    if (isNetns(path)) throw new SystemError(`network namespace ${path}`, EEXIST);
    closeSync(openSync(path, "a", 0o444));
    this.#thread.inNew(() => {
      markLoopback(netnsAlias(this.#prefix, name));
      libc.mount("/proc/thread-self/ns/net", path, "none", MS_BIND);
    });
  }

  /**
   * Takes the name away; the kernel destroys the namespace when it is no longer in use. What is not there is no
   * error.
   */
  remove(name: string): void {
    const path = `${RUN_DIR}/${this.#fileOf(name)}`;
    this.#forget(this.#fileOf(name));
    if (!isNetns(path)) return;
    libc.umount(path, MNT_DETACH);
    unlinkSync(path);
  }

  #forget(file: string): void {
    const known = this.#vrfs.get(file);
    if (known !== undefined) closeSpace(known);
    this.#vrfs.delete(file);
  }

  /** undefined if there is no network namespace behind the path. */
  #open(ns: Ns, path: string, inode: string): Space | undefined {
    const fd = openNetns(path);
    if (fd === undefined) return undefined;
    try {
      const socket = this.within(fd, () => new NetlinkSocket(k.NETLINK_ROUTE));
      return { ns, inode, fd, socket, indexes: new Map(), closeWith: [] };
    } catch (error) {
      libc.close(fd);
      // What can be opened but not entered is an ordinary file.
      if (error instanceof SystemError && error.errno === EINVAL) return undefined;
      throw error;
    }
  }

  /** A number of a descriptor that was closed may be another file's by now. */
  #mustBeOpen(): void {
    if (!this.#isClosed) return;
    throw new Fault("unavailable", { what: "the agent is stopping", fix: "try again when it has been started" });
  }

  close(): void {
    this.#isClosed = true;
    for (const file of this.#vrfs.keys()) this.#forget(file);
    closeSpace(this.#host);
    this.#thread.close();
  }
}

/** Of each namespace the one that `make` gives, made when it is first asked for, and closed with its space. */
export function onePerSpace<T extends { close(): void }>(make: (space: Space) => T): (space: Space) => T {
  const made = new WeakMap<Space, T>();
  return (space) => {
    const known = made.get(space);
    if (known !== undefined) return known;
    const one = make(space);
    made.set(space, one);
    space.closeWith.push(one);
    return one;
  };
}

export function refuseMissing(ns: Ns): never {
  return refuse("missing", `there is no network namespace ${ns}`);
}

function closeSpace(space: Space): void {
  for (const other of space.closeWith) other.close();
  space.socket.close();
  libc.close(space.fd);
}

/**
 * Device and inode of what is behind a path: the same for every path to one namespace. undefined if there is nothing.
 */
export function inodeOf(path: string): string | undefined {
  const stat = statOf(path);
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** The file behind a path, for as long as it is open. A namespace that is gone, or going, is not there. */
export function openNetns(path: string): number | undefined {
  try {
    return libc.open(path);
  } catch (error) {
    if (refusalOfError(error).class === "missing") return undefined;
    throw error;
  }
}

/** A path below /proc of a process that is just dying gives other errors than ENOENT. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Identity of the namespace behind a path; undefined if there is none. */
export function netnsIdOf(path: string): string | undefined {
  const stat = statOf(path);
  return stat?.dev === NSFS ? `${stat.dev}:${stat.ino}` : undefined;
}

/** A path may also be an ordinary file, left by a program that died between making and mounting it. */
function isNetns(path: string): boolean {
  return statOf(path)?.dev === NSFS;
}
const NSFS = statSync("/proc/self/ns/net").dev;

function readDir(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** As iproute2 does: a shared mount, so that a namespace made in one mount namespace is removed in all. */
function makeRunDirShared(): void {
  mkdirSync(RUN_DIR, { recursive: true, mode: 0o755 });
  try {
    libc.mount("", RUN_DIR, "none", MS_SHARED | MS_REC);
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== EINVAL) throw error;
    libc.mount(RUN_DIR, RUN_DIR, "none", MS_BIND | MS_REC);
    libc.mount("", RUN_DIR, "none", MS_SHARED | MS_REC);
  }
}

/** In the namespace that the thread is in. */
function markLoopback(alias: string): void {
  const socket = new NetlinkSocket(k.NETLINK_ROUTE);
  try {
    const w = new MessageWriter(1024);
    setLink(w, socket.nextSeq(), LOOPBACK, { alias });
    socket.transact(w, (_seq, errno) => {
      throw new SystemError("set lo", errno);
    });
  } finally {
    socket.close();
  }
}

/** Id of the host's namespace in `space`; the kernel gives one if it has none yet. */
export function hostNsidIn(space: Space, host: Space): number {
  space.hostNsid ??= askNsid(space.socket, host.fd) ?? giveNsid(space.socket, host.fd);
  return space.hostNsid;
}

function askNsid(socket: NetlinkSocket, fd: number): number | undefined {
  const nsid = socket.ask({
    type: k.RTM_GETNSID,
    write: (w) => nsidOf(w, fd),
    read: ({ bytes, start }) => bytes.readInt32LE(start + 8),
  });
  // -1: NETNSA_NSID_NOT_ASSIGNED
  return nsid === undefined || nsid < 0 ? undefined : nsid;
}

/** Lets the kernel choose an id. */
function giveNsid(socket: NetlinkSocket, fd: number): number {
  const write = (w: MessageWriter) => {
    nsidOf(w, fd);
    w.attrU32(k.NETNSA_NSID, 0xffff_ffff);
  };
  socket.ask({ type: k.RTM_NEWNSID, write, read: () => undefined });
  const nsid = askNsid(socket, fd);
  if (nsid === undefined) throw new SystemError("no id for the host's namespace", EINVAL);
  return nsid;
}

/** struct rtgenmsg, padded, and the namespace meant. */
function nsidOf(w: MessageWriter, fd: number): void {
  w.u32(k.AF_UNSPEC);
  w.attrU32(k.NETNSA_FD, fd);
}
