// Compares the objects of one endpoint with the kernel, which is read anew.
import { diff } from "../../datapath/state/diff.ts";
import { printOps } from "../../datapath/state/print.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { keyOf, stateOf } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";

/** The operations that would restore them, as `ip` lines; none if nothing is wrong. `netns` is the workload's. */
export async function differences(
  kernel: Pick<Kernel, "observe" | "netnsPrefix">,
  netns: string,
  objects: readonly KernelObject[],
): Promise<readonly string[]> {
  const seen = await kernel.observe([netns as Ns]);
  const there = objects.map((object) => seen.get(keyOf(object))).filter((object) => object !== undefined);
  return printOps(diff(stateOf(there), stateOf(objects)), kernel.netnsPrefix);
}
