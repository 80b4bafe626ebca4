// Ends flows that the rules no longer allow. After each round, flows of the VRFs whose rules it may have narrowed are
// judged anew; when an agent starts, all flows are, because its predecessor may have died between the two.
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Op } from "../../datapath/state/state.ts";
import { judgeOf } from "../../datapath/policy/verdict.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Flow, Kernel } from "../../kernel/kernel.ts";
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
    const judged = (world?.vrfs ?? []).flatMap(({ name }): Judged[] => {
      if (world === undefined || (!isStart && !changed.has(`vrf:${name}`))) return [];
      const judge = judgeOf(world, name);
      return judge === undefined ? [] : [{ ns: `vrf:${name}`, isAllowed: (flow) => judge(flow, flow.side) }];
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
