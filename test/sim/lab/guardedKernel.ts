// The kernel as a simulated agent gets it: checks the order of writes, takes the time that a real kernel takes, and
// lets other work run in between.
import assert from "node:assert/strict";
import type { Op } from "../../../src/datapath/state/state.ts";
import type { FakeKernel } from "../../../src/kernel/fake.ts";
import type { Kernel, OpResult } from "../../../src/kernel/kernel.ts";
import type { Clock } from "../../../src/model/clock.ts";

/** Tables, and the elements without which a port carries nothing. */
function isPolicy({ kind }: Op["object"]): boolean {
  return kind === "nft" || kind === "element";
}

/** Called after every few operations, which are then one alone or a transaction of the tables. */
export type AfterOps = (() => Promise<void>) | undefined;

/** Law 4, and law 8: in each batch the policy comes before the ports. */
export function guarded(
  kernel: FakeKernel,
  clock: Clock,
  mayWrite: () => boolean,
  { what, afterOps }: { readonly what: string; readonly afterOps: () => AfterOps },
): Kernel {
  return {
    netnsPrefix: kernel.netnsPrefix,
    observe: (workloads) => kernel.observe(workloads),
    nextHops: (addresses) => kernel.nextHops(addresses),
    devices: (names) => kernel.devices(names),
    async apply(ops, isStale): Promise<OpResult[]> {
      assert(ops.length === 0 || mayWrite(), what);
      const firstPort = ops.findIndex(
        ({ op, object }) => op === "add" && object.kind === "veth" && object.master !== undefined,
      );
      const lastTable = ops.findLastIndex(({ op, object }) => op !== "remove" && isPolicy(object));
      assert(firstPort < 0 || lastTable < firstPort, "a port before its policy");
      const results: OpResult[] = [];
      for (let from = 0; from < ops.length; ) {
        const after = afterOps();
        const [end, waitMs] = after === undefined ? turnFrom(ops, from) : [stepFrom(ops, from), 0];
        results.push(...(await kernel.apply(ops.slice(from, end), isStale)));
        await after?.();
        if (waitMs > 0) await clock.sleep(waitMs);
        from = end;
      }
      return results;
    },
    ports: () => kernel.ports(),
    cutOff: (ports) => kernel.cutOff(ports),
    watch: (poke, signal) => kernel.watch(poke, signal),
    underlayDevice: () => kernel.underlayDevice(),
    sendToGroup: () => kernel.sendToGroup(),
    hostUse: () => kernel.hostUse(),
    takeOver: () => kernel.takeOver(),
    giveBack: () => kernel.giveBack(),
    holdGroups: () => kernel.holdGroups(),
    inherit: (wanted) => kernel.inherit(wanted),
    heed: () => kernel.heed(),
    echo: () => kernel.echo(),
    trials: () => kernel.trials(),
    blockingFilters: () => kernel.blockingFilters(),
    forwardFilters: () => kernel.forwardFilters(),
    otherVxlans: () => kernel.otherVxlans(),
    troubles: () => kernel.troubles(),
    netnsId: (path) => kernel.netnsId(path),
    ownNetns: (id) => kernel.ownNetns(id),
    linkNames: (ns) => kernel.linkNames(ns),
    facts: () => kernel.facts(),
    underlayMtu: (address) => kernel.underlayMtu(address),
    shaping: () => kernel.shaping(),
    features: () => kernel.features(),
    queues: (ns) => kernel.queues(ns),
    counters: () => kernel.counters(),
    cutFlows: (ns, isAllowed) => kernel.cutFlows(ns, isAllowed),
    thinFlows: () => kernel.thinFlows(),
    packetsPassed: () => kernel.packetsPassed(),
    close: () => kernel.close(),
  };
}

const TURN_OPS = 32;

/** The kernel makes wait who deletes links, all of them at once; and a long list gives others their turn. */
function turnFrom(ops: readonly Op[], from: number): readonly [end: number, waitMs: number] {
  const isRemoval = (op: Op | undefined) => op?.op === "remove" && "name" in op.object;
  let end = from;
  while (isRemoval(ops[end])) end++;
  if (end > from) return [end, 20];
  while (end < ops.length && end - from < TURN_OPS && !isRemoval(ops[end])) end++;
  return [end, end - from === TURN_OPS ? 1 : 0];
}

/** What a real kernel changes in one step that others can see. */
function stepFrom(ops: readonly Op[], from: number): number {
  let end = from + 1;
  const isTransaction = (op: Op | undefined) => op !== undefined && isPolicy(op.object);
  while (isTransaction(ops[from]) && isTransaction(ops[end])) end++;
  return end;
}
