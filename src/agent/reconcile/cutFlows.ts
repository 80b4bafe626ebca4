// Ends flows: those that the rules no longer allow, and those that take more than a fair share of a table. After each
// round, flows of the VRFs whose rules it may have narrowed are judged anew; when an agent starts, all flows are: its
// predecessor may have died between the two.
import type { Ns } from "../../datapath/kinds/kind.ts";
import { judgeOf } from "../../datapath/policy/verdict.ts";
import type { KernelState, Op } from "../../datapath/state/state.ts";
import { nsOf } from "../../datapath/world/placement.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Flow, Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";

/** Everything in the tables, except the elements of a new port: they allow, and deny nothing that was allowed. */
function mayNarrow({ op, object }: Op): boolean {
  if (object.kind === "element") return op !== "add" || object.set.startsWith("members");
  return object.kind === "nft";
}

type FlowKernel = Pick<Kernel, "cutFlows" | "packetsPassed">;

/** Called after each round, with its operations; what it has ended when it resolves stays ended. */
export type FlowCutter = (snapshot: Snapshot, ops: readonly Op[]) => Promise<void>;

export function flowCutter(kernel: FlowKernel, host: string): FlowCutter {
  let isStart = true;
  // Cleared only at the end: after an error the next round tries again.
  const changed = new Set<Ns>();
  return async (snapshot, ops) => {
    for (const op of ops) if (mayNarrow(op)) changed.add(op.object.ns);
    const world = isStart || changed.size > 0 ? worldOf(snapshot, host) : undefined;
    const judged = (world?.vrfs ?? []).flatMap((vrf): Judged[] => {
      const ns = nsOf(vrf);
      if (world === undefined || (!isStart && !changed.has(ns))) return [];
      const judge = judgeOf(world, vrf.name);
      return judge === undefined ? [] : [{ ns, isAllowed: (flow) => judge(flow, flow.side) }];
    });
    await endFlows(kernel, judged);
    isStart = false;
    changed.clear();
  };
}

type Judged = { readonly ns: Ns; readonly isAllowed: (flow: Flow) => boolean };

/** Usually two: one pass that ends flows, one that finds none. In each, packets may bring a flow back. */
const PASSES_MAX = 50;

/**
 * A packet that met the old rules, or found its flow just before it was removed, adds the flow to the set again
 * (`update @set`). So a namespace is done when a pass after all such packets finds nothing to end.
 */
async function endFlows(kernel: FlowKernel, judged: readonly Judged[]): Promise<void> {
  let left = judged;
  for (let passes = 1; left.length > 0; passes++) {
    const cut = left.filter(({ ns, isAllowed }) => kernel.cutFlows(ns, isAllowed) > 0);
    if (passes > 1) left = cut;
    if (passes === PASSES_MAX && left.length > 0)
      throw new Error(`flows of ${left.map(({ ns }) => ns).join(", ")} come back as often as they are ended`);
    if (left.length > 0) await kernel.packetsPassed();
  }
}

// Fair shares of a VRF's flow sets. nftables counts no elements per part of a key, so packets from one port could fill
// a set, and a few more keep it full. Two things bound that: a port may begin only so many flows per second
// (datapath/policy/flows.ts), and the agent checks the sets more often than a port can fill half of one.

/** In this time one port can begin 5,000 + 5 × 500 flows, and receive 10,000 + 5 × 2,000, of 65,536 in a set. */
const PERIOD_MS = 5_000;

export type FlowSharesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "thinFlows">;
  readonly clock: Clock;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

/** Until the signal aborts: in a set that is half full, ends flows of those who have most, until half is free. */
export async function limitFlowShares(
  { host, kernel, clock, log }: FlowSharesOptions,
  signal: AbortSignal,
  now: () => { readonly state: KernelState; readonly snapshot: Snapshot | undefined },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(PERIOD_MS, signal);
    if (signal.aborted) return;
    const { state, snapshot } = now();
    for (const object of state.values()) {
      // Flows are in the table of the bridges, which the host's own namespace has only with a VRF in it.
      if (object.kind !== "nft" || (object.ns === "host" && object.bridge === undefined)) continue;
      const { ns } = object;
      try {
        const ended = kernel.thinFlows(ns, ownersIn(snapshot, host, ns));
        if (ended > 0)
          log("flows of the endpoints with most flows are ended: a table was more than half full", { ns, ended });
      } catch (error) {
        log("shares", { ns, error: String(error) });
      }
    }
  }
}

/** Which endpoint has an address; computed at the first call, which is rare. Other addresses share one name. */
function ownersIn(snapshot: Snapshot | undefined, host: string, ns: Ns): (address: string) => string {
  let owners: Map<string, string> | undefined;
  return (address) => (owners ??= makeOwners(snapshot, host, ns)).get(address) ?? "";
}

/** Endpoints that are allowed the same address count as one owner, under that address. */
function makeOwners(snapshot: Snapshot | undefined, host: string, ns: Ns): Map<string, string> {
  const owners = new Map<string, string>();
  const world = snapshot === undefined ? undefined : worldOf(snapshot, host);
  const vrf = world?.vrfs.find((each) => nsOf(each) === ns);
  for (const network of world?.networks.get(vrf?.name ?? "") ?? []) {
    for (const { name, spec } of world?.endpoints.get(network.name) ?? []) {
      if (spec.host !== host) continue;
      for (const { address } of spec.allowedAddresses ?? []) owners.set(address, owners.has(address) ? address : name);
      for (const address of spec.addresses) owners.set(address, name);
    }
  }
  return owners;
}
