// What a round owes to security groups beyond the kernel's objects: flows that the rules no longer allow are ended, and
// the server is told whose policy the kernel refused.
import { portName } from "../datapath/names.ts";
import { policyOf } from "../datapath/policy.ts";
import { endpointElements, lacksProfile, membershipOf } from "../datapath/spoofing.ts";
import type { KernelObject, Ns, Op } from "../datapath/state.ts";
import { judgeOf } from "../datapath/verdict.ts";
import { DROP_REASONS } from "../datapath/words.ts";
import { type World, worldOf } from "../datapath/world.ts";
import type { Kernel, OpResult, Traffic } from "../kernel/kernel.ts";
import { Fault } from "../model/fault.ts";
import { DEFAULT_GROUP } from "../model/group.ts";
import type { Endpoint, Snapshot } from "../model/resource.ts";
import type { EndpointCounters, HostReport } from "../model/status.ts";
import type { Place } from "./place.ts";

function isPolicy({ kind }: KernelObject): boolean {
  return kind === "nft" || kind === "element";
}

/**
 * Ends the flows of this host that began when the rules were others, after each round; at first all are looked at,
 * because whoever changed the rules may have died before this.
 */
export function flowCutter(): (
  kernel: Pick<Kernel, "cutFlows">,
  snapshot: Snapshot,
  host: string,
  ops: readonly Op[],
) => void {
  let isStart = true;
  // Kept until it is done: what throws is tried again after the next round.
  const changed = new Set<Ns>();
  return (kernel, snapshot, host, ops) => {
    for (const { object } of ops) if (isPolicy(object)) changed.add(object.ns);
    const world = isStart || changed.size > 0 ? worldOf(snapshot, host) : undefined;
    for (const { name } of world?.vrfs ?? []) {
      if (world === undefined || (!isStart && !changed.has(`vrf:${name}`))) continue;
      const judge = judgeOf(world, name);
      if (judge !== undefined) kernel.cutFlows(`vrf:${name}`, (flow) => judge(flow, flow.side));
    }
    isStart = false;
    changed.clear();
  };
}

/** Names in a report: more would make it large and tell nothing new. */
const FAILED_MAX = 1_000;

/** For the report: this host's endpoints in whose VRF a table or an element was refused; if none, the revision. */
export function policySaid(
  refused: readonly OpResult[],
  snapshot: Snapshot,
  host: string,
): Pick<HostReport, "policyRevision" | "policyFailed"> {
  const spaces = new Set(refused.filter(({ op }) => isPolicy(op.object)).map(({ op }) => op.object.ns));
  if (spaces.size === 0) return { policyRevision: snapshot.revision, policyFailed: [] };
  const vrfs = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const failed = snapshot.endpoints
    .filter(({ spec }) => spec.host === host && spaces.has(`vrf:${vrfs.get(spec.network) ?? ""}`))
    .map(({ name }) => name)
    .sort();
  return { policyFailed: failed.slice(0, FAILED_MAX) };
}

/** Groups of a request that the snapshot does not have are refused: of a local network nobody else judges it. */
export function checkGroupsKnown(groups: readonly string[] | undefined, snapshot: Snapshot): void {
  for (const [i, name] of (groups ?? []).entries()) {
    if (name === DEFAULT_GROUP || snapshot.securityGroups.some((group) => group.name === name)) continue;
    const what = `there is no security group "${name}"`;
    throw new Fault("group-unknown", { what, where: `securityGroups[${i}]`, fix: "see weft sg list" });
  }
}

/** Elements of an endpoint, as one of its root: before them its port carries nothing. */
export function elementsOf({ world, vrf, root }: Place, endpoint: Endpoint): KernelObject[] {
  return [
    ...endpointElements(world, vrf, root, endpoint),
    ...membershipOf(vrf, root, endpoint, policyOf(world, vrf.name).peers),
  ];
}

/** Whether its objects stand alone: no rules that the tables lack, no address that another endpoint has, too. */
export function isPlain(objects: readonly KernelObject[], { spec }: Endpoint): boolean {
  return spec.allowedAddresses === undefined && !objects.some(lacksProfile);
}

const NO_TRAFFIC: Omit<Traffic, "name"> = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 };

/** Packets of each endpoint of this host, and what was dropped of them and why; read from the kernel now. */
export function countersOf(kernel: Kernel, snapshot: Snapshot, host: string): EndpointCounters[] {
  const world = worldOf(snapshot, host);
  return (world?.vrfs ?? []).flatMap(({ name }) => (world === undefined ? [] : vrfCounters(kernel, world, name)));
}

function vrfCounters(kernel: Kernel, world: World, vrf: string): EndpointCounters[] {
  const { drops, ports } = kernel.counters(`vrf:${vrf}`);
  const byPort = Map.groupBy(drops, (drop) => drop.port);
  const traffic = new Map(ports.map(({ name, ...numbers }) => [name, numbers]));
  const here = (world.networks.get(vrf) ?? [])
    .flatMap((network) => world.endpoints.get(network.name) ?? [])
    .filter(({ spec }) => spec.host === world.self.name);
  return here.map(({ name }): EndpointCounters => {
    const port = portName(name);
    const reasons: Record<string, number> = {};
    for (const { reason, packets } of byPort.get(port) ?? [])
      reasons[DROP_REASONS[reason] ?? `reason-${reason}`] = packets;
    return { endpoint: name, ...(traffic.get(port) ?? NO_TRAFFIC), drops: reasons };
  });
}
