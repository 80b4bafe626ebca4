// Limits: what a network and an endpoint keep of a request, and whether the hosts concerned can enforce it. A host says
// in its claim what its kernel can do; a limit that a host could only ignore is refused.
import { isDeepStrictEqual } from "node:util";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import {
  type Direction,
  DIRECTIONS,
  levelsOf,
  limited,
  limitOf,
  parseQos,
  patched,
  type Qos,
  type QosInput,
} from "../../../model/qos.ts";
import type { Host, Network, NetworkSpec } from "../../../model/resource.ts";
import { type View, get } from "../../state/view.ts";
import { reservationChain, reservationsUnder } from "../contents.ts";

/** A network's own limits; it inherits from nothing, so `none` and `inherit` have no meaning here. */
export function networkQos(input: QosInput = {}): Qos | undefined {
  const limits = Object.entries(patched(undefined, parseQos(input, "spec.qos")) ?? {});
  const kept = limits.filter(([, limit]) => limit !== "none");
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** All limits that a network itself sets, for comparison. */
function limitsOf({ qos, ranges = [] }: NetworkSpec): unknown[] {
  return [qos, ...ranges.map((range) => [range.name, range.qos])];
}

/** The limits of a lease, the narrowest first: its own, its range's, the network's, then those of its parent's. */
export function levelsIn(
  view: View,
  network: Network,
  own: { readonly qos?: Qos; readonly range?: string },
): (Qos | undefined)[] {
  const levels = levelsOf(network, own);
  const parent = get(view, "network", network.spec.reservedFrom ?? "");
  if (parent === undefined) return levels;
  const range = network.spec.ranges?.find(({ name }) => name === own.range)?.from;
  return [...levels, ...levelsIn(view, parent, defined({ range }))];
}

/** All hosts that carry the network, or what is reserved from it, must be able to enforce limits that are new. */
export function checkLimits(view: View, old: Network | undefined, network: Network): void {
  if (isDeepStrictEqual(limitsOf(network.spec), old === undefined ? [] : limitsOf(old.spec))) return;
  for (const each of [network, ...reservationsUnder(view, network.name)]) checkNetworkHosts(view, each);
}

/** A Fault `qos-unsupported` names the hosts that carry a network and cannot enforce its limits. */
function checkNetworkHosts(view: View, network: Network): void {
  for (const direction of DIRECTIONS) {
    const unable = unableHosts(view, network, direction);
    if (unable.length === 0) continue;
    throw new Fault("qos-unsupported", {
      what: `network "${network.name}" cannot limit ${direction} traffic on all of its hosts`,
      where: limited([network.spec.qos]).includes(direction) ? `spec.qos.${direction}` : "spec.ranges",
      why: NEEDS[direction],
      fix: "load the modules there and start the agents again, or limit endpoints on other hosts only",
      blockers: unable,
    });
  }
}

/**
 * Hosts that carry a network and would have to limit a direction that they cannot limit. Every host has addresses of a
 * routed network; of a switched one only hosts with a limited endpoint matter.
 */
export function unableHosts(view: View, network: Network, direction: Direction): string[] {
  const { qos } = network.spec;
  if (!reservationChain(view, network).some(isLimiting)) return [];
  const index = view.networks.get(network.name);
  const isLimited = (levels: readonly (Qos | undefined)[]) => limitOf(levels, direction) !== undefined;
  const hosts = new Set<string>();
  if (network.spec.ipam === "local" && isLimited([qos]))
    for (const name of index?.members.keys() ?? []) hosts.add(name);
  for (const { spec } of index?.endpoints.values() ?? [])
    if (isLimited(levelsIn(view, network, spec))) hosts.add(spec.host);
  return [...hosts].filter((name) => lacks(get(view, "host", name), direction)).sort();
}

function isLimiting({ spec: { qos, ranges = [] } }: Network): boolean {
  return qos !== undefined || ranges.some((range) => range.qos !== undefined);
}

/** The kernel modules that a direction needs; `weft host show` shows which directions a host can limit. */
const NEEDS: Readonly<Record<Direction, string>> = {
  inbound: "their kernels lack sch_tbf",
  outbound: "their kernels lack one of sch_tbf, ifb, sch_ingress, cls_u32, act_mirred",
};

function lacks(host: Host | undefined, direction: Direction): boolean {
  return host !== undefined && host.spec.shaping?.includes(direction) !== true;
}

/** A Fault `qos-unsupported` if the endpoint is limited in a direction that its host cannot limit. */
export function checkEndpointHost(host: Host | undefined, levels: readonly (Qos | undefined)[]): void {
  const direction = limited(levels).find((each) => lacks(host, each));
  if (direction === undefined || host === undefined) return;
  throw new Fault("qos-unsupported", {
    what: `host "${host.name}" cannot limit ${direction} traffic`,
    where: `qos.${direction}`,
    why: NEEDS[direction].replace("their kernels lack", "its kernel lacks"),
    fix: `load the modules there and start the agent again, or attach it with ${direction} "none"`,
  });
}
