// What admission needs besides the view, and what its parts share.
import { createHash } from "node:crypto";
import type { Cidr, Family } from "../../model/address.ts";
import { parseCidr } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { Network } from "../../model/resource.ts";
import type { QuarantineTime } from "../../model/quarantine.ts";
import { prefixesOf } from "../../model/membership.ts";

export type Context = {
  /** A new resource's uid. */
  readonly uid: () => string;
  /** Milliseconds since the epoch, by the wall clock: for what people set a time for. */
  readonly nowMs: () => number;
  /** The clock of quarantines. */
  readonly quarantineTime: () => QuarantineTime;
  /** Each host's own addresses and routes, from its latest claim or report. */
  readonly prefixes: ReadonlyMap<string, readonly Cidr[]>;
  /** Networks that are put later in the same write: what they have now is not what they will have. */
  readonly moving?: ReadonlySet<string>;
  /** Keys of what the same write puts, earlier or later. */
  readonly listed?: ReadonlySet<string>;
  /** Families that local networks will have which are put later in the same write, by their VRF. */
  readonly coming?: ReadonlyMap<string, ReadonlySet<Family>>;
  /** Groups of a new network that names none; a setting of the cluster. */
  readonly newNetworkGroups?: readonly string[];
};

/** A network's prefixes as values; they are canonical since they were admitted. */
export function cidrsOf(network: Network): Cidr[] {
  return prefixesOf(network.spec).map((cidr) => parseCidr(cidr, `network/${network.name}`));
}

/** A random number below `limit`, from the source of uids. */
export function chance(context: Context, limit: bigint): bigint {
  const digest = createHash("sha256").update(context.uid()).digest("hex");
  return BigInt(`0x${digest}`) % limit;
}

export function inUse(what: string, why: string, fix: string, blockers: Iterable<string>): Fault {
  return new Fault("in-use", { what, why, fix, blockers: [...blockers].sort() });
}

/** Says in a refusal which part of the request it is about. */
export function within<T>(part: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { where } = error.detail;
    throw new Fault(
      error.reason,
      { ...error.detail, where: where === undefined ? part : `${part}.${where}` },
      { cause: error },
    );
  }
}
