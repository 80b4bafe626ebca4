// What a round came to, as the server is told: which revision the kernel holds for certain, and what stands in the way.
import { printOp } from "../../datapath/state/print.ts";
import type { KernelObject, ObjectOf } from "../../datapath/kinds.ts";
import { deviceOf } from "../../datapath/state/state.ts";
import type { OpResult } from "../../kernel/kernel.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";
import { policySaid } from "./policy.ts";

type Outcome = Partial<HostReport> & Pick<HostReport, "errors">;

/** In a report: more would make it large and tell nothing new. */
const ERRORS_MAX = 20;

/**
 * Of a round that ended. What the kernel refused holds the revision back, also when it refused to repair what it held
 * before. Not so in a workload's own namespace: its root could keep the whole cluster waiting. `prefix`: netns-prefix.
 */
export function outcomeOf(local: Snapshot, refused: readonly OpResult[], before: HostReport, prefix: string): Outcome {
  const broken = brokenPorts(refused);
  const isHeldBack = refused.some(({ op }) => !isOfWorkload(op.object, broken));
  return {
    revision: isHeldBack ? heldBack(before.revision, local) : local.revision,
    ...policySaid(refused, local, before.host),
    errors: refused.slice(0, ERRORS_MAX).map(({ op, refusal }) => `${printOp(op, prefix).at(0)}: ${refusal?.message}`),
  };
}

/** Of a round that broke off: nobody knows how far it came. */
export function brokenOff(snapshot: Snapshot | undefined, error: unknown, before: HostReport): Outcome {
  const { revision, policyRevision } = before;
  const why = error instanceof Error ? error.message : String(error);
  return {
    revision: heldBack(revision, snapshot),
    ...(policyRevision === undefined ? {} : { policyRevision: heldBack(policyRevision, snapshot) }),
    errors: [`this host could not be looked at, or not be changed, and the agent tries again: ${why}`],
  };
}

/** Below the revision that is wanted: at that one, all is as it should be. */
function heldBack(before: number, wanted: Snapshot | undefined): number {
  return wanted === undefined ? before : Math.min(before, Math.max(0, wanted.revision - 1));
}

/** Near ends of pairs that could not be made or changed: what hangs on them is refused with them. */
function brokenPorts(refused: readonly OpResult[]): ReadonlySet<string> {
  return new Set(refused.flatMap(({ op: { object } }) => (isPort(object) ? `${object.ns} ${object.name}` : [])));
}

function isOfWorkload(object: KernelObject, broken: ReadonlySet<string>): boolean {
  const dev = deviceOf(object);
  return object.ns.startsWith("/") || isPort(object) || (dev !== undefined && broken.has(`${object.ns} ${dev}`));
}

/** A pair of which one end is in a workload's namespace. */
function isPort(object: KernelObject): object is ObjectOf<"veth"> {
  return object.kind === "veth" && object.peer.ns.startsWith("/");
}
