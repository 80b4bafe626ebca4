// The rest of the world: objects of other programs are neither seen nor touched; what others do to Weft's objects is
// seen and reported; what the kernel removes together with an object is gone.
import { strict as assert } from "node:assert";
import { diff } from "../../../src/datapath/state/diff.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import type { Bridge } from "../../../src/datapath/kinds/links.ts";
import { NFT_TAMPERED } from "../../../src/datapath/kinds/tables.ts";
import { keyOf, stateOf } from "../../../src/datapath/state/state.ts";
import * as o from "./objects.ts";
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
  type World,
} from "./world.ts";

const FOREIGN: Bridge = { kind: "bridge", ns: "host", name: "virbr0", mtu: 1500, mac: "02:00:00:00:00:99", alias: "" };

/** Others' objects in the host's namespace, in ours, and in a workload's. */
function foreignObjects(workload: `/${string}`): readonly KernelObject[] {
  return [
    FOREIGN,
    o.address("virbr0", "10.7.0.1/16", "host"),
    o.route("10.8.0.0/16", "virbr0", "10.7.0.9", "host"),
    { ...FOREIGN, ns: workload, name: "docker0" },
    o.address("docker0", "172.17.0.1/16", workload),
    { ...FOREIGN, ns: o.NS, name: "br-lan" },
    { kind: "netns", ns: "vrf:green" },
  ];
}

async function assertAllThere(world: World, objects: readonly KernelObject[]): Promise<void> {
  for (const object of objects) assert(await world.has(object), `still there: ${JSON.stringify(object)}`);
}

/**
 * Brings a network up, lets others do something, and asserts that one observation shows it and one round repairs it.
 */
async function assertRepairs(
  world: World,
  desired: readonly KernelObject[],
  workload: `/${string}`,
  harm: () => Promise<void>,
): Promise<void> {
  await converge(world, desired, [workload]);
  await harm();
  assert.notDeepEqual(diff(await world.kernel.observe([workload]), stateOf(desired)), [], "it is seen");
  await converge(world, desired, [workload]);
}

export const OTHERS: Contract = {
  async "a port is cut off at once, is seen to be, and comes back or goes with the next round"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    const port = o.port(workload);
    assert.deepEqual(world.kernel.cutOff([port]), [undefined]);
    const cut = (await world.kernel.observe([workload])).get(keyOf(port));
    assert.equal(cut?.kind === "veth" && cut.mtu, 0);
    await converge(world, desired, [workload]);
    world.kernel.cutOff([port]);
    await mustApply(world, remove(port));
    assert.equal((await world.kernel.observe([workload])).has(keyOf(port)), false);
    assert.deepEqual(world.kernel.cutOff([port, { ...port, ns: "vrf:none" }]), [undefined, undefined], "gone is gone");
  },

  async "others' links are taken over as they stand, with addresses; all that are wanted, or none"(world) {
    const bridge = { ...o.bridge("br-mgmt", "host"), mac: "02:00:00:00:00:99" };
    const tunnel = { ...o.tunnel(7, "br-mgmt"), ns: "host", name: "encap" } as const;
    const own = o.address("br-mgmt", "10.7.0.1/16", "host");
    for (const object of [bridge, { ...tunnel, local: "192.0.2.2" }, own]) await world.plant(object);
    const refused = (wanted: readonly KernelObject[], ...differs: readonly string[]) =>
      assert.deepEqual(world.kernel.inherit(wanted), { taken: [], differs });
    refused(
      [bridge, { ...tunnel, port: 8472, vni: 8 }, own],
      "encap has VNI 7, not 8",
      "encap has port 4789, not 8472",
    );
    refused([bridge, { ...tunnel, master: "br-other" }], "encap has bridge br-mgmt, not br-other");
    refused([{ ...tunnel, name: "br-mgmt", vni: 9 }], "br-mgmt is a bridge, not a vxlan");
    assert.deepEqual(await oursIn(world.kernel), []);
    const wanted = [bridge, tunnel, own];
    assert.deepEqual(world.kernel.inherit(wanted), { taken: ["br-mgmt", "encap"], differs: [] });
    const seen = await world.kernel.observe([]);
    for (const object of wanted) assert(seen.has(keyOf(object)), JSON.stringify(object));
    const there = seen.get(keyOf(bridge));
    assert.equal(there?.kind === "bridge" && there.mac, bridge.mac);
    refused(wanted);
    await converge(world, wanted);
    await mustApply(world, remove(tunnel, bridge));
  },

  async "elements that others add to our sets go, those that they remove come back"(world) {
    const workload = await world.workload();
    const own = o.element("members4_a", "10.7.0.5");
    const desired = [o.NETNS, o.policyTables(), own];
    await assertRepairs(world, desired, workload, () => world.disturb(own));
    await assertRepairs(world, desired, workload, async () => {
      // As if another agent had: it is ours by the set that it is in.
      await mustApply(world, add(o.element("members4_a", "10.7.0.6")));
    });
  },

  async "what is not ours is neither seen nor touched"(world) {
    const workload = await world.workload();
    await mustApply(world, add(o.NETNS));
    const foreign = foreignObjects(workload);
    for (const object of foreign) await world.plant(object);
    assert.deepEqual(await oursIn(world.kernel, [workload]), [o.NETNS]);
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    await assertAllThere(world, foreign);
    await converge(world, [o.NETNS], [workload]);
    await assertAllThere(world, foreign);
    assert(world.kernel.linkNames("host").includes("virbr0"));
    assert(world.kernel.linkNames(workload).includes("docker0"));
  },

  async "next hops on others' links are kept and come back, and what others keep there is theirs"(world) {
    for (const object of [FOREIGN, o.address("virbr0", "10.7.0.1/16", "host")]) await world.plant(object);
    const hops = [o.hop("10.7.0.9"), o.hop("fd00:7::9")];
    const workload = await world.workload();
    await assertRepairs(world, hops, workload, () => world.disturb(o.hop("10.7.0.9")));
    const theirs = { ...o.neighbour("10.7.0.8", "02:00:00:00:00:08", "virbr0"), ns: "host" } as const;
    await world.plant(theirs);
    assert.equal(await refusalOf(world, { op: "add", object: o.hop("10.7.0.8") }), "exists");
    assert.equal(await refusalOf(world, { op: "add", object: o.hop("10.7.0.9", "eth9") }), "missing");
    await mustApply(world, remove(o.hop("10.7.0.8"), o.hop("10.7.0.7"), ...hops));
    assert(await world.has(theirs));
    assert.deepEqual(await oursIn(world.kernel), []);
  },

  async "a foreign link that has our name is refused, and left alone"(world) {
    const workload = await world.workload();
    const taken: Bridge = { ...FOREIGN, ns: o.NS, name: "wb7" };
    await mustApply(world, add(o.NETNS));
    await world.plant(taken);
    await world.plant({ ...FOREIGN, ns: workload, name: "eth0" });
    assert.equal(await refusalOf(world, { op: "add", object: o.bridge() }), "exists");
    assert.equal(await refusalOf(world, { op: "add", object: o.address("wb7", "10.7.0.1/16") }), "exists");
    assert.equal(await refusalOf(world, { op: "add", object: o.tunnel(7, "wb7") }), "exists");
    assert.equal(await refusalOf(world, { op: "set", from: o.bridge(), object: o.bridge() }), "exists");
    const { master: _, ...port } = o.port(workload);
    assert.equal(await refusalOf(world, { op: "add", object: port }), "exists");
    await mustApply(world, remove(o.bridge(), port));
    await assertAllThere(world, [taken, { ...FOREIGN, ns: workload, name: "eth0" }]);
    assert.deepEqual(await oursIn(world.kernel, [workload]), [o.NETNS]);
  },

  async "a foreign route to the same place is refused, and left alone"(world) {
    await mustApply(world, add(o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16")));
    const taken = o.route("10.9.0.0/16", "wb7", "10.7.0.2");
    await world.plant(taken);
    assert.equal(await refusalOf(world, { op: "add", object: o.route("10.9.0.0/16", "wb7", "10.7.0.3") }), "exists");
    await mustApply(world, remove(o.route("10.9.0.0/16", "wb7", "10.7.0.2")));
    assert(await world.has(taken));
  },

  async "a foreign route of another metric is no obstacle: both are there, and ours goes alone"(world) {
    await mustApply(world, add(o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16")));
    const [ours, theirs] = [o.route("0.0.0.0/0", "wb7", "10.7.0.3"), o.route("0.0.0.0/0", "wb7", "10.7.0.2")];
    await world.plant({ ...theirs, metric: 0 });
    await mustApply(world, add(ours));
    await assertAllThere(world, [ours, { ...theirs, metric: 0 }]);
    await mustApply(world, remove(ours));
    assert(await world.has({ ...theirs, metric: 0 }));
    assert.equal(await world.has(ours), false);
  },

  async "a table or a namespace of our name that is not ours is refused, and left alone"(world) {
    const table = { ...o.table(4789, "host"), body: "chain theirs {\n}\n" };
    await world.plant(table);
    await world.plant({ kind: "netns", ns: o.NS });
    assert.deepEqual(await oursIn(world.kernel), []);
    assert.equal(await refusalOf(world, { op: "add", object: o.table(4789, "host") }), "exists");
    assert.equal(await refusalOf(world, { op: "add", object: o.NETNS }), "exists");
    await mustApply(world, remove(o.table(4789, "host"), o.NETNS));
    await assertAllThere(world, [table, { kind: "netns", ns: o.NS }]);
  },

  async "a change of a rule is seen"(world) {
    await converge(world, [o.NETNS, o.table()]);
    await world.disturb(o.table());
    assert.deepEqual(await oursIn(world.kernel), [o.NETNS, { ...o.table(), digest: NFT_TAMPERED, body: "" }]);
    await converge(world, [o.NETNS, o.table()]);
  },

  async "a change of a set's element is seen, also in the host's namespace and by a restarted agent"(world) {
    const table = o.table(4789, "host");
    await converge(world, [table]);
    await world.addElement("host");
    const again = world.restart();
    assert.deepEqual(await oursIn(again), [{ ...table, digest: NFT_TAMPERED, body: "" }]);
    again.close();
    await converge(world, [table]);
  },

  async "whatever others remove is seen and repaired"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    for (const object of desired.filter(({ kind }) => kind !== "netns")) {
      await assertRepairs(world, desired, workload, () => world.disturb(object));
    }
    await assertRepairs(world, desired, workload, () => world.disturb({ ...FOREIGN, ns: workload, name: "eth0" }));
    const limited = [...desired, ...o.limits()];
    for (const object of [...o.limits(), o.port(workload)])
      await assertRepairs(world, limited, workload, () => world.disturb(object));
  },

  async "a namespace that others remove is made again, as soon as the kernel has let go of the old one"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    await world.disturb(o.NETNS);
    assert.deepEqual(
      (await oursIn(world.kernel, [workload])).filter((object) => object.ns === o.NS),
      [],
    );
    await until("the network is back", async () => {
      const ops = diff(await world.kernel.observe([workload]), stateOf(desired));
      await world.kernel.apply(ops);
      return ops.length === 0;
    });
    await assertHolds(world.kernel, stateOf(desired), [workload]);
  },

  async "what hangs on a link goes with it, at both ends"(world) {
    const workload = await world.workload();
    await converge(world, o.switchedNetwork(workload), [workload]);
    await mustApply(world, remove(o.port(workload)));
    const left = await oursIn(world.kernel, [workload]);
    assert.deepEqual(
      left.filter((object) => object.ns === workload),
      [],
    );
    await mustApply(world, remove(o.tunnel(7, "wb7")));
    assert.deepEqual(
      (await oursIn(world.kernel)).filter((object) => object.kind === "fdb" || object.kind === "bridge-fdb"),
      [],
    );
  },

  async "a bridge that goes frees its ports"(world) {
    const workload = await world.workload();
    await converge(
      world,
      [o.NETNS, o.bridge(), o.tunnel(7, "wb7"), o.bridgeFdb("02:00:00:00:00:01"), o.port(workload)],
      [workload],
    );
    await mustApply(world, remove(o.bridge()));
    const { master: _, ...port } = o.port(workload);
    await assertHolds(world.kernel, stateOf([o.NETNS, o.tunnel(), port]), [workload]);
  },

  async "the last IPv4 address takes the routes of its link along, a source address its own"(world) {
    const first = o.address("wb7", "10.7.0.1/16");
    const second = o.address("wb7", "10.17.0.1/16");
    const base = [o.NETNS, o.bridge(), second];
    const sourced = { ...o.route("10.9.0.0/16", "wb7"), src: "10.7.0.1" };
    const plain = o.route("10.19.0.0/16", "wb7", "10.17.0.2");
    await converge(world, [...base, first, sourced, plain]);
    await mustApply(world, remove(first));
    await assertHolds(world.kernel, stateOf([...base, plain]));
    await mustApply(world, remove(second));
    await assertHolds(world.kernel, stateOf([o.NETNS, o.bridge()]));
  },

  async "a workload that ends takes its ports along"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    await world.removeWorkload(workload);
    assert.equal(world.kernel.netnsId(workload), undefined);
    assert.deepEqual(world.kernel.linkNames(workload), []);
    await until("the near end is gone", () => !world.kernel.linkNames(o.NS).includes("wp0"));
    const isLeft = (object: KernelObject) =>
      object.ns === o.NS && object.kind !== "veth" && !("dev" in object && object.dev === "wp0");
    await assertHolds(world.kernel, stateOf(desired.filter(isLeft)), [workload]);
  },

  async "a port whose workload nobody asks about any more is one to remove"(world) {
    const workload = await world.workload();
    const base = [o.NETNS, o.bridge()];
    await converge(world, [...base, o.port(workload)], [workload]);
    await converge(world, base);
    assert.deepEqual(world.kernel.linkNames(workload), ["lo"]);
  },

  async "a VRF's namespace goes with everything in it and leaves nothing"(world) {
    const workload = await world.workload();
    await converge(world, o.routedNetwork(workload), [workload]);
    await mustApply(world, remove(o.NETNS));
    assert.deepEqual(await oursIn(world.kernel, [workload]), []);
    assert.equal(await world.has(o.NETNS), false);
    assert.deepEqual(world.kernel.linkNames(workload), ["lo"]);
    assert(!world.kernel.linkNames("host").includes("wu-blue"));
    // The VNI and the tunnel's port are free again.
    await converge(world, o.routedNetwork(workload), [workload]);
  },

  async "watching pokes after a change of ours, by us and by others, and stops with its signal"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    const stop = new AbortController();
    let pokes = 0;
    world.kernel.watch(() => pokes++, stop.signal);
    const afterPoke = async (what: string, doing: () => Promise<void>) => {
      const before = pokes;
      await doing();
      await until(what, () => pokes > before);
    };
    await afterPoke("a poke after apply", () => converge(world, [...desired, ...o.limits()], [workload]));
    for (const object of [
      o.redirect(),
      o.tbf("wp0", 2_500_000),
      o.port(workload),
      o.neighbour("10.7.0.9", "02:00:0a:07:00:09"),
      o.table(),
      o.NETNS,
    ]) {
      await afterPoke(`a poke after ${object.kind}`, () => world.disturb(object));
    }
    stop.abort();
    const before = pokes;
    await mustApply(world, add(o.table(4789, "host")));
    assert.equal(pokes, before);
  },
};
