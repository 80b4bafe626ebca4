// One round, to be read from top to bottom: makes the kernel what the snapshot and the journal ask of this host. The
// agent changes the kernel here, and, through the same KernelView, in attaches and detaches; what these leave undone, a
// round does.
import { compile } from "../../datapath/compile.ts";
import type { IsFaulty } from "../../datapath/network/offload.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { diff } from "../../datapath/state/diff.ts";
import type { KernelState, Op } from "../../datapath/state/state.ts";
import type { OpResult } from "../../kernel/kernel.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";
import type { Adopter } from "./adopt.ts";
import type { FlowCutter } from "./cutFlows.ts";
import type { HostNamespace } from "./hostNamespace.ts";
import type { KernelView } from "./kernelView.ts";
import { withoutRemovals } from "./knownState.ts";
import type { GroupHolder } from "./groupHolder.ts";
import type { NextHops } from "./nextHops.ts";
import type { SnapshotSource } from "./snapshotSource.ts";
import type { TakeOvers } from "./takeOvers.ts";

export type ReconcileParts = {
  readonly host: string;
  readonly snapshots: SnapshotSource;
  readonly journal: Pick<Journal, "entries" | "version">;
  readonly adopter: Adopter;
  readonly nextHops: NextHops;
  readonly hostNamespace: HostNamespace;
  readonly takeOvers: TakeOvers;
  readonly groups: GroupHolder;
  readonly cutFlows: FlowCutter;
  /** Addresses that workloads must not reach, beside other hosts': the server's. */
  readonly management?: () => readonly string[];
  /** Tunnels whose checksums the kernel has to write, given what the kernel has. */
  readonly faultyIn: (actual: KernelState) => IsFaulty;
};

/** What a round did. */
export type Reconciled = {
  /** What was compiled: the snapshot with this host's own endpoints. */
  readonly local: Snapshot;
  readonly ops: readonly Op[];
  readonly refused: readonly OpResult[];
  /** The kernel had converged before: the operations repaired what something else changed. */
  readonly isDrift: boolean;
  /** Some operations were stale: an attach or detach changed the same links meanwhile. Another round has to follow. */
  readonly hasStale: boolean;
};

/** Throws if the kernel cannot be read, or not be changed at all; a refused operation only counts in the result. */
export async function reconcile(snapshot: Snapshot, view: KernelView, parts: ReconcileParts): Promise<Reconciled> {
  const { host, snapshots, journal, adopter, nextHops, hostNamespace, groups, cutFlows, takeOvers } = parts;
  const { management = () => [], faultyIn } = parts;

  // Observe. From each observation to applyRound() nothing is awaited: an attach writes its journal and records its
  // changes in one turn, so every port in `actual` is in the journal, or is a stray.
  let seen = judged(await view.observe(), snapshot, view, parts);

  // Adopt ports that the journal lost, and observe again. What cannot be adopted then stays, or is removed.
  if (seen.strays.length > 0) {
    await adopter.adopt(seen.actual, seen.strays, seen.snapshot, snapshots.isComplete);
    view.observer.requestFull();
    seen = judged(await view.observe(), seen.snapshot, view, parts);
  }
  // Take over what other programs made for a network that allows it, and observe that.
  if (snapshots.isComplete && hostNamespace.inherit(seen.local, seen.actual))
    seen = judged(await view.observe(), seen.snapshot, view, parts);
  const { actual, strays } = seen;
  view.hasAdopted ||= adopter.isDone;

  // Compile. No device may leave a group before this host is in it by itself.
  const local = takeOvers.inForce(hostNamespace.buildable(seen.local, actual));
  groups.hold(local);
  const compiled = compile(local, host, management(), faultyIn(actual));
  hostNamespace.lookAtTunnels(compiled, local);
  const kept = hostNamespace.withFormerMacs(compiled, actual, local);
  const whole = adopter.withStrays(nextHops.addTo(kept), actual, strays);
  const desired = takeOvers.adjust(whole, actual, seen.local, snapshots.isComplete);

  // Diff. A snapshot that may lack something removes nothing.
  const wanted = snapshots.isComplete
    ? desired
    : withoutRemovals(adopter.withoutUnexplained(actual), desired, journal.entries.values());
  const ops = diff(actual, wanted);
  const isDrift = view.isConverged(seen.snapshot);
  const { version } = journal;

  // Apply.
  const results = nextHops.withoutHops(await view.applyRound(actual, ops));
  takeOvers.poke();
  const missed = results.filter(({ refusal }) => refusal !== undefined);
  if (missed.length > 0) view.observer.requestFull();
  // What stays because the snapshot may lack it, goes in a round for the same snapshot that is complete.
  view.reconciled(seen.snapshot, missed.length === 0 && wanted.size === desired.size ? version : undefined);
  await cutFlows(local, ops);

  // Report.
  const refused = missed.filter(({ refusal }) => refusal?.class !== "stale" && refusal?.class !== "awaited");
  return { local, ops, refused, isDrift, hasStale: missed.some(({ refusal }) => refusal?.class === "stale") };
}

type Seen = {
  /** The newest snapshot when the observation ended. */
  readonly snapshot: Snapshot;
  readonly local: Snapshot;
  readonly actual: KernelState;
  /** Ports that are not in the journal, nor on their way into it. */
  readonly strays: readonly Veth[];
};

/** Not async: nothing may happen between the end of the observation and the use of the answer. */
function judged(
  observed: KernelState,
  before: Snapshot,
  view: KernelView,
  { snapshots, adopter }: ReconcileParts,
): Seen {
  const snapshot = snapshots.current() ?? before;
  const local = snapshots.local(snapshot);
  const actual = view.actual(observed, local.endpoints);
  const strays = snapshots.hasEnded ? [] : adopter.strays(actual, view.inFlight);
  return { snapshot, local, actual, strays };
}
