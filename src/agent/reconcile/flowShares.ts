// Fair shares of a VRF's flow sets. nftables counts no elements per part of a key, so packets from one port could fill
// a set, and a few more keep it full. Two things bound that: a port may begin only so many flows per second
// (datapath/policy/flows.ts), and the agent checks the sets more often than a port can fill half of one.
import type { KernelState } from "../../datapath/state/state.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";

/** In this time one port can begin 5,000 + 5 × 500 flows, and receive 10,000 + 5 × 2,000, of 65,536 in a set. */
const PERIOD_MS = 5_000;

export type FlowSharesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "thinFlows">;
  readonly clock: Clock;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

/**
 * Runs until the signal aborts. If a set is half full, flows of the endpoints that have most of it are ended until half
 * of it is free.
 */
export async function limitFlowShares(
  { host, kernel, clock, log }: FlowSharesOptions,
  signal: AbortSignal,
  now: () => { readonly state: KernelState; readonly snapshot: Snapshot | undefined },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(PERIOD_MS, signal);
    if (signal.aborted) return;
    const { state, snapshot } = now();
    for (const ns of filteredIn(state)) {
      try {
        const ended = kernel.thinFlows(ns, ownersIn(snapshot, host, ns));
        if (ended > 0) log("flows of those who have most are ended: a table was more than half full", { ns, ended });
      } catch (error) {
        log("shares", { ns, error: String(error) });
      }
    }
  }
}

function filteredIn(state: KernelState): Ns[] {
  return [...state.values()].filter(({ kind, ns }) => kind === "nft" && ns !== "host").map(({ ns }) => ns);
}

/** Which endpoint has an address; computed at the first call, which is rare. Other addresses share one name. */
function ownersIn(snapshot: Snapshot | undefined, host: string, ns: Ns): (address: string) => string {
  let owners: Map<string, string> | undefined;
  return (address) => {
    owners ??= makeOwners(snapshot, host, ns);
    return owners.get(address) ?? "";
  };
}

/** Endpoints that are allowed the same address count as one owner, under that address. */
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
