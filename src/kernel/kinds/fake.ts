// How a kind behaves in a machine in memory (../fakeMachine.ts), where everything is ours or another's.
import { type KernelObject, kindOf } from "../../datapath/kinds.ts";
import { type EntryObject, type LinkObject, type OpOn, keyOf } from "../../datapath/state/state.ts";
import { refuse } from "../errno.ts";
import { type EntryHooks, type FakeSpace, type LinkHooks, type Machine, masterOf } from "../fakeMachine.ts";

export type Fake<T> = {
  /** Does an operation of ours, or throws Refused. */
  readonly run: (machine: Machine, op: OpOn<T>) => void;
  /** Another makes it. */
  readonly plant: (machine: Machine, object: T) => void;
  /** Another removes it, or changes it if it cannot be removed. */
  readonly disturb: (machine: Machine, object: T) => void;
  /** Whether it is there, ours or another's. */
  readonly has: (space: FakeSpace | undefined, object: T) => boolean;
  /** Of a kind that stands alone: what there is of ours. */
  readonly standing?: (space: FakeSpace) => readonly T[];
  readonly link?: LinkHooks<T>;
  readonly entry?: EntryHooks<T>;
};

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

function addLink(machine: Machine, object: LinkObject): void {
  const master = masterOf(object);
  if (master !== undefined && !machine.device(object.ns, master).link.isOurs) refuse("exists", `${master} is not ours`);
  machine.addLink(object, true);
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
    run(machine, operation) {
      const { op, object } = operation;
      const { link } = machine.device(object.ns, object.dev);
      if (!link.isOurs && entry.isOnAnyLink !== true) refuse("exists", `${object.dev} in ${object.ns} is not ours`);
      if (op === "remove") machine.removeEntry(object);
      else if (op === "set") machine.replaceEntry(operation.from, object);
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
