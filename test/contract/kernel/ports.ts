// The inventory of ports: every endpoint's, with what its far end has, also if the path of its namespace is unknown.
import { strict as assert } from "node:assert";
import type { PortSeen } from "../../../src/kernel/kernel.ts";
import * as o from "./objects.ts";
import { add, type Contract, mustApply, remove, until, type World } from "./world.ts";

async function portsOf(world: World): Promise<PortSeen[]> {
  const sorted = (port: PortSeen): PortSeen =>
    port.far === undefined ? port : { ...port, far: { ...port.far, addresses: port.far.addresses.toSorted() } };
  return [...(await world.kernel.ports())].map(sorted).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const PORTS: Contract = {
  async "each port is told with its workload's addresses, whatever path leads there"(world) {
    assert.deepEqual(await portsOf(world), []);
    const one = await world.workload();
    const two = await world.workload();
    await mustApply(
      world,
      add(
        o.NETNS,
        o.bridge(),
        o.uplink(),
        o.port(one),
        o.address("eth0", "10.7.0.5/16", one),
        o.address("eth0", "fd00:7::5/64", one),
        o.port(two, 1),
        o.address("eth1", "10.7.0.6/16", two),
      ),
    );
    // Somebody else's address on our interface is told, and so is one of ours that is missing.
    await world.plant(o.address("eth1", "10.7.0.77/16", two));
    assert.deepEqual(await portsOf(world), [
      {
        ns: "vrf:blue",
        name: "wp0",
        endpoint: "web0.eth0",
        netns: one,
        far: { ifname: "eth0", mac: "02:00:0a:07:00:00", addresses: ["10.7.0.5", "fd00:7::5"] },
      },
      {
        ns: "vrf:blue",
        name: "wp1",
        endpoint: "web1.eth1",
        netns: two,
        far: { ifname: "eth1", mac: "02:00:0a:07:00:01", addresses: ["10.7.0.6", "10.7.0.77"] },
      },
    ]);
    await mustApply(world, remove(o.port(one)));
    assert.deepEqual(
      (await portsOf(world)).map((port) => port.name),
      ["wp1"],
    );
  },

  async "a workload that ends takes its port out of the inventory"(world) {
    const workload = await world.workload();
    await mustApply(world, add(o.NETNS, o.bridge(), o.port(workload), o.address("eth0", "10.7.0.5/16", workload)));
    assert.equal((await portsOf(world)).length, 1);
    await world.removeWorkload(workload);
    // The kernel takes a namespace down in its own time.
    await until("its port is gone", async () => (await portsOf(world)).length === 0);
  },
};
