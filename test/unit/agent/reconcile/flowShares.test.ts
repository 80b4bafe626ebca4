// Whose a flow is, by the address of its end on this host: what decides who has to make room.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import type { KernelState } from "../../../../src/datapath/state/state.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import type { Clock } from "../../../../src/model/clock.ts";
import { type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import { limitFlowShares } from "../../../../src/agent/reconcile/cutFlows.ts";
import { hostNumber, make } from "../samples.ts";

const endpoint = (name: string, host: string, addresses: readonly string[], allowed: readonly string[] = []) =>
  make("endpoint", name, {
    network: "blue",
    host,
    owner: name,
    ifname: "eth0",
    netns: `/run/netns/${name}`,
    mac: "02:00:00:00:00:02",
    addresses,
    allowedAddresses: allowed.map((address) => ({ address })),
  });
const snapshot = snapshotOf("c", 1, [
  hostNumber(1),
  make("vrf", "blue", { index: 1, vni: 4097, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "", hostAccess: false }),
  make("network", "blue", { driver: "vxlan", ipam: "global", vrf: "blue", vni: 7, subnets: [{ cidr: "10.7.0.0/16" }] }),
  endpoint("a", "h1", ["10.7.0.2", "fd07::2"], ["10.7.0.99", "10.7.0.98"]),
  endpoint("b", "h1", ["10.7.0.3"], ["10.7.0.99"]),
  endpoint("c", "h2", ["10.7.0.4"]),
]);
const table = (ns: Ns) => ({ kind: "nft", ns, digest: "", body: "" }) as const;
const state: KernelState = stateOf([
  table("host"),
  table("vrf:blue"),
  table("vrf:red"),
  { kind: "netns", ns: "vrf:new" },
]);

test("flows of all addresses of an endpoint count as one, of a shared address as another", async () => {
  const stop = new AbortController();
  const clock = { sleep: async () => undefined } as unknown as Clock;
  const owners = new Map<string, (address: string) => string>();
  const thinFlows = (ns: string, ownerOf: (address: string) => string) => {
    owners.set(ns, ownerOf);
    // The next namespace is looked at although this one could not be.
    if (ns === "vrf:blue") throw new Error("no such table");
    stop.abort();
    return 0;
  };
  const logged: string[] = [];
  const log = (message: string) => void logged.push(message);
  await limitFlowShares({ host: "h1", kernel: { thinFlows }, clock, log }, stop.signal, () => ({ state, snapshot }));
  assert.deepEqual([...owners.keys()], ["vrf:blue", "vrf:red"]);
  assert.deepEqual(logged, ["shares"]);
  const of = (...addresses: readonly string[]) => addresses.map((address) => owners.get("vrf:blue")?.(address));
  assert.deepEqual(of("10.7.0.2", "fd07::2", "10.7.0.98"), ["a", "a", "a"]);
  assert.deepEqual(of("10.7.0.3", "10.7.0.99"), ["b", "10.7.0.99"]);
  assert.deepEqual(of("10.7.0.4", "192.0.2.7"), ["", ""]);
});

test("it looks every five seconds, of what the agent knows then, and says what it ended", async () => {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const stop = new AbortController();
  const asked: string[] = [];
  const logged: string[] = [];
  const now = { ended: 0, snapshot: undefined as Snapshot | undefined };
  const kernel = {
    thinFlows: (ns: string, ownerOf: (address: string) => string) => {
      asked.push(`${clock.nowMs() - startMs} ${ns} ${ownerOf("10.7.0.2")}`);
      return now.ended;
    },
  };
  const log = (message: string, fields: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const done = limitFlowShares({ host: "h1", kernel, clock, log }, stop.signal, () => ({
    state: stateOf([table("vrf:blue")]),
    snapshot: now.snapshot,
  }));
  await clock.advance(5_000);
  assert.deepEqual([asked, logged], [["5000 vrf:blue "], []]);
  Object.assign(now, { ended: 3, snapshot });
  await clock.advance(5_000);
  assert.equal(asked.at(-1), "10000 vrf:blue a");
  assert.equal(logged.length, 1);
  assert.match(logged[0] ?? "", /"ns":"vrf:blue","ended":3/);
  await clock.advance(4_999);
  stop.abort();
  await clock.advance(10_000);
  await done;
  assert.equal(asked.length, 2);
});

test("a namespace's addresses are those of its VRF's networks: another VRF may have the same", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const thinFlows = (ns: string, ownerOf: (address: string) => string) => {
    seen.push(`${ns} ${ownerOf("10.7.0.2")} ${ownerOf("10.7.0.3")}`);
    if (ns === "vrf:red") stop.abort();
    return 0;
  };
  const others = [
    make("vrf", "red", { index: 2, vni: 4098, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "", hostAccess: false }),
    make("network", "red", { driver: "vxlan", ipam: "global", vrf: "red", vni: 8, subnets: [{ cidr: "10.7.0.0/16" }] }),
    make("endpoint", "r", { ...endpoint("r", "h1", ["10.7.0.2"]).spec, network: "red" }),
  ];
  const all = snapshotOf("c", 1, [
    hostNumber(1),
    ...snapshot.vrfs,
    ...snapshot.networks,
    ...snapshot.endpoints,
    ...others,
  ]);
  const clock = { sleep: async () => undefined } as unknown as Clock;
  const log = () => assert.fail("there is nothing to say");
  await limitFlowShares({ host: "h1", kernel: { thinFlows }, clock, log }, stop.signal, () => ({
    state,
    snapshot: all,
  }));
  assert.deepEqual(seen, ["vrf:blue a b", "vrf:red r "]);
});
