// What can be asked about the endpoints of this host without changing anything.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { diff } from "../../datapath/state/diff.ts";
import { printOps } from "../../datapath/state/print.ts";
import { keyOf, stateOf } from "../../datapath/state/state.ts";
import { Fault } from "../../model/fault.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import type { Attachment, EndpointCounters, QueueCounters } from "../../model/status.ts";
import { allocate } from "../journal/blockAllocator.ts";
import { attachmentOf, withoutNetwork } from "./claim.ts";
import { compiled } from "./compile.ts";
import { countersOf, queuesOf } from "./counters.ts";
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
        what: `the server cannot be reached, and it assigns the addresses of network "${name}"`,
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
