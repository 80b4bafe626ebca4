// Whether the kernel holds what an endpoint stands on, asked anew and not remembered.
import { diff } from "../../datapath/state/diff.ts";
import { printOps } from "../../datapath/state/print.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { keyOf, stateOf } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";

/** What would have to be done to make it so, as `ip` lines; empty if it is. `netns` is the workload's. */
export async function differences(
  kernel: Kernel,
  netns: string,
  objects: readonly KernelObject[],
): Promise<readonly string[]> {
  const seen = await kernel.observe([netns as Ns]);
  const there = objects.map((object) => seen.get(keyOf(object))).filter((object) => object !== undefined);
  return printOps(diff(stateOf(there), stateOf(objects)), kernel.netnsPrefix);
}
