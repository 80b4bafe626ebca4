// How a kind behaves in a machine in memory (../fakeMachine.ts), where everything is ours or another's.
import { type KernelObject, kindOf } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { type EntryObject, type LinkObject, type OpOn, keyOf } from "../../datapath/state/state.ts";
import type { Cidr } from "../../model/address.ts";
import { Refused } from "../errno.ts";
import type { Flow, Refusal } from "../kernel.ts";

export type Fake<T> = {
  /** Does an operation of ours, or throws Refused. */
  readonly run: (machine: FakeMachine, op: OpOn<T>) => void;
  /** Another makes it. */
  readonly plant: (machine: FakeMachine, object: T) => void;
  /** Another removes it, or changes it if it cannot be removed. */
  readonly disturb: (machine: FakeMachine, object: T) => void;
  /** Whether it is there, ours or another's. */
  readonly has: (space: FakeSpace | undefined, object: T) => boolean;
  /** Of a kind that stands alone: what there is of ours. */
  readonly standing?: (space: FakeSpace) => readonly T[];
  readonly link?: LinkHooks<T>;
  readonly entry?: EntryHooks<T>;
};

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
  readonly check?: (machine: FakeMachine, device: FakeDevice, object: T) => void;
  /** After it came; `isNew`: there was none under its key. */
  readonly added?: (machine: FakeMachine, device: FakeDevice, object: T, isNew: boolean) => void;
  /** After it went, for whatever reason. */
  readonly gone?: (space: FakeSpace, object: T) => void;
  /** What else the kernel removes when this alone is removed. */
  readonly cascade?: (machine: FakeMachine, device: FakeDevice, object: T) => void;
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
export type FakeLink = { object: LinkObject; readonly isOurs: boolean; readonly devices: FakeDevice[] };

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

export type FakeMachine = {
  readonly spaces: ReadonlyMap<Ns, FakeSpace>;
  addSpace(ns: Ns, isOurs: boolean): void;
  removeSpace(ns: Ns): void;
  /** Throws Refused `missing`. */
  space(ns: Ns): FakeSpace;
  /** Throws Refused `missing`. */
  device(ns: Ns, name: string): FakeDevice;
  addLink(object: LinkObject, isOurs: boolean): void;
  setLink(link: FakeLink, object: LinkObject): void;
  removeLink(link: FakeLink): void;
  addEntry(object: EntryObject, isOurs: boolean): void;
  replaceEntry(object: EntryObject): void;
  removeEntry(object: EntryObject): void;
  /** Takes an entry away and nothing else. */
  forget(device: FakeDevice, entry: EntryObject): void;
};

export function refuse(kind: Refusal["class"], message: string): never {
  throw new Refused({ class: kind, message });
}

export function fakeLink<T extends LinkObject>(link: LinkHooks<T>): Fake<T> {
  return {
    run(machine, { op, object }) {
      if (op === "add") return addLink(machine, object);
      const { link: there } = machine.device(object.ns, object.name);
      if (!there.isOurs) refuse("exists", `${object.name} in ${object.ns} is not ours`);
      if (op === "set") machine.setLink(there, object);
      else if (there.object.kind === object.kind) machine.removeLink(there);
    },
    plant: (machine, object) => machine.addLink(object, false),
    disturb: (machine, object) => machine.removeLink(machine.device(object.ns, object.name).link),
    has: (space, object) => space?.devices.get(object.name)?.link.object.kind === object.kind,
    link,
  };
}

function addLink(machine: FakeMachine, object: LinkObject): void {
  const master = masterOf(object);
  if (master !== undefined && !machine.device(object.ns, master).link.isOurs) refuse("exists", `${master} is not ours`);
  machine.addLink(object, true);
}

export function masterOf(object: LinkObject): string | undefined {
  return "master" in object ? object.master : undefined;
}

type AloneHooks<T> = {
  /** Throws Refused as the kernel would. */
  readonly check?: (space: FakeSpace, op: OpOn<T>, isThere: boolean) => void;
};

/** For kinds whose objects are there or not, each with its value. */
export function fakeAlone<T extends KernelObject>(kind: T["kind"], { check }: AloneHooks<T> = {}): Fake<T> {
  return {
    run(machine, op) {
      const { object } = op;
      const space = machine.space(object.ns);
      const there = space.alone.get(keyOf(object));
      if (op.op === "remove") {
        if (there?.isOurs === true) space.alone.delete(keyOf(object));
        return;
      }
      check?.(space, op, there !== undefined);
      const isSame = there !== undefined && kindOf(object as KernelObject).isSame(there.object, object);
      if (there?.isOurs === false || (op.op === "add" && there !== undefined && !isSame))
        refuse("exists", `there is ${JSON.stringify(there?.object)}`);
      space.alone.set(keyOf(object), { object, isOurs: true });
    },
    plant: (machine, object) => void machine.space(object.ns).alone.set(keyOf(object), { object, isOurs: false }),
    disturb: (machine, object) => void machine.space(object.ns).alone.delete(keyOf(object)),
    has(space, object) {
      const there = space?.alone.get(keyOf(object));
      return there !== undefined && kindOf(object as KernelObject).isSame(there.object, object);
    },
    standing({ alone }) {
      const ours = [...alone.values()].filter(({ object, isOurs }) => isOurs && object.kind === kind);
      return ours.map(({ object }) => object as T);
    },
  };
}

export function fakeEntry<T extends EntryObject>(entry: EntryHooks<T>): Fake<T> {
  return {
    run(machine, { op, object }) {
      const { link } = machine.device(object.ns, object.dev);
      if (!link.isOurs && entry.isOnAnyLink !== true) refuse("exists", `${object.dev} in ${object.ns} is not ours`);
      if (op === "remove") machine.removeEntry(object);
      else if (op === "set") machine.replaceEntry(object);
      else machine.addEntry(object, true);
    },
    plant: (machine, object) => machine.addEntry(object, false),
    disturb: (machine, object) => machine.removeEntry(object),
    has(space, object) {
      const there = space?.devices.get(object.dev)?.entries.get(keyOf(object));
      return there !== undefined && kindOf(there).isSame(there, object);
    },
    entry,
  };
}

/** Elements of every set that a namespace's tables do not have are gone. */
export function hasSet({ table }: FakeSpace, set: string): boolean {
  const text = table?.isOurs === true ? table.body + (table.bridge ?? "") : "";
  return text.includes(`set ${set} {`) || text.includes(`map ${set} {`);
}
