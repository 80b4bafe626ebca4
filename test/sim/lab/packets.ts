// Follows a packet through the kernels' state alone: routes, neighbours, FDB entries, ports of bridges, tables. Hop by
// hop and naive, so that the compiler's work is judged by code that does not share it.
import assert from "node:assert/strict";
import { type Cidr, cidrAround, cidrOf, contains, interfaceOf, ipOf } from "../../../src/model/address.ts";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { Bridge, Veth, Vxlan } from "../../../src/datapath/kinds/links.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import type { KernelState } from "../../../src/datapath/state/state.ts";
import { type Frame, Table } from "./nft.ts";

export type Machine = {
  readonly name: string;
  readonly state: KernelState;
  /** Of all tables of ours in a namespace. */
  readonly text: (ns: Ns) => string;
};
export type Packet = {
  readonly from: string;
  readonly to: string;
  readonly sport: number;
  readonly dport: number;
  /** SYN, or the SYN-ACK that answers it. */
  readonly isAnswer: boolean;
};
/** A workload: its namespace on its host. */
export type Spot = { readonly host: string; readonly netns: Ns };
/** Where a packet ended, or why it did not arrive anywhere. */
type End = Spot | string;

const HOPS = 8;

/** Machines on one wire. Tables remember what packets put into them, for as long as it lives. */
export class Wire {
  readonly #hosts: readonly Here[];

  constructor(machines: readonly Machine[]) {
    this.#hosts = machines.map((machine) => new Here(machine));
  }

  /** Tables are as they were before any packet. */
  forget(): void {
    for (const host of this.#hosts) host.forget();
  }

  /** Why the packet does not arrive there; undefined if it does. */
  send(from: Spot, to: Spot, packet: Packet): string | undefined {
    const end = this.#sent(from, packet);
    if (typeof end === "string") return end;
    return end.host === to.host && end.netns === to.netns ? undefined : `it arrives at ${end.netns} on ${end.host}`;
  }

  #sent({ host, netns }: Spot, packet: Packet): End {
    const here = this.#hosts.find(({ name }) => name === host) ?? assert.fail();
    if (here.has(netns, packet.to)) return { host, netns };
    const way = here.wayTo(netns, packet.to);
    if (way === undefined) return `${netns} on ${host} has no route to ${packet.to}`;
    const port = here.all("veth").find(({ peer }) => peer.ns === netns && peer.name === way.dev);
    if (port?.master === undefined || port.mtu === 0) return `${netns} on ${host} has no carrier`;
    const mac = here.macOn(port.ns, port.master, way.via ?? packet.to);
    if (mac === undefined) return `nobody on ${host} answers ${netns} for ${way.via ?? packet.to}`;
    const frame = new Moving(packet, port.peer.mac, mac);
    if (!comesIn(here, port.ns, port.name, frame)) return `${host} drops it where ${port.name} sends it`;
    return this.#bridged(here, port.ns, port.master, frame);
  }

  #bridged(here: Here, ns: Ns, bridge: string, frame: Moving): End {
    if (frame.hops++ > HOPS) return "it goes round";
    if (here.bridge(ns, bridge)?.mac === frame.destination) return this.#routed(here, ns, frame);
    const known = here
      .all("bridge-fdb")
      .find(({ dev, mac, ...o }) => o.ns === ns && mac === frame.destination && here.masterOf(ns, dev) === bridge);
    const port = here
      .all("veth")
      .find(
        (o) =>
          o.ns === ns &&
          o.master === bridge &&
          (known === undefined ? o.peer.mac === frame.destination : o.name === known.dev),
      );
    if (port !== undefined) return deliver(here, port, frame);
    const tunnel = known === undefined ? undefined : here.tunnel(ns, known.dev);
    if (tunnel === undefined) return `${here.name} does not know where ${frame.destination} is`;
    if (!goesOut(here, ns, tunnel.name, frame)) return `${here.name} drops it where ${tunnel.name} would get it`;
    return this.#tunnelled(here, tunnel, frame);
  }

  #tunnelled(here: Here, { ns, name, vni, port, local }: Vxlan, frame: Moving): End {
    const entry = here.all("fdb").find((o) => o.ns === ns && o.dev === name && o.mac === frame.destination);
    if (entry === undefined) return `${name} on ${here.name} does not know the host of ${frame.destination}`;
    for (const there of this.#hosts) {
      const end = there.all("vxlan").find((o) => o.local === entry.dst && o.vni === vni && o.port === port);
      if (end === undefined) continue;
      const outer = udpTo(local, entry.dst, port);
      if (!there.table("host").passes("prerouting", "filter raw", outer))
        return `${there.name} takes no tunnel packets from ${here.name}`;
      frame.mark = 0;
      if (end.master === undefined)
        return end.mac === frame.destination
          ? this.#routed(there, end.ns, frame)
          : `${end.name} on ${there.name} has another MAC`;
      if (!comesIn(there, end.ns, end.name, frame)) return `${there.name} drops it from the tunnel`;
      return this.#bridged(there, end.ns, end.master, frame);
    }
    return `no host has VNI ${vni} at ${entry.dst}`;
  }

  #routed(here: Here, ns: Ns, frame: Moving): End {
    if (frame.hops++ > HOPS) return "it goes round";
    const { to } = frame.packet;
    const key = to.includes(":") ? "ipv6/conf/all/forwarding" : "ipv4/ip_forward";
    if (here.all("sysctl").find((o) => o.ns === ns && o.key === key)?.value !== "1")
      return `${here.name} does not forward`;
    if (here.has(ns, to)) return `${to} is ${here.name}'s own`;
    const way = here.wayTo(ns, to);
    if (way === undefined) return `${here.name} has no route to ${to}`;
    const bridge = here.bridge(ns, way.dev);
    const mac = here.macOn(ns, way.dev, way.via ?? to);
    if (mac === undefined) return `${here.name} has no neighbour ${way.via ?? to} on ${way.dev}`;
    const tunnel = here.tunnel(ns, way.dev);
    if (tunnel !== undefined) return this.#tunnelled(here, tunnel, frame.rewritten(tunnel.mac, mac));
    return bridge === undefined
      ? `it leaves ${here.name} by ${way.dev}`
      : this.#bridged(here, ns, way.dev, frame.rewritten(bridge.mac, mac));
  }
}

/** By a port of a bridge. */
function comesIn(here: Here, ns: Ns, port: string, frame: Moving): boolean {
  frame.from = port;
  return ["filter -300", "filter -200"].every((at) => here.table(ns).passes("prerouting", at, frame.at(port, "")));
}

/** By a port of a bridge, from another or from the namespace itself. */
function goesOut(here: Here, ns: Ns, port: string, frame: Moving): boolean {
  const table = here.table(ns);
  const hook = frame.from === "" ? "output" : "forward";
  return (
    table.passes(hook, "filter 0", frame.at(frame.from, port)) &&
    table.passes("postrouting", "filter 0", frame.at("", port))
  );
}

function deliver(here: Here, port: Veth, frame: Moving): End {
  if (port.mtu === 0) return `${port.name} on ${here.name} is down`;
  if (!goesOut(here, port.ns, port.name, frame)) return `${here.name} drops it where ${port.name} gets it`;
  if (port.peer.mac !== frame.destination) return `behind ${port.name} is ${port.peer.mac}, not ${frame.destination}`;
  return here.has(port.peer.ns, frame.packet.to)
    ? { host: here.name, netns: port.peer.ns }
    : `behind ${port.name} is not ${frame.packet.to}`;
}

type Way = { readonly dev: string; readonly via?: string; readonly length: number };

/** One machine, with its objects by kind. */
class Here {
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

  tunnel(ns: Ns, name: string): Vxlan | undefined {
    return this.all("vxlan").find((o) => o.ns === ns && o.name === name);
  }

  masterOf(ns: Ns, dev: string): string | undefined {
    return [...this.all("veth"), ...this.all("vxlan")].find((o) => o.ns === ns && o.name === dev)?.master;
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
  { dev, ...o }: { readonly dev: string; readonly via?: string },
): Way[] {
  const ip = ipOf(to);
  const isOnIt = cidr !== undefined && ip !== undefined && cidr.family === ip.family && contains(cidr, ip);
  return isOnIt ? [{ dev, length: cidr.length, ...(o.via === undefined ? {} : { via: o.via }) }] : [];
}

/** A packet in a frame, which each router makes anew. */
class Moving {
  readonly packet: Packet;
  destination: string;
  /** The port by which it came to the bridge that it is on; none if the namespace sends it. */
  from = "";
  hops = 0;
  #source: string;
  #frame: Frame | undefined;

  constructor(packet: Packet, source: string, destination: string) {
    this.packet = packet;
    this.#source = source;
    this.destination = destination;
  }

  get mark(): number {
    return this.#frame?.mark ?? 0;
  }

  set mark(mark: number) {
    if (this.#frame !== undefined) this.#frame.mark = mark;
  }

  rewritten(source: string, destination: string): this {
    this.#source = source;
    this.destination = destination;
    this.from = "";
    return this;
  }

  at(iifname: string, oifname: string): Frame {
    const bytes = bytesOf(this.packet, this.#source, this.destination);
    return (this.#frame = { bytes, iifname, oifname, mark: this.mark });
  }
}

const SYN = 0x02;
const ACK = 0x10;

function bytesOf(packet: Packet, source: string, destination: string): Uint8Array {
  const tcp = [
    ...word(packet.sport),
    ...word(packet.dport),
    ...Array<number>(8).fill(0),
    0x50,
    SYN | (packet.isAnswer ? ACK : 0),
    ...Array<number>(6).fill(0),
  ];
  return ethernet(source, destination, ip(packet.from, packet.to, 6, tcp));
}

function udpTo(from: string, to: string, port: number): Frame {
  const datagram = [...word(50_000), ...word(port), ...word(8), 0, 0];
  const bytes = ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ip(from, to, 17, datagram));
  return { bytes, iifname: "underlay", oifname: "", mark: 0 };
}

function ethernet(source: string, destination: string, payload: readonly number[]): Uint8Array {
  const mac = (text: string) => text.split(":").map((part) => Number.parseInt(part, 16));
  const type = payload[0] === 0x45 ? [8, 0] : [0x86, 0xdd];
  return Uint8Array.from([...mac(destination), ...mac(source), ...type, ...payload]);
}

function ip(from: string, to: string, protocol: number, payload: readonly number[]): number[] {
  const [source, destination] = [ipOf(from), ipOf(to)];
  assert(source !== undefined && destination !== undefined);
  if (source.family === 4)
    return [
      0x45,
      0,
      ...word(20 + payload.length),
      0,
      0,
      0x40,
      0,
      64,
      protocol,
      0,
      0,
      ...bytesIn(source.value, 4),
      ...bytesIn(destination.value, 4),
      ...payload,
    ];
  return [
    0x60,
    0,
    0,
    0,
    ...word(payload.length),
    protocol,
    64,
    ...bytesIn(source.value, 16),
    ...bytesIn(destination.value, 16),
    ...payload,
  ];
}

const word = (value: number) => [value >> 8, value & 255];

function bytesIn(value: bigint, length: number): number[] {
  return Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 255n));
}
