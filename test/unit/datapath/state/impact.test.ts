// Whom an operation hurts: each kind of object that goes, and whose packets went through it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../../../../src/model/device.ts";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { endpointsHit } from "../../../../src/datapath/state/impact.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import type { Op } from "../../../../src/datapath/state/state.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

const network = (name: string, more: object) =>
  make("network", name, {
    driver: "vxlan",
    ipam: "local",
    vrf: "blue",
    subnets: [],
    masquerade: false,
    enabled: true,
    ...more,
  });
const endpoint = (owner: string, of: string, more: object = {}) =>
  make("endpoint", `${owner}.eth0`, {
    network: of,
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: "02:00:00:00:00:01",
    addresses: [],
    ...more,
  });

/** Two switched and two routed networks in one VRF, of these one with slices, and one in another; what is on h2 too. */
const SNAPSHOT = snapshotOf("c", 1, [
  network("web", {}),
  network("cut", {
    slices: [
      { name: "mesos", bridge: "m" },
      { name: "docker", bridge: "d" },
    ],
  }),
  network("lan", { ipam: "global", vni: 7 }),
  network("piece", { ipam: "global", reservedFrom: "lan" }),
  network("vip", { ipam: "global", vni: 8 }),
  network("red", { vrf: "red" }),
  endpoint("w", "web"),
  endpoint("m", "cut", { slice: "mesos" }),
  endpoint("d", "cut", { slice: "docker" }),
  endpoint("l", "lan"),
  endpoint("p", "piece"),
  endpoint("v", "vip"),
  endpoint("r", "red"),
  endpoint("far", "web", { host: "h2" }),
]);

const BLUE = "vrf:blue";
const LINK = { ns: BLUE, mtu: 1450, mac: "", alias: "" } as const;
const bridge = (name: string, ns: Ns = BLUE): KernelObject => ({ kind: "bridge", ...LINK, ns, name });
const port = (name: string): KernelObject => ({
  kind: "veth",
  ...LINK,
  name,
  peer: { ns: "/run/netns/w", name: "eth0", mtu: 1450, mac: "" },
});
const tunnel = (master?: string, ns: Ns = BLUE): KernelObject => ({
  kind: "vxlan",
  ...LINK,
  ns,
  name: "wx7",
  vni: 7,
  local: "192.0.2.1",
  port: 4789,
  ...(master === undefined ? {} : { master }),
});
const address = (ns: Ns, dev: string): KernelObject => ({ kind: "address", ns, dev, cidr: "10.7.0.1/16" });

const hit = (object: KernelObject, host = "h1") =>
  endpointsHit([{ op: "remove", object }], SNAPSHOT, host).map((name) => name.replace(".eth0", ""));

test("what goes away hurts those whose packets went through it, on this host alone", () => {
  const cases: readonly (readonly [KernelObject, string])[] = [
    [{ kind: "netns", ns: BLUE }, "d l m p v w"],
    [{ kind: "netns", ns: "vrf:red" }, "r"],
    [port(portName("w.eth0")), "w"],
    [port("uplink"), ""],
    // A routed VRF's tunnel is all its networks'; a switched network's is its own, with what is reserved from it.
    [tunnel(), "d l m p v w"],
    [tunnel(undefined, "vrf:red"), "r"],
    [tunnel(deviceName("wb", "lan")), "l p"],
    [tunnel(deviceName("wb", "lan"), "vrf:red"), ""],
    [bridge(deviceName("wb", "web")), "w"],
    [bridge(deviceName("wb", "web"), "vrf:red"), ""],
    [bridge(deviceName("m", "cut")), "m"],
    [bridge(deviceName("d", "cut")), "d"],
    [bridge(deviceName("wb", "cut")), ""],
    [address(BLUE, deviceName("wb", "lan")), "l p"],
    [address("vrf:red", deviceName("wb", "lan")), ""],
    [address(BLUE, deviceName("d", "cut")), "d"],
    [address("host", "wu-blue"), ""],
    [address("/run/netns/w", "eth0"), "w"],
    [address("/run/netns/w", "eth1"), ""],
    [address("/run/netns/x", "eth0"), ""],
    // Replaced without a gap.
    [{ kind: "route", ns: BLUE, dst: "10.1.0.0/24", dev: "wx1", onlink: true }, ""],
    [{ kind: "neighbour", ns: BLUE, dev: "wb-lan", ip: "10.7.0.9", mac: "02:00:00:00:00:09" }, ""],
  ];
  for (const [object, names] of cases) assert.equal(hit(object).join(" "), names, JSON.stringify(object));
  assert.deepEqual(hit({ kind: "netns", ns: BLUE }, "h2"), ["far"]);
});

test("an endpoint that does not say its slice may be on any of them", () => {
  const anywhere = snapshotOf("c", 1, [
    network("cut", { slices: [{ name: "mesos", bridge: "m" }] }),
    endpoint("any", "cut"),
  ]);
  const object = bridge(deviceName("m", "cut"));
  assert.deepEqual(endpointsHit([{ op: "remove", object }], anywhere, "h1"), ["any.eth0"]);
});

test("only what goes counts, each endpoint once and in order", () => {
  const [w, all] = [port(portName("w.eth0")), { kind: "netns", ns: BLUE } as const];
  const ops: readonly Op[] = [
    { op: "add", object: all },
    { op: "set", from: all, object: all },
    { op: "remove", object: w },
    { op: "remove", object: bridge(deviceName("m", "cut")) },
    { op: "remove", object: bridge(deviceName("wb", "web")) },
  ];
  assert.deepEqual(endpointsHit(ops, SNAPSHOT, "h1"), ["m.eth0", "w.eth0"]);
});
