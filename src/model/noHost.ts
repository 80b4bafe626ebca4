// A network of all hosts (`*`) that each of them leaves out is nowhere, which nothing else tells.
import { ALL_HOSTS } from "./carrying.ts";
import { whyLeftOut } from "./leftOut.ts";
import type { Host, NetworkSpec } from "./resource.ts";

const TOLD_MAX = 5;

/**
 * Why no host can have a network of `*`, or of clusters; undefined if one can, there is no host, or the network names
 * hosts itself.
 */
export function noHostText(spec: NetworkSpec, hosts: readonly Host[]): string | undefined {
  if (spec.clusterHosts?.length === 0) return `no host can carry it yet: none is in its clusters`;
  if (spec.hosts?.join() !== ALL_HOSTS || hosts.length === 0 || Array.isArray(spec.hostAddresses)) return undefined;
  const reasons = hosts.map((host) => [host.name, whyLeftOut(spec, host)] as const);
  if (reasons.some(([, why]) => why === undefined)) return undefined;
  const byReason = [...Map.groupBy(reasons, ([, why]) => why)];
  const told = byReason.slice(0, TOLD_MAX).map(([why, its]) => `${namesText(its.map(([name]) => name))}: ${why}`);
  return `no host can carry it yet: ${told.join("; ")}${byReason.length > TOLD_MAX ? "; and others" : ""}`;
}

function namesText(names: readonly string[]): string {
  const more = names.length > TOLD_MAX ? ` and ${names.length - TOLD_MAX} more` : "";
  return `${names.toSorted().slice(0, TOLD_MAX).join(", ")}${more}${names.length > 1 ? ", each" : ""}`;
}
