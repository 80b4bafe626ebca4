// The fake kernel's own features: drift, planted faults, workloads and host facts.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { diff } from "../../../src/datapath/state/diff.ts";
import { stateOf } from "../../../src/datapath/state/state.ts";
import { NETNS, NS, bridge, routedNetwork, switchedNetwork } from "../../contract/kernel/objects.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";

const WORKLOAD = "/run/netns/w1";

function fresh(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addWorkload(WORKLOAD);
  return kernel;
}

test("whatever drifts, in whatever order, two rounds bring it back", async () => {
  const nets = fc.constantFrom(switchedNetwork(WORKLOAD), routedNetwork(WORKLOAD));
  await fc.assert(
    fc.asyncProperty(nets, fc.array(fc.nat(200), { maxLength: 20 }), async (net, drifts) => {
      const kernel = fresh();
      const desired = stateOf(net);
      await kernel.apply(diff(await kernel.observe([WORKLOAD]), desired));
      for (const n of drifts) kernel.drift(n);
      for (let round = 0; round < 2; round++) await kernel.apply(diff(await kernel.observe([WORKLOAD]), desired));
      assert.deepEqual(diff(await kernel.observe([WORKLOAD]), desired), []);
    }),
  );
});

test("drift is seen, and the same number does the same on the same machine", async () => {
  for (let n = 0; n < 60; n++) {
    const [one, other] = [fresh(), fresh()];
    const desired = stateOf(switchedNetwork(WORKLOAD));
    for (const kernel of [one, other]) await kernel.apply(diff(await kernel.observe([WORKLOAD]), desired));
    assert.deepEqual(one.drift(n), other.drift(n));
    assert.deepEqual(await one.observe([WORKLOAD]), await other.observe([WORKLOAD]));
    assert.notDeepEqual(await one.observe([WORKLOAD]), desired);
  }
  assert.equal(fresh().drift(0)?.kind, "sysctl");
});

test("faults refuse exactly the next operations, which do nothing", async () => {
  const kernel = fresh();
  kernel.failNext(2);
  kernel.failNext(1, { class: "denied", message: "EPERM" });
  const ops = [NETNS, bridge(), NETNS, NETNS].map((object) => ({ op: "add" as const, object }));
  const results = await kernel.apply(ops);
  assert.deepEqual(
    results.map((result) => result.refusal?.class),
    ["busy", "busy", "denied", undefined],
  );
  assert.deepEqual(kernel.linkNames(NS), ["lo"]);
});

test("a workload made again at the same path is another one", () => {
  const kernel = fresh();
  const before = kernel.netnsId(WORKLOAD);
  kernel.removeWorkload(WORKLOAD);
  assert.equal(kernel.netnsId(WORKLOAD), undefined);
  kernel.addWorkload(WORKLOAD);
  assert.notEqual(kernel.netnsId(WORKLOAD), before);
});

test("the host is as the test says", () => {
  const kernel = new FakeKernel({
    addresses: new Map([["192.0.2.1", 9000]]),
    facts: { prefixes: ["192.0.2.1/24"], bootId: "b" },
  });
  assert.equal(kernel.underlayMtu("192.0.2.1"), 9000);
  assert.equal(kernel.underlayMtu("192.0.2.2"), undefined);
  assert.deepEqual(kernel.facts(), { prefixes: ["192.0.2.1/24"], bootId: "b" });
});
