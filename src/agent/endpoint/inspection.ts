// What can be asked about the endpoints of this host without changing anything.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { DROP_REASONS } from "../../datapath/policy/tableParts.ts";
import { diff } from "../../datapath/state/diff.ts";
import { portName, shaperName } from "../../datapath/state/names.ts";
import { printOps } from "../../datapath/state/print.ts";
import { keyOf, stateOf } from "../../datapath/state/state.ts";
import { nsOf, nsOfNamed } from "../../datapath/world/placement.ts";
import { type World, worldOf } from "../../datapath/world/world.ts";
import type { Kernel, Traffic } from "../../kernel/kernel.ts";
import { Fault } from "../../model/fault.ts";
import type { Endpoint, Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { Attachment, EndpointCounters, QueueCounters } from "../../model/status.ts";
import { allocate } from "../journal/blockAllocator.ts";
import type { Journal } from "../journal/journal.ts";
import { attachmentOf, compiled, withoutNetwork } from "./compile.ts";
import { checkTakes } from "./faults.ts";
import type { EndpointParts } from "./parts.ts";

type InspectionParts = Pick<EndpointParts, "host" | "snapshots" | "contexts" | "journal" | "kernel" | "blockLease">;

export class Inspection {
  readonly #parts: InspectionParts;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  /** Packets and drops of the attached endpoints, as the kernel has counted until now. */
  counters(): readonly EndpointCounters[] {
    const { snapshots, kernel, host } = this.#parts;
    const snapshot = snapshots.current();
    return snapshot === undefined ? [] : countersOf(kernel, snapshots.local(snapshot), host);
  }

  /** What went through the queues that limit the attached endpoints. */
  queues(): readonly QueueCounters[] {
    const { snapshots, kernel, journal } = this.#parts;
    return queuesOf(kernel, journal, snapshots.current());
  }

  /** The answer to the attach of an endpoint, and its objects in the kernel. */
  shown(
    endpoint: Endpoint,
    snapshot?: Snapshot,
  ): { readonly attachment: Attachment; readonly objects: readonly KernelObject[] } {
    const context = this.#parts.contexts.of(endpoint.spec.network, snapshot);
    const result = compiled(context, endpoint, this.#parts.journal);
    return { attachment: attachmentOf(context, endpoint, result), objects: result.objects };
  }

  /** The operations that would restore these objects of an endpoint, as `ip` lines; reads the kernel. */
  async differences({ spec }: Endpoint, objects: readonly KernelObject[]): Promise<readonly string[]> {
    const { kernel } = this.#parts;
    const seen = await kernel.observe([spec.netns as Ns]);
    const existing = objects.flatMap((object) => seen.get(keyOf(object)) ?? []);
    return printOps(diff(stateOf(existing), stateOf(objects)), kernel.netnsPrefix);
  }

  /** The network, if an attach to it would succeed now; otherwise throws the attach's Fault. Asks no server. */
  networkFor(name: string, slice: string | undefined): Network {
    const { contexts, journal, snapshots, blockLease } = this.#parts;
    const { ended } = blockLease;
    if (ended !== undefined) throw ended;
    const { network, segments, world } = contexts.of(name);
    checkTakes(world.self, network, blockLease);
    if (network.spec.ipam === "local")
      allocate(segments, journal.used(name), { network: name, ...(slice === undefined ? {} : { slice }) });
    else if (!snapshots.isSynced)
      throw new Fault("unavailable", {
        what: `the server cannot be reached, and it allocates the addresses of network "${name}"`,
        fix: "wait until it is back; endpoints that are attached are not affected",
      });
    return network;
  }

  /** The attached endpoints, also those of networks that are not known (any more). */
  list(): readonly Attachment[] {
    const { snapshots, journal } = this.#parts;
    // Shortly after its start an agent does not act on the saved snapshot yet, but what is attached is attached.
    const snapshot = snapshots.current() ?? snapshots.known();
    return [...journal.entries.values()]
      .filter((entry) => entry.state === "attached")
      .map(({ endpoint }) => {
        try {
          return this.shown(endpoint, snapshot).attachment;
        } catch (error) {
          if (error instanceof Fault) return withoutNetwork(endpoint);
          throw error;
        }
      });
  }
}

const NO_TRAFFIC: Omit<Traffic, "name"> = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 };

/** Packets and bytes of each endpoint, and the packets that were dropped, by reason. */
export function countersOf(
  kernel: Pick<Kernel, "counters">,
  snapshot: Snapshot,
  host: string,
): readonly EndpointCounters[] {
  const world = worldOf(snapshot, host);
  return (world?.vrfs ?? []).flatMap((vrf) => (world === undefined ? [] : vrfCounters(kernel, world, vrf)));
}

function vrfCounters(kernel: Pick<Kernel, "counters">, world: World, vrf: Vrf): EndpointCounters[] {
  const { drops, ports } = kernel.counters(nsOf(vrf));
  const byPort = Map.groupBy(drops, (drop) => drop.port);
  const traffic = new Map(ports.map(({ name, ...numbers }) => [name, numbers]));
  const here = (world.networks.get(vrf.name) ?? [])
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
    const ns = nsOfNamed(snapshot?.vrfs ?? [], networks.get(spec.network)?.spec.vrf ?? "");
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
