// The kernel in memory, for simulations and for tests without root. Besides what linux.ts has, a test finds here what
// it needs to play the rest of the world: workloads that come and go, other programs' objects, faults, drift.
// Deterministic: no clock, no randomness; a thousand operations are a thousand small steps.
import type { KernelObject } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { NETNS_PREFIX, isVrfNs } from "../datapath/kinds/namespaces.ts";
import type { Veth } from "../datapath/kinds/links.ts";
import {
  type EntryObject,
  type KernelState,
  type LinkObject,
  type Op,
  isLink,
  keyOf,
  stateOf,
} from "../datapath/state/state.ts";
import { FEATURE_NAMES, type Feature } from "../model/features.ts";
import type { DeviceFacts } from "../model/physical.ts";
import { type Direction, DIRECTIONS } from "../model/qos.ts";
import { refusalBy } from "./errno.ts";
import { type EntryHooks, type FakeDevice, type LinkHooks, Machine } from "./fakeMachine.ts";
import {
  type Counters,
  type Counted,
  type Flow,
  type HostFacts,
  type Kernel,
  type NetnsId,
  type OpResult,
  type PortSeen,
  type Refusal,
  STALE,
  type Inherited,
  UNGUARDED,
  guardsOf,
} from "./kernel.ts";
import { ALL_KINDS, kernelKindOf, misplaced } from "./kinds.ts";
import { sysctlsOf } from "./kinds/namespaces.ts";
import { ENDPOINT_ALIAS } from "./ownership.ts";
import { differences } from "./inherit.ts";

export type FakeOptions = {
  /** The host's own addresses, with the MTU of their links. */
  readonly addresses?: ReadonlyMap<string, number>;
  readonly facts?: HostFacts;
  /** By which neighbours others are reached; default: by none. */
  readonly nextHops?: Kernel["nextHops"];
  /** The host's own devices; a test may change them. */
  readonly devices?: readonly DeviceFacts[];
  /** Default: both. */
  readonly shaping?: readonly Direction[];
  /** Default: all. */
  readonly features?: readonly Feature[];
};

const STUCK: Refusal = { class: "busy", message: "EBUSY: it is stuck" };

export class FakeKernel implements Kernel {
  readonly netnsPrefix = NETNS_PREFIX;
  readonly #machine: Machine;
  readonly #options: FakeOptions;
  readonly #pokes: Set<() => unknown>;
  #faults: Refusal[] = [];
  /** Names of links that this kernel does not let go of for now. */
  readonly stuck = new Set<string>();
  /** What a namespace's tables say, which no kernel gives back: for who judges packets by it. */
  readonly tableText = (ns: Ns) => {
    const table = this.#machine.spaces.get(ns)?.table;
    return table === undefined ? "" : table.body + (table.bridge ?? "");
  };

  /** `other`: a kernel of the same machine, as a restarted agent would open it. */
  constructor(options: FakeOptions = {}, other?: FakeKernel) {
    this.#options = options;
    this.#machine = other === undefined ? newMachine() : other.#machine;
    this.#pokes = other === undefined ? new Set() : other.#pokes;
  }

  observe(workloads: readonly Ns[]): Promise<KernelState> {
    return Promise.resolve(stateIn(this.#machine, new Set(workloads)));
  }

  ports(): Promise<readonly PortSeen[]> {
    const spaces = [...this.#machine.spaces.values()].filter(({ ns, isOurs }) => isVrfNs(ns) && isOurs);
    return Promise.resolve(spaces.flatMap(({ devices }) => [...devices.values()].flatMap(portOn)));
  }

  apply(ops: readonly Op[], isStale: (op: Op) => boolean = () => false): Promise<OpResult[]> {
    const unguarded = new Set<Ns>();
    const results = ops.map((op): OpResult => {
      const refusal = this.#judge(op, isStale, unguarded);
      if (refusal === undefined) return { op };
      const isPolicy = op.object.kind === "nft" || op.object.kind === "element";
      if (isPolicy && refusal !== STALE) unguarded.add(op.object.ns);
      return { op, refusal };
    });
    if (ops.length > 0) this.#poke();
    return Promise.resolve(results);
  }

  #judge(op: Op, isStale: (op: Op) => boolean, unguarded: ReadonlySet<Ns>): Refusal | undefined {
    if (isStale(op)) return STALE;
    if (guardsOf(op).some((ns) => unguarded.has(ns))) return UNGUARDED;
    return this.#faults.shift() ?? this.#try(op);
  }

  #try(op: Op): Refusal | undefined {
    if (op.op === "remove" && "name" in op.object && this.stuck.has(op.object.name)) return STUCK;
    const refusal = misplaced(op.object) ?? refusalBy(() => kernelKindOf(op.object).fake.run(this.#machine, op));
    const isGone = refusal?.class === "missing" || refusal?.class === "exists";
    return op.op === "remove" && isGone ? undefined : refusal;
  }

  cutOff(ports: readonly Veth[]): readonly (Refusal | undefined)[] {
    const refusals = ports.map((port) => this.#faults.shift() ?? takeDown(this.#machine, port));
    this.#poke();
    return refusals;
  }

  /** Nothing is sent in memory, and no other program filters. */
  readonly underlayDevice = () => undefined;
  readonly sendToGroup = () => false;
  /** Its host has nothing on its devices. */
  readonly hostUse = () => undefined;
  readonly takeOver = () => Promise.resolve(undefined);
  readonly giveBack = () => Promise.resolve(undefined);
  readonly holdGroups = () => undefined;
  inherit(wanted: readonly KernelObject[]): Inherited {
    const outcome = inheritIn(this.#machine, wanted);
    this.#poke();
    return outcome;
  }
  /** It pokes at whatever happens. */
  readonly heed = () => undefined;
  readonly echo = () => undefined;
  readonly trials = () => undefined;
  readonly blockingFilters = () => [];
  readonly forwardFilters = () => ({ drops: [], seesFrames: false });
  readonly otherVxlans = () => [];
  readonly troubles = () => [];

  watch(poke: () => unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#pokes.add(poke);
    signal.addEventListener("abort", () => this.#pokes.delete(poke), { once: true });
  }

  #poke(): void {
    for (const poke of this.#pokes) poke();
  }

  netnsId(path: string): NetnsId | undefined {
    return path.startsWith("/") ? this.#machine.spaces.get(path as `/${string}`)?.id : undefined;
  }

  ownNetns(id: NetnsId): Ns | undefined {
    const own = [...this.#machine.spaces.values()].find((space) => space.id === id);
    return own === undefined || own.ns.startsWith("/") || !own.isOurs ? undefined : own.ns;
  }

  linkNames(ns: Ns): readonly string[] {
    const space = this.#machine.spaces.get(ns);
    return space === undefined ? [] : ["lo", ...space.devices.keys()];
  }

  readonly nextHops = (addresses: readonly string[]) => this.#options.nextHops?.(addresses) ?? [];
  readonly facts = () => this.#options.facts ?? { prefixes: [], bootId: "fake" };
  readonly devices = (names: readonly string[]) =>
    this.#options.devices?.filter(({ name }) => names.includes(name)) ?? [];
  readonly underlayMtu = (address: string) => this.#options.addresses?.get(address);
  readonly shaping = () => this.#options.shaping ?? DIRECTIONS;
  readonly features = () => Promise.resolve(this.#options.features ?? FEATURE_NAMES);

  /** Queues that nothing went through. */
  queues(ns: Ns): ReadonlyMap<string, Counters> {
    const queues = new Map<string, Counters>();
    for (const { name, entries } of this.#machine.spaces.get(ns)?.devices.values() ?? [])
      if ([...entries.values()].some((entry) => entry.kind === "tbf"))
        queues.set(name, { bytes: 0, packets: 0, drops: 0, backlog: 0 });
    return queues;
  }

  readonly counters = (): Counted => ({ drops: [], ports: [] });
  cutFlows(ns: Ns, isAllowed: (flow: Flow) => boolean): number {
    const flows = this.#machine.spaces.get(ns)?.flows ?? [];
    const allowed = flows.filter(isAllowed);
    return flows.splice(0, flows.length, ...allowed).length - allowed.length;
  }

  /** Its flows are few, and no packet is ever on its way. */
  readonly thinFlows = () => 0;
  readonly packetsPassed = () => Promise.resolve();

  /** Flows that groups of a namespace have allowed; a test adds to them. */
  flows(ns: Ns): Flow[] {
    return this.#machine.space(ns).flows;
  }

  close(): void {
    this.#faults = [];
  }

  // The rest of the world.

  /** A workload's namespace appears. */
  addWorkload(path: `/${string}`): void {
    this.#machine.addSpace(path, false);
  }

  /** A workload ends: its namespace goes, and every pair with an end in it. */
  removeWorkload(path: `/${string}`): void {
    this.#machine.removeSpace(path);
    this.#poke();
  }

  /** The next `count` operations are refused, whatever they are. */
  failNext(count: number, refusal: Refusal = { class: "busy", message: "EBUSY: a fault of the test" }): void {
    this.#faults.push(...new Array<Refusal>(count).fill(refusal));
  }

  /** Another makes something. It is never observed and never touched. */
  plant(object: KernelObject): void {
    kernelKindOf(object).fake.plant(this.#machine, object);
    this.#poke();
  }

  /** Whether an object is there, ours or another's. */
  has(object: KernelObject): boolean {
    return kernelKindOf(object).fake.has(this.#machine.spaces.get(object.ns), object);
  }

  /**
   * Another removes something, ours or not; a table or a sysctl is changed instead. Throws if it is not there.
   */
  disturb(object: KernelObject): void {
    kernelKindOf(object).fake.disturb(this.#machine, object);
    this.#poke();
  }

  /**
   * Another program disturbs one of Weft's objects, chosen by `n`: changes a link if `n` is odd, otherwise removes it.
   * Returns the object as it was; undefined if there is none.
   */
  drift(n: number): KernelObject | undefined {
    const ours = [...stateIn(this.#machine, new Set(this.#machine.spaces.keys())).values()];
    const object = ours[Math.floor(n / 2) % ours.length];
    if (object === undefined) return undefined;
    if (isLink(object) && n % 2 === 1) {
      this.#machine.setLink(this.#machine.device(object.ns, object.name).link, { ...object, mtu: object.mtu - 1 });
      this.#poke();
    } else {
      this.disturb(object);
    }
    return object;
  }
}

function newMachine(): Machine {
  const machine = new Machine({
    ofLink: (link) => (kernelKindOf(link).fake.link ?? {}) as LinkHooks<LinkObject>,
    ofEntry: (entry) => (kernelKindOf(entry).fake.entry ?? {}) as EntryHooks<EntryObject>,
  });
  for (const key of sysctlsOf("host")) machine.space("host").sysctls.set(key, "0");
  return machine;
}

/** Entries that are marked, too, are ours from then on. */
function inheritIn(machine: Machine, wanted: readonly KernelObject[]): Inherited {
  const devices = wanted.filter(isLink).flatMap((object) => {
    const device = machine.space("host").devices.get(object.name);
    return device === undefined || device.link.isOurs ? [] : [{ device, object }];
  });
  const differs = devices.flatMap(({ device: { name, link }, object }) =>
    differences({ name, kind: link.object.kind }, link.object, object),
  );
  if (differs.length > 0) return { taken: [], differs };
  for (const { device, object } of devices) {
    const local = object.kind === "vxlan" ? { local: object.local } : {};
    device.link.isOurs = true;
    device.link.object = { ...device.link.object, alias: object.alias, ...local };
    for (const entry of wanted) device.foreign.delete(keyOf(entry));
  }
  return { taken: devices.map(({ device }) => device.name), differs };
}

/** As everywhere, an MTU of 0 stands for a link that is down. */
function takeDown(machine: Machine, { ns, name }: Veth): undefined {
  const link = machine.spaces.get(ns)?.devices.get(name)?.link;
  if (link?.isOurs === true && link.object.kind === "veth") machine.setLink(link, { ...link.object, mtu: 0 });
  return undefined;
}

/** What is ours; in workloads' namespaces, of those given. */
function stateIn({ spaces }: Machine, workloads: ReadonlySet<Ns>): KernelState {
  const objects: KernelObject[] = [];
  for (const space of spaces.values()) {
    const isWorkload = space.ns.startsWith("/");
    if (isWorkload ? !workloads.has(space.ns) : !space.isOurs) continue;
    if (!isWorkload) for (const { fake } of ALL_KINDS) objects.push(...(fake.standing?.(space) ?? []));
    for (const device of space.devices.values()) {
      const { link, entries, foreign } = device;
      if (link.isOurs && device === link.devices[0]) objects.push(seen(link.object, workloads));
      for (const [key, entry] of entries)
        if (!foreign.has(key) && (link.isOurs || kernelKindOf(entry).fake.entry?.isOnAnyLink === true))
          objects.push(entry);
    }
  }
  return stateOf(objects);
}

/** The endpoint's port that this device is, if it is one. */
function portOn(device: FakeDevice): PortSeen[] {
  const { object, isOurs, devices } = device.link;
  if (!isOurs || object.kind !== "veth" || device !== devices[0] || !object.alias.startsWith(ENDPOINT_ALIAS)) return [];
  const addresses = [...(devices[1]?.entries.values() ?? [])].flatMap((entry) =>
    entry.kind === "address" ? [entry.cidr.slice(0, entry.cidr.indexOf("/"))] : [],
  );
  const far = { ifname: object.peer.name, mac: object.peer.mac, addresses };
  const endpoint = object.alias.slice(ENDPOINT_ALIAS.length);
  return [{ ns: object.ns, name: object.name, endpoint, netns: object.peer.ns, far }];
}

/** A pair whose far end is in a namespace that was not asked about is not desired. */
function seen(object: LinkObject, workloads: ReadonlySet<Ns>): LinkObject {
  const isUnknown = object.kind === "veth" && object.peer.ns.startsWith("/") && !workloads.has(object.peer.ns);
  return isUnknown ? { ...object, peer: { ns: "/", name: "unknown", mtu: 0, mac: "" } } : object;
}
