// What the kernel has counted of this host's endpoints: packets, drops and their reasons, and queues. Read when asked.
import { portName, shaperName } from "../../datapath/state/names.ts";
import { DROP_REASONS } from "../../datapath/policy/tableParts.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { type World, worldOf } from "../../datapath/world/world.ts";
import type { Kernel, Traffic } from "../../kernel/kernel.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { EndpointCounters, QueueCounters } from "../../model/status.ts";
import type { Journal } from "../journal/journal.ts";

const NO_TRAFFIC: Omit<Traffic, "name"> = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 };

/** Packets and bytes of each endpoint, and the packets that were dropped, by reason. */
export function countersOf(
  kernel: Pick<Kernel, "counters">,
  snapshot: Snapshot,
  host: string,
): readonly EndpointCounters[] {
  const world = worldOf(snapshot, host);
  return (world?.vrfs ?? []).flatMap(({ name }) => (world === undefined ? [] : vrfCounters(kernel, world, name)));
}

function vrfCounters(kernel: Pick<Kernel, "counters">, world: World, vrf: string): EndpointCounters[] {
  const { drops, ports } = kernel.counters(`vrf:${vrf}`);
  const byPort = Map.groupBy(drops, (drop) => drop.port);
  const traffic = new Map(ports.map(({ name, ...numbers }) => [name, numbers]));
  const here = (world.networks.get(vrf) ?? [])
    .flatMap((network) => world.endpoints.get(network.name) ?? [])
    .filter(({ spec }) => spec.host === world.self.name);
  return here.map(({ name }): EndpointCounters => {
    const port = portName(name);
    const reasons: Record<string, number> = {};
    for (const { reason, packets } of byPort.get(port) ?? [])
      reasons[DROP_REASONS[reason] ?? `reason-${reason}`] = packets;
    return { endpoint: name, ...(traffic.get(port) ?? NO_TRAFFIC), drops: reasons };
  });
}

/** What went through the queues that limit endpoints. */
export function queuesOf(
  kernel: Pick<Kernel, "queues">,
  journal: Pick<Journal, "entries">,
  snapshot: Snapshot | undefined,
): readonly QueueCounters[] {
  const networks = new Map(snapshot?.networks.map((network) => [network.name, network]));
  const byNamespace = new Map<Ns, ReturnType<Kernel["queues"]>>();
  return [...journal.entries.values()].flatMap(({ endpoint: { name, spec } }) => {
    const ns: Ns = `vrf:${networks.get(spec.network)?.spec.vrf}`;
    const queues = byNamespace.get(ns) ?? kernel.queues(ns);
    byNamespace.set(ns, queues);
    const ends = [
      ["inbound", queues.get(portName(name))],
      ["outbound", queues.get(shaperName(name))],
    ] as const;
    return ends.flatMap(([direction, counters]) =>
      counters === undefined ? [] : [{ endpoint: name, direction, ...counters }],
    );
  });
}
