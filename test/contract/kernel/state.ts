// The laws: what is applied is observed, whatever it is and whatever was there before; then nothing is left to do.
import { strict as assert } from "node:assert";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import { keyOf, stateOf } from "../../../src/datapath/state/state.ts";
import { wholeTicks } from "../../../src/datapath/network/shaping.ts";
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
  type Workload,
} from "./world.ts";

const MAC = "02:00:0a:07:00:09";

/** What the examples of kinds (kinds.ts) leave open: what an object needs, what it is, and what it may become. */
function variants(
  workload: Workload,
): readonly (readonly [needs: KernelObject[], is: KernelObject, becomes?: KernelObject])[] {
  const net = [o.NETNS];
  const tables = [...net, o.policyTables()];
  const lan = [...net, o.bridge()];
  const tunnel = [...lan, o.tunnel()];
  const port = [...lan, o.port(workload)];
  const veth = o.port(workload);
  const { master: _, ...loose } = veth;
  return [
    [net, { kind: "sysctl", ns: o.NS, key: "ipv6/conf/all/disable_ipv6", value: "1" }],
    [net, o.table(), o.table(4790)],
    [[], o.table(4789, "host"), o.table(4790, "host")],
    [net, o.policyTables(), o.policyTables(23)],
    [net, o.table(), o.policyTables()],
    [net, o.policyTables(), o.table()],
    [
      tables,
      o.element("bound4", `wp12345678901 . ${MAC} . 10.7.0.5`, "40000001"),
      o.element("bound4", `wp12345678901 . ${MAC} . 10.7.0.5`, "40000002"),
    ],
    [tables, o.element("members4_a", "10.7.0.5")],
    [net, { ...o.bridge(), forgets: true }, o.bridge()],
    [lan, o.tunnel(7, "wb7"), o.tunnel()],
    [lan, o.tunnel(), o.tunnel(7, "wb7")],
    [lan, veth, { ...veth, mac: "fe:00:00:00:00:01", alias: "weft:endpoint:x" }],
    [lan, veth, { ...veth, macs: "learned" }],
    [lan, { ...veth, macs: "flooded" }, veth],
    [lan, { ...o.tunnel(7, "wb7"), macs: "flooded" }, o.tunnel(7, "wb7")],
    [port, o.bridgeFdb(MAC, "wp0")],
    [lan, veth, loose],
    [lan, loose, veth],
    [net, { ...o.uplink(), makesChecksums: true }, o.uplink()],
    // Above 2^32 bytes per second the kernel wants another attribute.
    [port, o.tbf("wp0", 12_500_000_123), o.tbf("wp0", 16_000)],
    [
      port,
      { ...o.tbf("wp0", 2_500_000), peak: { rate: 5_000_000, burst: wholeTicks(5_000_000, 5000) } },
      o.tbf("wp0", 2_500_000),
    ],
    [
      port,
      o.tbf("wp0", 1_000_000_007),
      { ...o.tbf("wp0", 1_000_000_007), peak: { rate: 5_000_000_011, burst: wholeTicks(5_000_000_011, 5_000_123) } },
    ],
    [tunnel, o.address("wx7", "fd44::1/64")],
    [tunnel, o.address("wx7", "10.0.0.1/32")],
    [port, o.address("eth0", "10.7.0.5/16", workload)],
    [port, o.address("eth0", "fd00:7::5/128", workload)],
    [[...net, { ...o.tunnel(), local: "2001:db8::1" }], o.fdb(MAC, "2001:db8::2"), o.fdb(MAC, "2001:db8::3")],
    [
      [...lan, o.address("wb7", "fd00:7::1/64")],
      o.route("fd09::/64", "wb7", "fd00:7::2"),
      o.route("fd09::/64", "wb7", "fd00:7::3"),
    ],
    [lan, o.route("10.9.0.0/16", "wb7"), { ...o.route("10.9.0.0/16", "wb7", "44.0.0.2"), onlink: true }],
    [
      [...lan, o.address("wb7", "10.7.0.1/16")],
      { ...o.route("10.9.0.0/16", "wb7"), src: "10.7.0.1" },
      o.route("10.9.0.0/16", "wb7"),
    ],
    [[...lan, o.address("wb7", "10.7.0.1/16")], o.route("0.0.0.0/0", "wb7", "10.7.0.2")],
    [[...lan, o.address("wb7", "fd00:7::1/64")], o.route("::/0", "wb7", "fd00:7::2")],
  ];
}

export const STATE: Contract = {
  async "an empty host holds nothing of ours"(world) {
    assert.deepEqual(await oursIn(world.kernel), []);
  },

  async "each variant of an object is observed as applied, changes in place, and goes"(world) {
    const workload = await world.workload();
    for (const [needs, is, becomes] of variants(workload)) {
      await converge(world, [...needs, is], [workload]);
      if (becomes !== undefined) {
        await mustApply(world, [{ op: "set", from: is, object: becomes }]);
        await assertHolds(world.kernel, stateOf([...needs, becomes]), [workload]);
      }
      await converge(world, needs, [workload]);
      await converge(world, [], [workload]);
    }
  },

  async "limits come with a port in one list, change in place, and go with it"(world) {
    const workload = await world.workload();
    const lan = [o.NETNS, o.bridge()];
    const whole = [...lan, o.port(workload), ...o.limits()];
    await converge(world, lan, [workload]);
    await mustApply(world, add(o.port(workload), ...o.limits(), o.address("eth0", "10.7.0.5/16", workload)));
    await assertHolds(world.kernel, stateOf([...whole, o.address("eth0", "10.7.0.5/16", workload)]), [workload]);
    assert.deepEqual([...world.kernel.queues(o.NS).keys()].sort(), ["wp0", "wq0"]);
    await mustApply(world, add(o.tbf("wp0", 2_500_000), o.redirect()));
    assert.equal(await refusalOf(world, { op: "add", object: o.tbf("wp0", 125_000) }), "exists");
    await converge(world, [...lan, o.port(workload), ...o.limits(125_000)], [workload]);
    await mustApply(world, remove(o.port(workload), o.shaper()));
    await assertHolds(world.kernel, stateOf(lan), [workload]);
    assert.deepEqual([...world.kernel.queues(o.NS)], []);
  },

  async "a shaper that goes leaves a redirect to nowhere, which is seen and set right"(world) {
    const workload = await world.workload();
    const desired = [o.NETNS, o.bridge(), o.port(workload), ...o.limits()];
    await converge(world, desired, [workload]);
    await mustApply(world, remove(o.shaper()));
    const left = (await world.kernel.observe([workload])).get(keyOf(o.redirect()));
    assert.deepEqual(left, o.redirect("wp0", ""));
    await converge(world, desired, [workload]);
    await mustApply(world, remove(o.shaper()));
    await converge(world, [o.NETNS, o.bridge(), o.port(workload)], [workload]);
  },

  async "a pair made ahead of its address differs from what it will be, is completed in place, and goes"(world) {
    const workload = await world.workload();
    const port = o.port(workload);
    const ahead = { ...port, peer: { ...port.peer, mac: "" } };
    const lan = [o.NETNS, o.bridge()];
    const whole = [...lan, port, o.address("eth0", "10.7.0.5/16", workload)];
    await converge(world, lan, [workload]);
    await mustApply(world, [{ op: "add", object: ahead }]);
    assert.notDeepEqual((await world.kernel.observe([workload])).get(keyOf(port)), port);
    await mustApply(world, [
      { op: "set", from: ahead, object: port },
      { op: "add", object: o.address("eth0", "10.7.0.5/16", workload) },
    ]);
    await assertHolds(world.kernel, stateOf(whole), [workload]);
    await converge(world, lan, [workload]);
    // The range of the lease has a smaller MTU.
    const small = { ...port, mtu: 1300, peer: { ...port.peer, mtu: 1300 } };
    await mustApply(world, [{ op: "add", object: ahead }]);
    await mustApply(world, [{ op: "set", from: ahead, object: small }]);
    await assertHolds(world.kernel, stateOf([...lan, small]), [workload]);
    await converge(world, lan, [workload]);
    // What a killed agent left like this is completed by a round, too.
    await mustApply(world, [{ op: "add", object: ahead }]);
    await converge(world, whole, [workload]);
    await converge(world, [], [workload]);
  },

  async "a switched network, a routed one, and each turned into the other"(world) {
    const workload = await world.workload();
    const switched = o.switchedNetwork(workload);
    const routed = o.routedNetwork(workload);
    for (const desired of [switched, routed, switched, [], routed, []]) await converge(world, desired, [workload]);
    assert.deepEqual(world.kernel.linkNames(workload), ["lo"]);
  },

  async "a restarted agent observes what the last one left"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    const again = world.restart();
    await assertHolds(again, stateOf(desired), [workload]);
    again.close();
  },

  async "adding what is there exactly so is no refusal"(world) {
    const workload = await world.workload();
    await converge(world, o.routedNetwork(workload), [workload]);
    const entries = (await oursIn(world.kernel, [workload])).filter((object) => "dev" in object);
    assert(entries.length > 15);
    await mustApply(world, add(...entries));
    await assertHolds(world.kernel, stateOf(o.routedNetwork(workload)), [workload]);
  },

  async "removing what is not there is no refusal"(world) {
    const workload = await world.workload();
    const all = o.switchedNetwork(workload);
    await mustApply(world, remove(...all.toReversed()));
    await mustApply(world, [...add(o.NETNS, o.bridge()), ...remove(...all.slice(2).toReversed())]);
    await converge(world, []);
  },

  async "a bridge has one port behind a MAC, and what is said last counts"(world) {
    const workload = await world.workload();
    const ports = [o.port(workload), o.port(workload, 1)];
    const base = [o.NETNS, o.bridge(), o.tunnel(7, "wb7"), ...ports];
    await converge(world, [...base, o.bridgeFdb(MAC)], [workload]);
    await mustApply(world, add(o.bridgeFdb(MAC, "wp0")));
    await assertHolds(world.kernel, stateOf([...base, o.bridgeFdb(MAC, "wp0")]), [workload]);
    await mustApply(world, remove(o.bridgeFdb(MAC)));
    await converge(world, [...base, o.bridgeFdb(MAC, "wp1")], [workload]);
    await mustApply(world, remove(o.port(workload, 1)));
    await assertHolds(world.kernel, stateOf(base.slice(0, -1)), [workload]);
  },

  async "many entries"(world) {
    const macs = Array.from(
      { length: 2000 },
      (_, i) => `02:00:00:01:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`,
    );
    const entries = macs.map((mac, i) => o.fdb(mac, `192.0.2.${2 + (i % 200)}`));
    await converge(world, [
      o.NETNS,
      o.bridge(),
      o.tunnel(7, "wb7"),
      ...entries,
      ...macs.map((mac) => o.bridgeFdb(mac)),
    ]);
    await converge(world, [o.NETNS, o.bridge(), o.tunnel(7, "wb7")]);
  },

  async "tables are replaced around their elements, and in one step with them"(world) {
    const elements = [o.element("ports", "wp1", "40000001"), o.element("members4_a", "10.7.0.5")];
    await converge(world, [o.NETNS, o.policyTables(), ...elements]);
    const moved = o.element("ports", "wp1", "40000002");
    const more = [moved, o.element("members4_a", "10.7.0.5"), o.element("members4_b", "10.7.0.6")];
    await converge(world, [o.NETNS, o.policyTables(23, ["a", "b"]), ...more]);
    // A set that the new text does not have takes its elements along.
    await converge(world, [o.NETNS, o.policyTables(23, ["b"]), moved, o.element("members4_b", "10.7.0.6")]);
    await converge(world, [o.NETNS]);
  },

  async "many elements"(world) {
    const ips = Array.from({ length: 2000 }, (_, i) => `10.7.${i >> 8}.${i & 255}`);
    const elements = ips.map((ip) => o.element("members4_a", ip));
    const bound = ips.map((ip, i) => o.element("bound4", `wp1 . ${MAC} . ${ip}`, (0x4000_0000 + i).toString(16)));
    await converge(world, [o.NETNS, o.policyTables(), ...elements, ...bound]);
    await converge(world, [o.NETNS, o.policyTables(), ...elements.slice(1000)]);
    await converge(world, [o.NETNS, o.policyTables(23), ...elements.slice(1990), ...bound]);
  },

  async "many ports come and go together"(world) {
    const workload = await world.workload();
    const ports = Array.from({ length: 40 }, (_, n) => o.port(workload, n));
    const base = [o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16")];
    const addresses = ports.map((port, n) => o.address(port.peer.name, `10.7.0.${n + 2}/16`, workload));
    await converge(world, [...base, ...ports, ...addresses], [workload]);
    await converge(world, [...base, ...ports.slice(0, 1), ...addresses.slice(0, 1)], [workload]);
    assert.deepEqual(world.kernel.linkNames(workload), ["lo", "eth0"]);
    await converge(world, [], [workload]);
  },

  async "a bridge keeps its MTU when its last port leaves"(world) {
    const workload = await world.workload();
    await converge(world, [o.NETNS, o.bridge(), o.port(workload)], [workload]);
    await mustApply(world, remove(o.port(workload)));
    await assertHolds(world.kernel, stateOf([o.NETNS, o.bridge()]));
  },

  async "two VRFs hold the same addresses"(world) {
    const other = (object: KernelObject): KernelObject => ({ ...object, ns: "vrf:red" }) as KernelObject;
    const blue = [o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16"), o.table()];
    await converge(world, [...blue, ...blue.map(other)]);
    await converge(world, blue);
  },
};
