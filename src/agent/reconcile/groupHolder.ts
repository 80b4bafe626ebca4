// While a conversion goes to a group or away from one, hosts change one after the other, and some send to the group
// while others have left it or not joined it. So each host is in all of its groups until the conversion is over,
// whatever its devices do.
import { groupsToJoin } from "../../datapath/world/ways.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { groupsBetween } from "../../model/conversion.ts";
import { type Snapshot, listIn } from "../../model/resource.ts";

export class GroupHolder {
  readonly #kernel: Pick<Kernel, "holdGroups">;
  readonly #host: string;
  #isHolding = false;

  constructor({ kernel, host }: { readonly kernel: Pick<Kernel, "holdGroups">; readonly host: string }) {
    this.#kernel = kernel;
    this.#host = host;
  }

  /** Before the kernel is brought to this snapshot. Throws if a group cannot be joined: then the host is not ready. */
  hold(local: Snapshot): void {
    const isNeeded = listIn(local, "conversion").some(({ spec }) => groupsBetween(spec).length > 0);
    if (!isNeeded && !this.#isHolding) return;
    const world = worldOf(local, this.#host);
    this.#kernel.holdGroups(isNeeded && world !== undefined ? groupsToJoin(world) : []);
    this.#isHolding = isNeeded;
  }
}
