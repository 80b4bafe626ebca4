// A tunnel device of a made-up kind is guarded, routed through, and missed like the one that there is: everything that
// asks what a link leads to asks its record.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { Op } from "../../../src/datapath/state/state.ts";
import type { Snapshot } from "../../../src/model/resource.ts";
import { patch } from "./patch.ts";

patch("/src/datapath/kinds/links.ts", (source) => [
  source,
  `Object.assign(LINK_KINDS, { pipe: defineLink({
    layer: 4, leadsTo: "hosts", key: ({ ns, name }) => \`pipe \${ns} \${name}\`, add: () => [],
  }) });`,
]);
patch("/src/kernel/kinds.ts", (source) => [source, "Object.assign(KERNEL_KINDS, { pipe: { ...ifb } });"]);

const { FakeKernel } = await import("../../../src/kernel/fake.ts");
const { UNGUARDED, guardsOf } = await import("../../../src/kernel/kernel.ts");
const { isRouted } = await import("../../../src/kernel/ownership.ts");
const { endpointsHit } = await import("../../../src/datapath/state/impact.ts");
const { networkBridge } = await import("../../../src/model/device.ts");
const { emptySnapshot } = await import("../../../src/model/resource.ts");

const NS = "vrf:blue";
const link = { ns: NS, mtu: 1450, mac: "0a:00:00:00:00:01", alias: "weft:vrf:blue" } as const;
const pipe = (more: object = {}) =>
  ({ ...link, kind: "pipe" as "vxlan", name: "pi7", ...more }) as unknown as ObjectOf<"vxlan">;
const add = (object: KernelObject): Op => ({ op: "add", object });

test("it is not made where the policy of the host was refused", async () => {
  assert.deepEqual(guardsOf(add(pipe())), ["host"]);
  assert.deepEqual(guardsOf({ op: "remove", object: pipe() }), []);
  const kernel = new FakeKernel();
  await kernel.apply([add({ kind: "netns", ns: NS })]);
  kernel.failNext(1);
  const policy = { kind: "element", ns: "host", set: "peers4", element: "192.0.2.2" } as unknown as KernelObject;
  const results = await kernel.apply([add(policy), add(pipe())]);
  assert.equal(results[1]?.refusal, UNGUARDED);
  assert.ok(!kernel.has(pipe()));
});

test("packets are routed through it, and it has an FDB", async () => {
  assert.ok(isRouted(pipe()));
  const kernel = new FakeKernel();
  const entry = { kind: "fdb", ns: NS, dev: "pi7", mac: "0a:00:00:00:00:02", dst: "192.0.2.2" } as const;
  const results = await kernel.apply([add({ kind: "netns", ns: NS }), add(pipe()), add(entry)]);
  assert.deepEqual(
    results.flatMap(({ refusal }) => refusal ?? []),
    [],
  );
  assert.ok(kernel.has(entry));
});

test("a plan says who loses packets by its removal: all of its namespace, or those of its bridge", () => {
  const make = (kind: string, name: string, spec: object) => ({ kind, name, spec, revision: 1 });
  const networks = ["blue", "green"].map((name) => make("network", name, { vrf: "blue" }));
  const endpoints = ["blue", "green"].map((network) =>
    make("endpoint", `${network}.eth0`, { network, host: "h1", netns: "/n", ifname: "eth0", addresses: [] }),
  );
  const snapshot = { ...emptySnapshot("c"), networks, endpoints } as unknown as Snapshot;
  const hit = (object: KernelObject) => endpointsHit([{ op: "remove", object }], snapshot, "h1");
  assert.deepEqual(hit(pipe()), ["blue.eth0", "green.eth0"]);
  assert.deepEqual(hit(pipe({ master: networkBridge({ name: "blue", spec: {} }) })), ["blue.eth0"]);
});
