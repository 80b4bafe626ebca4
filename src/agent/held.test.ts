// A round acts on what this says: a pair that it forgets is made twice, one that it invents is removed under a
// workload.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type KernelObject, type Veth, keyOf, stateOf } from "../datapath/state.ts";
import type { Endpoint } from "../model/resource.ts";
import { merged, record, withoutTheirs } from "./held.ts";

const BRIDGE: KernelObject = {
  kind: "bridge",
  ns: "vrf:blue",
  name: "wb-blue",
  mtu: 1450,
  mac: "02:00:0a:07:00:01",
  alias: "weft:network:blue",
};
const PORT: Veth = {
  kind: "veth",
  ns: "vrf:blue",
  name: "wp1",
  mtu: 1450,
  mac: "fe:00:00:00:00:01",
  alias: "weft:endpoint:web.eth0",
  master: "wb-blue",
  peer: { ns: "/run/netns/web", name: "eth0", mtu: 1450, mac: "02:00:0a:07:00:02" },
};
const AHEAD: Veth = { ...PORT, peer: { ...PORT.peer, mac: "" } };
/** As a look sees a pair whose workload nobody named: with the index of its far end. */
const HALF: Veth = { ...PORT, peer: { ns: "/", name: "index 7", mtu: 0, mac: "" } };
const look = (...objects: KernelObject[]) => stateOf([BRIDGE, ...objects]);
const held = (...objects: KernelObject[]) => new Map(stateOf([BRIDGE, ...objects]));

test("a pair that was made while the look went on is held once, as it was made", () => {
  const since = [{ op: { op: "add", object: PORT } }] as const;
  assert.deepEqual(merged(look(), since, new Set()), held(PORT));
  assert.deepEqual(merged(look(HALF), since, new Set()), held(PORT));
});

test("a pair made ahead is nobody's to judge, seen or not, until it is completed", () => {
  const since = [{ op: { op: "add", object: AHEAD } }] as const;
  assert.deepEqual(merged(look(HALF), [], new Set([AHEAD])), held());
  assert.deepEqual(merged(look(), since, new Set([AHEAD])), held());
  assert.deepEqual(merged(look(AHEAD), since, new Set([AHEAD])), held());
  const completed = [...since, { op: { op: "set", from: AHEAD, object: PORT } }] as const;
  assert.deepEqual(merged(look(HALF), completed, new Set()), held(PORT));
});

test("a pair that was removed while the look went on is gone", () => {
  const since = [{ op: { op: "remove", object: PORT } }] as const;
  assert.deepEqual(merged(look(PORT), since, new Set()), held());
  assert.equal(merged(look(PORT), [], new Set()).has(keyOf(PORT)), true);
});

test("a pair that was cut off is not there, nor is what hangs on it, under whatever path its far end is known", () => {
  const path = "/proc/7/ns/net";
  const seen: Veth = { ...PORT, mtu: 0, peer: { ...PORT.peer, ns: path } };
  const address: KernelObject = { kind: "address", ns: path, dev: "eth0", cidr: "10.7.0.2/16" };
  const other: KernelObject = { ...address, dev: "eth1" };
  assert.deepEqual(merged(look(seen, address, other), [], new Set([PORT])), held(other));
  const removed = [{ op: { op: "remove", object: { ...PORT, peer: { ...PORT.peer, ns: path } } } }] as const;
  assert.deepEqual(merged(look(seen, address, other), removed, new Set()), held(other));
});

test("a namespace that was removed takes all in it along, at both ends of its pairs", () => {
  const uplink: Veth = {
    ...PORT,
    name: "uplink",
    peer: { ns: "host", name: "wu-blue", mtu: 1500, mac: "02:00:00:00:00:01" },
  };
  const outside: KernelObject = { kind: "address", ns: "host", dev: "wu-blue", cidr: "169.254.64.1/30" };
  const other: KernelObject = { ...outside, dev: "wu-red" };
  const netns: KernelObject = { kind: "netns", ns: "vrf:blue" };
  const state = new Map(stateOf([netns, BRIDGE, PORT, uplink, outside, other]));
  assert.deepEqual(record(state, [{ op: { op: "remove", object: netns } }]), new Map(stateOf([other])));
});

test("an address that an endpoint of this host is allowed is its workload's to add", () => {
  const own = (cidr: string): KernelObject => ({ kind: "address", ns: "/run/netns/web", dev: "eth0", cidr });
  const all = [own("10.7.0.2/16"), own("10.7.0.99/32"), own("fd07::99/128"), own("10.7.0.98/32")];
  const endpoint = (host: string, ...allowed: readonly string[]): Endpoint => ({
    kind: "endpoint",
    name: "web.eth0",
    uid: "web",
    revision: 1,
    spec: {
      network: "blue",
      host,
      owner: "web",
      ifname: "eth0",
      netns: "/run/netns/web",
      mac: "02:00:0a:07:00:02",
      addresses: ["10.7.0.2"],
      allowedAddresses: allowed.map((address) => ({ address })),
    },
  });
  const left = (of: Endpoint) => [...withoutTheirs(held(...all), [of], "h1").values()].slice(1);
  // Its own stays ours to keep, although it is allowed once more.
  assert.deepEqual(left(endpoint("h1", "10.7.0.99", "fd07::99", "10.7.0.2")), [all[0], all[3]]);
  assert.deepEqual(left(endpoint("h1")), all);
  assert.deepEqual(left(endpoint("h2", "10.7.0.99")), all);
  const frames = endpoint("h1");
  assert.deepEqual(left({ ...frames, spec: { ...frames.spec, addresses: [] } }), []);
});
