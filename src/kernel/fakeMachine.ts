// A machine's network in memory, with the kernel's habits: what hangs on a link goes with it, a pair goes at both ends,
// a bridge frees its ports, the last IPv4 address takes the routes of its link along. Everything is either ours or
// somebody else's. Synchronous and deterministic; each operation costs the same whatever else is there.
import { isDeepStrictEqual } from "node:util";
import type { KernelObject, ObjectOf } from "../datapath/kinds.ts";
import type { Bridge } from "../datapath/kinds/bridge.ts";
import type { Ifb } from "../datapath/kinds/ifb.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { WEFT_ROUTE_METRIC } from "../datapath/kinds/route.ts";
import type { Veth } from "../datapath/kinds/veth.ts";
import type { Vxlan } from "../datapath/kinds/vxlan.ts";
import { isLink, keyOf, type Op } from "../datapath/state/state.ts";
import { type Cidr, cidrAround, cidrOf, contains, interfaceOf, ipOf } from "../model/address.ts";
import { Refused } from "./errno.ts";
import type { Flow, Refusal } from "./kernel.ts";
import { sysctlsOf } from "./ownership.ts";

export type LinkObject = Bridge | Vxlan | Veth | Ifb;
export type EntryObject = ObjectOf<
  "tbf" | "redirect" | "address" | "route" | "neighbour" | "hop" | "fdb" | "bridge-fdb"
>;

/** A link as seen in one namespace: a veth pair is one link and two devices. */
export type Device = {
  readonly ns: Ns;
  readonly name: string;
  readonly link: Link;
  /** By key, in the order they came. */
  readonly entries: Map<string, EntryObject>;
  /** Networks that are reached without a gateway, by the key of the address or route they come from. */
  readonly connected: Map<string, Cidr>;
  /** Keys of routes that somebody else put on this link, whoever's the link is. */
  readonly foreign: Set<string>;
};
export type Link = { object: LinkObject; readonly isOurs: boolean; readonly devices: Device[] };
export type FakeSpace = {
  readonly ns: Ns;
  readonly isOurs: boolean;
  readonly id: string;
  readonly devices: Map<string, Device>;
  readonly ports: Map<string, Set<Link>>;
  readonly sysctls: Map<string, string>;
  /** By destination and metric: of two routes to one place, the second is refused. */
  readonly routes: Map<string, ObjectOf<"route">>;
  /** How many links carry an address. */
  readonly locals: Map<string, number>;
  table?: { readonly digest: string; readonly isOurs: boolean; readonly text: string };
  /** Elements of sets, by key of the object. */
  readonly flows: Flow[];
  readonly elements: Map<string, ObjectOf<"element">>;
};

export function refuse(kind: Refusal["class"], message: string): never {
  throw new Refused({ class: kind, message });
}

export class Machine {
  readonly spaces = new Map<Ns, FakeSpace>();
  /** VXLAN devices by VNI, port and family: their sockets are all in the host's namespace. */
  readonly #tunnels = new Set<string>();
  #ids = 0;

  constructor() {
    this.addSpace("host", true);
  }

  addSpace(ns: Ns, isOurs: boolean): void {
    if (this.spaces.has(ns)) refuse("exists", `the network namespace ${ns} is there`);
    this.spaces.set(ns, {
      ns,
      isOurs,
      id: `fake:${++this.#ids}`,
      devices: new Map(),
      ports: new Map(),
      sysctls: new Map(),
      routes: new Map(),
      locals: new Map(),
      flows: [],
      elements: new Map(),
    });
  }

  removeSpace(ns: Ns): void {
    for (const device of this.spaces.get(ns)?.devices.values() ?? []) this.removeLink(device.link);
    this.spaces.delete(ns);
  }

  space(ns: Ns): FakeSpace {
    return this.spaces.get(ns) ?? refuse("missing", `there is no network namespace ${ns}`);
  }

  device(ns: Ns, name: string): Device {
    return this.space(ns).devices.get(name) ?? refuse("missing", `there is no link ${name} in ${ns}`);
  }

  addLink(object: LinkObject, isOurs: boolean): void {
    this.#refuseTaken(object.ns, object.name);
    if (object.kind === "veth") this.#refuseTaken(object.peer.ns, object.peer.name);
    if (object.kind === "vxlan" && this.#tunnels.has(tunnelKey(object))) {
      refuse("exists", "a VXLAN device with the specified VNI already exists");
    }
    const link: Link = { object, isOurs, devices: [] };
    this.#enslave(link, masterOf(object));
    this.#addDevice(link, object.ns, object.name);
    if (object.kind === "veth") this.#addDevice(link, object.peer.ns, object.peer.name);
    if (object.kind === "vxlan") this.#tunnels.add(tunnelKey(object));
  }

  #refuseTaken(ns: Ns, name: string): void {
    const there = this.space(ns).devices.get(name);
    if (there !== undefined) refuse("exists", `${name} in ${ns} is a ${there.link.object.kind} that is there`);
  }

  #addDevice(link: Link, ns: Ns, name: string): void {
    const device: Device = { ns, name, link, entries: new Map(), connected: new Map(), foreign: new Set() };
    link.devices.push(device);
    this.space(ns).devices.set(name, device);
  }

  #enslave(link: Link, master: string | undefined): void {
    if (master === undefined) return;
    const space = this.space(link.object.ns);
    if (this.device(space.ns, master).link.object.kind !== "bridge") refuse("invalid", `${master} is not a bridge`);
    const ports = space.ports.get(master) ?? new Set();
    space.ports.set(master, ports.add(link));
  }

  removeLink(link: Link): void {
    const { object } = link;
    const space = this.spaces.get(object.ns);
    for (const port of space?.ports.get(object.name) ?? []) this.#release(port);
    space?.ports.delete(object.name);
    const master = masterOf(object);
    if (master !== undefined) space?.ports.get(master)?.delete(link);
    if (object.kind === "vxlan") this.#tunnels.delete(tunnelKey(object));
    for (const device of link.devices) {
      for (const entry of device.entries.values()) this.#forget(device, entry);
      this.spaces.get(device.ns)?.devices.delete(device.name);
    }
    if (object.kind === "ifb") this.#unaim(object);
  }

  /** What was redirected to a device that is gone goes nowhere. */
  #unaim({ ns, name }: Ifb): void {
    for (const device of this.spaces.get(ns)?.devices.values() ?? []) {
      for (const [key, entry] of device.entries)
        if (entry.kind === "redirect" && entry.to === name) device.entries.set(key, { ...entry, to: "" });
    }
  }

  /** A port without its bridge forgets what the bridge knew behind it. */
  #release(link: Link): void {
    if (link.object.kind === "bridge" || link.object.kind === "ifb") return;
    const { master: _, ...alone } = link.object;
    link.object = alone;
    for (const device of link.devices) {
      for (const [key, entry] of device.entries) if (entry.kind === "bridge-fdb") device.entries.delete(key);
    }
  }

  /** A bridge has one port behind a MAC. */
  #moveMac({ ns, link }: Device, mac: string): void {
    for (const port of this.spaces.get(ns)?.ports.get(masterOf(link.object) ?? "") ?? []) {
      for (const { entries, name } of port.devices) entries.delete(keyOf({ kind: "bridge-fdb", ns, dev: name, mac }));
    }
  }

  /** Changes a link in place; a link that gets another MAC forgets its neighbours. */
  setLink(link: Link, object: LinkObject): void {
    const from = link.object;
    if (masterOf(from) !== masterOf(object)) {
      const before = masterOf(from);
      if (before !== undefined) this.spaces.get(from.ns)?.ports.get(before)?.delete(link);
      this.#release(link);
      this.#enslave(link, masterOf(object));
    }
    if (from.mac !== object.mac) forgetNeighbours(link.devices[0]);
    if (from.kind === "veth" && object.kind === "veth" && from.peer.mac !== object.peer.mac) {
      forgetNeighbours(link.devices[1]);
    }
    link.object = object;
  }

  /** Others' routes are known by their protocol; whatever else is on a link is its owner's. */
  addEntry(object: EntryObject, isOurs = true): void {
    const device = this.device(object.ns, object.dev);
    const key = keyOf(object);
    if (object.kind === "route") this.#checkRoute(device, object);
    if (object.kind === "hop" && [...device.entries.values()].some((o) => o.kind === "neighbour" && o.ip === object.ip))
      refuse("exists", `the neighbour ${object.ip} on ${object.dev} is not ours`);
    if (object.kind === "address") this.#checkAddress(device, object);
    if (object.kind === "fdb" && device.link.object.kind !== "vxlan")
      refuse("unsupported", `${device.name} is no tunnel`);
    if (object.kind === "bridge-fdb" && masterOf(device.link.object) === undefined) {
      refuse("unsupported", `${device.name} is not a port of a bridge`);
    }
    if (object.kind === "redirect") this.device(object.ns, object.to);
    if (object.kind === "tbf") checkQueue(device, object);
    if (object.kind === "bridge-fdb") this.#moveMac(device, object.mac);
    const isThere = device.entries.has(key);
    device.entries.set(key, object);
    if (object.kind === "route" && !isOurs) device.foreign.add(key);
    const connected = connectedBy(object);
    if (connected !== undefined) device.connected.set(key, connected);
    const space = this.space(object.ns);
    if (object.kind === "route") space.routes.set(placeOf(object), object);
    if (object.kind === "address" && !isThere) count(space.locals, addressIn(object), 1);
  }

  #checkAddress(device: Device, object: ObjectOf<"address">): void {
    if (device.entries.has(keyOf(object))) return;
    if (!object.cidr.includes(":")) return;
    // IPv6 knows an address by itself, without its length.
    for (const other of device.entries.values()) {
      if (other.kind === "address" && addressIn(other) === addressIn(object))
        refuse("exists", `there is ${other.cidr}`);
    }
  }

  #checkRoute(device: Device, object: ObjectOf<"route">): void {
    const space = this.space(object.ns);
    const there = space.routes.get(placeOf(object));
    const isForeign = there !== undefined && this.device(there.ns, there.dev).foreign.has(keyOf(there));
    if (there !== undefined && (isForeign || !isSameRoute(there, object))) {
      refuse("exists", `there is ${there.dst} via ${there.via ?? "no gateway"}`);
    }
    if (object.src !== undefined && !space.locals.has(object.src))
      refuse("invalid", `${object.src} is not an address here`);
    if (object.via === undefined || object.onlink) return;
    const gateway = ipOf(object.via);
    if (gateway === undefined || ![...device.connected.values()].some((cidr) => contains(cidr, gateway))) {
      refuse("invalid", "nexthop has invalid gateway");
    }
  }

  /** Another value under the same key; what was there stays if the new one is refused. */
  replaceEntry(object: EntryObject): void {
    const device = this.device(object.ns, object.dev);
    const there = device.entries.get(keyOf(object));
    if (there !== undefined) this.#forget(device, there);
    try {
      this.addEntry(object);
    } catch (refused) {
      if (there !== undefined) this.addEntry(there);
      throw refused;
    }
  }

  removeEntry(object: EntryObject): void {
    const device = this.device(object.ns, object.dev);
    const there = device.entries.get(keyOf(object));
    if (there === undefined || device.foreign.has(keyOf(object))) return;
    // The kernel removes only what it is shown whole.
    if (there.kind === "fdb" && object.kind === "fdb" && there.dst !== object.dst) return;
    if (there.kind === "route" && object.kind === "route" && there.via !== object.via) return;
    this.#forget(device, there);
    if (there.kind === "address") this.#afterAddress(device, there);
  }

  #forget(device: Device, entry: EntryObject): void {
    const key = keyOf(entry);
    device.entries.delete(key);
    device.connected.delete(key);
    device.foreign.delete(key);
    const space = this.spaces.get(device.ns);
    if (entry.kind === "route") space?.routes.delete(placeOf(entry));
    if (entry.kind === "address" && space !== undefined) count(space.locals, addressIn(entry), -1);
  }

  /** What else the kernel removes with an address. */
  #afterAddress(device: Device, gone: ObjectOf<"address">): void {
    const isV6 = gone.cidr.includes(":");
    const entries = [...device.entries.values()];
    const isAlone = !isV6 && !entries.some((entry) => entry.kind === "address" && !entry.cidr.includes(":"));
    for (const entry of entries) {
      if (entry.kind !== "route" || entry.dst.includes(":") !== isV6) continue;
      if (isAlone) this.#forget(device, entry);
      else if (entry.src === addressIn(gone)) this.#loseSource(device, entry, isV6);
    }
  }

  /** An IPv4 route goes with its source address; an IPv6 route stays and loses it. */
  #loseSource(device: Device, route: ObjectOf<"route">, isV6: boolean): void {
    this.#forget(device, route);
    if (!isV6) return;
    const { src: _, ...rest } = route;
    this.addEntry(rest);
  }
}

function checkQueue(device: Device, object: ObjectOf<"tbf">): void {
  const there = device.entries.get(keyOf(object));
  if (there !== undefined && !isDeepStrictEqual(there, object)) refuse("exists", `${device.name} has a queue`);
}

function isSameRoute(a: ObjectOf<"route">, b: ObjectOf<"route">): boolean {
  return a.dev === b.dev && a.via === b.via && a.onlink === b.onlink && a.src === b.src;
}

function tunnelKey(object: Vxlan): string {
  return `${object.vni} ${object.port} ${object.local.includes(":") ? 6 : 4}`;
}

function masterOf(object: LinkObject): string | undefined {
  return object.kind === "bridge" || object.kind === "ifb" ? undefined : object.master;
}

function forgetNeighbours(device: Device | undefined): void {
  for (const [key, entry] of device?.entries ?? []) if (entry.kind === "neighbour") device?.entries.delete(key);
}

function connectedBy(object: EntryObject): Cidr | undefined {
  if (object.kind === "route") return object.via === undefined ? cidrOf(object.dst) : undefined;
  const spread = object.kind === "address" ? interfaceOf(object.cidr) : undefined;
  return spread === undefined ? undefined : cidrAround(spread.ip, spread.length);
}

function addressIn(object: ObjectOf<"address">): string {
  return object.cidr.slice(0, object.cidr.indexOf("/"));
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const number = (counts.get(key) ?? 0) + change;
  if (number > 0) counts.set(key, number);
  else counts.delete(key);
}

export function isLinkObject(object: KernelObject): object is LinkObject {
  return isLink(object);
}

function placeOf({ dst, metric = WEFT_ROUTE_METRIC }: ObjectOf<"route">): string {
  return `${dst} metric ${metric}`;
}

/** Equal but for what changes in place. */
export function isSameEntry(a: EntryObject, b: EntryObject): boolean {
  const value = (o: EntryObject) => ("mac" in o ? o.mac : "") + ("dst" in o ? o.dst : "") + ("via" in o ? o.via : "");
  return keyOf(a) === keyOf(b) && value(a) === value(b);
}

/** Of a namespace: what is Weft's to set. */
export function setSysctl(space: FakeSpace, { key, value }: ObjectOf<"sysctl">): void {
  if (!sysctlsOf(space.ns).includes(key)) refuse("unsupported", `Weft does not set net/${key} in ${space.ns}`);
  space.sysctls.set(key, value);
}

export function setTable(space: FakeSpace, object: ObjectOf<"nft">, verb: Op["op"]): void {
  const { table } = space;
  if (table !== undefined && !table.isOurs) {
    if (verb === "remove") return;
    refuse("exists", "the table is somebody else's");
  }
  if (verb === "add" && table !== undefined) refuse("exists", `the table is ours, with body ${table.digest}`);
  if (verb === "remove") delete space.table;
  else space.table = { digest: object.digest, isOurs: true, text: object.body + (object.bridge ?? "") };
  // Sets that the new text does not have go with their elements.
  for (const [key, { set }] of space.elements) if (!hasSet(space, set)) space.elements.delete(key);
}

export function runElement(space: FakeSpace, verb: Op["op"], object: ObjectOf<"element">): void {
  const key = keyOf(object);
  if (verb === "remove") {
    space.elements.delete(key);
    return;
  }
  if (!hasSet(space, object.set)) refuse("missing", `there is no set ${object.set}`);
  const there = space.elements.get(key);
  if (verb === "set" && there === undefined) refuse("missing", `${object.set} has no ${object.key}`);
  if (verb === "add" && there !== undefined && there.value !== object.value)
    refuse("exists", `${object.set} has ${object.key} with another value`);
  space.elements.set(key, object);
}

function hasSet({ table }: FakeSpace, set: string): boolean {
  return table?.isOurs === true && (table.text.includes(`set ${set} {`) || table.text.includes(`map ${set} {`));
}
