// Limits of this host's endpoints, as the door needs them: what the kernel cannot do is refused before anything is
// made, what the server changed is written down, and what went through the queues is told by endpoint.
import { portName, shaperName } from "../../datapath/state/names.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { limited, patched, parseQos, type Qos } from "../../model/qos.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Host, Network, Snapshot } from "../../model/resource.ts";
import type { AttachRequest, QueueCounters } from "../../model/status.ts";
import type { Journal } from "../journal/journal.ts";
import { withServerSettings } from "../reconcile/localSnapshot.ts";
import { noShaping } from "./faults.ts";

/** A limit that this host's kernel would not keep is refused: `qos-unsupported`. */
export function checkShaping(self: Host, network: Network, request: AttachRequest): void {
  // Of a global network's leases, and the ranges they are from, the server judges.
  if (network.spec.ipam === "global") return;
  const levels = [limitsIn(request).qos, network.spec.qos];
  const direction = limited(levels).find((each) => self.spec.shaping?.includes(each) !== true);
  if (direction !== undefined) throw noShaping(self.name, direction);
}

/** Limits of a new endpoint's own, canonical; a Fault `qos-invalid` for others. */
export function limitsIn(claim: Pick<AttachRequest, "qos">): { readonly qos?: Qos } {
  const qos = patched(undefined, parseQos(claim.qos ?? {}, "qos"));
  return qos === undefined ? {} : { qos };
}

/** The journal keeps what the server says of its endpoints, for a start without the server. */
export function recordSettings(snapshot: Snapshot, journal: Journal): void {
  for (const endpoint of snapshot.endpoints) {
    const entry = journal.entries.get(nameOnHost(endpoint.spec));
    if (entry === undefined || entry.endpoint.spec.host !== endpoint.spec.host) continue;
    const wanted = withServerSettings(entry.endpoint, endpoint);
    if (wanted !== entry.endpoint) journal.put({ ...entry, endpoint: wanted });
  }
}

/** What went through the queues that limit this host's endpoints, as the kernel counts now. */
export function queuesOf(kernel: Kernel, journal: Journal, snapshot: Snapshot | undefined): readonly QueueCounters[] {
  const networks = new Map(snapshot?.networks.map((network) => [network.name, network]));
  const spaces = new Map<Ns, ReturnType<Kernel["queues"]>>();
  return [...journal.entries.values()].flatMap(({ endpoint: { name, spec } }) => {
    const ns: Ns = `vrf:${networks.get(spec.network)?.spec.vrf}`;
    const queues = spaces.get(ns) ?? kernel.queues(ns);
    spaces.set(ns, queues);
    const ends = [
      ["inbound", queues.get(portName(name))],
      ["outbound", queues.get(shaperName(name))],
    ] as const;
    return ends.flatMap(([direction, counters]) =>
      counters === undefined ? [] : [{ endpoint: name, direction, ...counters }],
    );
  });
}
