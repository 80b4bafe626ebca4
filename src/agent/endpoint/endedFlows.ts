// Flows of detached endpoints: the next owners of their addresses must not inherit them. A detach ends them when its
// link is removed. If a round removed the port instead (the server wanted it, or a killed agent had begun the detach),
// they are ended here, before the address is free.
import { portName } from "../../datapath/state/names.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";

type FlowKernel = Pick<Kernel, "cutFlows">;

/** Reads each VRF's flows once for all its endpoints. `vrfOf`: the VRF of a network. Throws if the kernel refuses. */
export function endFlowsOf(
  kernel: FlowKernel,
  endpoints: Iterable<Endpoint>,
  vrfOf: (network: string) => string | undefined,
): void {
  const byVrf = new Map<string, Set<string>>();
  for (const { spec } of endpoints) {
    const vrf = vrfOf(spec.network);
    if (vrf === undefined) continue;
    const addresses = byVrf.get(vrf) ?? new Set();
    byVrf.set(vrf, addresses);
    for (const address of spec.addresses) addresses.add(address);
  }
  for (const [vrf, gone] of byVrf)
    kernel.cutFlows(`vrf:${vrf}`, ({ source, destination }) => !gone.has(source) && !gone.has(destination));
}

export type EndedFlowsOptions = {
  readonly kernel: FlowKernel;
  readonly journal: Pick<Journal, "entries">;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

/** Ports whose addresses are not free: those in the kernel (`existing`), and those whose flows could not be ended. */
export function portsWithAddresses(
  { kernel, journal, log }: EndedFlowsOptions,
  snapshot: Snapshot,
  existing: ReadonlySet<string>,
  inFlight: ReadonlySet<string>,
): ReadonlySet<string> {
  const gone = [...journal.entries.values()].flatMap(({ endpoint, state }) =>
    state === "detaching" && !inFlight.has(endpoint.name) && !existing.has(portName(endpoint.name)) ? [endpoint] : [],
  );
  const vrfs = new Map(snapshot.networks.map(({ name, spec }) => [name, spec.vrf]));
  try {
    endFlowsOf(kernel, gone, (network) => vrfs.get(network));
    return existing;
  } catch (error) {
    log("flows of endpoints that left cannot be ended", { error: String(error) });
    return new Set([...existing, ...gone.map(({ name }) => portName(name))]);
  }
}
