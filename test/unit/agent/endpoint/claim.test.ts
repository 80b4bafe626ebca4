// From what an attach is asked to what is claimed, and back: nothing is dropped, nothing is invented.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointLayout } from "../../../../src/datapath/world/layout.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import type { Endpoint, Network } from "../../../../src/model/resource.ts";
import type { AttachRequest } from "../../../../src/model/status.ts";
import { claimOf, ownerOf } from "../../../../src/agent/endpoint/attach.ts";
import {
  attachmentOf,
  hasBridge,
  type NetworkContext,
  speculativePort,
  withoutNetwork,
} from "../../../../src/agent/endpoint/compile.ts";
import { keyOf } from "../../../../src/datapath/state/state.ts";

const WISH = {
  addresses: ["10.7.0.9"],
  mac: "02:00:00:00:00:09",
  range: "web",
  slice: "a",
  workload: "w",
  tenant: "t",
  defaultRoute: false,
  qos: { inbound: { average: 1_000_000 } },
  securityGroups: ["g"],
  allowedAddresses: [{ address: "10.7.0.99" }],
} as const satisfies Partial<AttachRequest>;
const PLAIN = { network: "blue", netns: "/run/netns/web" };
const NAMED = { ...PLAIN, owner: "web", ifname: "eth0" };
const FIXED = { ...NAMED, host: "h1" };

test("each wish is claimed as it was asked, alone or with all others; what was not asked is not there", () => {
  assert.deepEqual(claimOf(NAMED, "h1", false), FIXED);
  assert.deepEqual(claimOf({ ...NAMED, ...WISH }, "h1", true), { ...FIXED, ...WISH, joined: true });
  for (const [key, value] of Object.entries(WISH))
    assert.deepEqual(claimOf({ ...NAMED, [key]: value }, "h1", false), { ...FIXED, [key]: value });
});

test("owner and interface are those of the request, or the namespace's name and eth0", () => {
  const given = { ...PLAIN, owner: "other", ifname: "eth9" };
  assert.deepEqual(claimOf(given, "h1", false), { ...given, host: "h1" });
  assert.deepEqual(claimOf(PLAIN, "h1", false), FIXED);
});

test("a namespace is named after its file, that of a process after the process", () => {
  assert.equal(ownerOf("/run/netns/web"), "web");
  assert.equal(ownerOf("/proc/77/ns/net"), "pid-77");
  assert.equal(ownerOf("/x/proc/77/ns/net-2"), "net-2");
  for (const path of ["", "/run/netns/", "/run/netns/a b"])
    assert.throws(() => ownerOf(path), { reason: "name-invalid" }, path);
});

const endpoint: Endpoint = {
  kind: "endpoint",
  name: "web.eth0",
  uid: "u",
  revision: 1,
  spec: { ...FIXED, addresses: ["10.7.0.2"], mac: "02:00:0a:07:00:02" },
};
const route = (dst: string): KernelObject => ({
  kind: "route",
  ns: "/run/netns/web",
  dst,
  via: "10.7.0.1",
  dev: "eth0",
  onlink: false,
});
const segmentOwner = (dns?: Network["spec"]["dns"]) =>
  ({ name: "blue", spec: dns === undefined ? {} : { dns } }) as Network;

test("an answer says what the workload has: addresses, routes, gateways, name servers", () => {
  const layout = {
    addresses: ["10.7.0.2/24"],
    gateways: [{ ip: "10.7.0.1", cidr: "10.7.0.0/24" }],
    dns: { servers: ["10.7.0.1"] },
    routes: [],
  } as unknown as EndpointLayout;
  const address: KernelObject = { kind: "address", ns: "/run/netns/web", dev: "eth0", cidr: "10.7.0.2/24" };
  const told = attachmentOf({ mtu: 1450, segmentOwner: segmentOwner() }, endpoint, {
    layout,
    objects: [address, route("0.0.0.0/0")],
  });
  assert.deepEqual(told, {
    endpoint: "web.eth0",
    spec: endpoint.spec,
    mtu: 1450,
    routes: ["0.0.0.0/0 via 10.7.0.1"],
    interfaceAddresses: ["10.7.0.2/24"],
    gateways: ["10.7.0.1"],
    dns: { servers: ["10.7.0.1"] },
  });
});

test("frames only, or a network that is not known: what there is to say, and no more", () => {
  const nothing = { layout: undefined, objects: [] };
  const empty = { endpoint: "web.eth0", spec: endpoint.spec, routes: [], interfaceAddresses: [], gateways: [] };
  assert.deepEqual(attachmentOf({ mtu: 1450, segmentOwner: segmentOwner() }, endpoint, nothing), {
    ...empty,
    mtu: 1450,
    dns: [],
  });
  const dns = ["192.0.2.53"] as unknown as NonNullable<Network["spec"]["dns"]>;
  assert.deepEqual(attachmentOf({ mtu: 1450, segmentOwner: segmentOwner(dns) }, endpoint, nothing), {
    ...empty,
    mtu: 1450,
    dns,
  });
  assert.deepEqual(withoutNetwork(endpoint), { ...empty, mtu: 0, dns: [] });
});

test("a pair is made ahead on the bridge of the first segment, with the MAC that was asked for", () => {
  const place = {
    vrf: { name: "blue", spec: {} },
    segments: [{ bridge: "wb1" }, { bridge: "wb2" }],
    mtu: 1450,
  } as unknown as NetworkContext;
  const pair = speculativePort(place, { ...FIXED, mac: WISH.mac }, "web.eth0");
  assert.deepEqual([pair?.ns, pair?.master, pair?.mtu, pair?.peer.ns], ["vrf:blue", "wb1", 1450, "/run/netns/web"]);
  assert.deepEqual([pair?.peer.name, pair?.peer.mac], ["eth0", WISH.mac]);
  assert.equal(speculativePort(place, FIXED, "web.eth0")?.peer.mac, "");
  assert.equal(speculativePort({ ...place, segments: [] }, FIXED, "web.eth0"), undefined);
});

test("where a network's bridge is, and what an endpoint without a place is", () => {
  const pair = { kind: "veth", ns: "vrf:blue", name: "wp1", master: "wb-blue" } as unknown as Veth;
  const bridge = { kind: "bridge", ns: "vrf:blue", name: "wb-blue" } as unknown as KernelObject;
  assert.equal(hasBridge(new Map([[keyOf(bridge), bridge]]), pair), true);
  assert.equal(hasBridge(new Map([[keyOf(bridge), bridge]]), { ...pair, master: "wb-other" }), false);
  const nowhere = attachmentOf({ mtu: 1400, segmentOwner: segmentOwner() }, endpoint, {
    layout: undefined,
    objects: [],
  });
  assert.deepEqual(nowhere, { ...withoutNetwork(endpoint), mtu: 1400 });
});

test("an address range may have a smaller MTU of its own", () => {
  const layout = { addresses: [], gateways: [], mtu: 1300 } as unknown as EndpointLayout;
  assert.equal(attachmentOf({ mtu: 1450, segmentOwner: segmentOwner() }, endpoint, { layout, objects: [] }).mtu, 1300);
  const larger = { ...layout, mtu: 9000 };
  assert.equal(
    attachmentOf({ mtu: 1450, segmentOwner: segmentOwner() }, endpoint, { layout: larger, objects: [] }).mtu,
    1450,
  );
});
