// Which hosts and prefixes a network concerns.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOnHost, prefixesOf, slicesOn, vrfsOn } from "../../../src/model/carrying.ts";
import { isOver } from "../../../src/model/kinds/membership.ts";
import type { Host, Move, Network, Snapshot, Vrf } from "../../../src/model/resource.ts";

const SLICES = [
  { name: "mesos", bridge: "m-a" },
  { name: "docker", bridge: "d-a" },
];
// Only what is looked at.
const vrf = (masters?: readonly string[]) => ({ spec: masters === undefined ? {} : { dcos: { masters } } }) as Vrf;
const network = (name: string, spec: object = {}) =>
  ({ kind: "network", name, spec: { vrf: name, ...spec } }) as Network;
const host = (underlay: string, slices?: readonly string[]) =>
  ({ name: "h1", spec: { underlay, ...(slices === undefined ? {} : { slices }) } }) as Host;

test("a host has the slices that it names, or all; a DC/OS master has none", () => {
  const names = (...args: Parameters<typeof slicesOn>) => slicesOn(...args).map(({ name }) => name);
  const sliced = network("a", { slices: SLICES });
  assert.deepEqual(names(vrf(), sliced, host("10.0.0.1")), ["mesos", "docker"]);
  assert.deepEqual(names(vrf(), sliced, host("10.0.0.1", ["docker", "other"])), ["docker"]);
  assert.deepEqual(names(vrf(), sliced, host("10.0.0.1", [])), []);
  assert.deepEqual(names(vrf(), network("a"), host("10.0.0.1", ["docker"])), []);
  assert.deepEqual(names(vrf(["10.0.0.1"]), sliced, host("10.0.0.1")), []);
  assert.deepEqual(names(vrf(["10.0.0.2"]), sliced, host("10.0.0.1")), ["mesos", "docker"]);
});

test("a host carries the VRFs in which it has a block or an endpoint", () => {
  const one = (name: string, on: string) => ({ spec: { host: on, network: name } });
  const everywhere = network("f", { hosts: ["*"], driver: "vlan", parent: "lan" });
  const networks = [network("a"), network("b"), network("c", { vrf: "b" }), network("d"), network("e"), everywhere];
  const physical = [{ name: "lan", device: "eth1" }];
  const snapshot = {
    networks,
    hosts: [
      { name: "h1", spec: { underlay: "192.0.2.1" } },
      { name: "h4", spec: { underlay: "192.0.2.4", physical } },
    ],
    blocks: [one("a", "h1"), one("d", "h2"), one("gone", "h1")],
    endpoints: [one("c", "h1"), one("e", "h2")],
  } as unknown as Snapshot;
  assert.deepEqual([...vrfsOn(snapshot, "h1")].sort(), ["a", "b"]);
  assert.deepEqual([...vrfsOn(snapshot, "h2")].sort(), ["d", "e"]);
  assert.deepEqual([...vrfsOn(snapshot, "h3")], []);
  // Of all hosts, those that can have it.
  assert.deepEqual([...vrfsOn(snapshot, "h4")], ["f"]);
});

test("a network has its subnets, and the SLAAC prefixes that lie in none; a reservation has its parent's", () => {
  const subnets = [{ cidr: "10.0.0.0/16" }, { cidr: "fd00::/48" }];
  const range = (more: object) => ({ name: "r", type: "ip4-6", ...more });
  const of = (spec: object) => prefixesOf({ subnets, ...spec } as Parameters<typeof prefixesOf>[0]);
  assert.deepEqual(of({}), ["10.0.0.0/16", "fd00::/48"]);
  const ranges = [
    range({ prefix: "2001:db8:1::/64", ula: "fd00:0:0:7::/64" }),
    range({ prefix: "2001:db8:1::/64", ula: "fd01::/64" }),
    range({}),
  ];
  assert.deepEqual(of({ ranges }), ["10.0.0.0/16", "fd00::/48", "2001:db8:1::/64", "fd01::/64"]);
  assert.deepEqual(of({ ranges, reservedFrom: "parent" }), []);
});

test("a move is over when the member has left, or ended before", () => {
  const states = ["pending", "joined", "left", "failed", "gone"] as const;
  const over = states.filter((state) => isOver({ spec: { state } } as Move));
  assert.deepEqual(over, ["left", "gone"]);
});

test("of all hosts a network is also on one whose device may be taken over, and stays there", () => {
  const office = network("office", { hosts: ["*"], driver: "bridge", parent: "lan" }).spec;
  const isThere = (setting: object, facts: object) => {
    const devices = [{ name: "eth0", mtu: 1500, ...facts }];
    const spec = { underlay: "192.0.2.1", physical: [{ name: "lan", device: "eth0", ...setting }], devices };
    return isOnHost(office, { name: "h1", spec } as unknown as Host);
  };
  const used = { addresses: ["192.0.2.2"], defaultRoutes: ["0.0.0.0/0"], leadsToServer: true };
  assert.equal(isThere({}, used), false);
  assert.equal(isThere({ takeOver: true }, used), true);
  const leased = { addresses: ["192.0.2.9"], leased: ["192.0.2.9"] };
  assert.equal(isThere({ takeOver: true }, leased), false);
  assert.equal(isThere({ takeOver: true }, { ...leased, onBridge: ["192.0.2.2"] }), true, "taken over already");
});
