// The kernel's refusals, by class, and what was not done.
import { strict as assert } from "node:assert";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import { stateOf } from "../../../src/datapath/state/state.ts";
import * as o from "./objects.ts";
import { add, assertHolds, type Contract, converge, mustApply, refusalOf, remove } from "./world.ts";

const ELSEWHERE = "/run/netns/weft-test-that-never-was";

export const REFUSALS: Contract = {
  async "nothing fails open: where policy was refused, no port is let in"(world) {
    const workload = await world.workload();
    await converge(world, [o.NETNS, o.policyTables(), o.bridge()], [workload]);
    const ops = add(o.element("members4_nobody", "10.7.0.5"), o.port(workload));
    const results = await world.kernel.apply(ops);
    assert.deepEqual(
      results.map(({ refusal }) => refusal?.class),
      ["missing", "denied"],
    );
    await assertHolds(world.kernel, stateOf([o.NETNS, o.policyTables(), o.bridge()]), [workload]);
    await mustApply(world, add(o.element("ports", "wp0", "40000000"), o.port(workload)));
  },

  async "nothing fails open: where the host's policy was refused, no tunnel and no way out comes up"(world) {
    const lan = [o.NETNS, o.policyTables(), o.bridge()];
    await converge(world, lan);
    await world.plant(o.table(4790, "host"));
    const results = await world.kernel.apply(add(o.table(4789, "host"), o.tunnel(), o.uplink()));
    assert.deepEqual(
      results.map(({ refusal }) => refusal?.class),
      ["exists", "denied", "denied"],
    );
    await assertHolds(world.kernel, stateOf(lan));
  },

  async "missing: no namespace, no link, no bridge, no workload"(world) {
    const cases: KernelObject[] = [
      o.bridge(),
      o.table(),
      o.address("wb7", "10.7.0.1/16"),
      { kind: "sysctl", ns: o.NS, key: "ipv4/ip_forward", value: "1" },
    ];
    for (const object of cases) assert.equal(await refusalOf(world, { op: "add", object }), "missing", object.kind);
    await mustApply(world, add(o.NETNS));
    const inside: KernelObject[] = [
      o.address("wb7", "10.7.0.1/16"),
      o.address("eth0", "10.7.0.5/16", ELSEWHERE),
      o.route("10.9.0.0/16", "wb7"),
      o.neighbour("10.7.0.9", "02:00:00:00:00:09"),
      o.fdb("02:00:00:00:00:09", "192.0.2.2"),
      o.bridgeFdb("02:00:00:00:00:09"),
      o.tunnel(7, "wb7"),
      o.tbf("wp0", 125_000),
      o.redirect("wb7"),
    ];
    for (const object of inside) assert.equal(await refusalOf(world, { op: "add", object }), "missing", object.kind);
    await mustApply(world, add(o.bridge()));
    assert.equal(await refusalOf(world, { op: "add", object: o.port(ELSEWHERE) }), "missing");
    assert.equal(
      await refusalOf(world, { op: "set", from: o.bridge(), object: { ...o.bridge(), name: "wb8" } }),
      "missing",
    );
    await assertHolds(world.kernel, stateOf([o.NETNS, o.bridge()]));
  },

  async "exists: what is there with other values is not overwritten"(world) {
    const workload = await world.workload();
    const there = [
      o.NETNS,
      o.table(),
      o.bridge(),
      o.tunnel(),
      o.port(workload),
      o.address("wb7", "10.7.0.1/16"),
      o.address("wb7", "fd00:7::1/64"),
      o.route("10.9.0.0/16", "wb7", "10.7.0.2"),
      o.route("fd09::/64", "wb7", "fd00:7::2"),
    ];
    await mustApply(world, add(...there));
    const clashes: KernelObject[] = [
      o.NETNS,
      o.table(4790),
      { ...o.bridge(), mtu: 1400 },
      { ...o.bridge("wx7") },
      { ...o.tunnel(8), name: "wx7" },
      { ...o.tunnel(), name: "wx8" },
      { ...o.port(workload), name: "wp1" },
      { ...o.port(workload, 1), name: "wp0" },
      o.address("wb7", "fd00:7::1/80"),
      o.route("10.9.0.0/16", "wb7", "10.7.0.3"),
      o.route("fd09::/64", "wb7", "fd00:7::3"),
    ];
    for (const object of clashes)
      assert.equal(await refusalOf(world, { op: "add", object }), "exists", JSON.stringify(object));
    await assertHolds(world.kernel, stateOf(there), [workload]);
  },

  async "exists: the same VNI and port in two VRFs, whose tunnels share the host's sockets"(world) {
    await mustApply(world, add(o.NETNS, o.tunnel(), { kind: "netns", ns: "vrf:red" }));
    assert.equal(await refusalOf(world, { op: "add", object: { ...o.tunnel(), ns: "vrf:red" } }), "exists");
    await mustApply(world, add({ ...o.tunnel(), ns: "vrf:red", port: 4790 }, { ...o.tunnel(8), ns: "vrf:red" }));
  },

  async "invalid: a gateway that nobody can reach, a source address that is not here"(world) {
    await mustApply(world, add(o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16"), o.address("wb7", "fd00:7::1/64")));
    const cases: KernelObject[] = [
      o.route("10.9.0.0/16", "wb7", "192.0.2.9"),
      o.route("fd09::/64", "wb7", "fd99::1"),
      { ...o.route("10.9.0.0/16", "wb7"), src: "10.7.0.77" },
      { ...o.route("fd09::/64", "wb7"), src: "fd00:7::77" },
    ];
    for (const object of cases)
      assert.equal(await refusalOf(world, { op: "add", object }), "invalid", JSON.stringify(object));
    await assertHolds(
      world.kernel,
      stateOf([o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16"), o.address("wb7", "fd00:7::1/64")]),
    );
  },

  async "unsupported: what could never be observed"(world) {
    const workload = await world.workload();
    await mustApply(world, add(o.NETNS, o.bridge(), o.tunnel()));
    const cases: KernelObject[] = [
      { kind: "sysctl", ns: o.NS, key: "ipv4/tcp_syncookies", value: "1" },
      { kind: "sysctl", ns: workload, key: "ipv4/ip_forward", value: "1" },
      o.bridgeFdb("02:00:00:00:00:09"),
      { ...o.neighbour("10.7.0.9", "02:00:00:00:00:09"), ns: workload },
    ];
    for (const object of cases)
      assert.equal(await refusalOf(world, { op: "add", object }), "unsupported", JSON.stringify(object));
  },

  async "one refusal does not stop the rest"(world) {
    await mustApply(world, add(o.NETNS, o.bridge()));
    const wanted = [
      o.address("wb7", "10.7.0.1/16"),
      o.neighbour("10.7.0.9", "02:00:00:00:00:09"),
      o.address("wb7", "fd00:7::1/64"),
    ];
    const [first, second, third] = wanted.map((object) => ({ op: "add" as const, object }));
    assert(first !== undefined && second !== undefined && third !== undefined);
    const bad = [o.address("wb9", "10.9.0.1/16"), o.route("10.9.0.0/16", "wb7", "192.0.2.9")].map((object) => ({
      op: "add" as const,
      object,
    }));
    const results = await world.kernel.apply([first, ...bad, second, third]);
    assert.deepEqual(
      results.map((result) => result.refusal?.class ?? "none"),
      ["none", "missing", "invalid", "none", "none"],
    );
    await assertHolds(world.kernel, stateOf([o.NETNS, o.bridge(), ...wanted]));
  },

  async "what the caller no longer wants is left out, asked right before its turn"(world) {
    const workload = await world.workload();
    const [lan, port, next] = [[o.NETNS, o.bridge()], o.port(workload), o.port(workload, 1)];
    await converge(world, [...lan, port], [workload]);
    let isRemoved = false;
    const ops = [...remove(port), ...add(next, o.address("wb7", "10.7.0.1/16"))];
    const results = await world.kernel.apply(ops, ({ op, object }) => {
      if (op === "remove") isRemoved = true;
      return isRemoved && object.kind === "veth" && op === "add";
    });
    assert.deepEqual(
      results.map(({ refusal }) => refusal?.class),
      [undefined, "stale", undefined],
    );
    await assertHolds(world.kernel, stateOf([...lan, o.address("wb7", "10.7.0.1/16")]), [workload]);
    await converge(world, [], [workload]);
  },
};
