// A round acts on what this says: a pair that it forgets is made twice, one that it invents is removed under a
// workload.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import { keyOf, stateOf } from "../../../../src/datapath/state/state.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { Endpoint } from "../../../../src/model/resource.ts";
import {
  merged,
  nearOf,
  pairsIn,
  linkOf,
  portsIn,
  record,
  inverse,
  withoutRemovals,
  withoutWorkloadAddresses,
} from "../../../../src/agent/reconcile/knownState.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";

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

test("what a look says of other pairs stands, whatever was done meanwhile", () => {
  const other: Veth = { ...PORT, name: "wp2", peer: { ...PORT.peer, ns: "/run/netns/db" } };
  const since = [{ op: { op: "add", object: PORT } }] as const;
  assert.deepEqual(merged(look(HALF, other), since, new Set([BRIDGE])), new Map(stateOf([PORT, other])));
  assert.deepEqual(merged(look(other), [], new Set([PORT])), held(other));
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
  const left = (of: Endpoint) => [...withoutWorkloadAddresses(held(...all), [of], "h1").values()].slice(1);
  // Its own stays ours to keep, although it is allowed once more.
  assert.deepEqual(left(endpoint("h1", "10.7.0.99", "fd07::99", "10.7.0.2")), [all[0], all[3]]);
  assert.deepEqual(left(endpoint("h1", "10.7.0.99")), [all[0], all[2], all[3]]);
  assert.deepEqual(left(endpoint("h1")), all);
  assert.deepEqual(left(endpoint("h2", "10.7.0.99")), all);
  const frames = endpoint("h1");
  assert.deepEqual(left({ ...frames, spec: { ...frames.spec, addresses: [] } }), []);
});

test("what was refused was not done; what is set is as it was set", () => {
  const busy = { class: "busy", message: "EBUSY" } as const;
  const set = { op: "set", from: PORT, object: { ...PORT, mtu: 9000 } } as const;
  const state = () => new Map(stateOf([BRIDGE, PORT]));
  assert.deepEqual(record(state(), [{ op: set }]), new Map(stateOf([BRIDGE, set.object])));
  assert.deepEqual(record(state(), [{ op: set, refusal: busy }]), state());
  assert.deepEqual(record(state(), [{ op: { op: "remove", object: PORT }, refusal: busy }]), state());
  assert.deepEqual(record(new Map(), [{ op: { op: "add", object: PORT }, refusal: busy }]), new Map());
  const given = state();
  assert.equal(record(given, []), given);
});

test("what hangs on one link is not forgotten with another, nor what hangs on none", () => {
  const on = (ns: KernelObject["ns"], dev: string): KernelObject =>
    ({ kind: "address", ns, dev, cidr: "10.7.0.9/32" }) as KernelObject;
  const table: KernelObject = { kind: "nft", ns: "vrf:blue", digest: "d", body: "" };
  const others = [
    on("vrf:red", "wp1"),
    on("/run/netns/db", "eth0"),
    on("/run/netns/web", "eth1"),
    on("vrf:blue", "wp2"),
    table,
  ];
  const state = new Map(stateOf([BRIDGE, PORT, on("vrf:blue", "wp1"), on("/run/netns/web", "eth0"), ...others]));
  assert.deepEqual(record(state, [{ op: { op: "remove", object: PORT } }]), held(...others));
  // A bridge has one end, and an entry takes nothing along.
  const bridge = new Map(stateOf([BRIDGE, PORT, on("vrf:blue", "wb-blue")]));
  assert.deepEqual(record(bridge, [{ op: { op: "remove", object: BRIDGE } }]), new Map(stateOf([PORT])));
  const both = stateOf([PORT, on("vrf:blue", "wp1"), on("/run/netns/web", "eth0")]);
  assert.deepEqual(
    record(new Map(both), [{ op: { op: "remove", object: on("vrf:blue", "wp1") } }]),
    new Map(stateOf([PORT, on("/run/netns/web", "eth0")])),
  );
});

test("an operation that was refused is undone by its opposite", () => {
  assert.deepEqual(inverse({ op: "add", object: PORT }), { op: "remove", object: PORT });
  assert.deepEqual(inverse({ op: "remove", object: PORT }), { op: "add", object: PORT });
  assert.deepEqual(inverse({ op: "set", from: AHEAD, object: PORT }), { op: "remove", object: PORT });
});

test("where something is: the link that it is or is on, the place of a table, an element by itself", () => {
  const at = { ns: "vrf:blue" } as const;
  const objects: readonly (readonly [KernelObject, string])[] = [
    [PORT, "vrf:blue wp1"],
    [BRIDGE, "vrf:blue wb-blue"],
    [{ ...at, kind: "address", dev: "wp1", cidr: "10.7.0.1/16" }, "vrf:blue wp1"],
    [{ ...at, kind: "route", dev: "wp1", dst: "10.8.0.0/16", via: "10.7.0.1", onlink: false }, "vrf:blue wp1"],
    [{ ...at, kind: "netns" }, "vrf:blue netns"],
    [{ ...at, kind: "nft", digest: "d", body: "" }, "vrf:blue nft"],
  ];
  for (const [object, place] of objects) assert.equal(linkOf(object), place);
  const [one, other] = ["wp1", "wp2"].map((key) => linkOf({ ...at, kind: "element", set: "ports", key }));
  assert.notEqual(one, other);
  assert.equal(linkOf({ ...at, kind: "element", set: "ports", key: "wp1", value: "1" }), one);
});

test("ports are the near ends of pairs, also of those that were changed or are apart", () => {
  const other: Veth = { ...PORT, name: "wp2", peer: { ...PORT.peer, ns: "/run/netns/db" } };
  assert.deepEqual([...portsIn(look(PORT, other))], ["wp1", "wp2"]);
  assert.deepEqual([...portsIn(look())], []);
  const since = [{ op: { op: "add", object: PORT } }, { op: { op: "add", object: BRIDGE } }] as const;
  assert.deepEqual(
    [...pairsIn(since, new Set([other, BRIDGE]))].toSorted((a, b) => (a < b ? -1 : 1)),
    ["vrf:blue wp1", "vrf:blue wp2"],
  );
  assert.equal(nearOf(PORT), "vrf:blue wp1");
});

test("while the server is away nothing is removed but the ports of those that are leaving", () => {
  const veth = (name: string): Veth => ({ ...PORT, name: portName(name) });
  const entry = (name: string, state: Entry["state"]): Entry => {
    const endpoint = { kind: "endpoint", name, uid: name, revision: 1, spec: {} } as unknown as Endpoint;
    return { endpoint, netnsId: "1", bootId: "b", state };
  };
  const entries = [entry("stays", "attached"), entry("leaves", "detaching")];
  const address: KernelObject = { kind: "address", ns: "vrf:blue", dev: portName("leaves"), cidr: "10.7.0.1/16" };
  const actual = look(veth("stays"), veth("leaves"), veth("strange"), address);
  const changed = { ...BRIDGE, mtu: 9000 };
  const desired = stateOf([changed, { kind: "netns", ns: "vrf:red" }]);
  const left = withoutRemovals(actual, desired, entries);
  assert.deepEqual(
    left,
    new Map(stateOf([changed, veth("stays"), veth("strange"), address, { kind: "netns", ns: "vrf:red" }])),
  );
  // A leaving one's name may be taken by another already.
  assert.deepEqual(withoutRemovals(look(veth("leaves")), stateOf([veth("leaves")]), entries), held(veth("leaves")));
});

test("while the server is away a conversion goes on: nothing of a phase is kept beside the next one", () => {
  const tunnel = (name: string): KernelObject => ({
    kind: "vxlan",
    ns: "vrf:blue",
    name,
    mtu: 1450,
    mac: "02:00:00:00:00:01",
    alias: "weft:network:blue",
    vni: name === "wx7" ? 7 : 8,
    local: "172.16.0.1",
    port: 4789,
    master: BRIDGE.name,
  });
  const closed = (key: string): KernelObject => ({ kind: "element", ns: "vrf:blue", set: "closed", key });
  const route = (dev: string): KernelObject => ({
    kind: "route",
    ns: "vrf:blue",
    dst: "10.8.0.0/24",
    dev,
    onlink: false,
  });
  const [old, now] = [tunnel("wx7"), tunnel("wx8")];
  const receive = [BRIDGE, old, now, closed("wx8"), route("wx7")];
  const send = [BRIDGE, old, now, closed("wx7"), route("wx8")];
  const end = [BRIDGE, now, route("wx8")];
  const left = (before: readonly KernelObject[], after: readonly KernelObject[]) =>
    withoutRemovals(look(...before), stateOf(after), []);
  assert.deepEqual(
    left(receive, send),
    new Map(stateOf(send)),
    "broadcasts go by one of them, and the route has moved",
  );
  assert.deepEqual(left(send, receive), new Map(stateOf(receive)), "and back");
  assert.deepEqual(left(send, end), new Map(stateOf(end)), "the former tunnel would double broadcasts");
  // Of a network that the snapshot lacks, all stays.
  assert.deepEqual([...left(send, []).values()].length, send.length);
  assert.deepEqual([...left([BRIDGE, old, now], end).values()].length, end.length + 1, "a tunnel that is not closed");
});
