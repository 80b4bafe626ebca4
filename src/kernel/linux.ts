// The kernel of this machine, Linux from 4.20 on (dumps with filters): rtnetlink and libnftables, in this process,
// without starting programs. This file only combines the parts; how each works is in its file.
import { randomInt } from "node:crypto";
import { NETNS_PREFIX } from "../datapath/kinds/namespaces.ts";
import { runner } from "./apply.ts";
import { countersIn, queuesIn } from "./counters.ts";
import { echoIn } from "./echo.ts";
import { devicesOf, deviceWith, factsOf, linkNames, mtuOf, nextHopsOf } from "./facts.ts";
import { forbiddenBy, packetsPassed, tooMany } from "./flows.ts";
import { GroupMemberships } from "./groupMemberships.ts";
import { sendToGroup } from "./groupSocket.ts";
import { inherit } from "./inherit.ts";
import type { Kernel } from "./kernel.ts";
import { seesFrames } from "./kinds/namespaces.ts";
import { type Heeded, Monitor } from "./monitor.ts";
import { Namespaces, netnsIdOf, onePerSpace } from "./namespaces.ts";
import { Nft } from "./nft.ts";
import { observe } from "./observe.ts";
import { OVSDB_SOCKET, OpenVswitch } from "./ovsdb/openVswitch.ts";
import { otherVxlansIn } from "./otherVxlans.ts";
import { portsOf } from "./ports.ts";
import { probeFeatures, probeShaping } from "./probe.ts";
import { cutOff } from "./sweep.ts";
import { takeOversBy } from "./takeOver/takeOver.ts";
import { trialsFrom } from "./trials.ts";

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
  /** Socket of the database of Open vSwitch, whose devices are in the host's namespace. */
  readonly ovsdb?: string;
};

export function linuxKernel({
  host = "/proc/thread-self/ns/net",
  prefix = NETNS_PREFIX,
  ovsdb = OVSDB_SOCKET,
}: LinuxOptions = {}): Kernel {
  const namespaces = new Namespaces(host, prefix);
  const nft = onePerSpace((space) => new Nft(namespaces, space));
  const echo = onePerSpace((space) => echoIn(namespaces, space));
  const ovs = new OpenVswitch(ovsdb);
  const ofKernel = once(() => probeFeatures(namespaces));
  const held = new GroupMemberships(namespaces);
  const tools = { namespaces, nft, ovs };
  const run = runner(tools, randomInt(2 ** 30));
  const heeded: Heeded = { names: new Set() };
  const monitors = new Set<Monitor>();
  const end = (monitor: Monitor) => monitors.delete(monitor) && monitor.close();
  return {
    netnsPrefix: prefix,
    observe: (workloads) => observe(tools, workloads),
    ports: () => portsOf(namespaces),
    async apply(ops, isStale = () => false) {
      const results = await run(ops, isStale);
      if (ops.some((op) => op.object.kind === "netns")) for (const monitor of monitors) monitor.refresh();
      return results;
    },
    cutOff: (ports) => ports.map((port) => cutOff(namespaces, port.ns, port)),
    watch(poke, signal, moved = () => undefined) {
      if (signal.aborted) return;
      const monitor = new Monitor({ namespaces, heeded }, poke, moved);
      monitors.add(monitor);
      ovs.watch(poke, signal);
      signal.addEventListener("abort", () => end(monitor), { once: true });
    },
    inherit: (wanted) => inherit(namespaces.host, wanted),
    heed: (names) => (heeded.names = new Set(names)),
    netnsId: netnsIdOf,
    ownNetns: (id) => namespaces.known().find(({ inode }) => inode === id)?.ns,
    linkNames: (ns) => namespaces.use(ns, linkNames) ?? [],
    facts: () => factsOf(namespaces.host),
    nextHops: (addresses) => nextHopsOf(namespaces.host, addresses),
    underlayMtu: (address) => mtuOf(namespaces.host, address),
    underlayDevice: (address) => deviceWith(namespaces.host, address),
    devices: (names, servers = []) => devicesOf(namespaces.host, names, servers),
    ...takeOversBy(() => namespaces.host.socket),
    sendToGroup: (way, datagram) => sendToGroup(namespaces, way, datagram),
    holdGroups: (wanted) => held.hold(wanted),
    shaping: once(() => probeShaping(namespaces)),
    features: async () => [...ofKernel(), ...((await ovs.isThere()) ? (["ovsdb"] as const) : [])],
    queues: (ns) => namespaces.use(ns, queuesIn) ?? new Map(),
    counters: (ns) => namespaces.use(ns, (space) => countersIn(space, nft(space).socket)) ?? { drops: [], ports: [] },
    cutFlows: (ns, isAllowed) => namespaces.use(ns, (space) => nft(space).endFlows(forbiddenBy(isAllowed))) ?? 0,
    thinFlows: (ns, ownerOf) => namespaces.use(ns, (space) => nft(space).endFlows(tooMany(ownerOf))) ?? 0,
    packetsPassed,
    echo: (ns) => namespaces.use(ns, echo),
    troubles: () => ovs.troubles(),
    trials: (local, channels) => namespaces.within(namespaces.host.fd, () => trialsFrom(local, channels)),
    forwardFilters: (bridges) => ({
      drops: nft(namespaces.host).forwardDrops(bridges),
      seesFrames: seesFrames(namespaces, namespaces.host),
    }),
    otherVxlans: () => otherVxlansIn(namespaces.host),
    blockingFilters: (words) => nft(namespaces.host).blockingFilters(words),
    close: once(() => {
      for (const monitor of monitors) end(monitor);
      ovs.close();
      held.hold([]);
      namespaces.close();
    }),
  };
}

/** What is done, or found out, when it is first asked for. */
function once<T>(find: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => (found ??= { value: find() }).value;
}
