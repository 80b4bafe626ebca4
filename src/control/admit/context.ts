// What admission needs besides the view, and what its parts share.
import { createHash } from "node:crypto";
import { type Cidr, formatIp, formatMac, parseCidr } from "../../model/address.ts";
import { defined } from "../../model/defined.ts";
import { Fault, type FaultDetail } from "../../model/fault.ts";
import { type Kind, unknownFault } from "../../model/kinds.ts";
import type { GroupBase } from "../../model/multicast.ts";
import type { Network, ResourceOf } from "../../model/resource.ts";
import type { QuarantineTime } from "../../model/quarantine.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Space } from "../state/networkIndex.ts";
import { type View, get } from "../state/view.ts";

export type Context = {
  /** A new resource's uid. */
  readonly uid: () => string;
  /** Milliseconds since the epoch, by the wall clock: for what people set a time for. */
  readonly nowMs: () => number;
  /** The clock of quarantines. */
  readonly quarantineTime: () => QuarantineTime;
  /** Each host's own addresses and routes, from its latest claim or report. */
  readonly prefixes: ReadonlyMap<string, readonly Cidr[]>;
  /** Groups of a new network that names none; a setting of the cluster. */
  readonly newNetworkGroups?: readonly string[];
  /** Of groups that follow from VNIs; a setting of the cluster. */
  readonly groupBase?: GroupBase;
};

/** The resource; a Fault at `where` if there is none of that name. */
export function existing<K extends Kind>(view: View, kind: K, name: string, where = "name"): ResourceOf<K> {
  const resource = get(view, kind, name);
  if (resource === undefined) throw unknownFault(kind, name, where);
  return resource;
}

/** A network's prefixes as values; they are canonical since they were admitted. */
export function cidrsOf({ name, spec }: Pick<Network, "name" | "spec">): Cidr[] {
  return prefixesOf(spec).map((cidr) => parseCidr(cidr, `network/${name}`));
}

export function textOf(space: Space, value: bigint): string {
  return space === "mac" ? formatMac(value) : formatIp({ family: space, value });
}

/** A random number below `limit`, from the source of uids. */
export function chance({ uid }: Context, limit: bigint): bigint {
  return BigInt(`0x${createHash("sha256").update(uid()).digest("hex")}`) % limit;
}

/** Refuses what would take something away from these, if there are any. */
export function refuseWhile(blockers: readonly string[], detail: Pick<FaultDetail, "what" | "why" | "fix">): void {
  if (blockers.length > 0) throw new Fault("in-use", { ...detail, blockers: blockers.toSorted() });
}

/** Refuses an empty list. */
export function checkSome(list: readonly unknown[], where: string, fix: string, why?: string): void {
  if (list.length > 0) return;
  const what = `${where}: expected at least one`;
  throw new Fault("request-invalid", { what, where, ...defined({ why }), fix });
}

/** Refuses a network that takes no new endpoints. */
export function checkEnabled({ name, spec }: Network, where: string, why = "it takes no new endpoints"): void {
  if (spec.enabled) return;
  throw new Fault("network-disabled", {
    what: `network "${name}" is disabled`,
    where,
    why,
    fix: "enable it, or choose another network",
  });
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
