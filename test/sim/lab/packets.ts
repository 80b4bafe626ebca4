// Follows a packet through the kernels' state alone: routes, neighbours, FDB entries, ports of bridges, tables. Hop by
// hop and naive, so that the compiler's work is judged by code that does not share it.
import assert from "node:assert/strict";
import { FLOOD_MAC } from "../../../src/datapath/kinds/entries.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import type { Veth } from "../../../src/datapath/kinds/links.ts";
import { BROADCAST_MAC, greTo, Moving, type Packet, udpTo } from "./frames.ts";
import { Here, type Machine, type Tunnel } from "./here.ts";

/** A workload: its namespace on its host. */
export type Spot = { readonly host: string; readonly netns: Ns };
/** Where a packet ended, or why it did not arrive anywhere. */
type End = Spot | string;
/** A bridge with a frame on it. */
type OnBridge = { readonly here: Here; readonly ns: Ns; readonly bridge: string };

/** Hooks are asked as they were before for what comes in, and for so many copies to tunnels; then as they are now. */
export type Change = { readonly before: Here; readonly copies: number; readonly isBackwards: boolean };

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

  /**
   * Where a broadcast of the workload arrives, as often as it does. `change`: its host changes meanwhile.
   */
  shout({ host, netns }: Spot, packet: Packet, change?: Change): readonly Spot[] {
    const here = this.#host(host);
    const port = here.all("veth").find(({ peer }) => peer.ns === netns);
    if (port?.master === undefined || port.mtu === 0) return [];
    const frame = new Moving(packet, port.peer.mac, BROADCAST_MAC);
    if (!comesIn(change?.before ?? here, port.ns, port.name, frame)) return [];
    return this.#flooded({ here, ns: port.ns, bridge: port.master }, frame, change);
  }

  #host(host: string): Here {
    return this.#hosts.find(({ name }) => name === host) ?? assert.fail(host);
  }

  #sent({ host, netns }: Spot, packet: Packet): End {
    const here = this.#host(host);
    if (here.has(netns, packet.to)) return { host, netns };
    const way = here.wayTo(netns, packet.to);
    if (way === undefined) return `${netns} on ${host} has no route to ${packet.to}`;
    const port = here.all("veth").find(({ peer }) => peer.ns === netns && peer.name === way.dev);
    if (port?.master === undefined || port.mtu === 0) return `${netns} on ${host} has no carrier`;
    const mac = here.macOn(port.ns, port.master, way.via ?? packet.to);
    if (mac === undefined) return `nobody on ${host} answers ${netns} for ${way.via ?? packet.to}`;
    const frame = new Moving(packet, port.peer.mac, mac);
    if (packet.isLarge === true) frame.size = Math.min(way.mtu ?? port.peer.mtu, port.peer.mtu);
    if (!isTaken(frame, port)) return `${port.name} on ${host} takes no ${frame.size} bytes`;
    if (!comesIn(here, port.ns, port.name, frame)) return `${host} drops it where ${port.name} sends it`;
    return this.#bridged({ here, ns: port.ns, bridge: port.master }, frame);
  }

  #bridged({ here, ns, bridge }: OnBridge, frame: Moving): End {
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
    if (here.isApart(ns, frame.from, tunnel.name))
      return `${tunnel.name} on ${here.name} gets nothing of ${frame.from}`;
    if (!goesOut(here, ns, tunnel.name, frame)) return `${here.name} drops it where ${tunnel.name} would get it`;
    return this.#tunnelled(here, tunnel, frame);
  }

  #tunnelled(here: Here, tunnel: Tunnel, frame: Moving): End {
    if (!isTaken(frame, tunnel)) return `${tunnel.name} on ${here.name} takes no ${frame.size} bytes`;
    const [dst] = here.ends(tunnel, frame.destination);
    if (dst === undefined) return `${tunnel.name} on ${here.name} does not know the host of ${frame.destination}`;
    const arrived = this.#across(here, tunnel, dst);
    if (typeof arrived === "string") return arrived;
    const { there, end } = arrived;
    frame.mark = 0;
    if (end.master === undefined)
      return end.mac === frame.destination
        ? this.#routed(there, end.ns, frame)
        : `${end.name} on ${there.name} has another MAC`;
    if (!comesIn(there, end.ns, end.name, frame)) return `${there.name} drops it from the tunnel`;
    return this.#bridged({ here: there, ns: end.ns, bridge: end.master }, frame);
  }

  /** The other end of a tunnel, if that host takes what comes by it. */
  #across(here: Here, tunnel: Tunnel, dst: string): { readonly there: Here; readonly end: Tunnel } | string {
    for (const there of this.#hosts) {
      const end = there.tunnels().find((o) => isOtherEnd(tunnel, o, dst));
      if (end === undefined) continue;
      const outer =
        tunnel.kind === "vxlan" ? udpTo(tunnel.local, dst, tunnel.port) : greTo(tunnel.local, dst, tunnel.key);
      if (there.table("host").passes("prerouting", "filter raw", outer)) return { there, end };
      return `${there.name} takes no tunnel packets from ${here.name}`;
    }
    return `no host has what ${tunnel.name} on ${here.name} sends to ${dst}`;
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
    if (bridge === undefined) return `it leaves ${here.name} by ${way.dev}`;
    if (!isTaken(frame, bridge)) return `${bridge.name} on ${here.name} takes no ${frame.size} bytes`;
    return this.#bridged({ here, ns, bridge: way.dev }, frame.rewritten(bridge.mac, mac));
  }

  /** To all ports of the bridge but the one it came from. */
  #flooded({ here, ns, bridge }: OnBridge, frame: Moving, change?: Change): Spot[] {
    if (frame.hops++ > HOPS) return assert.fail("a broadcast goes round");
    const ports = here
      .all("veth")
      .filter((o) => o.ns === ns && o.master === bridge && o.mtu > 0 && o.name !== frame.from);
    const local = ports.flatMap(({ name, peer }): Spot[] =>
      goesOut(here, ns, name, frame.copy()) ? [{ host: here.name, netns: peer.ns }] : [],
    );
    const tunnels = here
      .tunnels()
      .filter(
        (o) => o.ns === ns && o.master === bridge && o.name !== frame.from && !here.isApart(ns, frame.from, o.name),
      );
    const asked = (i: number) => (change === undefined || i >= change.copies ? here : change.before);
    if (change?.isBackwards === true) tunnels.reverse();
    return [...local, ...tunnels.flatMap((tunnel, i) => this.#floodedBy({ here, tunnel }, frame.copy(), asked(i)))];
  }

  #floodedBy({ here, tunnel }: { here: Here; tunnel: Tunnel }, frame: Moving, asked: Here): Spot[] {
    if (!goesOut(asked, tunnel.ns, tunnel.name, frame)) return [];
    return here.ends(tunnel, FLOOD_MAC).flatMap((dst) => {
      const arrived = this.#across(here, tunnel, dst);
      if (typeof arrived === "string") return [];
      const { there, end } = arrived;
      const copy = frame.copy();
      if (end.master === undefined || !comesIn(there, end.ns, end.name, copy)) return [];
      return this.#flooded({ here: there, ns: end.ns, bridge: end.master }, copy);
    });
  }
}

function isOtherEnd(from: Tunnel, to: Tunnel, dst: string): boolean {
  if (to.local !== dst) return false;
  if (from.kind === "vxlan") return to.kind === "vxlan" && to.vni === from.vni && to.port === from.port;
  return to.kind === from.kind && to.remote === from.local && to.key === from.key;
}

/** What is larger than the MTU of a device is not sent by it. */
function isTaken({ size }: Moving, { mtu }: { readonly mtu: number }): boolean {
  return size <= mtu;
}

/** By a port of a bridge. */
function comesIn(here: Here, ns: Ns, port: string, frame: Moving): boolean {
  frame.from = port;
  return ["filter -310", "filter -300", "filter -200"].every((at) =>
    here.table(ns).passes("prerouting", at, frame.at(port, "")),
  );
}

/** By a port of a bridge, from another or from the namespace itself. */
function goesOut(here: Here, ns: Ns, port: string, frame: Moving): boolean {
  const table = here.table(ns);
  const hook = frame.from === "" ? "output" : "forward";
  return (
    (hook === "forward" || table.passes(hook, "filter -310", frame.at("", port))) &&
    table.passes(hook, "filter 0", frame.at(frame.from, port)) &&
    ["filter -310", "filter 0"].every((at) => table.passes("postrouting", at, frame.at("", port)))
  );
}

function deliver(here: Here, port: Veth, frame: Moving): End {
  if (port.mtu === 0) return `${port.name} on ${here.name} is down`;
  if (!isTaken(frame, port) || !isTaken(frame, port.peer))
    return `${port.name} on ${here.name} takes no ${frame.size} bytes`;
  if (!goesOut(here, port.ns, port.name, frame)) return `${here.name} drops it where ${port.name} gets it`;
  if (port.peer.mac !== frame.destination) return `behind ${port.name} is ${port.peer.mac}, not ${frame.destination}`;
  return here.has(port.peer.ns, frame.packet.to)
    ? { host: here.name, netns: port.peer.ns }
    : `behind ${port.name} is not ${frame.packet.to}`;
}
