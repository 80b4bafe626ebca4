// A machine's network in memory, with the kernel's habits: objects on a link are removed with it, a pair is removed at
// both ends, removing a bridge frees its ports. Everything is either Weft's or another program's. What is special to a
// kind is in kinds/. Synchronous and deterministic; each operation costs the same whatever else exists.
import { type KernelObject, kindOf } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { type EntryObject, type LinkObject, keyOf } from "../datapath/state/state.ts";
import type { Cidr } from "../model/address.ts";
import { refuse } from "./errno.ts";
import type { Flow } from "./kernel.ts";

/** What a kind of links has of its own. */
export type LinkHooks<T> = {
  /** What a machine can have only once. */
  readonly claim?: (object: T) => string;
  /** Entries of other links lead to it: their `to` is empty when it is gone. */
  readonly isTarget?: true;
};

/** What a kind of entries has of its own. */
export type EntryHooks<T> = {
  /** Entries of this kind are on links of others, too. */
  readonly isOnAnyLink?: true;
  /** Known as ours by a mark of its own, and not by its link. */
  readonly isMarked?: true;
  /** The change of its link that makes the kernel forget it. */
  readonly lostWith?: "mac" | "master";
  /** Throws Refused as the kernel would. */
  readonly check?: (machine: Machine, device: FakeDevice, object: T) => void;
  /** After it came; `isNew`: there was none under its key. */
  readonly added?: (machine: Machine, device: FakeDevice, object: T, isNew: boolean) => void;
  /** After it went, for whatever reason. */
  readonly gone?: (space: FakeSpace, object: T) => void;
  /** What else the kernel removes when this alone is removed. */
  readonly cascade?: (machine: Machine, device: FakeDevice, object: T) => void;
  /** Whether a removal of `named` removes `there`, which has the same key. */
  readonly isMeant?: (there: T, named: T) => boolean;
  /** The network that is reached through it without a gateway. */
  readonly connects?: (object: T) => Cidr | undefined;
};

/** A link as seen in one namespace: a veth pair is one link and two devices. */
export type FakeDevice = {
  readonly ns: Ns;
  readonly name: string;
  readonly link: FakeLink;
  /** By key, in the order they came. */
  readonly entries: Map<string, EntryObject>;
  /** Networks that are reached without a gateway, by the key of the address or route they come from. */
  readonly connected: Map<string, Cidr>;
  /** Keys of marked entries that are another's, also on links of ours. */
  readonly foreign: Set<string>;
};
export type FakeLink = { object: LinkObject; isOurs: boolean; readonly devices: FakeDevice[] };

export type FakeSpace = {
  readonly ns: Ns;
  readonly isOurs: boolean;
  readonly id: string;
  readonly devices: Map<string, FakeDevice>;
  readonly ports: Map<string, Set<FakeLink>>;
  readonly sysctls: Map<string, string>;
  /** By slot: of two routes to one destination, the second is refused. */
  readonly slots: Map<string, EntryObject>;
  /** How many links carry an address. */
  readonly locals: Map<string, number>;
  readonly flows: Flow[];
  /** Weft's tables, or another's of that name. */
  table?: { readonly digest: string; readonly isOurs: boolean; readonly body: string; readonly bridge?: string };
  /** Objects that stand alone, by key: of the kinds that need nothing else (fakeAlone). */
  readonly alone: Map<string, { readonly object: KernelObject; readonly isOurs: boolean }>;
};

/** What is special to the kind of a link, or of an entry. */
type Hooks = {
  readonly ofLink: (link: LinkObject) => LinkHooks<LinkObject>;
  readonly ofEntry: (entry: EntryObject) => EntryHooks<EntryObject>;
};

export class Machine {
  readonly spaces = new Map<Ns, FakeSpace>();
  /** What a machine can have only once. */
  readonly #claims = new Set<string>();
  readonly #hooks: Hooks;
  #ids = 0;

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
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
      slots: new Map(),
      locals: new Map(),
      flows: [],
      alone: new Map(),
    });
  }

  removeSpace(ns: Ns): void {
    for (const device of this.spaces.get(ns)?.devices.values() ?? []) this.removeLink(device.link);
    this.spaces.delete(ns);
  }

  space(ns: Ns): FakeSpace {
    return this.spaces.get(ns) ?? refuse("missing", `there is no network namespace ${ns}`);
  }

  device(ns: Ns, name: string): FakeDevice {
    return this.space(ns).devices.get(name) ?? refuse("missing", `there is no link ${name} in ${ns}`);
  }

  addLink(object: LinkObject, isOurs: boolean): void {
    const devices = kindOf(object).devices(object);
    for (const { ns, name } of devices) {
      const there = this.space(ns).devices.get(name);
      if (there !== undefined) refuse("exists", `${name} in ${ns} is a ${there.link.object.kind} that is there`);
    }
    const claim = this.#hooks.ofLink(object).claim?.(object);
    if (claim !== undefined && this.#claims.has(claim)) refuse("exists", `there is another ${claim}`);
    const link: FakeLink = { object, isOurs, devices: [] };
    this.#enslave(link, masterOf(object));
    for (const { ns, name } of devices) this.#addDevice(link, ns, name);
    if (claim !== undefined) this.#claims.add(claim);
  }

  #addDevice(link: FakeLink, ns: Ns, name: string): void {
    const device: FakeDevice = { ns, name, link, entries: new Map(), connected: new Map(), foreign: new Set() };
    link.devices.push(device);
    this.space(ns).devices.set(name, device);
  }

  #enslave(link: FakeLink, master: string | undefined): void {
    if (master === undefined) return;
    const space = this.space(link.object.ns);
    if (this.device(space.ns, master).link.object.kind !== "bridge") refuse("invalid", `${master} is not a bridge`);
    const ports = space.ports.get(master) ?? new Set();
    space.ports.set(master, ports.add(link));
  }

  removeLink(link: FakeLink): void {
    const { object } = link;
    const { claim, isTarget } = this.#hooks.ofLink(object);
    const space = this.spaces.get(object.ns);
    for (const port of space?.ports.get(object.name) ?? []) this.#release(port);
    space?.ports.delete(object.name);
    const master = masterOf(object);
    if (master !== undefined) space?.ports.get(master)?.delete(link);
    if (claim !== undefined) this.#claims.delete(claim(object));
    for (const device of link.devices) {
      for (const entry of device.entries.values()) this.forget(device, entry);
      this.spaces.get(device.ns)?.devices.delete(device.name);
    }
    if (isTarget === true) this.#loseTarget(object);
  }

  /** What led to a device that is gone leads nowhere. */
  #loseTarget({ ns, name }: LinkObject): void {
    for (const device of this.spaces.get(ns)?.devices.values() ?? []) {
      for (const [key, entry] of device.entries)
        if ("to" in entry && entry.to === name) device.entries.set(key, { ...entry, to: "" });
    }
  }

  /** A port without its bridge forgets what the bridge knew behind it. */
  #release(link: FakeLink): void {
    const { object } = link;
    if (!("master" in object)) return;
    const { master: _, ...alone } = object;
    link.object = alone;
    for (const device of link.devices) this.#loseEntries(device, "master");
  }

  #loseEntries({ entries }: FakeDevice, change: "mac" | "master"): void {
    for (const [key, entry] of entries) if (this.#hooks.ofEntry(entry).lostWith === change) entries.delete(key);
  }

  /** Changes a link in place; an end that gets another MAC forgets its neighbours. */
  setLink(link: FakeLink, object: LinkObject): void {
    const from = link.object;
    if (masterOf(from) !== masterOf(object)) {
      const before = masterOf(from);
      if (before !== undefined) this.spaces.get(from.ns)?.ports.get(before)?.delete(link);
      this.#release(link);
      this.#enslave(link, masterOf(object));
    }
    const [macs, before] = [macsOf(object), macsOf(from)];
    for (const [i, device] of link.devices.entries()) if (macs[i] !== before[i]) this.#loseEntries(device, "mac");
    link.object = object;
  }

  addEntry(object: EntryObject, isOurs: boolean): void {
    const device = this.device(object.ns, object.dev);
    const { check, connects, added, isMarked } = this.#hooks.ofEntry(object);
    check?.(this, device, object);
    const key = keyOf(object);
    const isNew = !device.entries.has(key);
    device.entries.set(key, object);
    const slot = kindOf(object).slot(object);
    if (slot !== undefined) this.space(object.ns).slots.set(slot, object);
    if (isMarked === true && !isOurs) device.foreign.add(key);
    const connected = connects?.(object);
    if (connected !== undefined) device.connected.set(key, connected);
    added?.(this, device, object, isNew);
  }

  /** Another value under the same key, or in the same slot; what was there stays if the new one is refused. */
  replaceEntry(from: EntryObject, object: EntryObject): void {
    const places = [object, from].flatMap((one) => {
      const device = this.spaces.get(one.ns)?.devices.get(one.dev);
      const there = device?.entries.get(keyOf(one));
      return device === undefined || there === undefined ? [] : [{ device, there }];
    });
    for (const { device, there } of places) this.forget(device, there);
    try {
      this.addEntry(object, true);
    } catch (refused) {
      for (const { there } of places) this.addEntry(there, true);
      throw refused;
    }
  }

  removeEntry(object: EntryObject): void {
    const device = this.device(object.ns, object.dev);
    const there = device.entries.get(keyOf(object));
    if (there === undefined || device.foreign.has(keyOf(object))) return;
    const { isMeant, cascade } = this.#hooks.ofEntry(there);
    if (isMeant?.(there, object) === false) return;
    this.forget(device, there);
    cascade?.(this, device, there);
  }

  forget(device: FakeDevice, entry: EntryObject): void {
    const key = keyOf(entry);
    device.entries.delete(key);
    device.connected.delete(key);
    device.foreign.delete(key);
    const space = this.spaces.get(device.ns);
    if (space === undefined) return;
    const slot = kindOf(entry).slot(entry);
    if (slot !== undefined) space.slots.delete(slot);
    this.#hooks.ofEntry(entry).gone?.(space, entry);
  }
}

export function masterOf(object: LinkObject): string | undefined {
  return "master" in object ? object.master : undefined;
}

function macsOf(object: LinkObject): readonly string[] {
  return "peer" in object ? [object.mac, object.peer.mac] : [object.mac];
}
