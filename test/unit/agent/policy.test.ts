// What security groups make of a host's answers: which flows may go on, what the server is told, what an attach may
// name, and what counters say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName } from "../../../src/datapath/state/names.ts";
import { NO_PROFILE } from "../../../src/datapath/policy/tableParts.ts";
import { policyOf } from "../../../src/datapath/policy/groups.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { type Op, stateOf } from "../../../src/datapath/state/state.ts";
import { compile } from "../../../src/datapath/compile.ts";
import { worldOf } from "../../../src/datapath/world/world.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import type { Counted, Flow, OpResult } from "../../../src/kernel/kernel.ts";
import { type Endpoint, type Snapshot, snapshotOf } from "../../../src/model/resource.ts";
import { canFastPath, elementsOf } from "../../../src/agent/endpoint/compile.ts";
import { countersOf } from "../../../src/agent/endpoint/inspection.ts";
import { checkGroupsKnown } from "../../../src/agent/endpoint/faults.ts";
import { flowCutter } from "../../../src/agent/reconcile/cutFlows.ts";
import { policyOutcome } from "../../../src/agent/server/report.ts";
import { hostNumber, make, vrf as routingDomain } from "./samples.ts";

const ADDRESSES: Readonly<Record<string, string>> = { "a h1": "2", "b h1": "3", "c h2": "4" };
/** A VRF with a network, and endpoints `a` and `b` of this host and `c` of another. */
const vrf = (name: string, index: number, securityGroups: readonly string[]) => [
  routingDomain(name, index),
  make("network", `n-${name}`, {
    driver: "vxlan",
    ipam: "local",
    vrf: name,
    subnets: [{ cidr: `10.${index}.0.0/16`, hostPrefix: 24 }],
    masquerade: false,
    enabled: true,
    securityGroups,
  }),
  make("block", `${name}.h1.4`, { network: `n-${name}`, host: "h1", cidr: `10.${index}.1.0/24` }),
  ...Object.entries(ADDRESSES).map(([text, last]) => {
    const [owner = "", host] = text.split(" ");
    return make("endpoint", `${owner}-${name}.eth0`, {
      network: `n-${name}`,
      host,
      owner: `${owner}-${name}`,
      ifname: "eth0",
      netns: `/run/netns/${owner}-${name}`,
      mac: "02:00:00:00:00:02",
      addresses: [`10.${index}.1.${last}`],
    });
  }),
];
const allow = (direction: "in" | "out", port: number) => ({
  direction,
  action: "allow",
  protocol: "tcp",
  ports: [port],
  priority: 500,
});
const snapshot = snapshotOf("c", 7, [
  hostNumber(1),
  hostNumber(2),
  ...vrf("blue", 1, ["web"]),
  ...vrf("red", 2, ["web"]),
  ...vrf("open", 3, []),
  make("securitygroup", "web", { rules: [allow("in", 80), allow("out", 25)] }),
]);

type Asked = { readonly ns: Ns; readonly isAllowed: (flow: Flow) => boolean };
async function cut(of: Snapshot, host: string, ops: readonly Op[] = []): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  const cutFlows = (ns: Ns, isAllowed: (flow: Flow) => boolean) => {
    asked.push({ ns, isAllowed });
    return 0;
  };
  await flowCutter({ cutFlows, packetsPassed: () => Promise.resolve() }, host)(of, ops);
  return asked;
}

test("flows are judged by the rules of the side that allowed them, in their own VRF", async () => {
  const asked = await cut(snapshot, "h1");
  assert.deepEqual([...new Set(asked.map(({ ns }) => ns))], ["vrf:blue", "vrf:red"]);
  const isAllowed = asked.find(({ ns }) => ns === "vrf:red")?.isAllowed ?? assert.fail();
  const flow = (side: "in" | "out", source: string, destination: string, destinationPort: number): Flow => ({
    side,
    source,
    destination,
    destinationPort,
    protocol: 6,
  });
  const cases: readonly (readonly [Flow, boolean])[] = [
    [flow("in", "192.0.2.9", "10.2.1.2", 80), true],
    [flow("in", "192.0.2.9", "10.2.1.2", 25), false],
    [flow("out", "10.2.1.2", "192.0.2.9", 25), true],
    [flow("out", "10.2.1.2", "192.0.2.9", 80), false],
    // Between two of the group: each side has its own rules, and judges only its own flows.
    [flow("out", "10.2.1.2", "10.2.1.3", 25), true],
    [flow("in", "10.2.1.2", "10.2.1.3", 80), true],
    // Of addresses in another VRF nobody objects.
    [flow("in", "192.0.2.9", "10.1.1.2", 25), true],
  ];
  for (const [one, isGood] of cases) assert.equal(isAllowed(one), isGood, JSON.stringify(one));
});

test("a host that is none, and VRFs without groups, have no flows to end", async () => {
  assert.deepEqual(await cut(snapshot, "nobody"), []);
  const none = { ...snapshot, securityGroups: [], networks: snapshot.networks.filter(({ name }) => name === "n-open") };
  assert.deepEqual(await cut(none, "h1"), []);
});

test("what may narrow the rules asks for a look: tables, marks that change or go, members in any way", async () => {
  let asked: Ns[] = [];
  const cutFlows = (ns: Ns) => {
    asked.push(ns);
    return 0;
  };
  const cutter = flowCutter({ cutFlows, packetsPassed: () => Promise.resolve() }, "h1");
  const look = async (...ops: readonly Op[]) => {
    asked = [];
    await cutter(snapshot, ops);
    return [...new Set(asked)];
  };
  await look();
  const ns = "vrf:red";
  const element = (set: string): KernelObject => ({ kind: "element", ns, set, key: "k" });
  const table: KernelObject = { kind: "nft", ns, digest: "d", body: "" };
  const bridge: KernelObject = { kind: "bridge", ns, name: "wb", mtu: 1, mac: "", alias: "" };
  for (const object of [table, element("members4_web"), element("members6_web")])
    for (const op of ["add", "remove"] as const)
      assert.deepEqual(await look({ op, object }), [ns], `${op} ${object.kind}`);
  for (const set of ["ports", "macs", "bound4"]) {
    const object = element(set);
    assert.deepEqual(await look({ op: "add", object }), [], set);
    assert.deepEqual(await look({ op: "remove", object }), [ns], set);
    assert.deepEqual(await look({ op: "set", from: object, object }), [ns], set);
  }
  for (const op of ["add", "remove"] as const) assert.deepEqual(await look({ op, object: bridge }), []);
});

test("the server is told the revision of the policy, or whose was refused", () => {
  const refusal = { class: "invalid", message: "no" } as const;
  const refused = (object: KernelObject): OpResult => ({ op: { op: "add", object }, refusal });
  const table = (ns: Ns): KernelObject => ({ kind: "nft", ns, digest: "d", body: "" });
  const element: KernelObject = { kind: "element", ns: "vrf:red", set: "ports", key: "k" };
  const bridge: KernelObject = { kind: "bridge", ns: "vrf:blue", name: "wb", mtu: 1, mac: "", alias: "" };
  const fine = { policyRevision: 7, policyFailed: [] };
  assert.deepEqual(policyOutcome([], snapshot, "h1"), fine);
  assert.deepEqual(policyOutcome([refused(bridge)], snapshot, "h1"), fine);
  assert.deepEqual(policyOutcome([refused(table("vrf:blue")), refused(bridge)], snapshot, "h1"), {
    policyFailed: ["a-blue.eth0", "b-blue.eth0"],
  });
  assert.deepEqual(policyOutcome([refused(table("vrf:blue"))], snapshot, "h2"), { policyFailed: ["c-blue.eth0"] });
  assert.deepEqual(policyOutcome([refused(element), refused(table("vrf:blue"))], snapshot, "h1"), {
    policyFailed: ["a-blue.eth0", "a-red.eth0", "b-blue.eth0", "b-red.eth0"],
  });
  // The host's own table is nobody's, and what is of no network is of no VRF.
  assert.deepEqual(policyOutcome([refused(table("host"))], snapshot, "h1"), { policyFailed: [] });
  assert.deepEqual(
    policyOutcome([refused(table("vrf:"))], { ...snapshot, networks: [] }, "h2").policyFailed?.length,
    3,
  );
  const [one] = snapshot.endpoints;
  assert(one !== undefined);
  const many = Array.from({ length: 1_001 }, (_, i) => ({ ...one, name: `e${1_000 - i}` }));
  const { policyFailed } = policyOutcome([refused(table("vrf:blue"))], { ...snapshot, endpoints: many }, "h1");
  assert.deepEqual([policyFailed?.length, policyFailed?.[0], policyFailed?.[2]], [1_000, "e0", "e10"]);
});

test("an attach may name the groups that there are, and the default group always", () => {
  for (const groups of [undefined, [], ["web"], ["default"], ["default", "web"]]) checkGroupsKnown(groups, snapshot);
  for (const groups of [["other"], ["web", "other"], ["other", "web"]])
    assert.throws(() => checkGroupsKnown(groups, snapshot), { reason: "group-unknown" });
  assert.throws(
    () => checkGroupsKnown(["web", "other"], snapshot),
    (error: unknown) =>
      error instanceof Error && /"other"/.test(error.message) && /securityGroups\[1\]/.test(JSON.stringify(error)),
  );
});

test("an endpoint's elements are what a round would put in, with its memberships", () => {
  const peers = make("securitygroup", "web", { rules: [{ ...allow("in", 80), peer: { group: "web" } }] });
  const rest = [...snapshot.hosts, ...snapshot.vrfs, ...snapshot.networks, ...snapshot.blocks, ...snapshot.endpoints];
  for (const seen of [snapshot, snapshotOf("c", 7, [...rest, peers])]) {
    const world = worldOf(seen, "h1") ?? assert.fail();
    const vrfOf = world.vrfs.find(({ name }) => name === "blue") ?? assert.fail();
    const network = world.networks.get("blue")?.[0] ?? assert.fail();
    const own = seen.endpoints.filter(({ spec }) => spec.network === "n-blue");
    const place = { world, network, segmentOwner: network, vrf: vrfOf, segments: [], mtu: 1450, narrow: undefined };
    const [a, b, c] = own as [Endpoint, Endpoint, Endpoint];
    const elements = (one: Endpoint) => elementsOf(place, one);
    const { peers: asked } = policyOf(world, "blue");
    const members = elements(c).filter((object) => object.kind === "element" && object.set.startsWith("members"));
    assert.equal(members.length, asked.length);
    const all = [...compile(seen, "h1").values()].filter(({ kind, ns }) => kind === "element" && ns === "vrf:blue");
    assert.deepEqual(stateOf([...elements(a), ...elements(b), ...members]), stateOf(all));
  }
});

test("an endpoint stands alone if the tables have its rules, and no other may have its addresses", () => {
  const [one] = snapshot.endpoints;
  assert(one !== undefined);
  const mark = (value: number): KernelObject => ({
    kind: "element",
    ns: "vrf:blue",
    set: "ports",
    key: "k",
    value: value.toString(16),
  });
  assert.equal(canFastPath([mark(5)], one), true);
  assert.equal(canFastPath([], one), true);
  assert.equal(canFastPath([mark(5), mark(NO_PROFILE)], one), false);
  const allowed = { ...one, spec: { ...one.spec, allowedAddresses: [{ address: "10.1.1.9" }] } };
  assert.equal(canFastPath([mark(5)], allowed), false);
});

test("counters are told of this host's endpoints, by the names of their reasons", () => {
  const numbers = { sentPackets: 1, sentBytes: 2, receivedPackets: 3, receivedBytes: 4 };
  const [a, c] = [portName("a-blue.eth0"), portName("c-blue.eth0")];
  const counted: Readonly<Record<string, Counted>> = {
    "vrf:blue": {
      drops: [
        { port: a, reason: 2, packets: 5 },
        { port: a, reason: 99, packets: 6 },
        { port: c, reason: 2, packets: 7 },
        { port: "other", reason: 2, packets: 8 },
      ],
      ports: [
        { name: a, ...numbers },
        { name: c, ...numbers },
      ],
    },
  };
  const kernel = Object.assign(Object.create(new FakeKernel()), {
    counters: (ns: string): Counted => counted[ns] ?? { drops: [], ports: [] },
  }) as FakeKernel;
  const none = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0, drops: {} };
  assert.deepEqual(countersOf(kernel, snapshot, "h1"), [
    { endpoint: "a-blue.eth0", ...numbers, drops: { "source-mac": 5, "reason-99": 6 } },
    ...["b-blue", "a-red", "b-red", "a-open", "b-open"].map((name) => ({ endpoint: `${name}.eth0`, ...none })),
  ]);
  assert.deepEqual(countersOf(kernel, snapshot, "nobody"), []);
});
