// Flows that rules no longer allow are ended, and what could not be done is not forgotten. The kernel here is one
// function that may fail; what a real one does is in test/netns/policy.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Op } from "../datapath/state.ts";
import { type Flow } from "../kernel/kernel.ts";
import { type Resource, snapshotOf } from "../model/resource.ts";
import { flowCutter } from "./policy.ts";

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;
const vrf = (name: string, index: number) => [
  make("vrf", name, {
    index,
    vni: 4096 + index,
    tunnelPort: 4789,
    vtepSubnets: ["198.18.0.0/20"],
    vtepMacOui: "70:b3:d5",
    hostAccess: false,
  }),
  make("network", name, {
    driver: "vxlan",
    ipam: "local",
    vrf: name,
    subnets: [{ cidr: `10.${index}.0.0/16`, hostPrefix: 24 }],
    masquerade: false,
    enabled: true,
    securityGroups: ["web"],
  }),
  make("block", `${name}.h1.4`, { network: name, host: "h1", cidr: `10.${index}.1.0/24` }),
  make("endpoint", `${name}.eth0`, {
    network: name,
    host: "h1",
    owner: name,
    ifname: "eth0",
    netns: `/run/netns/${name}`,
    mac: "02:00:00:00:00:02",
    addresses: [`10.${index}.1.2`],
  }),
];
const web = { direction: "in", action: "allow", protocol: "tcp", ports: [80], priority: 500 };
const snapshot = snapshotOf("c", 1, [
  make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
  ...vrf("blue", 1),
  ...vrf("red", 2),
  make("securitygroup", "web", { rules: [web] }),
]);
const changed = (ns: "vrf:blue" | "vrf:red"): Op => ({
  op: "set",
  from: { kind: "nft", ns, digest: "a", body: "", bridge: "" },
  object: { kind: "nft", ns, digest: "b", body: "", bridge: "" },
});

/** A cutter, and which namespaces it asks of; it fails for those in `broken`. */
function cutting() {
  const cut = flowCutter();
  const broken = new Set<string>();
  const asked: string[] = [];
  const cutFlows = (ns: string, _isAllowed: (flow: Flow) => boolean) => {
    asked.push(ns);
    if (broken.has(ns)) throw new Error(`no flows of ${ns}`);
    return 0;
  };
  const round = (...ops: readonly Op[]): readonly string[] => {
    asked.length = 0;
    cut({ cutFlows }, snapshot, "h1", ops);
    return [...asked];
  };
  return { broken, round };
}

test("all flows are looked at when an agent starts, then those of VRFs whose rules changed", () => {
  const { round } = cutting();
  assert.deepEqual(round(), ["vrf:blue", "vrf:red"]);
  assert.deepEqual(round(), []);
  assert.deepEqual(round(changed("vrf:red")), ["vrf:red"]);
  assert.deepEqual(round(), []);
});

test("what failed is tried again after the next round, also when nothing changes any more", () => {
  const { broken, round } = cutting();
  broken.add("vrf:red");
  assert.throws(() => round(), /no flows of vrf:red/);
  assert.throws(() => round(), /no flows of vrf:red/);
  broken.clear();
  assert.deepEqual(round(), ["vrf:blue", "vrf:red"]);
  assert.deepEqual(round(), []);
  broken.add("vrf:blue");
  assert.throws(() => round(changed("vrf:blue")), /no flows of vrf:blue/);
  broken.clear();
  assert.deepEqual(round(changed("vrf:red")).toSorted(), ["vrf:blue", "vrf:red"]);
  assert.deepEqual(round(), []);
});
