// The port to the kernel on Linux, from 4.20 on (dumps with filters): rtnetlink and libnftables, in this process,
// without starting programs. This file only combines the parts; how each works is in its file.
import { randomInt } from "node:crypto";
import type { ObjectOf } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Veth } from "../datapath/kinds/links.ts";
import type { KernelState, Op } from "../datapath/state/state.ts";
import { NETNS_PREFIX } from "../datapath/kinds/namespaces.ts";
import { Applier } from "./apply.ts";
import { countersOf } from "./counters.ts";
import { Echoes } from "./echo.ts";
import { packetsPassed } from "./flows.ts";
import { factsOf, linkNames, mtuOf } from "./facts.ts";
import { nextHopsOf } from "./nextHops.ts";
import type { Direction } from "../model/qos.ts";
import type {
  Counted,
  Counters,
  Echo,
  Flow,
  HostFacts,
  Kernel,
  NetnsId,
  OpResult,
  PortSeen,
  Refusal,
} from "./kernel.ts";
import { Monitor } from "./monitor.ts";
import { Namespaces, netnsIdOf } from "./namespaces.ts";
import { Nft } from "./nft.ts";
import { observe, queuesIn } from "./observe.ts";
import { portsOf } from "./ports.ts";
import { probeShaping } from "./probe.ts";
import { cutOff } from "./sweep.ts";

export type LinuxOptions = {
  /**
   * Path of the network namespace that is `host`: where VXLAN devices have their sockets. Default: this thread's own.
   */
  readonly host?: string;
  /**
   * What the names of VRF namespaces begin with, below /run/netns. Agents that share a machine need different ones.
   * Default `weft-`.
   */
  readonly prefix?: string;
};

export class LinuxKernel implements Kernel {
  readonly netnsPrefix: string;
  readonly #namespaces: Namespaces;
  readonly #nft: Nft;
  readonly #applier: Applier;
  readonly #echoes: Echoes;
  readonly #monitors = new Set<Monitor>();
  #shaping: readonly Direction[] | undefined;
  #isClosed = false;

  constructor(options: LinuxOptions = {}) {
    this.netnsPrefix = options.prefix ?? NETNS_PREFIX;
    this.#namespaces = new Namespaces(options.host ?? "/proc/thread-self/ns/net", this.netnsPrefix);
    this.#nft = new Nft(this.#namespaces);
    this.#echoes = new Echoes(this.#namespaces);
    this.#applier = new Applier(this.#namespaces, this.#nft, randomInt(2 ** 30));
  }

  async observe(workloads: readonly Ns[]): Promise<KernelState> {
    return await observe(this.#namespaces, this.#nft, workloads);
  }

  async ports(): Promise<readonly PortSeen[]> {
    return await portsOf(this.#namespaces);
  }

  async apply(ops: readonly Op[], isStale: (op: Op) => boolean = () => false): Promise<OpResult[]> {
    const results = await this.#applier.apply(ops, isStale);
    if (ops.some((op) => op.object.kind === "netns")) for (const monitor of this.#monitors) monitor.refresh();
    return results;
  }

  cutOff(ports: readonly Veth[]): readonly (Refusal | undefined)[] {
    return ports.map((port) => cutOff(this.#namespaces, port.ns, port));
  }

  watch(poke: () => unknown, signal: AbortSignal, moved: () => void = () => undefined): void {
    if (signal.aborted) return;
    const monitor = new Monitor(this.#namespaces, poke, moved);
    this.#monitors.add(monitor);
    signal.addEventListener("abort", () => this.#end(monitor), { once: true });
  }

  #end(monitor: Monitor): void {
    if (this.#monitors.delete(monitor)) monitor.close();
  }

  netnsId(path: string): NetnsId | undefined {
    return netnsIdOf(path);
  }

  ownNetns(id: NetnsId): Ns | undefined {
    return this.#namespaces.known().find((space) => space.inode === id)?.ns;
  }

  linkNames(ns: Ns): readonly string[] {
    return this.#namespaces.use(ns, linkNames) ?? [];
  }

  facts(): HostFacts {
    return factsOf(this.#namespaces.host);
  }

  nextHops(addresses: readonly string[]): readonly ObjectOf<"hop">[] {
    return nextHopsOf(this.#namespaces.host, addresses);
  }

  underlayMtu(address: string): number | undefined {
    return mtuOf(this.#namespaces.host, address);
  }

  shaping(): readonly Direction[] {
    this.#shaping ??= probeShaping(this.#namespaces);
    return this.#shaping;
  }

  queues(ns: Ns): ReadonlyMap<string, Counters> {
    return this.#namespaces.use(ns, queuesIn) ?? new Map();
  }

  counters(ns: Ns): Counted {
    return countersOf(this.#namespaces, ns);
  }

  cutFlows(ns: Ns, isAllowed: (flow: Flow) => boolean): number {
    return this.#namespaces.use(ns, (space) => this.#nft.cutFlows(space, isAllowed)) ?? 0;
  }

  thinFlows(ns: Ns, ownerOf: (address: string) => string): number {
    return this.#namespaces.use(ns, (space) => this.#nft.thinFlows(space, ownerOf)) ?? 0;
  }

  async packetsPassed(): Promise<void> {
    await packetsPassed();
  }

  echo(ns: Ns): Echo | undefined {
    return this.#namespaces.use(ns, (space) => this.#echoes.of(space));
  }

  blockingFilters(ports: readonly number[]): readonly string[] {
    return this.#nft.blockingFilters(this.#namespaces.host, ports);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const monitor of this.#monitors) this.#end(monitor);
    this.#namespaces.close();
  }
}
