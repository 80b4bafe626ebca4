// What a round came to, for the report: the revision that the kernel surely has, and what was refused. Pure.
import { printOp } from "../../datapath/state/print.ts";
import type { KernelObject, ObjectOf } from "../../datapath/kinds.ts";
import { deviceOf } from "../../datapath/state/state.ts";
import type { OpResult } from "../../kernel/kernel.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";

type Outcome = Partial<HostReport> & Pick<HostReport, "errors">;

/** In a report; more would make it large and say nothing new. */
const ERRORS_MAX = 20;

/**
 * Of a round that ended. A refusal holds the revision back, also the refusal to repair what was there before. Refusals
 * in a workload's own namespace do not: the workload's root could keep the whole cluster waiting. `prefix`: of the
 * names of VRF namespaces.
 */
export function outcomeOf(local: Snapshot, refused: readonly OpResult[], before: HostReport, prefix: string): Outcome {
  const broken = brokenPorts(refused);
  const isHeldBack = refused.some(({ op }) => !isOfWorkload(op.object, broken));
  return {
    revision: isHeldBack ? heldBack(before.revision, local) : local.revision,
    ...policyOutcome(refused, local, before.host),
    errors: refused.slice(0, ERRORS_MAX).map(({ op, refusal }) => `${printOp(op, prefix).at(0)}: ${refusal?.message}`),
  };
}

/** Of a round that broke off: it is not known how far it got. */
export function failedOutcome(snapshot: Snapshot | undefined, error: unknown, before: HostReport): Outcome {
  const { revision, policyRevision } = before;
  const why = error instanceof Error ? error.message : String(error);
  return {
    revision: heldBack(revision, snapshot),
    ...(policyRevision === undefined ? {} : { policyRevision: heldBack(policyRevision, snapshot) }),
    errors: [`this host could not be looked at, or not be changed, and the agent tries again: ${why}`],
  };
}

/** Below the revision that is wanted: reporting that one would mean that everything is in the kernel. */
function heldBack(before: number, wanted: Snapshot | undefined): number {
  return wanted === undefined ? before : Math.min(before, Math.max(0, wanted.revision - 1));
}

/** Endpoints named in a report; more would make it large and say nothing new. */
const FAILED_MAX = 1_000;

/** The policy's revision; or, if a table or element was refused, this host's endpoints in that VRF. */
export function policyOutcome(
  refused: readonly OpResult[],
  snapshot: Snapshot,
  host: string,
): Pick<HostReport, "policyRevision" | "policyFailed"> {
  const isPolicy = ({ kind }: KernelObject) => kind === "nft" || kind === "element";
  const failed = new Set(refused.filter(({ op }) => isPolicy(op.object)).map(({ op }) => op.object.ns));
  if (failed.size === 0) return { policyRevision: snapshot.revision, policyFailed: [] };
  const vrfs = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const endpoints = snapshot.endpoints
    .filter(({ spec }) => spec.host === host && failed.has(`vrf:${vrfs.get(spec.network) ?? ""}`))
    .map(({ name }) => name)
    .sort();
  return { policyFailed: endpoints.slice(0, FAILED_MAX) };
}

/** Near ends of pairs that could not be made or changed: what is on them was refused because of that. */
function brokenPorts(refused: readonly OpResult[]): ReadonlySet<string> {
  return new Set(refused.flatMap(({ op: { object } }) => (isPort(object) ? `${object.ns} ${object.name}` : [])));
}

function isOfWorkload(object: KernelObject, broken: ReadonlySet<string>): boolean {
  const dev = deviceOf(object);
  return object.ns.startsWith("/") || isPort(object) || (dev !== undefined && broken.has(`${object.ns} ${dev}`));
}

/** A pair with one end in a workload's namespace. */
function isPort(object: KernelObject): object is ObjectOf<"veth"> {
  return object.kind === "veth" && object.peer.ns.startsWith("/");
}
