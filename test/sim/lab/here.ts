// One simulated kernel as those see it who follow packets through it: its objects by kind, and its tables.
import { type Cidr, cidrAround, cidrOf, contains, interfaceOf, ipOf } from "../../../src/model/address.ts";
import { defined } from "../../../src/model/defined.ts";
import type { Gretap, Ip6gretap } from "../../../src/datapath/kinds/gre.ts";
import type { Bridge, Vxlan } from "../../../src/datapath/kinds/links.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { KernelState } from "../../../src/datapath/state/state.ts";
import { Table } from "./nft.ts";

export type Machine = {
  readonly name: string;
  readonly state: KernelState;
  /** Of all tables of ours in a namespace. */
  readonly text: (ns: Ns) => string;
};
/** What leads to other hosts. */
export type Tunnel = Vxlan | Gretap | Ip6gretap;

/** By which device it goes on, and in packets of which size at most, if the route says so. */
type Way = { readonly dev: string; readonly via?: string; readonly mtu?: number; readonly length: number };

/** One machine, with its objects by kind. */
export class Here {
  readonly name: string;
  readonly #machine: Machine;
  readonly #byKind: ReadonlyMap<string, readonly KernelObject[]>;
  readonly #tables = new Map<Ns, Table>();

  constructor(machine: Machine) {
    this.name = machine.name;
    this.#machine = machine;
    this.#byKind = Map.groupBy(machine.state.values(), ({ kind }) => kind);
  }

  all<K extends KernelObject["kind"]>(kind: K): readonly ObjectOf<K>[] {
    return (this.#byKind.get(kind) ?? []) as readonly ObjectOf<K>[];
  }

  bridge(ns: Ns, name: string): Bridge | undefined {
    return this.all("bridge").find((o) => o.ns === ns && o.name === name);
  }

  tunnels(): readonly Tunnel[] {
    return [...this.all("vxlan"), ...this.all("gretap"), ...this.all("ip6gretap")];
  }

  tunnel(ns: Ns, name: string): Tunnel | undefined {
    return this.tunnels().find((o) => o.ns === ns && o.name === name);
  }

  masterOf(ns: Ns, dev: string): string | undefined {
    return [...this.all("veth"), ...this.tunnels()].find((o) => o.ns === ns && o.name === dev)?.master;
  }

  /** Whether nothing goes from one of these ports to the other. */
  isApart(ns: Ns, ...ports: readonly string[]): boolean {
    return ports.every((port) => {
      const tunnel = this.tunnel(ns, port);
      return tunnel !== undefined && (tunnel.kind !== "vxlan" || tunnel.isolated === true);
    });
  }

  /** The hosts that a tunnel leads to, by their addresses: the one behind a MAC, or all that get a broadcast. */
  ends(tunnel: Tunnel, mac: string): readonly string[] {
    if (tunnel.kind !== "vxlan") return [tunnel.remote];
    const { ns, name: dev } = tunnel;
    return this.all("fdb").flatMap((o) => (o.ns === ns && o.dev === dev && o.mac === mac ? [o.dst] : []));
  }

  has(ns: Ns, address: string): boolean {
    return this.all("address").some((o) => o.ns === ns && o.cidr.startsWith(`${address}/`));
  }

  /** The longest prefix wins. */
  wayTo(ns: Ns, to: string): Way | undefined {
    const ways = [
      ...this.all("address").flatMap((o) => (o.ns === ns ? wayOf(networkOf(o.cidr), to, o) : [])),
      ...this.all("route").flatMap((o) => (o.ns === ns ? wayOf(cidrOf(o.dst), to, o) : [])),
    ];
    return ways.toSorted((a, b) => b.length - a.length)[0];
  }

  /** Who answers for an address on a link: the gateway, a workload on this host, or what the kernel was told. */
  macOn(ns: Ns, dev: string, address: string): string | undefined {
    const told = this.all("neighbour").find((o) => o.ns === ns && o.dev === dev && o.ip === address);
    const bridge = this.bridge(ns, dev);
    if (bridge === undefined) return told?.mac;
    if (this.all("address").some((o) => o.ns === ns && o.dev === dev && o.cidr.startsWith(`${address}/`)))
      return bridge.mac;
    const port = this.all("veth").find(
      (o) => o.ns === ns && o.master === dev && o.mtu > 0 && this.has(o.peer.ns, address),
    );
    return port?.peer.mac ?? told?.mac;
  }

  forget(): void {
    for (const table of this.#tables.values()) table.forget();
  }

  table(ns: Ns): Table {
    let table = this.#tables.get(ns);
    if (table === undefined) {
      const sets = Map.groupBy(
        this.all("element").filter((o) => o.ns === ns),
        ({ set }) => set,
      );
      const elements = new Map(
        [...sets].map(([set, some]) => [set, some.map(({ key, ...o }) => ({ key: key.split(" . "), ...o }))]),
      );
      this.#tables.set(ns, (table = new Table(this.#machine.text(ns), (set) => elements.get(set) ?? [])));
    }
    return table;
  }
}

function networkOf(address: string): Cidr | undefined {
  const spread = interfaceOf(address);
  return spread === undefined ? undefined : cidrAround(spread.ip, spread.length);
}

function wayOf(
  cidr: Cidr | undefined,
  to: string,
  { dev, via, mtu }: { readonly dev: string; readonly via?: string; readonly mtu?: number },
): Way[] {
  const ip = ipOf(to);
  const isOnIt = cidr !== undefined && ip !== undefined && cidr.family === ip.family && contains(cidr, ip);
  return isOnIt ? [defined({ dev, length: cidr.length, via, mtu })] : [];
}
