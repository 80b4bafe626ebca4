// The judge of packets can fail: it notices the absence of everything that a packet needs, and everything that lets a
// forbidden packet pass.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelObject } from "../../src/datapath/kinds.ts";
import type { Ns } from "../../src/datapath/kinds/kind.ts";
import type { Snapshot } from "../../src/model/resource.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Machine } from "./lab/here.ts";
import { assertReach } from "./lab/reach.ts";
import { World } from "./lab/world.ts";

type Cluster = { readonly snapshot: Snapshot; readonly machines: readonly Machine[] };

/** A routed and a switched network in one VRF, with a group that lets port 80 in; workloads on each of two hosts. */
async function cluster(t: { after(end: () => void): void }): Promise<Cluster> {
  const world = new World(randomFrom(1));
  const control = await world.startServer();
  const hosts = ["h1", "h2"].map((name) => world.addHost(name));
  t.after(() => {
    for (const host of hosts) world.killAgent(host);
    world.killServer();
  });
  for (const host of hosts) world.startAgent(host);
  await world.clock.advance(2000);
  const write = async (put: Parameters<typeof control.write>[0]) => {
    const done = control.write(put);
    await world.clock.advance(50);
    await done;
  };
  const rules = [
    { direction: "in", action: "allow", protocol: "tcp", ports: [80] },
    { direction: "out", action: "allow", protocol: "all" },
  ] as const;
  await write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules } });
  await write({
    verb: "put",
    kind: "network",
    name: "l",
    spec: { vrf: "v", subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] },
  });
  const spec = { vrf: "v", subnets: [{ cidr: "fd02::/64" }], securityGroups: ["web"] };
  await write({ verb: "put", kind: "network", name: "g", spec });
  await write({
    verb: "put",
    kind: "network",
    name: "x",
    spec: { vrf: "other", subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] },
  });
  await world.clock.advance(5_000);
  for (const host of hosts) {
    for (const network of ["l", "l", "g", "g", "x"]) {
      const netns: Ns = `/run/netns/${host.name}-${host.workloads.size}`;
      host.kernel.addWorkload(netns);
      host.workloads.add(netns);
      void host.running?.attacher.attach({ network, netns });
      await world.clock.advance(200);
    }
  }
  await world.clock.advance(30_000);
  await world.assertConverged("at first");
  const machines: Machine[] = [];
  for (const { name, kernel, workloads } of hosts)
    machines.push({ name, state: await kernel.observe([...workloads]), text: (ns) => kernel.tableText(ns) });
  return { snapshot: await control.snapshot({ role: "admin" }), machines };
}

const judge = ({ snapshot, machines }: Cluster) => assertReach(snapshot, machines, () => true, "judged");

/** The same kernels, but for some objects. */
function without(all: Cluster, isGone: (object: KernelObject) => boolean): Cluster {
  const machines = all.machines.map(({ state, ...machine }) => ({
    ...machine,
    state: new Map([...state].filter(([, object]) => !isGone(object))),
  }));
  return { ...all, machines };
}

test("what a packet needs is missed when it is not there", async (t) => {
  const all = await cluster(t);
  assert.ok(all.snapshot.endpoints.length === 10, `${all.snapshot.endpoints.length} endpoints`);
  judge(all);
  for (const kind of [
    "route",
    "neighbour",
    "fdb",
    "bridge-fdb",
    "address",
    "veth",
    "vxlan",
    "bridge",
    "sysctl",
  ] as const)
    assert.throws(() => judge(without(all, (object) => object.kind === kind)), /is lost/, kind);
  for (const set of ["ports", "bound4", "bound6"]) {
    const isGone = (object: KernelObject) => object.kind === "element" && object.set === set;
    assert.throws(() => judge(without(all, isGone)), /is lost/, set);
  }
});

test("what must not pass is seen when it does", async (t) => {
  const all = await cluster(t);
  const machines = all.machines.map((machine) => ({
    ...machine,
    text: (ns: Ns) => machine.text(ns).replaceAll(/^ {2}goto denied_in$/gm, "  accept"),
  }));
  assert.throws(() => judge({ ...all, machines }), /arrives and must not/);
  // One end of a tunnel with the other VRF's number.
  const vni = all.snapshot.vrfs.find(({ name }) => name === "v")?.spec.vni ?? assert.fail();
  const crossed = all.machines.map(({ state, ...machine }) => ({
    ...machine,
    state: new Map([...state].map(([key, o]) => [key, o.kind === "vxlan" && o.ns === "vrf:other" ? { ...o, vni } : o])),
  }));
  assert.throws(() => judge({ ...all, machines: crossed }));
});
