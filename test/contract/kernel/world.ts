// What both kernels promise: the one on Linux and the one in memory run the same tests. A world is a new machine with
// one host, and a handle for everything that other programs do on it; each test gets its own and asserts the resulting
// state.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { diff } from "../../../src/datapath/state/diff.ts";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { type KernelState, keyOf, type Op, stateOf } from "../../../src/datapath/state/state.ts";
import type { Kernel, OpResult } from "../../../src/kernel/kernel.ts";

export type Workload = `/${string}`;
export type World = {
  readonly kernel: Kernel;
  /** The same machine through a port of its own: an agent that was restarted. */
  restart(): Kernel;
  /** Starts the programs that these objects are made by, where the kernel alone does not make them. */
  start(objects: readonly KernelObject[]): void;
  /** A workload's namespace: its path. */
  workload(): Promise<Workload>;
  removeWorkload(path: Workload): Promise<void>;
  /** Somebody else makes this, without our marks. A table is one called `inet weft`. */
  plant(object: KernelObject): Promise<void>;
  /** Whether it is there, whosever it is. */
  has(object: KernelObject): Promise<boolean>;
  /** Whether it is there, whosever it is; it need not be afterwards. */
  isStillThere(object: KernelObject): Promise<boolean>;
  /** Somebody else removes this; a sysctl is switched, a table gets one more rule. */
  disturb(object: KernelObject): Promise<void>;
  /** Somebody else adds an element to the set `members` of our table. */
  addElement(ns: Ns): Promise<void>;
  close(): Promise<void>;
};
/** By what is promised. */
export type Contract = Readonly<Record<string, (world: World) => Promise<void>>>;

/** Registers a test per promise. `skip`: why this machine cannot run them. */
export function testContract(name: string, contract: Contract, make: () => Promise<World>, skip?: string): void {
  for (const [promise, body] of Object.entries(contract)) {
    test(`${name}: ${promise}`, { skip: skip ?? false }, async () => {
      const world = await make();
      try {
        await body(world);
      } finally {
        await world.close();
      }
    });
  }
}

/** Brings the kernel to the desired state in at most two rounds, without a refusal, and asserts that it rests there. */
export async function converge(
  world: World,
  desired: Iterable<KernelObject>,
  workloads: readonly Ns[] = [],
): Promise<void> {
  const wanted = stateOf(desired);
  for (let round = 0; round < 2; round++) {
    await mustApply(world, diff(await world.kernel.observe(workloads), wanted));
  }
  await assertHolds(world.kernel, wanted, workloads);
}

/** Exactly this is there, and the next round would do nothing. */
export async function assertHolds(kernel: Kernel, wanted: KernelState, workloads: readonly Ns[] = []): Promise<void> {
  const actual = await kernel.observe(workloads);
  assert.deepEqual(comparable(actual, wanted), comparable(wanted, wanted));
  assert.deepEqual(diff(actual, wanted), []);
}

/** As values in one order; sysctls only where somebody wants them, tables without their text. */
function comparable(state: KernelState, wanted: KernelState): KernelObject[] {
  return [...state]
    .filter(([key, object]) => object.kind !== "sysctl" || wanted.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, object]) => (object.kind === "nft" ? textless(object) : object));
}

function textless({ kind, ns, digest }: ObjectOf<"nft">): KernelObject {
  return { kind, ns, digest, body: "" };
}

/** What is ours, without sysctls, which every namespace has. */
export async function oursIn(kernel: Kernel, workloads: readonly Ns[] = []): Promise<KernelObject[]> {
  return [...(await kernel.observe(workloads)).values()].filter((object) => object.kind !== "sysctl");
}

export function add(...objects: readonly KernelObject[]): Op[] {
  return objects.map((object) => ({ op: "add", object }));
}

export function remove(...objects: readonly KernelObject[]): Op[] {
  return objects.map((object) => ({ op: "remove", object }));
}

export async function mustApply(world: World, ops: readonly Op[]): Promise<void> {
  const results = await world.kernel.apply(ops);
  assert.deepEqual(
    results.map((result) => result.op),
    ops,
    "one result per operation, in order",
  );
  assert.deepEqual(refusalsOf(results), []);
}

function refusalsOf(results: readonly OpResult[]): string[] {
  return results.flatMap(({ op, refusal }) =>
    refusal === undefined ? [] : [`${op.op} ${keyOf(op.object)}: ${refusal.class}: ${refusal.message}`],
  );
}

/** The class of the refusal of one operation; `none` if it was done. */
export async function refusalOf(world: World, op: Op): Promise<string> {
  const [result] = await world.kernel.apply([op]);
  assert(result !== undefined);
  assert.notEqual(result.refusal?.message, "");
  return result.refusal?.class ?? "none";
}

/** Polls until it is so; fails after ten seconds. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await isSo()); waitedMs += 5) {
    assert(waitedMs < 10_000, `not within ten seconds: ${what}`);
    await setTimeout(5);
  }
}
