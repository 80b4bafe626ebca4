// Everybody's share of what a VRF remembers of flows. Sets of nftables have no count per part of a key, so packets
// alone could fill one from a single port, and keep it full with a few of each. What bounds that: how fast a port may
// begin flows (datapath/policy/flows.ts), and that the agent looks more often than a port needs to fill half of a set.
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { KernelState } from "../../datapath/state/state.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";

/** In it, one port can begin 5,000 + 5 × 500 flows, and 10,000 + 5 × 2,000 can be begun to one: of 65,536. */
const PERIOD_MS = 5_000;

export type SharesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "thinFlows">;
  readonly clock: Clock;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

/** Until the signal aborts: who has most of a set that is half full, loses flows until half of it is free again. */
export async function limitFlowShares(
  { host, kernel, clock, log }: SharesOptions,
  signal: AbortSignal,
  now: () => { readonly held: KernelState; readonly snapshot: Snapshot | undefined },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(PERIOD_MS, signal);
    if (signal.aborted) return;
    const { held, snapshot } = now();
    for (const ns of filteredIn(held)) {
      try {
        const ended = kernel.thinFlows(ns, ownersIn(snapshot, host, ns));
        if (ended > 0) log("flows of those who have most are ended: a table was more than half full", { ns, ended });
      } catch (error) {
        log("shares", { ns, error: String(error) });
      }
    }
  }
}

function filteredIn(held: KernelState): Ns[] {
  return [...held.values()].filter(({ kind, ns }) => kind === "nft" && ns !== "host").map(({ ns }) => ns);
}

/**
 * Whose an address is; made when somebody asks, because mostly nobody does. Addresses of no endpoint share one name.
 */
function ownersIn(snapshot: Snapshot | undefined, host: string, ns: Ns): (address: string) => string {
  let owners: Map<string, string> | undefined;
  return (address) => {
    owners ??= makeOwners(snapshot, host, ns);
    return owners.get(address) ?? "";
  };
}

/** Of an address that several endpoints may have, all are one owner. */
function makeOwners(snapshot: Snapshot | undefined, host: string, ns: Ns): Map<string, string> {
  const owners = new Map<string, string>();
  const world = snapshot === undefined ? undefined : worldOf(snapshot, host);
  for (const network of world?.networks.get(ns.slice("vrf:".length)) ?? []) {
    for (const { name, spec } of world?.endpoints.get(network.name) ?? []) {
      if (spec.host !== host) continue;
      for (const { address } of spec.allowedAddresses ?? []) owners.set(address, owners.has(address) ? address : name);
      for (const address of spec.addresses) owners.set(address, name);
    }
  }
  return owners;
}
