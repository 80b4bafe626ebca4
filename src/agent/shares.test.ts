// Whose a flow is, by the address of its end on this host: what decides who has to make room.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelState, Ns } from "../datapath/state.ts";
import { stateOf } from "../datapath/state.ts";
import type { Clock } from "../model/clock.ts";
import { type Resource, snapshotOf } from "../model/resource.ts";
import { keepShares } from "./shares.ts";

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;
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
  make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
  make("vrf", "blue", { index: 1, vni: 4097, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "", hostAccess: false }),
  make("network", "blue", { driver: "vxlan", ipam: "global", vrf: "blue", vni: 7, subnets: [{ cidr: "10.7.0.0/16" }] }),
  endpoint("a", "h1", ["10.7.0.2", "fd07::2"], ["10.7.0.99", "10.7.0.98"]),
  endpoint("b", "h1", ["10.7.0.3"], ["10.7.0.99"]),
  endpoint("c", "h2", ["10.7.0.4"]),
]);
const table = (ns: Ns) => ({ kind: "nft", ns, digest: "", body: "" }) as const;
const held: KernelState = stateOf([
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
  await keepShares({ host: "h1", kernel: { thinFlows }, clock, log }, stop.signal, () => ({ held, snapshot }));
  assert.deepEqual([...owners.keys()], ["vrf:blue", "vrf:red"]);
  assert.deepEqual(logged, ["shares"]);
  const of = (...addresses: readonly string[]) => addresses.map((address) => owners.get("vrf:blue")?.(address));
  assert.deepEqual(of("10.7.0.2", "fd07::2", "10.7.0.98"), ["a", "a", "a"]);
  assert.deepEqual(of("10.7.0.3", "10.7.0.99"), ["b", "10.7.0.99"]);
  assert.deepEqual(of("10.7.0.4", "192.0.2.7"), ["", ""]);
});
