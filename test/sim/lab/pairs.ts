// What two workloads can send each other: packets as large as may be, and broadcasts. Once it arrives, it is to arrive
// at every moment after that, once (convert.test.ts).
import assert from "node:assert/strict";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { type Endpoint, snapshotOf } from "../../../src/model/resource.ts";
import type { Packet } from "./frames.ts";
import { Here, type Machine } from "./here.ts";
import type { Host } from "./host.ts";
import { type Change, Wire } from "./packets.ts";
import type { World } from "./world.ts";
import { anyOf } from "./writes.ts";

export const NETWORKS = {
  segment: { vrf: "v", subnets: [{ cidr: "10.1.0.0/24" }, { cidr: "fd01::/64" }] },
  near: { vrf: "v", subnets: [{ cidr: "10.2.0.0/16", hostPrefix: 24 }] },
  other: { vrf: "o", subnets: [{ cidr: "10.1.0.0/24" }] },
} as const;
export type NetworkName = keyof typeof NETWORKS;

type Pair = { readonly from: Endpoint; readonly to: Endpoint; readonly address: string; readonly source: string };

export class Pairs {
  readonly #world: World;
  #pairs: Pair[] = [];
  /** What was lost in the middle of a round. */
  #found: unknown;
  /** Hosts in the middle of a round, as they were before the last step. */
  readonly #before = new Map<string, Machine>();

  constructor(world: World) {
    this.#world = world;
  }

  get size(): number {
    return this.#pairs.length;
  }

  /** Pairs of endpoints that go. */
  forget(isGone: (endpoint: Endpoint) => boolean): void {
    this.#pairs = this.#pairs.filter(({ from, to }) => !isGone(from) && !isGone(to));
  }

  /**
   * A few of the pairs that the host is an end of, in the middle of its round. judge() tells what is lost: thrown
   * here it would be a round of the agent that fails.
   */
  async judgeSome(host: Host, when: string): Promise<void> {
    await this.#judgeSome(host, when).catch((error: unknown) => (this.#found ??= error));
  }

  async #judgeSome(host: Host, when: string): Promise<void> {
    const own = this.#pairs.filter(({ from, to }) => from.spec.host === host.name || to.spec.host === host.name);
    const machines = await this.#machines();
    const wire = new Wire(machines);
    for (let n = 0; n < 2; n++) {
      const pair = anyOf(this.#world.random, own);
      if (pair !== undefined) this.#assertPasses(wire, pair, when);
    }
    this.#judgeChange(host, { wire, now: machines.find(({ name }) => name === host.name), own }, when);
  }

  /** A broadcast passes the bridge while the host changes: its copies are seen before or after it. */
  #judgeChange(host: Host, { wire, now, own }: Changed, when: string): void {
    const then = this.#before.get(host.name);
    if (now === undefined) return;
    this.#before.set(host.name, now);
    if (then === undefined || portsOf(then) !== portsOf(now)) return;
    const shouted = own.filter(({ from, to, address }) => from.spec.host === host.name && isShouted(from, to, address));
    const before = new Here(then);
    for (const [pair] of Map.groupBy(shouted, ({ from }) => from.spec.network).values()) {
      if (pair === undefined || lostOf(wire, pair) !== undefined) continue;
      for (const copies of [0, 1, 2])
        for (const isBackwards of [false, true])
          this.#assertPasses(wire, pair, `${when}, while a frame passes`, { before, copies, isBackwards });
    }
  }

  async judge(when: string): Promise<void> {
    assert.ifError(this.#found);
    const wire = new Wire(await this.#machines());
    for (const pair of this.#pairs) this.#assertPasses(wire, pair, when);
  }

  #assertPasses(wire: Wire, pair: Pair, when: string, change?: Change): void {
    const lost = lostOf(wire, pair, change);
    if (lost === undefined) return;
    const { from, to, address } = pair;
    const what = `${from.name} on ${from.spec.host} to ${to.name} on ${to.spec.host} (${address})`;
    assert.fail(`${when}: ${what}: ${lost}\n${this.#hostsText()}`);
  }

  #hostsText(): string {
    return [...this.#world.hosts.values()]
      .map(({ name, running, isCut }) => {
        const { mirror } = running ?? {};
        const phases = mirror
          ?.snapshot()
          ?.conversions?.map(({ name: vrf, revision, spec }) => `${vrf} ${spec.phase} ${revision}`);
        const seen = `sees ${mirror?.snapshot()?.revision}${mirror?.isSynced === true ? "" : ", not synced"}`;
        return `${name}: ${running === undefined ? "dead" : seen}${isCut ? ", cut" : ""}; ${phases?.join(", ")}`;
      })
      .join("\n");
  }

  /** Pairs that reach each other, and are to do so from now on. */
  async look(): Promise<void> {
    const { endpoints } = snapshotOf("", 0, (await this.#world.store.read()).resources);
    const wire = new Wire(await this.#machines());
    const known = new Set(this.#pairs.map(nameOf));
    for (const from of endpoints) {
      for (const to of endpoints) {
        for (const pair of pairsOf(from, to))
          if (!known.has(nameOf(pair)) && this.#isKept(pair) && lostOf(wire, pair) === undefined)
            this.#pairs.push(pair);
      }
    }
  }

  /** Whether both hosts know both also after a start without the server. */
  #isKept({ from, to }: Pair): boolean {
    return [from, to].every(({ spec: { host } }) => {
      const saved = this.#world.hosts.get(host)?.saved?.endpoints ?? [];
      return [from, to].every(({ uid }) => saved.some((one) => one.uid === uid));
    });
  }

  async #machines(): Promise<Machine[]> {
    const machines: Machine[] = [];
    for (const { name, kernel, workloads } of this.#world.hosts.values()) {
      const state = await kernel.observe([...workloads]);
      // Now: a machine is also asked later how it was.
      const tables = [...state.values()].filter(({ kind }) => kind === "nft");
      const texts = new Map(tables.map(({ ns }) => [ns, kernel.tableText(ns)]));
      machines.push({ name, state, text: (ns) => texts.get(ns) ?? "" });
    }
    return machines;
  }
}

function nameOf({ from, to, address }: Pair): string {
  return `${from.uid} ${to.uid} ${address}`;
}

function pairsOf(from: Endpoint, to: Endpoint): Pair[] {
  const [a, b] = [from, to].map(({ spec }) => NETWORKS[spec.network as NetworkName].vrf);
  if (from === to || a !== b || from.spec.host === to.spec.host) return [];
  return to.spec.addresses.flatMap((address) => {
    const source = from.spec.addresses.find((other) => other.includes(":") === address.includes(":"));
    return source === undefined ? [] : [{ from, to, address, source }];
  });
}

type Changed = { readonly wire: Wire; readonly now: Machine | undefined; readonly own: readonly Pair[] };

/** Ports of bridges by name: a frame is copied to those that were there when it came. */
function portsOf(machine: Machine): string {
  const here = new Here(machine);
  const ports = [...here.all("veth"), ...here.tunnels()];
  return ports
    .flatMap(({ ns, name, master }) => (master === undefined ? [] : [`${ns} ${name} ${master}`]))
    .sort()
    .join();
}

function isShouted(from: Endpoint, to: Endpoint, address: string): boolean {
  return from.spec.network === to.spec.network && from.spec.network !== "near" && !address.includes(":");
}

/** Why a packet as large as can be does not arrive, or no broadcast, or two. */
function lostOf(wire: Wire, { from, to, address, source }: Pair, change?: Change): string | undefined {
  const [a, b] = [from, to].map(({ spec }) => ({ host: spec.host, netns: spec.netns as Ns }));
  assert(a !== undefined && b !== undefined);
  // To a network with a smaller MTU, routers tell the sender, as ever.
  const isLarge = from.spec.network === to.spec.network;
  const packet: Packet = { from: source, to: address, sport: 50_000, dport: 22, isAnswer: false, isLarge };
  const lost = wire.send(a, b, packet);
  if (lost !== undefined) return lost;
  if (!isShouted(from, to, address)) return undefined;
  const heard = wire.shout(a, { ...packet, to: "10.1.0.255" }, change);
  const times = heard.filter(({ host, netns }) => host === b.host && netns === b.netns).length;
  return times === 1 ? undefined : `a broadcast arrives ${times} times`;
}
