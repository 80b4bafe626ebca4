// What is promised of every kind of object, tried with its examples (examples.ts).
import { strict as assert } from "node:assert";
import { setTimeout } from "node:timers/promises";
import { kindOf } from "../../../src/datapath/kinds.ts";
import { diff } from "../../../src/datapath/state/diff.ts";
import { keyOf, stateOf } from "../../../src/datapath/state/state.ts";
import { EXAMPLES, type Example } from "./examples.ts";
import {
  add,
  assertHolds,
  type Contract,
  converge,
  mustApply,
  oursIn,
  refusalOf,
  remove,
  until,
  type Workload,
  type World,
} from "./world.ts";

/** The workload's namespace that examples name. */
const NAMED = "/run/netns/web";

/** An example, with a workload of the world's. */
export function caseFor(example: Example, workload: Workload): Example {
  return JSON.parse(JSON.stringify(example).replaceAll(NAMED, workload)) as Example;
}

/** A contract with a test per example, named by what is tried and the object's key. */
export function eachExample(
  examples: readonly Example[],
  what: string,
  body: (world: World, example: Example) => Promise<void>,
): Contract {
  const tests = examples.map((example) => [`${keyOf(example.is)}: ${what}`, example] as const);
  return Object.fromEntries(tests.map(([name, example]) => [name, (world: World) => started(world, example, body)]));
}

async function started(world: World, example: Example, body: (world: World, example: Example) => Promise<void>) {
  world.start([...example.needs, example.is]);
  await body(world, example);
}

async function observedChangedAndRemoved(world: World, example: Example): Promise<void> {
  const workload = await world.workload();
  const { needs, is, becomes } = caseFor(example, workload);
  await converge(world, [...needs, is], [workload]);
  const again = await refusalOf(world, { op: "add", object: is });
  assert(["none", "exists"].includes(again), again);
  await assertHolds(world.kernel, stateOf([...needs, is]), [workload]);
  if (becomes !== undefined) {
    await mustApply(world, [{ op: "set", from: is, object: becomes }]);
    await assertHolds(world.kernel, stateOf([...needs, becomes]), [workload]);
  }
  const last = becomes ?? is;
  for (let time = 0; time < 2; time++) {
    await mustApply(world, remove(last));
    await assertHolds(world.kernel, stateOf(kindOf(last).isRemovable ? needs : [...needs, last]), [workload]);
  }
  await converge(world, [], [workload]);
}

async function repaired(world: World, example: Example): Promise<void> {
  const workload = await world.workload();
  const { needs, is } = caseFor(example, workload);
  const desired = stateOf([...needs, is]);
  await converge(world, [...needs, is], [workload]);
  const stop = new AbortController();
  let pokes = 0;
  world.kernel.watch(() => pokes++, stop.signal);
  // The kernel says nothing of sysctls; and a watch that has just begun pokes for each namespace that it has found.
  await until("the watch is quiet", async () => {
    const before = pokes;
    await setTimeout(20);
    return pokes === before;
  });
  const before = pokes;
  await world.disturb(is);
  if (is.kind !== "sysctl") await until("a poke", () => pokes > before);
  stop.abort();
  assert.notDeepEqual(diff(await world.kernel.observe([workload]), desired), [], "it is seen");
  // The kernel may not have let go of what went with it yet.
  await until("it is as it was", async () => {
    const ops = diff(await world.kernel.observe([workload]), desired);
    await world.kernel.apply(ops);
    return ops.length === 0;
  });
  await assertHolds(world.kernel, desired, [workload]);
}

/** A VRF's namespace is Weft's own: tables and sysctls in it are ours, whoever made them. */
function mayBeForeign({ is }: Example): boolean {
  return kindOf(is).role !== "alone" || is.kind === "netns" || is.ns === "host";
}

async function leftAlone(world: World, example: Example): Promise<void> {
  if (!mayBeForeign(example)) return;
  const workload = await world.workload();
  const { needs, is } = caseFor(example, workload);
  const own = needs.filter(({ kind }) => kind === "netns");
  await mustApply(world, add(...own));
  for (const object of needs.filter(({ kind }) => kind !== "netns")) await world.plant(object);
  await world.plant(is);
  assert.deepEqual(await oursIn(world.kernel, [workload]), own, "another's is not ours");
  await mustApply(world, remove(is));
  assert(await world.isStillThere(is));
}

export function kindsOf(examples: readonly Example[]): Contract {
  return {
    ...eachExample(examples, "is observed as applied, changes in place, and goes", observedChangedAndRemoved),
    ...eachExample(examples, "what others do to it is seen and repaired", repaired),
    ...eachExample(examples, "another's is neither seen nor touched", leftAlone),
  };
}

export const KINDS: Contract = kindsOf(EXAMPLES);

async function refused(world: World, { needs, is }: Example): Promise<void> {
  const workload = await world.workload();
  await converge(world, needs, [workload]);
  assert.equal(await refusalOf(world, { op: "add", object: is }), "unsupported");
  await assertHolds(world.kernel, stateOf(needs), [workload]);
}

/** What a kernel promises that lacks the kind of these. */
export function lackingOf(examples: readonly Example[]): Contract {
  return eachExample(examples, "a kernel without such devices refuses it, and has nothing left of it", refused);
}
