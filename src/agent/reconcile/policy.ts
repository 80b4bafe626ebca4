// What a round owes to security groups beyond the kernel's objects: flows that the rules no longer allow are ended, and
// the server is told whose policy the kernel refused.
import { portName } from "../../datapath/state/names.ts";
import { policyOf } from "../../datapath/policy/groups.ts";
import { endpointElements, lacksProfile, membershipOf } from "../../datapath/policy/spoofing.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Op } from "../../datapath/state/state.ts";
import { judgeOf } from "../../datapath/policy/verdict.ts";
import { DROP_REASONS } from "../../datapath/policy/tableParts.ts";
import { type World, worldOf } from "../../datapath/world/world.ts";
import type { Flow, Kernel, OpResult, Traffic } from "../../kernel/kernel.ts";
import { Fault } from "../../model/fault.ts";
import { DEFAULT_GROUP } from "../../model/group.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { EndpointCounters, HostReport } from "../../model/status.ts";
import type { NetworkContext } from "../endpoint/networkContext.ts";

function isPolicy({ kind }: KernelObject): boolean {
  return kind === "nft" || kind === "element";
}

/** A port that comes, with what may come from it: all else may make rules say no where they said yes. */
function mayNarrow({ op, object }: Op): boolean {
  return isPolicy(object) && !(op === "add" && object.kind === "element" && !object.set.startsWith("members"));
}

/**
 * Ends the flows of this host that began when the rules were others, after each round; at first all are looked at,
 * because whoever changed the rules may have died before this. What it has ended when it resolves stays ended.
 */
export function flowCutter(): (
  kernel: FlowKernel,
  snapshot: Snapshot,
  host: string,
  ops: readonly Op[],
) => Promise<void> {
  let isStart = true;
  // Kept until it is done: what throws is tried again after the next round.
  const changed = new Set<Ns>();
  return async (kernel, snapshot, host, ops) => {
    for (const op of ops) if (mayNarrow(op)) changed.add(op.object.ns);
    const world = isStart || changed.size > 0 ? worldOf(snapshot, host) : undefined;
    const judged = (world?.vrfs ?? []).flatMap(({ name }): Judged[] => {
      if (world === undefined || (!isStart && !changed.has(`vrf:${name}`))) return [];
      const judge = judgeOf(world, name);
      return judge === undefined ? [] : [{ ns: `vrf:${name}`, isAllowed: (flow) => judge(flow, flow.side) }];
    });
    await endFlows(kernel, judged);
    isStart = false;
    changed.clear();
  };
}

type FlowKernel = Pick<Kernel, "cutFlows" | "packetsPassed">;
type Judged = { readonly ns: Ns; readonly isAllowed: (flow: Flow) => boolean };

/** Nearly always two: one that ends, one that finds nothing. Each is a chance for packets to bring a flow back. */
const LOOKS_MAX = 50;

/**
 * A packet that met the old rules, or found its flow just before that was taken out, puts it into the set again
 * (`update @set`). So a namespace is done when a look finds nothing to end after all such packets have passed.
 */
async function endFlows(kernel: FlowKernel, judged: readonly Judged[]): Promise<void> {
  let left = judged;
  for (let looks = 1; left.length > 0; looks++) {
    const cut = left.filter(({ ns, isAllowed }) => kernel.cutFlows(ns, isAllowed) > 0);
    if (looks > 1) left = cut;
    if (looks === LOOKS_MAX && left.length > 0)
      throw new Error(`flows of ${left.map(({ ns }) => ns).join(", ")} come back as often as they are ended`);
    if (left.length > 0) await kernel.packetsPassed();
  }
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
export function elementsOf({ world, vrf, root }: NetworkContext, endpoint: Endpoint): KernelObject[] {
  return [
    ...endpointElements(world, vrf, root, endpoint),
    ...membershipOf(vrf, root, endpoint, policyOf(world, vrf.name).peers),
  ];
}

/** Whether its objects stand alone: no rules that the tables lack, no address that another endpoint has, too. */
export function canFastPath(objects: readonly KernelObject[], { spec }: Endpoint): boolean {
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
