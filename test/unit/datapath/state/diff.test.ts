// What a diff does and in which order: stale links first, then what is new from the ground up, then stale entries; and
// nothing for what is right, or goes along with something else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { diff, isSame } from "../../../../src/datapath/state/diff.ts";
import type { KernelObject, ObjectOf } from "../../../../src/datapath/kinds.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import { keyOf, stateOf } from "../../../../src/datapath/state/state.ts";

const NS: Ns = "vrf:blue";
const FAR: Ns = "/run/netns/w";
const link = (name: string) => ({ ns: NS, name, mtu: 1450, mac: "02:00:00:00:00:01", alias: "" }) as const;
const NETNS: KernelObject = { kind: "netns", ns: NS };
const BRIDGE: KernelObject = { kind: "bridge", ...link("wb") };
const PORT: ObjectOf<"veth"> = {
  kind: "veth",
  ...link("wp"),
  master: "wb",
  peer: { ns: FAR, name: "eth0", mtu: 1450, mac: "02:00:00:00:00:02" },
};
const TUNNEL: KernelObject = { kind: "vxlan", ...link("wx"), vni: 7, local: "192.0.2.1", port: 4789 };
const SHAPER: KernelObject = { kind: "ifb", ...link("wq") };
const TABLE: ObjectOf<"nft"> = { kind: "nft", ns: NS, digest: "a", body: "text" };
const ROUTE: ObjectOf<"route"> = { kind: "route", ns: NS, dst: "10.1.0.0/24", dev: "wx", onlink: false };

/** On the bridge, the tunnel, the port and its far end, one of each kind. */
const ON: readonly KernelObject[] = [
  { kind: "tbf", ns: NS, dev: "wp", rate: 1, burst: 2, limit: 3 },
  { kind: "redirect", ns: NS, dev: "wp", to: "wq" },
  { kind: "address", ns: NS, dev: "wb", cidr: "10.1.0.1/24" },
  { kind: "neighbour", ns: NS, dev: "wb", ip: "10.1.0.9", mac: "02:00:00:00:00:09" },
  { kind: "fdb", ns: NS, dev: "wx", mac: "02:00:00:00:00:09", dst: "192.0.2.2" },
  { kind: "bridge-fdb", ns: NS, dev: "wx", mac: "02:00:00:00:00:09" },
  ROUTE,
  { kind: "address", ns: FAR, dev: "eth0", cidr: "10.1.0.2/24" },
];
const ALL: readonly KernelObject[] = [
  NETNS,
  { kind: "sysctl", ns: NS, key: "ipv4/ip_forward", value: "1" },
  TABLE,
  { kind: "element", ns: NS, set: "ports", key: "wp", value: "40000000" },
  BRIDGE,
  TUNNEL,
  PORT,
  SHAPER,
  ...ON,
];

const plan = (actual: readonly KernelObject[], desired: readonly KernelObject[]) =>
  diff(stateOf(actual), stateOf(desired)).map(({ op, object }) => `${op} ${keyOf(object)}`);
const kinds = (actual: readonly KernelObject[], desired: readonly KernelObject[]) =>
  diff(stateOf(actual), stateOf(desired)).map(({ op, object }) => `${op} ${object.kind}`);

test("what is new comes from the ground up, limits before addresses; nothing comes twice", () => {
  const order = [
    "netns sysctl nft element bridge vxlan veth ifb tbf redirect",
    "address address neighbour fdb bridge-fdb route",
  ];
  for (const objects of [ALL, ALL.toReversed()]) {
    const sorted = kinds([], objects).map((line) => line.replace("add ", ""));
    const expected = order.join(" ").split(" ");
    // These three are of one layer.
    const isEntry = (kind: string) => ["neighbour", "fdb", "bridge-fdb"].includes(kind);
    assert.deepEqual(
      sorted.map((kind) => (isEntry(kind) ? "entry" : kind)),
      expected.map((kind) => (isEntry(kind) ? "entry" : kind)),
    );
    assert.deepEqual(plan(objects, ALL), []);
  }
});

test("stale entries go from the top down, behind what is new; stale links before, those on others first", () => {
  const next: KernelObject = { kind: "bridge", ...link("new") };
  assert.deepEqual(
    kinds(
      ON.filter(({ ns }) => ns === NS),
      [next],
    ),
    [
      "remove redirect",
      "add bridge",
      "remove route",
      ...["neighbour", "fdb", "bridge-fdb"].map((kind) => `remove ${kind}`),
      "remove address",
      "remove tbf",
    ],
  );
  assert.deepEqual(kinds([BRIDGE, TUNNEL, PORT, SHAPER], [next, TABLE]), [
    "remove ifb",
    "remove veth",
    "remove vxlan",
    "remove bridge",
    "add nft",
    "add bridge",
  ]);
  assert.deepEqual(kinds([TABLE, { kind: "element", ns: NS, set: "macs", key: "x" }, NETNS], [next, NETNS]), [
    "add bridge",
    "remove element",
    "remove nft",
  ]);
});

test("a redirect goes before the shaper that it leads to", () => {
  const [, redirect] = ON;
  assert.deepEqual(kinds([PORT, SHAPER, redirect ?? assert.fail()], [PORT]), ["remove redirect", "remove ifb"]);
});

test("a namespace takes all that is in it along, a link all that is on it, at both ends of a pair", () => {
  assert.deepEqual(
    kinds(
      ALL.filter(({ ns }) => ns === NS),
      [],
    ),
    ["remove netns"],
  );
  const elsewhere: KernelObject = { kind: "address", ns: "vrf:red", dev: "wb", cidr: "10.1.0.1/24" };
  const other: KernelObject = { kind: "address", ns: NS, dev: "wb2", cidr: "10.1.0.1/24" };
  assert.deepEqual(
    plan(
      [NETNS, BRIDGE, ...ON.filter((one) => "dev" in one && one.dev === "wb"), elsewhere, other],
      [NETNS],
    ).toSorted(),
    [`remove ${keyOf(elsewhere)}`, `remove ${keyOf(other)}`, `remove ${keyOf(BRIDGE)}`].toSorted(),
  );
  assert.deepEqual(plan([PORT, ...ON.filter((one) => "dev" in one && (one.dev === "wp" || one.dev === "eth0"))], []), [
    `remove ${keyOf(PORT)}`,
  ]);
  // What goes along and is wanted comes back: on a link that is made anew.
  const moved: KernelObject = { ...PORT, peer: { ...PORT.peer, name: "net0" } };
  const fdb: KernelObject = { kind: "bridge-fdb", ns: NS, dev: "wp", mac: PORT.peer.mac };
  assert.deepEqual(plan([PORT, fdb], [moved, fdb]), [
    `remove ${keyOf(PORT)}`,
    `add ${keyOf(moved)}`,
    `add ${keyOf(fdb)}`,
  ]);
});

test("an uplink writes checksums before a table lets more out of it; otherwise tables come first", () => {
  const { master: _, ...plain } = PORT;
  const made: KernelObject = { ...plain, makesChecksums: true };
  const opened: KernelObject = { ...TABLE, digest: "b" };
  assert.deepEqual(kinds([plain, TABLE], [made, opened]), ["set veth", "set nft"]);
  assert.deepEqual(kinds([made, opened], [plain, TABLE]), ["set nft", "set veth"]);
  assert.deepEqual(kinds([{ ...plain, mtu: 0 }, TABLE], [made, opened]), ["set nft", "set veth"], "it is down");
  assert.deepEqual(kinds([TABLE], [made, opened]), ["set nft", "add veth"]);
});

test("what is wanted no more and has no absent state stays: a sysctl", () => {
  assert.deepEqual(plan([{ kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" }], []), []);
});

test("a route that moves to another link is replaced in one step, one of another metric goes behind it", () => {
  const moved: KernelObject = { ...ROUTE, dev: "uplink" };
  const order = (...stale: readonly KernelObject[]) => plan(stale, [moved]).map((line) => line.split(" ")[0]);
  assert.deepEqual(order(ROUTE), ["set"]);
  assert.deepEqual(diff(stateOf([ROUTE]), stateOf([moved])), [{ op: "set", from: ROUTE, object: moved }]);
  assert.deepEqual(order({ ...ROUTE, metric: 0 }), ["add", "remove"]);
  assert.deepEqual(order({ ...ROUTE, metric: 1024 }), ["set"], "the metric of all that do not say one");
  assert.deepEqual(order({ ...ROUTE, dst: "10.2.0.0/24" }), ["add", "remove"]);
  assert.deepEqual(order({ ...ROUTE, ns: "host" }), ["add", "remove"]);
});

test("what differs in a value is set, from what it was; a table by its digest alone", () => {
  const wider: KernelObject = { ...PORT, mtu: 1400 };
  assert.deepEqual(diff(stateOf([PORT]), stateOf([wider])), [{ op: "set", from: PORT, object: wider }]);
  const far: KernelObject = { ...PORT, peer: { ...PORT.peer, mac: "02:00:00:00:00:03" } };
  assert.deepEqual(diff(stateOf([PORT]), stateOf([far])), [{ op: "set", from: PORT, object: far }]);
  assert.equal(isSame(PORT, { ...PORT, peer: { ...PORT.peer } }), true);
  assert.equal(isSame(TABLE, { ...TABLE, body: "" }), true);
  assert.equal(isSame(TABLE, { ...TABLE, digest: "b" }), false);
  assert.equal(isSame(ROUTE, { ...ROUTE, via: "10.0.0.1" }), false, "one field more");
  assert.equal(isSame({ ...ROUTE, via: "10.0.0.1" }, ROUTE), false, "one field less");
  assert.equal(isSame({ ...ROUTE, via: "10.0.0.1" }, { ...ROUTE, src: "10.0.0.1" }), false, "another field");
  const peak = { rate: 1, burst: 2 };
  const limit: KernelObject = { kind: "tbf", ns: NS, dev: "wp", rate: 1, burst: 2, limit: 3 };
  assert.equal(isSame(limit, { ...limit, peak }), false);
  assert.equal(isSame({ ...limit, peak }, limit), false);
  assert.equal(isSame({ ...limit, peak }, { ...limit, peak: { ...peak, burst: 3 } }), false);
});
