// What admission knows beside the view, and words that its parts share.
import type { Cidr } from "../../model/address.ts";
import { parseCidr } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { Network } from "../../model/resource.ts";

export type Context = {
  /** A new resource's uid. */
  readonly uid: () => string;
  /** Each host's own addresses and routes, from its latest claim or report. */
  readonly prefixes: ReadonlyMap<string, readonly Cidr[]>;
  /** Networks that are put later in the same write: what they have now is not what they will have. */
  readonly moving?: ReadonlySet<string>;
};

/** A network's subnets as values; they are canonical since they were admitted. */
export function cidrsOf(network: Network): Cidr[] {
  return network.spec.subnets.map((subnet) => parseCidr(subnet.cidr, `network/${network.name}`));
}

export function inUse(what: string, why: string, fix: string, blockers: Iterable<string>): Fault {
  return new Fault("in-use", { what, why, fix, blockers: [...blockers].sort() });
}
