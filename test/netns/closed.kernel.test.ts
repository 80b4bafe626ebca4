// A closed kernel port: the numbers of its descriptors may belong to other files by now.
import assert from "node:assert/strict";
import { test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Fault } from "../../src/model/fault.ts";
import { linuxKernel } from "../../src/kernel/linux.ts";

test("nothing uses a descriptor after it was closed", { skip: whyNoKernelTests() ?? false }, async () => {
  const kernel = linuxKernel({ prefix: `wtc${process.pid.toString(36)}-` });
  kernel.facts();
  kernel.close();
  kernel.close();
  const isStopping = (error: unknown) => error instanceof Fault && error.reason === "unavailable";
  assert.throws(() => kernel.facts(), isStopping);
  assert.throws(() => kernel.linkNames("host"), isStopping);
  assert.throws(() => kernel.linkNames("/proc/self/ns/net"), isStopping);
  assert.throws(() => kernel.counters("vrf:blue"), isStopping);
  assert.throws(() => kernel.shaping(), isStopping);
  await assert.rejects(kernel.observe([]), isStopping);
  await assert.rejects(kernel.ports(), isStopping);
});
