// The kernel port in memory, for simulations and for tests that have no root. Beside the port stands what a test needs
// to be the rest of the world: workloads that come and go, other people's objects, faults, drift. Deterministic: no
// clock, no chance; a thousand operations are a thousand small steps.
import type { KernelObject } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import { NFT_TAMPERED } from "../datapath/kinds/nft.ts";
import type { Veth } from "../datapath/kinds/veth.ts";
import { type KernelState, keyOf, type Op, stateOf } from "../datapath/state/state.ts";
import { NETNS_PREFIX } from "../datapath/kinds/netns.ts";
import { type Direction, DIRECTIONS } from "../model/qos.ts";
import { refusalOfError } from "./errno.ts";
import {
  type Device,
  type FakeSpace,
  isLinkObject,
  isSameEntry,
  type LinkObject,
  Machine,
  refuse,
  runElement,
  setSysctl,
  setTable,
} from "./fakeMachine.ts";
import {
  type Counters,
  type Counted,
  type Flow,
  type HostFacts,
  type Kernel,
  type NetnsId,
  OVERTAKEN,
  type OpResult,
  type PortSeen,
  type Refusal,
  UNGUARDED,
  guardsOf,
} from "./kernel.ts";
import { ENDPOINT_ALIAS, isGround, mayHoldEntries, sysctlsOf } from "./ownership.ts";

export type FakeOptions = {
  /** The host's own addresses, with the MTU of their links. */
  readonly addresses?: ReadonlyMap<string, number>;
  readonly facts?: HostFacts;
  /** By which neighbours others are reached; default: by none that can be kept. */
  readonly nextHops?: Kernel["nextHops"];
  /** Default: both. */
  readonly shaping?: readonly Direction[];
};

const STUCK: Refusal = { class: "busy", message: "EBUSY: it is stuck" };

/** What a new namespace has; others are 0. */
const FRESH_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv6/conf/default/accept_dad": "1",
  "ipv6/conf/default/accept_ra": "1",
  "bridge/bridge-nf-call-iptables": "1",
  "bridge/bridge-nf-call-ip6tables": "1",
  "bridge/bridge-nf-call-arptables": "1",
};

export class FakeKernel implements Kernel {
  readonly netnsPrefix = NETNS_PREFIX;
  readonly #machine: Machine;
  readonly #options: FakeOptions;
  readonly #pokes: Set<() => unknown>;
  #faults: Refusal[] = [];
  /** Names of links that this kernel does not let go of for now. */
  readonly stuck = new Set<string>();
  /** What a namespace's tables say, which no kernel gives back: for who judges packets by it. */
  readonly tableText = (ns: Ns) => this.#machine.spaces.get(ns)?.table?.text ?? "";

  /** `other`: a kernel port of the same machine, as a restarted agent would open it. */
  constructor(options: FakeOptions = {}, other?: FakeKernel) {
    this.#options = options;
    this.#machine = other === undefined ? newMachine() : other.#machine;
    this.#pokes = other === undefined ? new Set() : other.#pokes;
  }

  observe(workloads: readonly Ns[]): Promise<KernelState> {
    return Promise.resolve(this.#state(new Set(workloads)));
  }

  #state(workloads: ReadonlySet<Ns>): KernelState {
    const objects: KernelObject[] = [];
    for (const space of this.#machine.spaces.values()) {
      const isWorkload = space.ns.startsWith("/");
      if (isWorkload ? !workloads.has(space.ns) : !space.isOurs) continue;
      if (!isWorkload) objects.push(...standing(space));
      for (const { link, entries, foreign, ...device } of space.devices.values()) {
        if (link.isOurs && device.name === link.object.name && device.ns === link.object.ns)
          objects.push(seen(link.object, workloads));
        for (const [key, entry] of entries)
          if (link.isOurs ? !foreign.has(key) : entry.kind === "hop") objects.push(entry);
      }
    }
    return stateOf(objects);
  }

  ports(): Promise<readonly PortSeen[]> {
    const spaces = [...this.#machine.spaces.values()].filter(({ ns, isOurs }) => isVrf(ns) && isOurs);
    return Promise.resolve(spaces.flatMap(({ devices }) => [...devices.values()].flatMap(portOn)));
  }

  apply(ops: readonly Op[], isStale: (op: Op) => boolean = () => false): Promise<OpResult[]> {
    const unguarded = new Set<Ns>();
    const results = ops.map((op): OpResult => {
      const refusal = this.#judge(op, isStale, unguarded);
      if (refusal === undefined) return { op };
      const isPolicy = op.object.kind === "nft" || op.object.kind === "element";
      if (isPolicy && refusal !== OVERTAKEN) unguarded.add(op.object.ns);
      return { op, refusal };
    });
    if (ops.length > 0) this.#poke();
    return Promise.resolve(results);
  }

  #judge(op: Op, isStale: (op: Op) => boolean, unguarded: ReadonlySet<Ns>): Refusal | undefined {
    if (isStale(op)) return OVERTAKEN;
    if (guardsOf(op).some((ns) => unguarded.has(ns))) return UNGUARDED;
    return this.#faults.shift() ?? this.#try(op);
  }

  #try(op: Op): Refusal | undefined {
    if (op.op === "remove" && "name" in op.object && this.stuck.has(op.object.name)) return STUCK;
    try {
      this.#run(op);
      return undefined;
    } catch (error) {
      const refusal = refusalOfError(error);
      const isGone = refusal.class === "missing" || refusal.class === "exists";
      return op.op === "remove" && isGone ? undefined : refusal;
    }
  }

  #run(op: Op): void {
    const { object } = op;
    const machine = this.#machine;
    if (object.kind === "netns") return op.op === "remove" ? this.#removeNetns(object.ns) : this.#addNetns(object.ns);
    if (object.kind === "sysctl") return op.op === "remove" ? undefined : setSysctl(machine.space(object.ns), object);
    if (object.kind === "nft") return setTable(machine.space(object.ns), object, op.op);
    if (object.kind === "element") return runElement(machine.space(object.ns), op.op, object);
    if (isGround(object.kind) && !mayHoldEntries(object.ns))
      refuse("unsupported", `Weft keeps no ${object.kind} in a workload's namespace`);
    if (isLinkObject(object)) return this.#runLink(op.op, object);
    const device = machine.device(object.ns, object.dev);
    if (!device.link.isOurs && object.kind !== "hop") refuse("exists", `${object.dev} in ${object.ns} is not ours`);
    if (op.op === "remove") return machine.removeEntry(object);
    if (op.op === "set") machine.replaceEntry(object);
    else machine.addEntry(object);
  }

  #runLink(verb: Op["op"], object: LinkObject): void {
    const machine = this.#machine;
    if (verb === "add") {
      const master = "master" in object ? object.master : undefined;
      if (master !== undefined && !machine.device(object.ns, master).link.isOurs)
        refuse("exists", `${master} is not ours`);
      return machine.addLink(object, true);
    }
    const { link } = machine.device(object.ns, object.name);
    if (!link.isOurs) refuse("exists", `${object.name} in ${object.ns} is not ours`);
    if (verb === "set") machine.setLink(link, object);
    else if (link.object.kind === object.kind) machine.removeLink(link);
  }

  #addNetns(ns: `vrf:${string}`): void {
    this.#machine.addSpace(ns, true);
    const { sysctls } = this.#machine.space(ns);
    for (const key of sysctlsOf(ns)) sysctls.set(key, FRESH_SYSCTLS[key] ?? "0");
  }

  #removeNetns(ns: Ns): void {
    if (this.#machine.space(ns).isOurs) this.#machine.removeSpace(ns);
  }

  cutOff(ports: readonly Veth[]): readonly (Refusal | undefined)[] {
    const refusals = ports.map((port) => this.#faults.shift() ?? this.#takeDown(port));
    this.#poke();
    return refusals;
  }

  /** As everywhere, an MTU of 0 stands for a link that is down. */
  #takeDown({ ns, name }: Veth): undefined {
    const link = this.#machine.spaces.get(ns)?.devices.get(name)?.link;
    if (link?.isOurs === true && link.object.kind === "veth") this.#machine.setLink(link, { ...link.object, mtu: 0 });
    return undefined;
  }

  /** Nothing is sent in memory, and nobody else filters. */
  readonly echo = () => undefined;
  readonly walls = () => [];

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

  facts(): HostFacts {
    return this.#options.facts ?? { prefixes: [], bootId: "fake" };
  }

  underlayMtu(address: string): number | undefined {
    return this.#options.addresses?.get(address);
  }

  shaping(): readonly Direction[] {
    return this.#options.shaping ?? DIRECTIONS;
  }

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
    const kept = flows.filter(isAllowed);
    return flows.length - (flows.splice(0, flows.length, ...kept), kept.length);
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

  /** Somebody else makes something. It is never observed and never touched. */
  plant(object: KernelObject): void {
    const machine = this.#machine;
    if (object.kind === "netns") machine.addSpace(object.ns, false);
    else if (object.kind === "nft")
      machine.space(object.ns).table = { digest: object.digest, isOurs: false, text: object.body };
    else if (isLinkObject(object)) machine.addLink(object, false);
    else if (object.kind === "element") machine.space(object.ns).elements.set(keyOf(object), object);
    else if (object.kind !== "sysctl") machine.addEntry(object, false);
    this.#poke();
  }

  /** Whether an object is there, whosever it is. */
  has(object: KernelObject): boolean {
    const space = this.#machine.spaces.get(object.ns);
    if (object.kind === "netns") return space !== undefined;
    if (object.kind === "sysctl") return space?.sysctls.get(object.key) === object.value;
    if (object.kind === "nft") return space?.table?.digest === object.digest;
    if (object.kind === "element") return space?.elements.get(keyOf(object))?.value === object.value;
    if (isLinkObject(object)) return space?.devices.get(object.name)?.link.object.kind === object.kind;
    return [...(space?.devices.get(object.dev)?.entries.values() ?? [])].some((entry) => isSameEntry(entry, object));
  }

  /**
   * Somebody else removes something, ours or not; a table or a sysctl is changed instead. Throws if it is not there.
   */
  disturb(object: KernelObject): void {
    const machine = this.#machine;
    const space = machine.space(object.ns);
    if (object.kind === "netns") machine.removeSpace(object.ns);
    else if (object.kind === "sysctl") space.sysctls.set(object.key, object.value === "1" ? "0" : "1");
    else if (object.kind === "nft") space.table = { digest: NFT_TAMPERED, isOurs: true, text: space.table?.text ?? "" };
    else if (object.kind === "element") space.elements.delete(keyOf(object));
    else if (isLinkObject(object)) machine.removeLink(machine.device(object.ns, object.name).link);
    else machine.removeEntry(object);
    this.#poke();
  }

  /**
   * Somebody else disturbs one of our objects, chosen by `n`: changes a link if `n` is odd, otherwise removes it. Gives
   * what it was; undefined if nothing is ours.
   */
  drift(n: number): KernelObject | undefined {
    const ours = [...this.#state(new Set(this.#machine.spaces.keys())).values()];
    const object = ours[Math.floor(n / 2) % ours.length];
    if (object === undefined) return undefined;
    if (isLinkObject(object) && n % 2 === 1) {
      this.#machine.setLink(this.#machine.device(object.ns, object.name).link, { ...object, mtu: object.mtu - 1 });
      this.#poke();
    } else {
      this.disturb(object);
    }
    return object;
  }
}

function newMachine(): Machine {
  const machine = new Machine();
  for (const key of sysctlsOf("host")) machine.space("host").sysctls.set(key, "0");
  return machine;
}

/** What belongs to a namespace and not to a link in it. */
function standing({ ns, sysctls, table, elements }: FakeSpace): KernelObject[] {
  const objects: KernelObject[] = isVrf(ns) ? [{ kind: "netns", ns }] : [];
  for (const [key, value] of sysctls) objects.push({ kind: "sysctl", ns, key, value });
  if (table?.isOurs === true) objects.push({ kind: "nft", ns, digest: table.digest, body: "" }, ...elements.values());
  return objects;
}

function isVrf(ns: Ns): ns is `vrf:${string}` {
  return ns.startsWith("vrf:");
}

/** The endpoint's port that this device is, if it is one. */
function portOn(device: Device): PortSeen[] {
  const { object, isOurs, devices } = device.link;
  if (!isOurs || object.kind !== "veth" || device !== devices[0] || !object.alias.startsWith(ENDPOINT_ALIAS)) return [];
  const addresses = [...(devices[1]?.entries.values() ?? [])].flatMap((entry) =>
    entry.kind === "address" ? [entry.cidr.slice(0, entry.cidr.indexOf("/"))] : [],
  );
  const far = { ifname: object.peer.name, mac: object.peer.mac, addresses };
  const endpoint = object.alias.slice(ENDPOINT_ALIAS.length);
  return [{ vrf: object.ns.slice("vrf:".length), name: object.name, endpoint, netns: object.peer.ns, far }];
}

/** A pair whose far end is in a workload that nobody asked about is one that nobody wants. */
function seen(object: LinkObject, workloads: ReadonlySet<Ns>): LinkObject {
  const isUnknown = object.kind === "veth" && object.peer.ns.startsWith("/") && !workloads.has(object.peer.ns);
  return isUnknown ? { ...object, peer: { ns: "/", name: "unknown", mtu: 0, mac: "" } } : object;
}
