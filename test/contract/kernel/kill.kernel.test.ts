// Kills an agent at any moment of its work on a real kernel; the next one finds every link and finishes the work.
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { diff } from "../../../src/datapath/state/diff.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import { stateOf } from "../../../src/datapath/state/state.ts";
import { LinuxWorld, obstacle } from "./linuxWorld.ts";
import * as o from "./objects.ts";
import { assertHolds, until, type Workload } from "./world.ts";

const KILLS = 12;

/** A process that makes a network and takes it down, again and again; resolves when it has begun. */
async function startAgent(
  world: LinuxWorld,
  desired: readonly KernelObject[],
  workload: Workload,
): Promise<ChildProcess> {
  const program = `
    const { linuxKernel } = await import(${JSON.stringify(import.meta.resolve("../../../src/kernel/linux.ts"))});
    const { diff } = await import(${JSON.stringify(import.meta.resolve("../../../src/datapath/state/diff.ts"))});
    const { stateOf } = await import(${JSON.stringify(import.meta.resolve("../../../src/datapath/state/state.ts"))});
    const kernel = linuxKernel(${JSON.stringify(world.options)});
    const states = [stateOf(${JSON.stringify(desired)}), stateOf([])];
    console.log("begun");
    for (let n = 0; ; n++) {
      const workloads = [${JSON.stringify(workload)}];
      await kernel.apply(diff(await kernel.observe(workloads), states[n % 2]));
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

test("linux: killed at any moment, the next agent knows every link and ends in the same state", {
  skip: obstacle() ?? false,
}, async () => {
  const world = new LinuxWorld();
  try {
    const workload = await world.workload();
    const desired = [...o.routedNetwork(workload), o.tunnel(8, "wb7")];
    for (let n = 0; n < KILLS; n++) {
      const agent = await startAgent(world, desired, workload);
      // Any moment of the round: 30 to 60 ms long.
      await setTimeout(n * 7);
      agent.kill("SIGKILL");
      await once(agent, "exit");
      const kernel = world.restart();
      const ours = [...(await kernel.observe([workload])).values()];
      const known = ours.flatMap((object) => ("name" in object && object.ns === o.NS ? [object.name] : []));
      assert.deepEqual(
        kernel
          .linkNames(o.NS)
          .filter((name) => name !== "lo")
          .sort(),
        known.sort(),
      );
      await until("the network is as it should be", async () => {
        const ops = diff(await kernel.observe([workload]), stateOf(desired));
        await kernel.apply(ops);
        return ops.length === 0;
      });
      await assertHolds(kernel, stateOf(desired), [workload]);
      kernel.close();
    }
  } finally {
    await world.close();
  }
});
