// Flows that rules no longer allow are ended, and what could not be done is not forgotten. The kernel here is one
// function that may fail; what a real one does is in test/netns/policy.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Op } from "../../../../src/datapath/state/state.ts";
import { type Flow } from "../../../../src/kernel/kernel.ts";
import { snapshotOf } from "../../../../src/model/resource.ts";
import { flowCutter } from "../../../../src/agent/reconcile/cutFlows.ts";
import { hostNumber, make, vrf as routingDomain } from "../samples.ts";

const vrf = (name: string, index: number) => [
  routingDomain(name, index),
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
  hostNumber(1),
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
  const broken = new Set<string>();
  /** How often packets on their way bring a flow back that was taken out. */
  const comesBack = new Map<string, number>();
  const asked: string[] = [];
  let waits = 0;
  const cutFlows = (ns: string, _isAllowed: (flow: Flow) => boolean) => {
    asked.push(ns);
    if (broken.has(ns)) throw new Error(`no flows of ${ns}`);
    const left = comesBack.get(ns) ?? 0;
    comesBack.set(ns, Math.max(0, left - 1));
    return left > 0 ? 1 : 0;
  };
  const packetsPassed = async () => void waits++;
  const cut = flowCutter({ cutFlows, packetsPassed }, "h1");
  const round = async (...ops: readonly Op[]): Promise<readonly string[]> => {
    asked.length = 0;
    waits = 0;
    await cut(snapshot, ops);
    return [...asked];
  };
  return { broken, comesBack, round, waits: () => waits };
}

test("all flows are looked at when an agent starts, then those of VRFs whose rules changed", async () => {
  const { round } = cutting();
  assert.deepEqual(await round(), ["vrf:blue", "vrf:red", "vrf:blue", "vrf:red"]);
  assert.deepEqual(await round(), []);
  assert.deepEqual(await round(changed("vrf:red")), ["vrf:red", "vrf:red"]);
  assert.deepEqual(await round(), []);
});

test("a port that comes asks for no look at flows, a member that comes does: a rule may deny members", async () => {
  const { round } = cutting();
  await round();
  const element = (set: string, key: string): Op => ({
    op: "add",
    object: { kind: "element", ns: "vrf:red", set, key },
  });
  assert.deepEqual(await round(element("ports", "wp1"), element("bound4", "wp1 . 02:00:00:00:00:02 . 10.2.1.2")), []);
  assert.deepEqual(await round(element("members4_00aaaaweb", "10.2.1.2")), ["vrf:red", "vrf:red"]);
});

test("a flow that packets bring back is ended again, until one look after they have passed finds none", async () => {
  const { comesBack, round, waits } = cutting();
  await round();
  comesBack.set("vrf:red", 1);
  assert.deepEqual(await round(changed("vrf:red")), ["vrf:red", "vrf:red"]);
  assert.equal(waits(), 1);
  comesBack.set("vrf:red", 3);
  assert.deepEqual(await round(changed("vrf:red"), changed("vrf:blue")), [
    "vrf:blue",
    "vrf:red",
    "vrf:blue",
    "vrf:red",
    "vrf:red",
    "vrf:red",
  ]);
  assert.equal(waits(), 3);
  comesBack.set("vrf:red", 1000);
  await assert.rejects(round(changed("vrf:red")), /flows of vrf:red come back/);
  comesBack.clear();
  assert.deepEqual(await round(), ["vrf:red", "vrf:red"]);
});

test("what failed is tried again after the next round, also when nothing changes any more", async () => {
  const { broken, round } = cutting();
  broken.add("vrf:red");
  await assert.rejects(round(), /no flows of vrf:red/);
  await assert.rejects(round(), /no flows of vrf:red/);
  broken.clear();
  assert.deepEqual(await round(), ["vrf:blue", "vrf:red", "vrf:blue", "vrf:red"]);
  assert.deepEqual(await round(), []);
  broken.add("vrf:blue");
  await assert.rejects(round(changed("vrf:blue")), /no flows of vrf:blue/);
  broken.clear();
  assert.deepEqual([...new Set(await round(changed("vrf:red")))].toSorted(), ["vrf:blue", "vrf:red"]);
  assert.deepEqual(await round(), []);
});
