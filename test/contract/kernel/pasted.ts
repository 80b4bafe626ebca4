// Lines that Weft prints do by hand what Weft would do: pasted into a shell they make, change and remove the same
// objects. What they lack is the mark of a namespace and of tables, which is no business of a hand.
import { strict as assert } from "node:assert";
import { setTimeout } from "node:timers/promises";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import { NFT_TAMPERED } from "../../../src/datapath/kinds/tables.ts";
import { diff } from "../../../src/datapath/state/diff.ts";
import { type KernelState, type Op, stateOf } from "../../../src/datapath/state/state.ts";
import type { Example } from "./examples.ts";
import { caseFor, eachExample } from "./kinds.ts";
import { LinuxWorld } from "./linuxWorld.ts";
import { add, type Contract, mustApply, type Workload, type World } from "./world.ts";

/** Links that are made by hand forward what their namespace does. */
const FORWARDING: readonly KernelObject[] = ["vrf:blue" as const, "host" as const].map((ns) => ({
  kind: "sysctl",
  ns,
  key: "ipv4/ip_forward",
  value: "1",
}));

/** Tables made by hand are taken for changed ones; in the host's namespace for others'. */
function asPasted(objects: readonly KernelObject[]): KernelState {
  const seen = objects.filter(({ kind, ns }) => kind !== "sysctl" && !(kind === "nft" && ns === "host"));
  return stateOf(seen.map((object) => (object.kind === "nft" ? { ...object, digest: NFT_TAMPERED } : object)));
}

async function assertPasted(world: LinuxWorld, objects: readonly KernelObject[], workload: Workload): Promise<void> {
  const left = async () => {
    const actual = [...(await world.kernel.observe([workload])).values()].filter(({ kind }) => kind !== "sysctl");
    return diff(stateOf(actual), asPasted(objects));
  };
  // A database of another program tells its news a moment later.
  for (let n = 0; n < 100 && (await left()).length > 0; n++) await setTimeout(5);
  assert.deepEqual(await left(), []);
}

async function pasted(world: World, example: Example): Promise<void> {
  assert(world instanceof LinuxWorld);
  const workload = await world.workload();
  const { needs, is, becomes } = caseFor(example, workload);
  const there = [...needs, is];
  const [namespaces, others] = [there.filter(isNetns), there.filter((object) => !isNetns(object))];
  await mustApply(world, add(...namespaces));
  const forwarding = FORWARDING.filter(({ ns }) => ns === "host" || namespaces.some((one) => one.ns === ns));
  // Ends of a pair are told by their indexes, which Weft chooses at random; a hand gets the same in each namespace.
  world.paste(["ip link add other type bridge", "ip link delete other"]);
  world.paste(world.print(add(...forwarding, ...others)));
  await assertPasted(world, there, workload);
  if (becomes !== undefined) {
    world.paste(world.print([{ op: "set", from: is, object: becomes }]));
    await assertPasted(world, [...needs, becomes], workload);
  }
  const removal: Op = { op: "remove", object: becomes ?? is };
  world.paste(world.print([removal]));
  await assertPasted(world, needs, workload);
}

function isNetns({ kind }: KernelObject): boolean {
  return kind === "netns";
}

export function pastedOf(examples: readonly Example[]): Contract {
  return eachExample(examples, "printed lines do the same by hand", pasted);
}
