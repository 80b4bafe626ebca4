// Flows of endpoints that have left: whoever gets their addresses next must not inherit them. A detach ends them as its
// link goes; what rounds removed instead (an administrator's wish, what a killed agent began, a refusal in between) has
// them ended here before its address is free.
import { portName } from "../../datapath/state/names.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";

type FlowKernel = Pick<Kernel, "cutFlows">;

/** A VRF's flows are read once for all of them. `vrfOf` knows the VRF of a network. Throws if the kernel cannot. */
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

export type EndedOptions = {
  readonly kernel: FlowKernel;
  readonly journal: Pick<Journal, "entries">;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

/** Ports that keep an address: those that are there, and those that left flows which could not be ended. */
export function portsWithAddresses(
  { kernel, journal, log }: EndedOptions,
  snapshot: Snapshot,
  there: ReadonlySet<string>,
  inFlight: ReadonlySet<string>,
): ReadonlySet<string> {
  const gone = [...journal.entries.values()].flatMap(({ endpoint, state }) =>
    state === "detaching" && !inFlight.has(endpoint.name) && !there.has(portName(endpoint.name)) ? [endpoint] : [],
  );
  const vrfs = new Map(snapshot.networks.map(({ name, spec }) => [name, spec.vrf]));
  try {
    endFlowsOf(kernel, gone, (network) => vrfs.get(network));
    return there;
  } catch (error) {
    log("flows of endpoints that left cannot be ended", { error: String(error) });
    return new Set([...there, ...gone.map(({ name }) => portName(name))]);
  }
}
