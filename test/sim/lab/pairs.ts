// What two workloads can send each other: packets as large as may be, and broadcasts. Once it arrives, it is to arrive
// at every moment after that, once (convert.test.ts).
import assert from "node:assert/strict";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { type Endpoint, snapshotOf } from "../../../src/model/resource.ts";
import type { Packet } from "./frames.ts";
import type { Machine } from "./here.ts";
import type { Host } from "./host.ts";
import { Wire } from "./packets.ts";
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

  /** A few of the pairs that the host is an end of. */
  async judgeSome(host: Host, when: string): Promise<void> {
    const own = this.#pairs.filter(({ from, to }) => from.spec.host === host.name || to.spec.host === host.name);
    const wire = new Wire(await this.#machines());
    for (let n = 0; n < 2; n++) {
      const pair = anyOf(this.#world.random, own);
      if (pair !== undefined) this.#assertPasses(wire, pair, when);
    }
  }

  async judge(when: string): Promise<void> {
    const wire = new Wire(await this.#machines());
    for (const pair of this.#pairs) this.#assertPasses(wire, pair, when);
  }

  #assertPasses(wire: Wire, pair: Pair, when: string): void {
    const lost = lostOf(wire, pair);
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
    for (const { name, kernel, workloads } of this.#world.hosts.values())
      machines.push({ name, state: await kernel.observe([...workloads]), text: (ns) => kernel.tableText(ns) });
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

/** Why a packet as large as can be does not arrive, or no broadcast, or two. */
function lostOf(wire: Wire, { from, to, address, source }: Pair): string | undefined {
  const [a, b] = [from, to].map(({ spec }) => ({ host: spec.host, netns: spec.netns as Ns }));
  assert(a !== undefined && b !== undefined);
  // To a network with a smaller MTU, routers tell the sender, as ever.
  const isLarge = from.spec.network === to.spec.network;
  const packet: Packet = { from: source, to: address, sport: 50_000, dport: 22, isAnswer: false, isLarge };
  const lost = wire.send(a, b, packet);
  if (lost !== undefined) return lost;
  if (from.spec.network !== to.spec.network || from.spec.network === "near" || address.includes(":")) return undefined;
  const heard = wire.shout(a, { ...packet, to: "10.1.0.255" });
  const times = heard.filter(({ host, netns }) => host === b.host && netns === b.netns).length;
  return times === 1 ? undefined : `a broadcast arrives ${times} times`;
}
