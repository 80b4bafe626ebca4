// Which neighbours of the host are kept: those towards the hosts of its tunnels and the server, asked for now and then;
// one that the kernel does not take is told, and is no reason to call a round failed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { KernelObject, ObjectOf } from "../../../../src/datapath/kinds.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import { NextHops } from "../../../../src/agent/reconcile/nextHops.ts";

const hop = (ip: string): ObjectOf<"hop"> => ({ kind: "hop", ns: "host", dev: "eth0", ip });
const peer = (dst: string): KernelObject => ({
  kind: "fdb",
  ns: "vrf:blue",
  dev: "wx7",
  mac: `02:00:00:00:00:0${dst.at(-1)}`,
  dst,
});
const NS: KernelObject = { kind: "netns", ns: "vrf:blue" };

function started() {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const ways = new Map<string, string>();
  const nextHops = (addresses: readonly string[]) => {
    asked.push(addresses.toSorted().join());
    return addresses.map((address) => hop(ways.get(address) ?? address));
  };
  const hops = new NextHops({ kernel: { nextHops }, clock, management: () => ["192.0.2.1"] });
  const ips = (...objects: readonly KernelObject[]) =>
    [...hops.addTo(stateOf(objects)).values()].flatMap((o) => (o.kind === "hop" ? [o.ip] : [])).sort();
  return { hops, clock, asked, ways, ips };
}

test("a host without anything of ours keeps nothing", () => {
  const { ips, asked } = started();
  assert.deepEqual(ips(), []);
  assert.deepEqual(asked, []);
});

test("each peer's way and the server's, and another when routes change", async () => {
  const { ips, clock, asked, ways } = started();
  assert.deepEqual(ips(NS), ["192.0.2.1"]);
  const state = [NS, peer("192.0.2.2"), peer("192.0.2.3"), { ...peer("192.0.2.3"), ns: "vrf:red" } as KernelObject];
  assert.deepEqual(ips(...state), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  assert.deepEqual(ips(...state), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  assert.equal(asked.length, 2, "not asked for the same in the same moment");
  ways.set("192.0.2.3", "192.0.2.254");
  await clock.advance(10_000);
  assert.deepEqual(ips(...state), ["192.0.2.1", "192.0.2.2", "192.0.2.254"]);
});

test("what the kernel refuses is told once, and not wanted again", () => {
  const { hops, ips } = started();
  assert.deepEqual(ips(NS, peer("192.0.2.2")), ["192.0.2.1", "192.0.2.2"]);
  const refusal = { class: "invalid", message: "EINVAL: invalid argument" } as const;
  const others = { op: { op: "add", object: NS }, refusal } as const;
  const results = [{ op: { op: "add", object: hop("192.0.2.2") }, refusal } as const, others];
  assert.deepEqual(hops.withoutHops(results), [others]);
  assert.deepEqual(ips(NS, peer("192.0.2.2")), ["192.0.2.1"]);
  assert.match(hops.conditions.join(), /neighbour eth0 192\.0\.2\.2 \(EINVAL/);
});
